"""The answer of `inv cert.status` as a table, and below it in words what needs attention."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hostwright.errors import HostwrightError
from hostwright.report import Column, Look, table
from hostwright.report.text import advice, clean, wrap
from hostwright.run.certificate_health import Trouble, View, chain_problem, day, issuer, renewal_failed, span

# a narrower terminal gets neither dates nor issuers
WIDE = 100
# of a certificate for more names, the others are counted
NAMED = 4


def certificate_table(
    views: Sequence[View],
    asked: Mapping[str, Sequence[Mapping[str, Any]]],
    plain: Mapping[str, Sequence[str]],
    found: Sequence[Trouble],
    errors: Mapping[str, HostwrightError],
    look: Look,
) -> str:
    """One row an app on a host; below them each trouble with what to do.

    Args:
        views: of the hosts that answered.
        asked: the apps with a certificate, by host.
        plain: the apps that have none, by host.
        found: what needs attention.
        errors: of the hosts that did not answer.
        look: of the stream.
    """
    rows: list[tuple[object, ...]] = [_row(view, app, look) for view in views for app in asked[view.host]]
    rows += [
        (host, app, "-", "HTTP only", "-", "-", "-", "-") for host, apps in plain.items() for app in apps
    ]
    rows += [(host, "-", "-", "-", "-", "-", "-", "not reached") for host in errors]
    columns: list[Column | str] = [
        "host", "app", Column("expires", right=True), "served", "chain", "renewal", "issuer", "names",
    ]  # fmt: skip
    if look.width is not None and look.width < WIDE:
        at = columns.index("issuer")
        columns, rows = columns[:at] + columns[at + 1 :], [row[:at] + row[at + 1 :] for row in rows]
    lines = [table(columns, rows, look), *_words(found, errors, look)]
    if not found and not errors:
        lines += ["", "Nothing needs attention." if any(asked.values()) else "No app has a certificate."]
    return "\n".join(lines)


def _row(view: View, app: Mapping[str, Any], look: Look) -> tuple[object, ...]:
    answer = view.answer["apps"][app["name"]]
    names = [*app["names"], *app["addresses"]]
    more = [f"and {len(names) - NAMED} more"] if len(names) > NAMED else []
    shown = " ".join([*names[:NAMED], *more]) or "any name"
    if answer["file"] is None:
        return view.host, app["name"], "none", "no", "-", "-", "-", shown
    wrong = chain_problem(answer)
    expires = expiry(answer["file"], view.now, dated=look.width is None or look.width >= WIDE)
    chain = "BROKEN" if wrong else "ok"
    return view.host, app["name"], expires, _served(answer), chain, _renewal(view, app), issuer(answer), shown


def expiry(certificate: Mapping[str, Any], now: float, *, dated: bool) -> str:
    """How long it is good for, and with `dated` until when: `64 d (2027-01-24)`."""
    left = certificate["not_after"] - now
    text = span(left) if left > 0 else "EXPIRED"
    return f"{text} ({day(certificate['not_after'])})" if dated else text


def _served(answer: Mapping[str, Any]) -> str:
    """yes, no, OLD: not the file's; or for how many of its names."""
    served = answer["served"]
    same = sum(one["same"] for one in served)
    if same == len(served):
        return "yes"
    if any(one["certificate"] for one in served):
        return "OLD"
    return f"{same} of {len(served)}" if same else "no"


def _renewal(view: View, app: Mapping[str, Any]) -> str:
    if app["kind"] != "acme":
        return {"selfsigned": "provision"}.get(app["kind"], "by you")
    renewal = view.answer["renewal"]
    if renewal["running"]:
        return "now"
    if not renewal["active"]:
        return "OFF"
    following = f"in {span(renewal['next'] - view.now)}" if renewal["next"] else "waits"
    return following + (", FAILED" if renewal_failed(view.answer) else "")


def _words(found: Sequence[Trouble], errors: Mapping[str, HostwrightError], look: Look) -> Iterator[str]:
    width = look.width or 10_000
    if found or errors:
        yield ""
    for trouble in found:
        about = f"{trouble.host}  {trouble.app}: " if trouble.app else f"{trouble.host}  "
        yield from _paragraph(about + trouble.what, width)
        yield from _advice(trouble.todo, width)
    for host, error in errors.items():
        yield from _paragraph(f"{host}  {error.message}", width)
        if error.hint:
            yield from _advice(error.hint, width)


def _paragraph(text: str, width: int) -> list[str]:
    return wrap(clean(text), width, hang=4)


def _advice(text: str, width: int) -> list[str]:
    return ["    " + part for part in advice(text, width - 4)]
