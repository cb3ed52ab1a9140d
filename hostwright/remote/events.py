"""Events: what happened on the server, in the past tense, flat, the same on both sides.

The attributes of an event are exactly the keywords of its constructor; `to_wire` and `from_wire` rest on
that. Numbers carry their unit in the name. `t` is seconds since the run began, set when it is emitted.
"""

from __future__ import annotations

from .asked import Asked
from .event import Event, from_wire
from .source_events import PackagesLocked, SourceNeeded, SourceReady

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Optional, Sequence

    Diff = Sequence[Mapping[str, Any]]

# fmt: off
__all__ = [
    "AgentNeeded", "Answered", "Asked", "Attached", "Event", "HandlerRan", "Hello",
    "Noticed", "Output", "PackagesLocked", "ResourceChanged", "ResourceFailed", "ResourceSkipped", "ResourceStarted",
    "ResourceUnchanged", "ResourceUnknown", "RunFinished", "RunStarted", "SourceNeeded", "SourceReady",
    "StepFailed", "StepFinished", "StepStarted", "Waited",
    "from_wire",
]
# fmt: on


class Hello(Event):
    """The agent is up. `facts`: see facts.py."""

    event = "hello"

    def __init__(self, protocol: int, agent: str, facts: Mapping[str, Any]) -> None:
        self.protocol = protocol
        self.agent = agent
        self.facts = facts


class AgentNeeded(Event):
    """The server does not have this agent yet (or a damaged one): send it."""

    event = "agent_needed"

    def __init__(self, agent: str) -> None:
        self.agent = agent


class Waited(Event):
    """Another run holds this host; we are waiting for it. `holder` as in RunStarted, without secrets."""

    event = "waited"

    def __init__(self, holder: Mapping[str, Any], seconds: float, limit: float) -> None:
        self.holder = holder
        self.seconds = seconds
        self.limit = limit


class Attached(Event):
    """What follows until its RunFinished is of a run whose viewer was lost; `same`: it is what was asked for."""

    event = "attached"

    def __init__(self, holder: Mapping[str, Any], same: bool = False) -> None:
        self.holder = holder
        self.same = same


class RunStarted(Event):
    """A run holds the host. `by` is user@machine, `began` Unix seconds, `total` steps or resources."""

    event = "run_started"

    def __init__(
        self, run: str, action: str, project: str, by: str, began: float, apply: bool, total: int
    ) -> None:
        self.run = run
        self.action = action
        self.project = project
        self.by = by
        self.began = began
        self.apply = apply
        self.total = total


class ResourceStarted(Event):
    """Applying begins: the resource differs."""

    event = "resource_started"

    def __init__(self, id: str, title: str) -> None:
        self.id = id
        self.title = title


class ResourceChanged(Event):
    """It differed and was changed (in a check: it would be). `changes`: attribute, before, after.

    `diff` holds unified diff lines of a file's content, empty when sensitive or binary.
    """

    event = "resource_changed"

    def __init__(
        self, id: str, title: str, changes: Diff, seconds: float, diff: Sequence[str] = (), note: str = ""
    ) -> None:
        self.id = id
        self.title = title
        self.changes = changes
        self.seconds = seconds
        self.diff = diff
        self.note = note


class ResourceUnchanged(Event):
    """It was as it should be."""

    event = "resource_unchanged"

    def __init__(self, id: str, title: str) -> None:
        self.id = id
        self.title = title


class ResourceUnknown(Event):
    """A check cannot tell yet: it depends on something that is not there (`until`)."""

    event = "resource_unknown"

    def __init__(self, id: str, title: str, until: str) -> None:
        self.id = id
        self.title = title
        self.until = until


class ResourceFailed(Event):
    """It could not be read or changed. `argv`, `exit_code` and `tail` when a command was why.

    `reason` is a word for programs ("no_package_index"), where something can be done about it.
    """

    event = "resource_failed"

    def __init__(
        self,
        id: str,
        title: str,
        message: str,
        seconds: float,
        argv: Sequence[str] = (),
        exit_code: Optional[int] = None,
        tail: Sequence[str] = (),
        hint: str = "",
        reason: str = "",
    ) -> None:
        self.id = id
        self.title = title
        self.message = message
        self.seconds = seconds
        self.argv = argv
        self.exit_code = exit_code
        self.tail = tail
        self.hint = hint
        self.reason = reason


class ResourceSkipped(Event):
    """Not tried, because of something before it."""

    event = "resource_skipped"

    def __init__(self, id: str, title: str, why: str) -> None:
        self.id = id
        self.title = title
        self.why = why


class HandlerRan(Event):
    """A reload or restart that changes asked for (`why`: ids); with `would` in a check."""

    event = "handler_ran"

    def __init__(self, name: str, why: Sequence[str], seconds: float, would: bool) -> None:
        self.name = name
        self.why = why
        self.seconds = seconds
        self.would = would


class StepStarted(Event):
    """A step of a deploy or rollback began."""

    event = "step_started"

    def __init__(self, step: str, detail: str = "") -> None:
        self.step = step
        self.detail = detail


class StepFinished(Event):
    """A step ended well. `detail` is for people, `data` for machines."""

    event = "step_finished"

    def __init__(
        self, step: str, detail: str, seconds: float, data: Optional[Mapping[str, Any]] = None
    ) -> None:
        self.step = step
        self.detail = detail
        self.seconds = seconds
        self.data = data or {}


class StepFailed(Event):
    """A step failed; `state` says what is live now."""

    event = "step_failed"

    def __init__(
        self,
        step: str,
        message: str,
        seconds: float,
        argv: Sequence[str] = (),
        exit_code: Optional[int] = None,
        tail: Sequence[str] = (),
        hint: str = "",
        state: str = "",
    ) -> None:
        self.step = step
        self.message = message
        self.seconds = seconds
        self.argv = argv
        self.exit_code = exit_code
        self.tail = tail
        self.hint = hint
        self.state = state


class Output(Event):
    """One line that a command printed while it ran. `source` is a resource id or a step."""

    event = "output"

    def __init__(self, source: str, line: str) -> None:
        self.source = source
        self.line = line


class Noticed(Event):
    """Something the user should know, in one line."""

    event = "noticed"

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = message
        self.hint = hint


class Answered(Event):
    """The answer to a query (status, releases, ...)."""

    event = "answered"

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data


class RunFinished(Event):
    """The last event of a run. `outcome`: done, failed, cancelled, busy, refused, lost.

    `state` says in one line what is live now; `data` carries what the action produced.
    """

    event = "run_finished"

    def __init__(
        self,
        outcome: str,
        seconds: float,
        changed: int = 0,
        unchanged: int = 0,
        failed: int = 0,
        skipped: int = 0,
        unknown: int = 0,
        message: str = "",
        state: str = "",
        data: Optional[Mapping[str, Any]] = None,
    ) -> None:
        self.outcome = outcome
        self.seconds = seconds
        self.changed = changed
        self.unchanged = unchanged
        self.failed = failed
        self.skipped = skipped
        self.unknown = unknown
        self.message = message
        self.state = state
        self.data = data or {}
