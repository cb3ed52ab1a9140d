"""results.json, RESULTS.md and the plots. A run of one case replaces what is said of that case alone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.model import Options, Result, Samples, Target
from benchmarks.peers.peer import tool
from benchmarks.runner import CASES, Outcome
from benchmarks.surroundings import surroundings

OURS = "hostwright"
HEAD = """\
# What was measured

Written by `inv bench`; what is done, by whom and how: [README.md](README.md). What was found on the way:
[NOTES.md](NOTES.md). Everything runs on one machine: servers, clients and visitors share its processors. Peers are
measured in turn; a cell is the median, with the lowest and highest value, and how many times Hostwright's it is. All
values are in [results.json](results.json).
"""


def write(out: Path, outcomes: Sequence[Outcome], options: Options, say: Callable[[str], None]) -> None:
    """Merge what was found into `out`, and draw it where the plotting library is installed."""
    out.mkdir(parents=True, exist_ok=True)
    file = out / "results.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    kept = merged(known, outcomes, {**surroundings(), "rounds": options.rounds, "quick": options.quick})
    file.write_text(json.dumps(kept, indent=1) + "\n")
    plots = draw(file, out / "plots", say)
    (out / "RESULTS.md").write_text(page(kept, plots))
    say(f"written: {out / 'RESULTS.md'}")


def merged(
    known: Mapping[str, Any], outcomes: Iterable[Outcome], context: Mapping[str, Any]
) -> dict[str, Any]:
    """What was known, with new cases in the place of old ones; a case that failed keeps what it had."""
    cases = dict(known)
    for outcome in outcomes:
        if outcome.result is None:
            if outcome.case in cases:
                cases[outcome.case] = {**cases[outcome.case], "failed_later": outcome.error[-2000:]}
            continue
        cases[outcome.case] = {**asdict(outcome.result), "seconds": outcome.seconds, "context": dict(context)}
    return {name: cases[name] for name in (*CASES, *sorted(set(cases) - set(CASES))) if name in cases}


def draw(file: Path, folder: Path, say: Callable[[str], None]) -> list[str]:
    """Names of the plots in `folder`; none where the library is missing."""
    python = Path(tool("python"))
    if not python.exists():
        return []
    script = Path(__file__).with_name("plot.py")
    done = subprocess.run(
        (str(python), "-I", str(script), str(file), str(folder)), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        say(f"no plots: {done.stderr[-500:]}")
        return []
    return sorted(path.name for path in folder.glob("*.svg"))


def read(data: Mapping[str, Any]) -> Result:
    """A result as it stands in results.json."""
    return Result(
        case=data["case"],
        title=data["title"],
        samples=tuple(Samples(**{**one, "values": tuple(one["values"])}) for one in data["samples"]),
        targets=tuple(Target(**one) for one in data["targets"]),
        limit=data["limit"],
        notes=tuple(data["notes"]),
        versions=data["versions"],
    )


def page(known: Mapping[str, Any], plots: Sequence[str] = ()) -> str:
    """RESULTS.md."""
    results = {name: read(data) for name, data in known.items()}
    lines = [HEAD, "## What was promised", "", "| case | promise | measured | |", "|---|---|---:|---|"]
    for name, result in results.items():
        lines += [_promise(name, target) for target in result.targets]
    for name, result in results.items():
        lines += ["", f"## {result.title}", "", *_table(result)]
        lines += _notes(result, known[name])
        if f"{name}.svg" in plots:
            lines += ["", f"![{result.title}](plots/{name}.svg)"]
    return "\n".join(lines) + "\n"


def _promise(name: str, target: Target) -> str:
    return (
        f"| {name} | {target.text} | {figure(target.figure)} | {'holds' if target.holds else '**missed**'} |"
    )


def _table(result: Result) -> list[str]:
    """A row for each quantity; the limit stands first, then we, then the others."""
    first = [result.limit, OURS]
    peers = sorted(
        {one.peer for one in result.samples},
        key=lambda peer: (peer not in first, first.index(peer) if peer in first else 0, peer),
    )
    heads = [f"{peer} (limit)" if peer == result.limit else peer for peer in peers]
    lines = ["| | " + " | ".join(heads) + " |", "|---" + "|---:" * len(peers) + "|"]
    for what in dict.fromkeys(one.what for one in result.samples):
        found = {one.peer: one for one in result.samples if one.what == what}
        cells = [_cell(found[peer], found.get(OURS)) if peer in found else "" for peer in peers]
        lines.append(f"| {what} | " + " | ".join(cells) + " |")
    return lines


def _cell(samples: Samples, ours: Samples | None) -> str:
    text = f"{figure(samples.median)} {samples.unit}"
    if len(samples.values) > 1:
        text += f" ({figure(min(samples.values))} to {figure(max(samples.values))})"
    if ours is not None and ours.peer != samples.peer and ours.median > 0:
        text += f", {figure(samples.median / ours.median)} times"
    return text


def _notes(result: Result, data: Mapping[str, Any]) -> list[str]:
    context = data["context"]
    notes = [*result.notes, *dict.fromkeys(f"{one.what}: {one.note}" for one in result.samples if one.note)]
    lines = ["", *(f"- {note}" for note in notes)]
    lines.append(
        f"- {context['when']}, commit {context['commit']}, {context['rounds']} rounds, {data['seconds']:.0f} s; "
        f"load average when it was written {context['load']:.1f}; {context['machine']}"
    )
    versions = {**context["versions"], **result.versions}
    lines.append("- " + ", ".join(f"{name} {version}" for name, version in versions.items()))
    if "failed_later" in data:
        lines.append("- a later run of this case failed, so these figures are older than others on this page")
    return lines


def figure(value: float) -> str:
    """Three digits that count, as people read them."""
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 1 else f"{value:.3g}"
