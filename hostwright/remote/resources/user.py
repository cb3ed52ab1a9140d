"""A user: home, shell, extra groups. Never removed, no password, memberships only added."""

from __future__ import annotations

from .base import Failed, Resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from ..system import System
    from .base import Change, Context, State, Value

TIMEOUT = 60.0
# usermod(8)
IN_USE = 8


class User(Resource):
    """`name` is the login name; the primary group has the same name.

    Args:
        system: a system user: number from that range, its home is not made. Others get their home made. Of a
            user that exists it stays as it is.
        home: absolute path; empty: as useradd(8) chooses, and not compared.
        shell: absolute path of the login shell.
        groups: further groups it must be in; others are left alone.
        comment: the GECOS field of a new user.
    """

    kind = "user"
    exclusive = True

    def __init__(
        self,
        *,
        name: str,
        system: bool = True,
        home: str = "",
        shell: str = "/usr/sbin/nologin",
        groups: Sequence[str] = (),
        comment: str = "",
        app: str = "",
        notify: Sequence[str] = (),
    ) -> None:
        super().__init__(name=name, app=app, notify=notify)
        self.system = system
        self.home = home
        self.shell = shell
        self.groups = tuple(groups)
        self.comment = comment

    def desired(self, system: System) -> State:
        state: dict[str, Value] = {"exists": True}
        if self.home:
            state["home"] = self.home
        state["shell"] = self.shell
        if self.groups:
            state["groups"] = sorted(self.groups)
        return state

    def read(self, system: System) -> State:
        found = system.user(self.name)
        if found is None:
            return {"exists": False, "home": None, "shell": None, "groups": []}
        return {
            "exists": True,
            "home": found[2],
            "shell": found[3],
            "groups": self._memberships(system, found[1]),
        }

    def _memberships(self, system: System, primary: int) -> list[str]:
        """Those of the wanted groups that the user is in."""
        found = []
        for name in self.groups:
            group = system.group(name)
            if group and (group[0] == primary or self.name in group[1]):
                found.append(name)
        return sorted(found)

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        found = system.user(self.name)
        if found is None:
            system.run(self._useradd(system), timeout=TIMEOUT)
        else:
            options: list[str] = []
            if self.home and found[2] != self.home:
                options += ["--home", self.home]
            if found[3] != self.shell:
                options += ["--shell", self.shell]
            if options:
                self._change(system, options)
        missing = [name for name in self.groups if system.group(name) is None]
        if missing:
            raise Failed(
                "there is no group %s for the user %s" % (", ".join(missing), self.name),
                "Which package makes it? Add that to `packages:` of the host.",
            )
        if self.groups:
            argv = ("usermod", "--append", "--groups", ",".join(self.groups), "--", self.name)
            system.run(argv, timeout=TIMEOUT)

    def _change(self, system: System, options: Sequence[str]) -> None:
        result = system.run(("usermod", *options, "--", self.name), timeout=TIMEOUT, check=False)
        if result.exit_code == IN_USE:
            raise Failed(
                "the home of the user %s cannot be changed while its processes run" % self.name,
                "Give it back its home %s by hand (vipw), or stop them: ps -fu %s" % (self.home, self.name),
                tail=result.tail(),
            )
        if not result.ok:
            from ..system import CommandFailed

            raise CommandFailed(result.argv, result.exit_code, result.tail())

    def _useradd(self, system: System) -> tuple[str, ...]:
        argv = ["useradd", *(("--system", "--no-create-home") if self.system else ("--create-home",))]
        # a group of that name may be left from an earlier user
        argv += ["--gid", self.name] if system.group(self.name) else ["--user-group"]
        if self.home:
            argv += ["--home-dir", self.home]
        argv += ["--shell", self.shell]
        if self.comment:
            argv += ["--comment", self.comment]
        return (*argv, "--", self.name)
