"""The answer of `inv audit` as a table, and below it in words what was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hostwright.errors import HostwrightError
from hostwright.report import Look, table
from hostwright.report.text import Span as Part
from hostwright.report.text import advice, clean, line, wrap
from hostwright.run.audit import AREAS, findings, worst
from hostwright.run.audit_finding import INFO, SEVERITIES, Finding, View

STYLES = {"high": "failed", "medium": "changed", "low": "running", "info": "dim"}
INDENT = "        "


def audit_table(views: Sequence[View], errors: Mapping[str, HostwrightError], look: Look) -> str:
    """For each host its areas and its findings; at the end how many there are.

    Args:
        views: of the hosts that answered.
        errors: of those that did not.
        look: of the stream.
    """
    blocks = [_host(view, findings(view), look) for view in views]
    blocks += ["\n".join(_unreached(name, error, look)) for name, error in errors.items()]
    blocks.append(_last(views, errors))
    return "\n\n".join(blocks)


def _host(view: View, found: list[Finding], look: Look) -> str:
    about = view.answer["host"]
    where = f", in {about['container']}" if about.get("container") else ""
    text = f"{view.host.name}  {view.host.address}  {about['os']}, kernel {about['kernel']}{where}"
    head = wrap(clean(text), look.width, hang=6)
    rows = [_row(view, found, area) for area in AREAS]
    lines = [
        *(look.paint(line(Part(part, "host"))) for part in head),
        table(["area", "worst", "state"], rows, look),
    ]
    serious = [one for one in found if one.severity != INFO]
    for index, one in enumerate(serious):
        # what mends several is said once, below the last of them
        following = serious[index + 1] if index + 1 < len(serious) else None
        again = following is not None and (following.todo, following.severity) == (one.todo, one.severity)
        lines += [*([] if _joined(serious, index) else [""]), *_finding(one, look, todo=not again)]
    known = [one for one in found if one.severity == INFO]
    lines += [""] if known else []
    for one in known:
        lines += _finding(one, look, todo=True)
    return "\n".join(lines)


def _row(view: View, found: list[Finding], area: str) -> tuple[str, str, str]:
    if view.answer[area].get("problem"):
        return area, "?", "could not be looked at"
    return area, worst(found, area).replace(INFO, "ok") or "ok", AREAS[area][1](view)


def _joined(found: Sequence[Finding], index: int) -> bool:
    """Does the one before need the same?"""
    before = found[index - 1] if index else None
    one = found[index]
    return before is not None and (before.todo, before.severity) == (one.todo, one.severity)


def _finding(one: Finding, look: Look, *, todo: bool) -> Iterator[str]:
    width = look.width or 10_000
    text = wrap(clean(f"{one.area}: {one.what}"), width - len(INDENT))
    for index, part in enumerate(text):
        mark = Part(f"{one.severity:<{len(INDENT)}}", STYLES[one.severity]) if index == 0 else Part(INDENT)
        yield look.paint(line(mark, part))
    for seen in one.evidence:
        for part in wrap(clean(seen), width - len(INDENT) - 2, hang=2):
            yield look.paint(line(f"{INDENT}| ", Part(part, "dim")))
    if one.todo and todo:
        for index, part in enumerate(advice(one.todo, width - len(INDENT) - 3)):
            yield look.paint(line(f"{INDENT}-> " if index == 0 else f"{INDENT}   ", part))


def _unreached(name: str, error: HostwrightError, look: Look) -> Iterator[str]:
    width = look.width or 10_000
    yield from wrap(clean(f"{name}  {error.message}"), width, hang=4)
    if error.hint:
        yield from ("    " + part for part in advice(error.hint, width - 4))


def _last(views: Sequence[View], errors: Mapping[str, HostwrightError]) -> str:
    every = [one for view in views for one in findings(view)]
    counts = [(sum(one.severity == kind for one in every), kind) for kind in SEVERITIES if kind != INFO]
    said = ", ".join(f"{count} {kind}" for count, kind in counts if count)
    missing = f" {len(errors)} not reached." if errors else ""
    return (f"{said}." if said else "Nothing to do." if views else "") + missing
