"""A deploy with one package more, which a cache has already: a new environment, against pip in place."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.model import Options, Result, Samples, Target
from benchmarks.peers.hostwright import Hostwright
from benchmarks.peers.peer import Done, Peer, Work
from benchmarks.sites import OURS, sites
from benchmarks.visitors import Watch
from benchmarks.work import Bench, commit, opened

NAME = "dependency"
TITLE = "A deploy with one package more, from a warm cache"
APP, PIP = "hello", "bash"
REQUIREMENTS = "app/requirements.txt"
# pure Python, without dependencies: one for each round, and one so that no round has what warmed the caches
PACKAGES = (
    "tabulate",
    "humanize",
    "inflection",
    "xmltodict",
    "toolz",
    "more-itertools",
    "boltons",
    "wcwidth",
)
FIRST, COMMAND, STEP = "first answer", "command", "packages alone"
WINDOW = 2.0  # seconds: the default of `health: {window: 2}`
NOTES = (
    "Ours makes a new environment beside the one that serves, of all packages; pip adds the one that is missing to the "
    "environment that serves.",
    f"Our first answer comes after the release was watched for {WINDOW:g} s; no other peer looks.",
    f"'{STEP}' is our step `venv`, and `pip install -r` of the same file, run again after the package was taken away.",
)


def run(options: Options, say: Callable[[str], None]) -> Result:
    """Everything is installed once, for the caches, and taken away; then one more each round, in turn."""
    rounds = min(options.rounds, len(PACKAGES) - 1)
    lines = locked(PACKAGES[: rounds + 1])
    values: dict[tuple[str, str], list[float]] = {}
    with opened(say) as bench:
        peers, notes = sites(bench, [name for name in (OURS, PIP) if name in options.peers], (APP,), say)
        base = {}
        for name, (peer, work) in peers.items():
            base[name] = (work.repository / REQUIREMENTS).read_text()
            for text in (base[name] + "".join(lines), base[name]):
                commit(work, {REQUIREMENTS: text})
                peer.deploy(work)
            if name == PIP:
                pip(bench, work, f"uninstall --yes {' '.join(PACKAGES[: rounds + 1])}")
        for number in range(1, rounds + 1):
            for name, (peer, work) in peers.items():
                mark = commit(work, {REQUIREMENTS: base[name] + "".join(lines[:number])})
                _measure(name, peer, work, mark, values)
                if name == PIP:
                    seconds = _pip_alone(bench, work, PACKAGES[number - 1])
                    values.setdefault((name, STEP), []).append(seconds)
    for (name, what), found in values.items():
        say(f"{name:12} {what}: " + " ".join(f"{value:.2f}" for value in found))
    samples = tuple(Samples(name, what, "s", tuple(found)) for (name, what), found in values.items())
    targets = tuple(_targets(Result(NAME, TITLE, samples))) if PIP in peers else ()
    return Result(NAME, TITLE, samples, targets, notes=(*notes, *NOTES))


def locked(packages: tuple[str, ...]) -> list[str]:
    """The newest wheel of each: a line of a requirements file, with its hash."""
    with tempfile.TemporaryDirectory(prefix="hostwright-bench-") as folder:
        argv = ("download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", folder, *packages)
        subprocess.run((sys.executable, "-m", "pip", *argv), check=True, capture_output=True, timeout=300)
        lines = {}
        for wheel in Path(folder).iterdir():
            name, version, *_ = wheel.name.split("-")
            digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
            lines[name.replace("_", "-")] = f"{name}=={version} --hash=sha256:{digest}\n"
    return [lines[package] for package in packages]


def pip(bench: Bench, work: Work, arguments: str) -> None:
    """pip of the script's environment, as root, as the script does."""
    bench.root(work.servers[0], f"/opt/{APP}/venv/bin/pip {arguments}", timeout=120)


def _pip_alone(bench: Bench, work: Work, package: str) -> float:
    pip(bench, work, f"uninstall --quiet --yes {package}")
    began = time.monotonic()
    pip(bench, work, f"install --quiet -r /opt/{APP}/code/{REQUIREMENTS}")
    return time.monotonic() - began


def _measure(
    name: str, peer: Peer, work: Work, mark: str, values: dict[tuple[str, str], list[float]]
) -> None:
    with Watch(work, APP) as watch:
        began = time.monotonic()
        done = _ours(work, values) if name == OURS else peer.deploy(work)
        values.setdefault((name, FIRST), []).append(watch.wait(mark, began))
    values.setdefault((name, COMMAND), []).append(done.seconds)


def _ours(work: Work, values: dict[tuple[str, str], list[float]]) -> Done:
    """As JSON lines, which tell how long each step took."""
    done = Hostwright.run(work, "deploy", "--json")
    for line in done.out.splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("event") == "step_finished" and event["step"] == "venv":
            values.setdefault((OURS, STEP), []).append(float(event["seconds"]))
    return done


def _targets(found: Result) -> Iterator[Target]:
    text = "our new environment against pip in place: packages alone"
    yield Target(text, found.ratio(OURS, PIP, STEP), 1.0, smoke=4)
    ours, theirs = found.of(OURS, FIRST).median - WINDOW, found.of(PIP, FIRST).median
    yield Target("first answer, less the window, against pip in place", ours / theirs, 1.0, smoke=4)
