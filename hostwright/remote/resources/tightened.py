"""Files of the distribution that are closed to others, and settings in them that get stricter: never looser.

What was there before is kept, and put back when this is no longer wanted.
"""

from __future__ import annotations

import json

from .base import Resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Optional, Sequence

    from ..system import System
    from .base import Change, Context, State, Value

# what was there: {"modes": {path: bits}, "settings": {path: {name: line or null}}}
BEFORE = "/var/lib/hostwright/tightened.json"


class Tightened(Resource):
    """`name` is a word. What is not on this server is not missed.

    Args:
        modes: path -> permission bits it may have at most.
        settings: path of a file of lines `NAME value`, login.defs(5) -> name -> value.
        unless: path -> conditions (features.py) under which its mode stays as it is.
    """

    kind = "tightened"
    exclusive = True

    def __init__(
        self,
        *,
        name: str,
        modes: Mapping[str, int],
        settings: Mapping[str, Mapping[str, str]],
        unless: Optional[Mapping[str, str]] = None,
        app: str = "",
        notify: Sequence[str] = (),
    ) -> None:
        super().__init__(name=name, app=app, notify=notify)
        self.modes = dict(modes)
        self.settings = {path: dict(values) for path, values in settings.items()}
        self.unless = dict(unless or {})

    def desired(self, system: System) -> State:
        state: dict[str, Value] = {}
        for path, mode in self.modes.items():
            now = _mode(system, path)
            if now is not None and not (path in self.unless and system.has(self.unless[path])):
                state[path] = "%04o" % (now & mode)
        for path, values in self.settings.items():
            lines = _lines(system, path)
            for name, wanted in values.items() if lines else ():
                now_set = _value(lines, name)
                state[name] = now_set if now_set is not None and enough(name, now_set, wanted) else wanted
        return state

    def read(self, system: System) -> State:
        modes = {path: _mode(system, path) for path in self.modes}
        state: dict[str, Value] = {path: "%04o" % mode for path, mode in modes.items() if mode is not None}
        for path, values in self.settings.items():
            lines = _lines(system, path)
            state.update({name: _value(lines, name) for name in values})
        return state

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        wrong = {change.attribute: change.after for change in changes}
        before = _before(system)
        for path in self.modes:
            if path in wrong:
                before["modes"].setdefault(path, _mode(system, path))
        for path, values in self.settings.items():
            kept = before["settings"].setdefault(path, {})
            for name in values:
                if name in wrong:
                    kept.setdefault(name, _line(_lines(system, path), name))
        # first: who is stopped in between can still put it back
        _keep(system, before)
        for path in self.modes:
            if path in wrong:
                system.chmod(path, int(str(wrong[path]), 8))
        for path, values in self.settings.items():
            lines = {name: "%s\t%s" % (name, wrong[name]) for name in values if name in wrong}
            _rewrite(system, path, lines)

    @staticmethod
    def withdraw(system: System, name: str) -> str:
        """No longer wanted: what was there is there again."""
        before = _before(system)
        for path, mode in before["modes"].items():
            if system.stat(path) is not None:
                system.chmod(path, mode)
        for path, lines in before["settings"].items():
            _rewrite(system, path, lines)
        system.unlink(BEFORE)
        return ""


def enough(name: str, now: str, wanted: str) -> bool:
    """Is a setting as strict as wanted, or stricter? A umask takes more away, other numbers are higher."""
    try:
        if name == "UMASK":
            return int(now, 8) & int(wanted, 8) == int(wanted, 8)
        return int(now) >= int(wanted)
    except ValueError:
        return False


def _mode(system: System, path: str) -> Optional[int]:
    found = system.stat(path)
    return found.mode if found and found.kind in ("file", "directory") else None


def _before(system: System) -> dict[str, Any]:
    content = system.read(BEFORE)
    found: dict[str, Any] = json.loads(content) if content else {"modes": {}, "settings": {}}
    return found


def _keep(system: System, before: Mapping[str, Any]) -> None:
    folder = BEFORE.rpartition("/")[0]
    if system.stat(folder) is None:
        system.mkdir(folder, mode=0o700)
    system.write_atomic(BEFORE, json.dumps(before, sort_keys=True).encode() + b"\n", mode=0o600)


def _lines(system: System, path: str) -> list[str]:
    return (system.read(path) or b"").decode("utf-8", "surrogateescape").splitlines()


def _line(lines: Sequence[str], name: str) -> Optional[str]:
    """The line that sets a name: the last one counts."""
    found = [line for line in lines if line.split()[:1] == [name]]
    return found[-1] if found else None


def _value(lines: Sequence[str], name: str) -> Optional[str]:
    words = (_line(lines, name) or "").split()
    return words[1] if len(words) > 1 else None


def _rewrite(system: System, path: str, wanted: Mapping[str, Optional[str]]) -> None:
    """Replace the lines that set these names, in their places; None takes the line away."""
    old = _lines(system, path)
    if not wanted or not old:
        return
    new: list[str] = []
    left = dict(wanted)
    for line in old:
        name = line.split()[0] if line.split() else ""
        if name in wanted:
            replaced = left.pop(name, None)
            if replaced is not None:
                new.append(replaced)
        else:
            new.append(line)
    new += [line for line in left.values() if line is not None]
    found = system.stat(path)
    if found and new != old:
        content = ("\n".join(new) + "\n").encode("utf-8", "surrogateescape")
        system.write_atomic(path, content, mode=found.mode, uid=found.uid, gid=found.gid)
