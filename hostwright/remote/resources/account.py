"""Somebody who may log in: the account, its shell, its keys. Other people's accounts and keys are left alone."""

from __future__ import annotations

import os

from .. import accounts
from .base import Failed, Resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from ..system import System
    from .base import Change, Context, State

SHELL = "/bin/bash"
# shadow(5): days since 1970 after which nobody logs in with it
EXPIRES = 7


class Account(Resource):
    """`name` is the login name.

    Args:
        keys: lines of authorized_keys: type, base64, comment. Ours that are not among them are removed; what others
            wrote there stays. Empty: the account has none of ours.
        project: whose it is.
    """

    kind = "account"
    exclusive = True

    def __init__(
        self,
        *,
        name: str,
        keys: Sequence[str] = (),
        project: str = "",
        app: str = "",
        notify: Sequence[str] = (),
    ) -> None:
        super().__init__(name=name, app=app, notify=notify)
        self.keys = tuple(keys)
        self.project = project

    def _blobs(self) -> dict[str, str]:
        return {key.split()[1]: key for key in self.keys}

    def desired(self, system: System) -> State:
        return {
            "exists": True,
            "login": "allowed",
            "keys": sorted(_short(blob) for blob in self._blobs()),
        }

    def read(self, system: System) -> State:
        found = system.user(self.name)
        if found is None:
            return {"exists": False, "login": None, "keys": []}
        return {
            "exists": True,
            "login": "locked" if self._locked(system, found[3]) else "allowed",
            "keys": sorted(_short(blob) for blob in self._counted(system, found[2])),
        }

    def _counted(self, system: System, home: str) -> set[str]:
        """Of the keys that are there: those that are wanted, and those that we wrote."""
        lines, wanted = accounts.lines_of(system, os.path.join(home, ".ssh/authorized_keys")), self._blobs()
        return {
            blob
            for line in lines
            for _, blob in accounts.keys_in([line])
            if blob in wanted or accounts.is_ours(line)
        }

    def _locked(self, system: System, shell: str) -> bool:
        """Nobody gets in with it. A password that is locked is no lock: there is none to begin with."""
        if os.path.basename(shell) in accounts.NO_SHELLS:
            return True
        fields = self._shadow(system)
        expires = fields[EXPIRES] if len(fields) > EXPIRES else ""
        return bool(expires.isdigit() and int(expires) * 86400 < system.now())

    def _shadow(self, system: System) -> list[str]:
        for line in (system.read("/etc/shadow") or b"").decode("utf-8", "replace").splitlines():
            if line.startswith(self.name + ":"):
                return line.split(":")
        return []

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        found = system.user(self.name)
        if found is None:
            accounts.remember(system, self.name, self.project)
            group = ("--gid", self.name) if system.group(self.name) else ("--user-group",)
            argv = ("useradd", "--create-home", *group, "--shell", SHELL, "--", self.name)
            system.run(argv, timeout=accounts.TIMEOUT)
        elif self._locked(system, found[3]):
            if found[0] and not accounts.made(system, self.name):
                raise Failed(
                    "the user %s is locked, and Hostwright did not lock it" % self.name,
                    "If it may log in: sudo usermod --expiredate '' --shell %s %s" % (SHELL, self.name),
                )
            argv = ("usermod", "--expiredate", "", "--shell", SHELL, "--", self.name)
            system.run(argv, timeout=accounts.TIMEOUT)
        found = system.user(self.name)
        if found is None:
            raise Failed("useradd made no user %s" % self.name, "On the server: getent passwd %s" % self.name)
        self._write_keys(system, found)

    def _write_keys(self, system: System, person: tuple[int, int, str, str]) -> None:
        wanted = self._blobs()
        lines = accounts.lines_of(system, os.path.join(person[2], ".ssh/authorized_keys"))
        kept = []
        for line in lines:
            blobs = [blob for _, blob in accounts.keys_in([line])]
            if accounts.is_ours(line) and not any(blob in wanted for blob in blobs):
                continue
            kept.append(line)
            for blob in blobs:
                wanted.pop(blob, None)
        kept += ["%s %s" % (key.strip(), accounts.MARK) for key in wanted.values()]
        if kept != lines:
            accounts.write_keys(system, person, kept)


def _short(blob: str) -> str:
    """A key for people: the end of its base64 tells one from another."""
    return "...%s" % blob.rstrip("=")[-12:]
