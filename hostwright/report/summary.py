"""How a run ended, in its last lines: counts, what is live, what to do next. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hostwright.remote import events
from hostwright.report.look import Look
from hostwright.report.monitor import COUNTS, HostReport
from hostwright.report.problems import room
from hostwright.report.rows import Rows
from hostwright.report.text import Line, Span, cells, clean, line, listed, seconds, wrap

STYLES = {"changed": "changed", "failed": "failed", "unknown": "unknown"}
HEADS = {
    "cancelled": "cancelled",
    "busy": "busy",
    "refused": "refused",
    "lost": "lost",
    "detached": "not watched any more",
    "failed": "failed",
}


class Summary:
    """Makes the last lines of a host and of a command."""

    def __init__(self, look: Look, rows: Rows) -> None:
        self._look = look
        self._rows = rows

    def host(
        self, name: Span, report: HostReport, event: events.RunFinished, elapsed: float, *, told: bool
    ) -> list[Line]:
        """The last lines of a host's run.

        Args:
            name: the host as lines begin with it.
            report: what happened so far.
            event: the end.
            elapsed: how long it took, in seconds, as the user sees it.
            told: its message was shown before.
        """
        counts = {key: max(report.counts[key], int(getattr(event, key))) for key in COUNTS}
        message = "" if told else clean(event.message)
        resources = not report.stepped and _tried(counts)
        took = seconds(elapsed)
        if resources:
            text = self._counts(counts, report.check)
            head = HEADS.get(event.outcome, "") if event.outcome not in ("done", "failed") else ""
            parts = (Span(f"{head}: ", "failed"), *text) if head else text
            lines = self._rows.summary(line(name), parts, took)
            rest = [message, clean(event.state)]
        else:
            good = event.outcome == "done"
            head = HEADS.get(event.outcome, clean(event.outcome))
            state = clean(event.state)
            first = state or message or "done"
            if not good:
                first = ": ".join(part for part in (head, message or state) if part)
            parts = line(Span(first, "good" if good else "failed"))
            lines = self._rows.summary(line(name), parts, took) if self._fits(name, first) else []
            lines = lines or self._prose(name, first, took)
            rest = [state] if message and not good else []
        at = " " * len(name.text)
        for paragraph in rest:
            if paragraph:
                lines += [line(at, part) for part in wrap(paragraph, room(self._look, len(at)))]
        return lines

    def _fits(self, name: Span, text: str) -> bool:
        return self._look.width is None or cells(name.text) + cells(text) <= self._look.width

    def _prose(self, name: Span, text: str, took: str) -> list[Line]:
        parts = wrap(f"{text}  {took}", room(self._look, len(name.text)))
        return [line(name if index == 0 else " " * len(name.text), part) for index, part in enumerate(parts)]

    def _counts(self, counts: dict[str, int], check: bool) -> Line:
        words: list[Span] = []
        for key in ("changed", "unknown", "unchanged", "failed", "skipped"):
            number = counts[key]
            # a zero is news only for what changed, and for what failed where something changed
            changed = counts["changed"] and not check
            if number or key in ("changed", "unchanged") or (key == "failed" and changed):
                label = "would change" if check and key == "changed" else key
                words.append(Span(f"{number} {label}", STYLES.get(key, "") if number else ""))
        parts = [part for word in words for part in (word, Span(", "))][:-1]
        return line(*parts, *(("; ", "nothing was touched") if check else ()))

    # -- of the command ------------------------------------------------------------------------------------

    def end(self, reports: Sequence[HostReport], elapsed: float) -> list[Line]:
        """The last word of a command: over several hosts, and what to do when something is wrong."""
        lines: list[Line] = []
        wrong = [report for report in reports if report.exit_code not in (0, 4)]
        if len(reports) > 1:
            lines += self._totals(reports, wrong, elapsed)
        advice = self._advice(wrong)
        return lines + [line(Span(part, "bold")) for part in wrap(advice, room(self._look, 0)) if part]

    def _totals(self, reports: Sequence[HostReport], wrong: Sequence[HostReport], took: float) -> list[Line]:
        if not wrong:
            differ = sum(report.differs for report in reports)
            text = f"{len(reports)} hosts: {differ} differ" if differ else f"{len(reports)} hosts: all done"
            return self._rows.summary((), line(Span(text, "changed" if differ else "good")), seconds(took))
        names = listed((clean(report.host) for report in wrong), most=4)
        text = f"{len(reports)} hosts: {len(reports) - len(wrong)} done, {len(wrong)} not done: {names}"
        return self._rows.summary((), line(Span(text, "failed")), seconds(took))

    def _advice(self, wrong: Sequence[HostReport]) -> str:
        """What to do next, where no error has said it."""
        outcomes = {report.outcome for report in wrong if report.error is None}
        if "busy" in outcomes:
            busy = (report for report in wrong if report.error is None and report.outcome == "busy")
            names = ",".join(clean(report.host) for report in busy)
            return f"Wait longer with `--wait 600`, or ask that run to stop: `inv cancel --host {names}`."
        if "detached" in outcomes:
            return "The same command watches it again: it attaches, nothing runs twice."
        begun = any(
            report.action == "provision" and not report.check and _tried(report.counts) for report in wrong
        )
        if outcomes & {"failed", "cancelled"} and begun:
            return "What is done stays done. The same command goes on from there."
        return ""


def _tried(counts: Mapping[str, int]) -> bool:
    """Did the run come to its resources? One that was refused before has only failed."""
    return any(counts[key] for key in COUNTS if key != "failed")
