"""Failures and errors as lines: what happened, where, the evidence, what to do. Nothing is cut off. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from hostwright.errors import HostwrightError
from hostwright.remote import events
from hostwright.report.look import Look
from hostwright.report.rows import INDENT
from hostwright.report.text import Line, Span, advice, clean, clean_lines, command, line, seconds, wrap

Failed = events.ResourceFailed | events.StepFailed


def failure(event: Failed, host: str, look: Look, prefix: str) -> list[Line]:
    """The block of a failed resource or step.

    Args:
        event: what failed.
        host: where.
        look: of the stream.
        prefix: what every first line of this host begins with.
    """
    if isinstance(event, events.ResourceFailed):
        what, state = event.title, ""
    else:
        what, state = event.step, event.state
    message, *more = clean_lines(event.message) or [""]
    code = "" if event.exit_code is None else f"exit code {event.exit_code}"
    if code and code not in message:
        message += f" ({code})"
    start = line(Span(prefix, "host"), Span("! ", "failed"))
    head = f"{clean(what)} FAILED on {host} after {seconds(event.seconds)}: {message}"
    first, *rest = wrap(head, room(look, len(prefix) + 2))
    at = " " * max(INDENT, len(prefix) + 2)
    lines = [line(*start, Span(first, "failed"))]
    lines += [line(at, Span(text, "failed")) for text in rest]
    lines += [line(at, text) for text in more]
    if event.argv:
        lines.append(line(at, Span("$ ", "dim"), command(event.argv)))
    lines += evidence(event.tail, at)
    if state:
        lines += [line(at, text) for text in wrap(clean(state), room(look, len(at)))]
    if event.hint:
        lines += [line(at, Span(text, "bold")) for text in advice(event.hint, room(look, len(at)))]
    return lines


def evidence(tail: Sequence[str], at: str) -> list[Line]:
    """Lines of output, as they were."""
    return [line(at, Span("| ", "dim"), text) for item in tail for text in (clean_lines(item) or [""])]


def error_lines(error: HostwrightError, look: Look, prefix: str = "") -> list[Line]:
    """The block of an error that ended a command, or a host's part of it.

    Args:
        error: what happened.
        look: of the stream.
        prefix: instead of the host's name at the beginning.
    """
    start = prefix or (f"{clean(error.host)}  " if error.host else "")
    at = " " * (len(start) or 2)
    lines: list[Line] = []
    for index, paragraph in enumerate(clean_lines(error.message) or [""]):
        before = start if index == 0 else " " * len(start)
        for number, text in enumerate(wrap(paragraph, room(look, len(before)), hang=0 if start else 2)):
            lead = before if number == 0 else " " * len(before)
            lines.append(line(Span(lead, "host"), Span(text, "failed" if index == 0 else "")))
    lines += evidence(error.evidence, at)
    if error.hint:
        lines += [line(at, Span(text, "bold")) for text in advice(error.hint, room(look, len(at)))]
    return lines


def room(look: Look, used: int) -> int | None:
    """Columns that are left for prose; None where nothing is wrapped. Long lines are hard to read."""
    return None if look.width is None else max(min(look.width, 100) - used, 16)
