"""Events of several hosts folded into one report: counts, times, failures, what became of each host. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from hostwright.errors import HostwrightError
from hostwright.remote import events

COUNTS = ("changed", "unchanged", "failed", "skipped", "unknown")
# outcome of a run -> exit code of the command
EXIT_CODES = {"done": 0, "failed": 1, "lost": 1, "busy": 5, "refused": 6, "cancelled": 130, "detached": 130}
# of several hosts the one that went worst decides; this is from bad to good
WORST_FIRST = (130, 1, 6, 3, 2, 5, 4, 0)
DIFFERENT = 4
_COUNTED: dict[type[events.Event], str] = {
    events.ResourceChanged: "changed",
    events.ResourceUnchanged: "unchanged",
    events.ResourceFailed: "failed",
    events.StepFailed: "failed",
    events.ResourceSkipped: "skipped",
    events.ResourceUnknown: "unknown",
}


@dataclass(frozen=True)
class Failure:
    """What failed on a host, with its evidence.

    Args:
        what: title of the resource, or the step.
        message: one line.
        seconds: until it failed.
        argv, exit_code, tail: the command that failed, if one did, and its last lines.
        hint: what to do next.
        state: what is live now.
        reason: a word for programs, where something can be done about it.
    """

    what: str
    message: str
    seconds: float
    argv: tuple[str, ...] = ()
    exit_code: int | None = None
    tail: tuple[str, ...] = ()
    hint: str = ""
    state: str = ""
    reason: str = ""

    @classmethod
    def of(cls, event: events.ResourceFailed | events.StepFailed) -> Failure:
        """The failure an event tells."""
        return cls(
            event.title if isinstance(event, events.ResourceFailed) else event.step,
            event.message,
            event.seconds,
            tuple(event.argv),
            event.exit_code,
            tuple(event.tail),
            event.hint,
            event.state if isinstance(event, events.StepFailed) else "",
            event.reason if isinstance(event, events.ResourceFailed) else "",
        )


@dataclass(frozen=True)
class Timing:
    """How long a resource, a step or a handler took, in seconds."""

    what: str
    seconds: float


@dataclass
class HostReport:
    """What happened on one host.

    `outcome` is that of events.RunFinished, empty until then. Counts are of the run that was asked for; a run
    that it attached to before is `attached`.
    """

    host: str
    outcome: str = ""
    action: str = ""
    run: str = ""
    attached: str = ""
    check: bool = False
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    handlers: list[str] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    facts: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    state: str = ""
    error: HostwrightError | None = None
    # a story of steps (deploy, rollback) rather than a catalog of resources
    stepped: bool = False
    _replaying: bool = field(default=False, init=False, repr=False)

    @property
    def replaying(self) -> bool:
        """What comes now is of an earlier run that this one attached to."""
        return self._replaying

    def feed(self, event: events.Event) -> None:
        """Fold one event."""
        counted = _COUNTED.get(type(event))
        if counted:
            self.counts[counted] += 1
        if isinstance(event, events.StepStarted):
            self.stepped = True
        elif isinstance(event, (events.ResourceFailed, events.StepFailed)):
            self.failures.append(Failure.of(event))
        elif isinstance(event, events.ResourceChanged):
            self.timings.append(Timing(event.title, event.seconds))
        elif isinstance(event, events.StepFinished):
            self.timings.append(Timing(event.step, event.seconds))
        elif isinstance(event, events.HandlerRan):
            self.handlers.append(event.name)
            self.timings.append(Timing(event.name, event.seconds))
        elif isinstance(event, events.Noticed):
            self.notices.append(event.message)
        else:
            self._feed_run(event)

    def _feed_run(self, event: events.Event) -> None:
        """Fold what is about the run as a whole."""
        if isinstance(event, events.Hello):
            self.facts = event.facts
        elif isinstance(event, events.Answered):
            self.data = event.data
        elif isinstance(event, events.Attached):
            self._replaying = not event.same
            self.attached = str(event.holder.get("run", ""))
        elif isinstance(event, events.RunStarted):
            self.run, self.action, self.check = event.run, event.action, not event.apply
        elif isinstance(event, events.RunFinished):
            if self._replaying:
                self._forget_replay()
            else:
                self._finish(event)

    def _forget_replay(self) -> None:
        """The replay of an earlier run is over; what is asked for now is counted afresh."""
        self._replaying = False
        self.run, self.action, self.check, self.stepped = "", "", False, False
        self.counts = dict.fromkeys(COUNTS, 0)
        self.handlers, self.timings, self.failures = [], [], []

    def _finish(self, event: events.RunFinished) -> None:
        self.outcome = event.outcome
        self.seconds = event.seconds
        self.message = event.message
        self.state = event.state
        self.data = event.data or self.data
        # a run that broke off may not know its counts, a run of steps has none
        for name in COUNTS:
            self.counts[name] = max(self.counts[name], int(getattr(event, name)))

    @property
    def differs(self) -> bool:
        """A check found something to do."""
        return self.check and bool(self.counts["changed"] or self.counts["unknown"] or self.handlers)

    @property
    def exit_code(self) -> int:
        """As if this host were the only one."""
        if self.error is not None:
            return self.error.exit_code
        code = EXIT_CODES.get(self.outcome, 1)
        return DIFFERENT if code == 0 and self.differs else code

    def slowest(self, most: int = 5) -> list[Timing]:
        """What took longest."""
        return sorted(self.timings, key=lambda timing: -timing.seconds)[:most]

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        found: dict[str, Any] = {
            "outcome": self.outcome or ("error" if self.error else "unfinished"),
            "exit_code": self.exit_code,
            "action": self.action,
            "run": self.run,
            "check": self.check,
            "seconds": round(self.seconds, 4),
            **self.counts,
            "handlers": self.handlers,
            "failures": [asdict(failure) for failure in self.failures],
            "slowest": [asdict(timing) for timing in self.slowest()],
            "notices": self.notices,
            "message": self.message,
            "state": self.state,
            "data": dict(self.data),
        }
        if self.attached:
            found["attached"] = self.attached
        if self.error is not None:
            found["error"] = error_json(self.error)
        return found


class Report:
    """What happened on all hosts.

    Args:
        hosts: in the order in which they are told of; others follow as they are heard of.
    """

    def __init__(self, hosts: Sequence[str] = ()) -> None:
        self.hosts: dict[str, HostReport] = {host: HostReport(host) for host in hosts}

    def _host(self, host: str) -> HostReport:
        return self.hosts.setdefault(host, HostReport(host))

    def feed(self, host: str, event: events.Event) -> None:
        """Fold an event of a host."""
        self._host(host).feed(event)

    def error(self, host: str, error: HostwrightError) -> None:
        """A host's run ended with an error; the first one counts."""
        found = self._host(host)
        found.error = found.error or error

    @property
    def counts(self) -> dict[str, int]:
        """changed, unchanged, failed, skipped, unknown over all hosts."""
        return {name: sum(host.counts[name] for host in self.hosts.values()) for name in COUNTS}

    @property
    def failed_hosts(self) -> list[str]:
        """Hosts that are not as they should be now; a check's difference is no failure."""
        return [name for name, host in self.hosts.items() if host.exit_code not in (0, DIFFERENT)]

    @property
    def seconds(self) -> float:
        """Of the slowest host."""
        return max((host.seconds for host in self.hosts.values()), default=0.0)

    @property
    def exit_code(self) -> int:
        """0 done, 1 failed, 3 unreachable, 4 a check found differences, 5 busy, 6 refused, 130 cancelled."""
        codes = {host.exit_code for host in self.hosts.values()}
        return min(codes, key=_badness, default=0)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "exit_code": self.exit_code,
            "seconds": round(self.seconds, 4),
            **self.counts,
            "hosts": {name: host.to_json() for name, host in self.hosts.items()},
        }


def error_json(error: HostwrightError) -> dict[str, Any]:
    """An error as a JSON object."""
    return {
        "kind": type(error).__name__,
        "message": error.message,
        "evidence": list(error.evidence),
        "hint": error.hint,
        "exit_code": error.exit_code,
    }


def _badness(code: int) -> int:
    return WORST_FIRST.index(code) if code in WORST_FIRST else 1


__all__: Sequence[str] = ["Failure", "HostReport", "Report", "Timing", "error_json"]
