"""The kernel's settings as a file below /etc/sysctl.d has them: in force now, not only after the next boot.

Reading starts no process. What this kernel or container does not let us set, and what a later file sets, is left
alone and said once.
"""

from __future__ import annotations

import os

from .base import Resource, Unknown
from .said import keep, said

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Mapping, Optional, Sequence

    from ..system import System
    from .base import Change, Context, State

PROC = "/proc/sys"
# sysctl.d(5): files of all of these are read in the order of their names, and the last word counts
FOLDERS = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d")
LEFT = "left alone"
REFUSED = "the kernel refuses it"


class Sysctl(Resource):
    """`name` is the path of the file; that itself is a File resource."""

    kind = "sysctl"
    exclusive = True

    def desired(self, system: System) -> State:
        wanted, left = self._wanted(system)
        return {"in force": len(wanted), LEFT: len(left)}

    def read(self, system: System) -> State:
        wanted, left = self._wanted(system)
        wrong = self._wrong(system, wanted)
        # what was left alone for another reason the last time is told again
        known = said(system, self.kind).splitlines()
        return {"in force": len(wanted) - len(wrong), LEFT: len(set(known) & set(_lines(left)))}

    def _wrong(self, system: System, wanted: Mapping[str, str]) -> dict[str, str]:
        """Of the settings that are wanted: key -> what it is now."""
        now = {key: _value(system, key) or "" for key in wanted}
        return {key: value for key, value in now.items() if value != wanted[key]}

    def _wanted(self, system: System) -> tuple[dict[str, str], dict[str, str]]:
        """(key -> value of what can be set here, key -> why of what is left alone).

        Raises:
            Unknown: the file is not there yet.
        """
        content = system.read(self.name)
        if content is None:
            raise Unknown("%s is there" % self.name)
        later = self._later(system)
        refused = {line for line in said(system, self.kind).splitlines() if line.endswith(REFUSED)}
        wanted: dict[str, str] = {}
        left: dict[str, str] = {}
        for pattern, value in parse(content):
            for key in _keys(system, pattern):
                why = later.get(key) or later.get(pattern) or _why_not(system, key)
                if not why and _line(key, REFUSED) in refused:
                    why = REFUSED
                if why:
                    left[key] = why
                else:
                    wanted[key] = value
        return wanted, left

    def _later(self, system: System) -> dict[str, str]:
        """What files after ours set: key -> which file it is."""
        own = os.path.basename(self.name)
        names: dict[str, str] = {}
        for folder in FOLDERS:
            for name in system.listdir(folder):
                if name.endswith(".conf") and name > own:
                    names.setdefault(name, folder)
        found = {}
        for name in sorted(names):
            content = system.read("%s/%s" % (names[name], name)) or b""
            found.update({key: "%s sets it" % name for key, _ in parse(content)})
        return found

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        wanted, left = self._wanted(system)
        for key in self._wrong(system, wanted):
            try:
                system.tell(_path(key), b"%s\n" % wanted[key].encode())
            except OSError as error:
                context.say("%s: %s" % (key, error.strerror or error))
        left.update(dict.fromkeys(self._wrong(system, wanted), REFUSED))
        before, lines = said(system, self.kind).splitlines(), _lines(left)
        keep(system, self.kind, "\n".join(lines))
        if set(lines) - set(before):
            more = " and %d more" % (len(lines) - 1) if len(lines) > 1 else ""
            context.note = "left alone: %s%s" % (lines[0], more)

    def content_diff(self, system: System) -> list[str]:
        wanted, left = self._wanted(system)
        wrong = self._wrong(system, wanted)
        lines = ["%s = %s -> %s" % (key, value or "nothing", wanted[key]) for key, value in wrong.items()]
        known = set(said(system, self.kind).splitlines())
        return lines + ["left alone: " + line for line in _lines(left) if line not in known]

    @staticmethod
    def withdraw(system: System, name: str) -> str:
        """No longer wanted, and its file is gone: what is in force stays so."""
        keep(system, Sysctl.kind, "")
        return "the kernel's settings stay as they are until the next boot"


def parse(content: bytes) -> Iterator[tuple[str, str]]:
    """(key, value) of the lines of a file, sysctl.d(5); keys with dots, `*` for any one name."""
    for line in map(str.strip, content.decode("utf-8", "replace").splitlines()):
        key, found, value = line.partition("=")
        if found and line[0] not in "#;":
            key = key.strip().lstrip("-")
            # a key that begins with a slash-separated word may have dots in its names
            dot, slash = key.find("."), key.find("/")
            if slash >= 0 and (dot < 0 or slash < dot):
                key = key.replace(".", "\0").replace("/", ".").replace("\0", "/")
            yield key, " ".join(value.split())


def _line(key: str, why: str) -> str:
    return "%s: %s" % (key, why)


def _lines(left: Mapping[str, str]) -> list[str]:
    return [_line(key, why) for key, why in sorted(left.items())]


def _path(key: str) -> str:
    return "%s/%s" % (PROC, key.replace(".", "\0").replace("/", ".").replace("\0", "/"))


def _keys(system: System, pattern: str) -> list[str]:
    """The keys that a pattern stands for; `all` and `default` are no interfaces."""
    before, found, after = pattern.partition("*")
    if not found:
        return [pattern]
    names = system.listdir(_path(before.rstrip(".")))
    return [before + name.replace(".", "/") + after for name in names if name not in ("all", "default")]


def _value(system: System, key: str) -> Optional[str]:
    try:
        content = system.read(_path(key))
    except OSError:
        return None
    return None if content is None else " ".join(content.decode("utf-8", "replace").split())


def _why_not(system: System, key: str) -> str:
    """Why a key cannot be set here, as far as that can be told without trying."""
    if _value(system, key) is None:
        return "this kernel does not have it"
    return "" if system.writable(_path(key)) else "it is the machine's, not this container's"
