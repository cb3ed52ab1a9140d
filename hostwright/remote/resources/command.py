"""A command with a guard that tells whether it is still needed. The last resort, when no other kind fits."""

from __future__ import annotations

from .base import Resource, Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping, Optional, Sequence

    from ..system import System
    from .base import Change, Context, State

GUARD_TIMEOUT = 30.0


class Command(Resource):
    """`name` says what it does: "make Diffie-Hellman parameters".

    Args:
        argv: the command.
        unless: a command that only looks: exit code 0 means that nothing is to be done.
        creates: a path; when it exists nothing is to be done.
        timeout: seconds until the command is ended.
        env: added to a minimal environment. Not for secrets.
        cwd: the directory it runs in.

    Raises:
        ValueError: no guard, or both.
    """

    kind = "command"

    def __init__(
        self,
        *,
        name: str,
        argv: Sequence[str],
        unless: Sequence[str] = (),
        creates: str = "",
        timeout: float = 300.0,
        env: Optional[Mapping[str, str]] = None,
        cwd: str = "/",
        app: str = "",
        notify: Sequence[str] = (),
    ) -> None:
        super().__init__(name=name, app=app, notify=notify)
        if bool(unless) == bool(creates):
            raise ValueError("the command %r needs one guard: unless or creates" % name)
        self.argv = tuple(argv)
        self.unless = tuple(unless)
        self.creates = creates
        self.timeout = timeout
        self.env = dict(env or {})
        self.cwd = cwd

    def desired(self, system: System) -> State:
        return {"done": True}

    def read(self, system: System) -> State:
        if self.creates:
            return {"done": system.exists(self.creates)}
        program = self.unless[0]
        if not (system.exists(program) if "/" in program else system.which(program)):
            raise Unknown("%s is installed" % program)
        if not system.exists(self.cwd):
            raise Unknown("%s exists" % self.cwd)
        guard = system.run(
            self.unless, timeout=GUARD_TIMEOUT, check=False, env=self.env, cwd=self.cwd, read_only=True
        )
        return {"done": guard.ok}

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        system.run(self.argv, timeout=self.timeout, env=self.env, cwd=self.cwd, on_line=context.say)
