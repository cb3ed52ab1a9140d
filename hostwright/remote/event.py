"""What every event is. See events.py."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar, Mapping


class Event:
    """Base of all events."""

    event: ClassVar[str] = ""
    t: float = 0.0

    def to_wire(self) -> dict[str, Any]:
        """The event as a JSON object."""
        return {"event": self.event, **vars(self)}

    def __repr__(self) -> str:
        return "%s(%s)" % (type(self).__name__, ", ".join("%s=%r" % kv for kv in vars(self).items()))

    def __eq__(self, other: object) -> bool:
        # when it happened is no part of what happened
        return type(self) is type(other) and {**vars(self), "t": 0} == {**vars(other), "t": 0}

    __hash__ = None  # type: ignore[assignment]


def _subclasses() -> dict[str, type[Event]]:
    return {cls.event: cls for cls in Event.__subclasses__()}


def from_wire(fields: Mapping[str, Any]) -> Event:
    """The typed event of a JSON object.

    Raises:
        ValueError: an unknown event or unknown fields: another protocol version.
    """
    values = dict(fields)
    name, t = values.pop("event", None), values.pop("t", 0.0)
    cls = _subclasses().get(str(name))
    if cls is None:
        raise ValueError("unknown event %r" % name)
    try:
        found = cls(**values)
    except TypeError as error:
        raise ValueError("%s: %s" % (name, error)) from error
    found.t = t
    return found
