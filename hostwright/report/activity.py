"""What a host is doing now, for the line at the bottom and the heartbeat. Pure."""

from __future__ import annotations

from hostwright.remote import events
from hostwright.report.text import clean

_DONE = (
    events.ResourceChanged,
    events.ResourceUnchanged,
    events.ResourceUnknown,
    events.ResourceFailed,
    events.ResourceSkipped,
)


class Activity:
    """One host.

    Attributes:
        doing: what it does, in a few words.
        since: when that began, on the clock of the caller, in seconds.
        said: the last line a command printed meanwhile.
        done, total: resources; total is 0 when nobody counts.
        over: its run has ended.
    """

    def __init__(self, host: str, now: float) -> None:
        self.host = host
        self.doing = "connecting"
        self.since = now
        self.said = ""
        self.done = 0
        self.total = 0
        self.over = False
        self._replaying = False

    def feed(self, event: events.Event, now: float) -> None:
        """Fold one event."""
        if isinstance(event, events.Output):
            self.said = clean(event.line).strip()
        elif isinstance(event, _DONE):
            self.done += 1
            self._now("checking", now)
        elif isinstance(event, events.ResourceStarted):
            self._now(event.title, now)
        elif isinstance(event, events.StepStarted):
            self._now(f"{event.step.replace('_', ' ')} {event.detail}".strip(), now)
        elif isinstance(event, (events.StepFinished, events.StepFailed)):
            self.done += 1
            self._now("working", now)
        else:
            self._feed_run(event, now)

    def _feed_run(self, event: events.Event, now: float) -> None:
        if isinstance(event, events.Hello):
            self._now("checking", now)
        elif isinstance(event, events.AgentNeeded):
            self._now("sending the agent", now)
        elif isinstance(event, events.SourceNeeded):
            self._now("sending the commit", now)
        elif isinstance(event, events.Waited):
            self._now("waiting for another run", now - event.seconds)
        elif isinstance(event, events.Attached):
            self._replaying = not event.same
            self._now("attached", now)
        elif isinstance(event, events.RunStarted):
            self.total, self.done = event.total, 0
        elif isinstance(event, events.RunFinished):
            self.over = not self._replaying
            self._replaying = False
            self.total = self.done = 0
            self._now("checking", now)

    def _now(self, doing: str, now: float) -> None:
        # "checking" goes on over many resources; it is one thing
        if doing != self.doing:
            self.since = now
        self.doing = clean(doing)
        self.said = ""

    def someone_is_done(self) -> None:
        """Another host's run has ended: this one connects, or waits for its turn; nobody knows which."""
        if self.doing == "connecting":
            self.doing = "waiting"

    @property
    def progress(self) -> str:
        """How far it is: `12 of 53`; empty when nobody counts."""
        return f"{min(self.done + 1, self.total)} of {self.total}" if self.total else ""
