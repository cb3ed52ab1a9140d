"""The server's locale: LANG for logins and services, generated where glibc does not bring it."""

from __future__ import annotations

import os

from .base import Failed, Resource, Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from ..system import System
    from .base import Change, Context, State, Value

# locale.conf(5); Debian reads the second, newer releases have both or make one a symlink to the other
FILES = ("/etc/locale.conf", "/etc/default/locale")
WANTED = "/etc/locale.gen"
SUPPORTED = "/usr/share/i18n/SUPPORTED"
BUILT_IN = ("C", "POSIX", "C.utf8")


class Locale(Resource):
    """`name` is the locale, such as C.UTF-8 or de_DE.UTF-8. A host has one."""

    kind = "locale"
    exclusive = True

    @property
    def id(self) -> str:
        """One for the host, so that two projects cannot want two locales."""
        return "locale:host"

    def desired(self, system: System) -> State:
        state: dict[str, Value] = dict.fromkeys(files(system), self.name)
        if normal(self.name) not in BUILT_IN:
            state["generated"] = True
        return state

    def read(self, system: System) -> State:
        state: dict[str, Value] = {path: lang(system.read(path) or b"") for path in files(system)}
        if normal(self.name) not in BUILT_IN:
            known = system.run(("locale", "-a"), timeout=30, read_only=True).out.split()
            state["generated"] = normal(self.name) in known
            if not state["generated"] and system.which("locale-gen") is None:
                raise Unknown("the package locales is installed")
        return state

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        for change in changes:
            if change.attribute == "generated":
                self._generate(system, context)
        for path in files(system):
            old = (system.read(path) or b"").decode("utf-8", "replace").splitlines()
            lines = [line for line in old if not line.startswith("LANG=")] + ["LANG=%s" % self.name]
            system.write_atomic(path, ("\n".join(lines) + "\n").encode(), mode=0o644)

    def _generate(self, system: System, context: Context) -> None:
        """Switch the line on in /etc/locale.gen, then locale-gen(8): that works on Debian and on Ubuntu."""
        supported = (system.read(SUPPORTED) or b"").decode().splitlines()
        entries = [line for line in supported if line and normal(line.split()[0]) == normal(self.name)]
        if not entries:
            raise Failed("there is no locale %s on the server" % self.name, "See: less %s" % SUPPORTED)
        lines = (system.read(WANTED) or b"").decode().splitlines()
        if entries[0] not in [line.strip() for line in lines]:
            lines = [line for line in lines if line.lstrip("# ").strip() != entries[0]] + [entries[0]]
            system.write_atomic(WANTED, ("\n".join(lines) + "\n").encode(), mode=0o644)
        system.run(("locale-gen",), timeout=600, on_line=context.say)


def files(system: System) -> list[str]:
    """The files that hold LANG here, symlinks replaced by what they point to."""
    found = []
    for name in FILES:
        target = system.readlink(name)
        path = os.path.normpath(os.path.join(os.path.dirname(name), target)) if target else name
        if path not in found and (system.exists(path) or name == FILES[-1]):
            found.append(path)
    return found


def lang(content: bytes) -> str:
    """The value of LANG in a locale file; empty when it has none."""
    value = ""
    for line in content.decode("utf-8", "replace").splitlines():
        if line.startswith("LANG="):
            value = line[5:].strip().strip("\"'")
    return value


def normal(name: str) -> str:
    """The name as `locale -a` prints it: the code set in small letters and digits only."""
    head, at, modifier = name.partition("@")
    language, dot, codeset = head.partition(".")
    return language + dot + "".join(c for c in codeset.lower() if c.isalnum()) + at + modifier
