"""The catalog: the ordered desired state of one host, as the controller declares it and the agent reads it."""

from __future__ import annotations

from . import resources as kinds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Optional, Sequence

    from .resources.base import Resource


class Handler:
    """What a changed resource may notify: a reload or restart that runs once, at the end, after a check.

    Args:
        name: what people read: "reload nginx".
        argv: the command.
        validate: a command that must succeed first; empty for none.
        timeout: seconds for each of them.
    """

    def __init__(
        self, *, name: str, argv: Sequence[str], validate: Sequence[str] = (), timeout: float = 120.0
    ) -> None:
        self.name = name
        self.argv = tuple(argv)
        self.validate = tuple(validate)
        self.timeout = timeout

    def to_wire(self) -> dict[str, Any]:
        """As a JSON object."""
        return dict(vars(self))


class Catalog:
    """Resources in the order they are applied, and the handlers they notify.

    Args:
        guarded: ids of the resources that decide who gets in. They come last: before the first of them that differs is
            applied, what they change is kept (guard/trees.py); after the last one and the handlers they notify, a new
            login of the controller must work, else all of it is put back.

    Raises:
        ValueError: two resources with one id, a handler nobody declared, or something unguarded after what is guarded.
    """

    def __init__(
        self, resources: Sequence[Resource], handlers: Sequence[Handler] = (), guarded: Sequence[str] = ()
    ) -> None:
        self.resources = tuple(resources)
        self.handlers = tuple(handlers)
        self.guarded = tuple(guarded)
        known = {handler.name for handler in self.handlers}
        seen = set()
        for resource in self.resources:
            if resource.id in seen:
                raise ValueError("%s is declared twice" % resource.id)
            seen.add(resource.id)
            for name in resource.notify:
                if name not in known:
                    raise ValueError("%s notifies %r, which is no handler" % (resource.id, name))
        marks = [resource.id in self.guarded for resource in self.resources]
        if marks != sorted(marks):
            late = self.resources[marks.index(True) + marks[marks.index(True) :].index(False)]
            raise ValueError("%s comes after what is guarded" % late.id)

    def to_wire(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "resources": [resource.to_wire() for resource in self.resources],
            "handlers": [handler.to_wire() for handler in self.handlers],
            "guarded": list(self.guarded),
        }

    @staticmethod
    def from_wire(fields: Mapping[str, Any]) -> Catalog:
        """The catalog of a JSON object.

        Raises:
            ValueError: unknown kinds or fields.
        """
        return Catalog(
            [kinds.from_wire(item) for item in fields["resources"]],
            [Handler(**item) for item in fields["handlers"]],
            fields.get("guarded", ()),
        )

    def handler(self, name: str) -> Optional[Handler]:
        """A handler by name."""
        for handler in self.handlers:
            if handler.name == name:
                return handler
        return None
