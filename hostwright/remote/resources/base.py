"""What a resource is: desired state as plain data, how to read the current one, how to apply the difference.

A resource's attributes are exactly the keywords of its constructor, so it travels as a JSON object. The
controller declares with the same class that the server converges. `read` has no side effects and asks as
little as it can; `apply` is called only when `read` and `desired` differ. The loop (converge.py) owns the
lifecycle: read, diff, report, act, read again, notify.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, ClassVar, Mapping, Optional, Sequence, Union

    from ..system import System

    # what a state's attributes may be, so that they diff and travel
    Value = Union[bool, int, str, None, Sequence[str]]
    State = Mapping[str, Value]
    Say = Callable[[str], None]
    Ask = Callable[[str, Mapping[str, Any], float], Optional[dict[str, Any]]]


class Unknown(Exception):
    """The state cannot be read yet, `until` says for how long: "the package git is installed"."""

    def __init__(self, until: str) -> None:
        super().__init__(until)
        self.until = until


class Context:
    """What the loop gives to `apply`.

    Args:
        say: takes one line of output for people.
        recorded: the state we left last time, by attribute; empty when the thing was not ours until now.
        notice: takes what people must not miss while it happens, such as what is waited for; else `say`.
        ask: asks the controller what only it can see (question, data, seconds it may take); None: no answer.

    Attributes:
        kept: where the old content lies, if there was one that was not ours.
        note: what happened, in a few words, where the changes do not say it.
    """

    __slots__ = ("ask", "kept", "note", "notice", "recorded", "say")

    def __init__(
        self, say: Say, recorded: State, notice: Optional[Say] = None, ask: Optional[Ask] = None
    ) -> None:
        self.say = say
        self.ask: Ask = ask or (lambda question, data, timeout: None)
        self.recorded = recorded
        self.notice = notice or say
        self.kept = ""
        self.note = ""


class Failed(Exception):
    """A resource cannot be converged; says why and what to do.

    Args:
        message: one line: what is wrong.
        hint: what to do next, ideally a command.
        tail: evidence: the lines of output that show it.
        argv, exit_code: the command that failed, if one did.
        reason: a word for programs, where a caller can do something about it ("no_package_index").
    """

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        tail: Sequence[str] = (),
        argv: Sequence[str] = (),
        exit_code: Optional[int] = None,
        reason: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.tail = tuple(tail)
        self.argv = tuple(argv)
        self.exit_code = exit_code
        self.reason = reason


class Change:
    """One attribute that differs."""

    __slots__ = ("after", "attribute", "before")

    def __init__(self, attribute: str, before: Value, after: Value) -> None:
        self.attribute = attribute
        self.before = before
        self.after = after

    def to_wire(self) -> dict[str, Value]:
        """As a JSON object."""
        return {"attribute": self.attribute, "before": self.before, "after": self.after}


def diff(desired: State, current: State) -> list[Change]:
    """The attributes of `desired` whose value in `current` is another, in the order they are declared."""
    return [
        Change(name, current.get(name), after)
        for name, after in desired.items()
        if current.get(name) != after or name not in current
    ]


def names_to_ids(system: System, owner: str, group: str) -> tuple[int, int]:
    """The numbers of a user and a group.

    Raises:
        Failed: there is none of that name.
    """
    user, found = system.user(owner), system.group(group)
    if user is None:
        raise Failed("there is no user %s on the server" % owner)
    if found is None:
        raise Failed("there is no group %s on the server" % group)
    return user[0], found[0]


class Resource:
    """Base of all resources.

    Args:
        name: what it is about: a path, a user name, a unit. Unique within its kind.
        app: the app it belongs to; empty: the host.
        notify: names of the catalog's handlers that run once at the end when this changed.
    """

    kind: ClassVar[str] = ""
    # two projects on one host may not want different things of it
    exclusive: ClassVar[bool] = False
    # reloads that are due happen before it is applied: it needs what they put into use
    settles: ClassVar[bool] = False
    # what comes after it does not depend on it: when it fails, the run goes on, and ends as failed
    isolated: ClassVar[bool] = False
    # it needs little of what comes before it: when it differs, `ahead` works beside that, from when it is `ready`
    early: ClassVar[bool] = False
    # units that `read` asks about, so that they are asked about with all others
    units: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, name: str, app: str = "", notify: Sequence[str] = ()) -> None:
        self.name = name
        self.app = app
        self.notify = tuple(notify)

    @property
    def id(self) -> str:
        """`kind:name`, unique in a catalog."""
        return "%s:%s" % (self.kind, self.name)

    @property
    def title(self) -> str:
        """What people read: kind and name."""
        return "%s %s" % (self.kind.replace("_", " "), self.name)

    def to_wire(self) -> dict[str, Any]:
        """As a JSON object."""
        return {"kind": self.kind, **vars(self)}

    # -- on the server ---------------------------------------------------------------------------------

    def desired(self, system: System) -> State:
        """The state that should be, by attribute.

        Raises:
            Unknown, Failed
        """
        raise NotImplementedError

    def read(self, system: System) -> State:
        """The state that is, with at least the attributes of `desired`.

        Raises:
            Unknown: it depends on something that is not there yet.
            Failed: it is in a state that must not be touched.
        """
        raise NotImplementedError

    def ready(self, system: System) -> bool:
        """Is there what `ahead` needs? Asked again and again, in its thread, until its turn comes."""
        return True

    def ahead(self, system: System) -> None:
        """What takes long, and changes nothing that anybody uses; in a thread of its own, while others are applied.

        `system` is of that thread alone. What this did not do, or not to its end, `apply` does.

        Raises:
            CommandFailed, Failed, OSError
        """

    def refuse(self, system: System) -> None:
        """When it differs, before anything is armed or changed: what would obviously do harm.

        Raises:
            Failed, CommandFailed, OSError
        """

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        """Make the current state the desired one.

        Raises:
            CommandFailed, Failed, OSError
        """
        raise NotImplementedError

    def pretend(self, system: System) -> None:
        """In a check, when it differs: make `system` look for what follows as if it had been applied."""

    def proven(self, system: System) -> bool:
        """A guarded one, after a new login has worked: take away what was kept for the old. True: look once more.

        Raises:
            CommandFailed, OSError
        """
        return False

    def content_diff(self, system: System) -> list[str]:
        """Unified diff lines for --diff; empty for most kinds."""
        return []
