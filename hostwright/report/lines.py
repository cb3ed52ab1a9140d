"""Events as lines of text, the same for a terminal and a pipe. No input or output.

One line a thing; what did not change is counted, not listed; numbers carry units. A host's header waits until
there is something to say below it, so a run that finds nothing to do is one line.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hostwright.errors import HostwrightError
from hostwright.remote import events
from hostwright.report import changes, problems
from hostwright.report.look import Look
from hostwright.report.monitor import HostReport
from hostwright.report.rows import INDENT, Rows
from hostwright.report.summary import Summary
from hostwright.report.text import Line, Span, advice, clean, clean_lines, line, listed, pad, seconds, wrap
from hostwright.report.wording import holder, server

# a step that has nothing to say and took less is not worth a line
TOLD_SECONDS = 0.05
MARKS = {changes.CREATED: "created", changes.CHANGED: "changed", changes.REMOVED: "removed"}


@dataclass
class _Seen:
    """What was shown of a host, and what it is at."""

    report: HostReport
    header: list[Line] = field(default_factory=list)
    running: set[str] = field(default_factory=set)
    waited_for: str | None = None
    said: set[str] = field(default_factory=set)


class Lines:
    """Makes lines of events.

    Args:
        look: of the stream.
        hosts: with several, each line names its host.
        verbose: also what commands print while they work.
        wall: Unix time, to tell how long another run goes on.
    """

    def __init__(
        self,
        look: Look,
        hosts: Sequence[str] = (),
        *,
        verbose: bool = False,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.resize(look)
        self._hosts = tuple(hosts)
        self._several = len(hosts) > 1
        self._column = max((len(clean(host)) for host in hosts), default=0)
        self._verbose = verbose
        self._wall = wall
        self._seen: dict[str, _Seen] = {}
        self._sources: set[str] = set()
        self._finished_hosts = 0
        self._announced = ""

    def resize(self, look: Look) -> None:
        """The stream looks different now: a terminal has another width."""
        self._look = look
        self._rows = Rows(look)
        self._summary = Summary(look, self._rows)

    # -- of the command ------------------------------------------------------------------------------------

    def title(self, hosts: Sequence[str], title: str) -> list[Line]:
        """What begins, where there are several hosts; one host has its header."""
        if len(hosts) < 2:
            return []
        text = f"{clean(title)} -> {listed(clean(host) for host in hosts)}"
        return [line(Span(part, "bold")) for part in wrap(text, problems.room(self._look, 0), hang=2)]

    def notice(self, text: str) -> list[Line]:
        """Something the controller says; `host  text` wraps below the text."""
        lines: list[Line] = []
        for seen in self._seen.values():  # a run of which something is said has a header
            lines += seen.header
            seen.header = []
        self._announced += text
        for paragraph in clean_lines(text):
            host, gap, words = paragraph.partition("  ")
            if gap and host in self._hosts:
                lines += self._prose(self._name(host), words)
            else:
                lines += [line(part) for part in wrap(paragraph, problems.room(self._look, 0), hang=2)]
        return lines

    def error(self, host: str, error: HostwrightError) -> list[Line]:
        """The error that ended a host's part of the command."""
        seen = self._of(host)
        seen.header = []
        return problems.error_lines(error, self._look, self._name(host))

    def end(self, reports: Sequence[HostReport], elapsed: float) -> list[Line]:
        """The last word of a command: over all hosts, and what to do when something is wrong."""
        return self._summary.end(reports, elapsed)

    # -- of a host -----------------------------------------------------------------------------------------

    def event(self, host: str, event: events.Event, elapsed: float) -> list[Line]:
        """The lines of an event; often none.

        Args:
            host: whose.
            event: what happened.
            elapsed: seconds since the command began.
        """
        seen = self._of(host)
        made = self._lines(host, seen, event, elapsed)
        seen.report.feed(event)
        if isinstance(event, events.RunFinished):
            seen.running.clear()
            self._finished_hosts += 1
        begins = isinstance(event, (events.ResourceStarted, events.StepStarted))
        if (made or begins) and seen.header:
            made, seen.header = [*seen.header, *made], []
        return made

    def _lines(self, host: str, seen: _Seen, event: events.Event, elapsed: float) -> list[Line]:
        if isinstance(event, events.Output):
            return self._output(host, seen, event)
        if isinstance(event, (events.ResourceStarted, events.StepStarted)):
            seen.running.add(event.id if isinstance(event, events.ResourceStarted) else event.step)
        elif isinstance(event, events.ResourceChanged):
            return self._changed(host, seen, event)
        elif isinstance(event, events.ResourceUnknown):
            kind, name = _kind_and_name(event.id, event.title)
            lead = line(self._prefix(host), Span("? ", "unknown"))
            return self._rows.told(lead, kind, name, f"unknown until {event.until}")
        elif isinstance(event, (events.ResourceFailed, events.StepFailed)):
            seen.said.add(event.message)
            return problems.failure(event, host, self._look, self._prefix(host).text)
        elif isinstance(event, events.StepFinished):
            seen.running.discard(event.step)
            if not event.detail and event.seconds < TOLD_SECONDS:
                return []
            lead, took = line(self._prefix(host)), seconds(event.seconds)
            return [self._rows.step(lead, event.step.replace("_", " "), event.detail, took)]
        elif isinstance(event, events.HandlerRan):
            return [self._handler(host, event)]
        else:
            return self._run_lines(host, seen, event, elapsed)
        return []

    def _run_lines(self, host: str, seen: _Seen, event: events.Event, elapsed: float) -> list[Line]:
        """Lines of what is about the run as a whole."""
        if isinstance(event, events.Hello):
            seen.header = [self._header(host, event, elapsed)]
        elif isinstance(event, events.Noticed):
            return self._noticed(host, seen, event)
        elif isinstance(event, events.Waited):
            return self._waited(host, seen, event)
        elif isinstance(event, events.Attached):
            text = f"attached to {holder(event.holder, self._wall())}"
            text += ": the same, so nothing runs twice" if event.same else ""
            text += ". What it did so far:"
            return self._prose(self._name(host), text)
        elif isinstance(event, events.SourceReady):
            return self._source(host, event)
        elif isinstance(event, events.RunFinished):
            # of a run that was attached to, its own time; else what the user waited, with the login
            took = event.seconds if seen.report.replaying else max(event.seconds, elapsed)
            return self._finished(host, seen, event, took)
        return []

    def _changed(self, host: str, seen: _Seen, event: events.ResourceChanged) -> list[Line]:
        seen.running.discard(event.id)
        kind, name = _kind_and_name(event.id, event.title)
        check = seen.report.check
        mark = changes.mark(event.id.partition(":")[0], event.changes)
        words = [changes.describe(event.id.partition(":")[0], event.changes, check)]
        words += [f"({event.note})"] if event.note else []
        lead = line(self._prefix(host), Span(mark + " ", MARKS[mark]))
        took = "" if check else seconds(event.seconds)
        detail = "  ".join(word for word in words if word)
        if mark == changes.CHANGED:
            return [*self._rows.told(lead, kind, name, detail, took), *self._diff(host, event.diff)]
        return [self._rows.resource(lead, kind, name, detail, took), *self._diff(host, event.diff)]

    def _diff(self, host: str, diff: Sequence[str]) -> list[Line]:
        at = " " * max(INDENT, len(self._prefix(host).text) + 2)
        styles = {"+": "created", "-": "removed", "@": "dim"}
        # a carriage return may be the whole difference
        shown = (text.replace("\r", "\\r") for text in diff)
        return [line(at, Span(text, styles.get(text[:1], ""))) for text in shown]

    def _handler(self, host: str, event: events.HandlerRan) -> Line:
        lead = line(self._prefix(host), Span("! ", "changed"))
        verb, _, name = clean(event.name).partition(" ")
        verb = f"would {verb}" if event.would else verb
        ids = [clean(why.partition(":")[2] or why) for why in event.why]
        more = f" and {len(ids) - 1} more" if len(ids) > 1 else ""
        why = f"because of {ids[0]}{more}" if ids else ""
        return self._rows.resource(lead, verb, name, why, "" if event.would else seconds(event.seconds))

    def _output(self, host: str, seen: _Seen, event: events.Output) -> list[Line]:
        """What a step prints is for the bottom line; what belongs to no step is what was asked for."""
        if event.source in seen.running:
            at = " " * max(INDENT, len(self._prefix(host).text) + 2)
            return problems.evidence([event.line], at) if self._verbose else []
        seen.header = []
        return [line(Span(self._name(host), "host") if self._several else "", event.line)]

    # -- of a run ------------------------------------------------------------------------------------------

    def _header(self, host: str, event: events.Hello, elapsed: float) -> Line:
        lead = line(Span(self._name(host), "host"))
        # hosts of a later batch waited for their turn: nobody knows here since when they connect
        took = "" if self._finished_hosts else f"connected {seconds(elapsed)}"
        return self._rows.header(lead, clean(server(event.facts, host)), took)

    def _noticed(self, host: str, seen: _Seen, event: events.Noticed) -> list[Line]:
        seen.said.add(event.message)
        at = self._name(host) if self._several else " " * INDENT
        lines = self._prose(at, event.message)
        if event.hint:
            free = problems.room(self._look, len(at))
            lines += [line(" " * len(at), Span(text, "dim")) for text in advice(event.hint, free)]
        return lines

    def _waited(self, host: str, seen: _Seen, event: events.Waited) -> list[Line]:
        who = str(event.holder.get("run", ""))
        if seen.waited_for == who or event.seconds >= event.limit:
            return []
        seen.waited_for = who
        text = f"another run holds this server: {holder(event.holder, self._wall())}."
        wait = f"Waiting up to {event.limit:.0f} s (--wait) ..."
        return [*self._prose(self._name(host), text), *self._prose(" " * len(self._name(host)), wait)]

    def _source(self, host: str, event: events.SourceReady) -> list[Line]:
        """The commit that goes live; hosts that got the same one need not say it again."""
        if event.commit in self._sources:
            return []
        self._sources.add(event.commit)
        old = str((event.current or {}).get("commit") or "")[:7]
        short = event.commit[:7]
        text = short if short in self._announced else f'{short} "{event.subject}"'
        text += f" (live now: {old})" if old else ""
        return [self._rows.step(line(self._prefix(host)), "commit", text, "")]

    def _finished(self, host: str, seen: _Seen, event: events.RunFinished, took: float) -> list[Line]:
        # the summary counts what this run did: the events so far, with this one
        report = seen.report
        if event.outcome == "done" and event.unchanged:  # nothing was shown of it, so there was nothing to do
            seen.header = []
        told = any(said in event.message or event.message in said for said in seen.said if said)
        return self._summary.host(Span(self._name(host), "host"), report, event, took, told=told)

    # -- pieces --------------------------------------------------------------------------------------------

    def _of(self, host: str) -> _Seen:
        return self._seen.setdefault(host, _Seen(HostReport(host)))

    def _name(self, host: str) -> str:
        return pad(clean(host), self._column) + "  "

    def _prefix(self, host: str) -> Span:
        return Span(self._name(host), "host") if self._several else Span("  ")

    def _prose(self, start: str, text: str) -> list[Line]:
        first, *rest = wrap(clean(text), problems.room(self._look, len(start)))
        return [line(Span(start, "host"), first), *(line(" " * len(start), part) for part in rest)]


def _kind_and_name(resource: str, title: str) -> tuple[str, str]:
    """A title in its two columns: `file` and `/etc/motd`."""
    kind = resource.partition(":")[0].replace("_", " ")
    return (kind, title[len(kind) + 1 :]) if title.startswith(kind + " ") else ("", title)
