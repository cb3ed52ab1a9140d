"""FakeSystem: a server in memory, for tests of resources and recipes. Public, like the local transport."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hostwright.remote.system import CommandFailed, Line, Result, RunCancelled, Stat, System


class FakeSystem(System):
    """A System whose files, names and commands are given.

    Args:
        files: path -> content (str), or a mapping with content, mode, uid, gid; None is a directory;
            {"link": target} is a symlink.
        users: name -> (uid, gid, home, shell); root is always there.
        groups: name -> (gid, members); root is always there.
        commands: "argv joined by spaces" -> output, or {"exit": code, "out": text, "err": text}, or a list of
            those for successive calls. An answer may also say what the command does to the server: "files",
            "users", "groups", "units" (as here), "removed" (paths). A key that ends in " ..." is for every
            command that begins so. A command that is not listed fails the test.
        units: unit name -> properties, over those of a unit that is loaded, disabled and stopped; None or a
            missing name is a unit that is not there.
        locks: path -> (process id, command, seconds until it is free).
        now: Unix seconds at the start; the clock only moves with `sleep`.

    `ran` lists the commands that were run, as tuples; `inputs` and `environments` what they got.
    """

    UNIT: ClassVar[Mapping[str, str]] = {
        "LoadState": "loaded",
        "LoadError": "",
        "ActiveState": "inactive",
        "SubState": "dead",
        "UnitFileState": "disabled",
        "NeedDaemonReload": "no",
        "Result": "success",
        "ExecMainStatus": "0",
    }

    def __init__(
        self,
        files: Mapping[str, Any] | None = None,
        *,
        users: Mapping[str, Sequence[Any]] | None = None,
        groups: Mapping[str, Sequence[Any]] | None = None,
        commands: Mapping[str, Any] | None = None,
        units: Mapping[str, Mapping[str, str] | None] | None = None,
        locks: Mapping[str, Sequence[Any]] | None = None,
        now: float = 1_800_000_000.0,
    ) -> None:
        super().__init__()
        self.nodes: dict[str, dict[str, Any]] = {"/": {"dir": True, "mode": 0o755, "uid": 0, "gid": 0}}
        self.users: dict[str, tuple[Any, ...]] = {"root": (0, 0, "/root", "/bin/bash")}
        self.groups: dict[str, tuple[int, tuple[str, ...]]] = {"root": (0, ())}
        self.units: dict[str, Mapping[str, str] | None] = {}
        self.locks = {path: tuple(holder) for path, holder in (locks or {}).items()}
        self.slept = 0.0
        self._start = now
        self.commands = {k: list(v) if isinstance(v, list) else v for k, v in (commands or {}).items()}
        self.ran: list[tuple[str, ...]] = []
        self.inputs: list[bytes | None] = []
        self.environments: list[dict[str, str]] = []
        self.happen(
            {"files": files or {}, "users": users or {}, "groups": groups or {}, "units": units or {}},
        )

    def happen(self, effects: Mapping[str, Any]) -> None:
        """Change the server: files, users, groups, units as in the constructor, and `removed` paths."""
        for path, value in effects.get("files", {}).items():
            self.put(path, value)
        for path in effects.get("removed", ()):
            self.unlink(path)
            self.remove_tree(path)
        for name, user in effects.get("users", {}).items():
            self.users[name] = tuple(user)
        for name, (gid, members) in effects.get("groups", {}).items():
            self.groups[name] = (gid, tuple(members))
        for name, unit in effects.get("units", {}).items():
            self.units[name] = (
                None if unit is None else {**self.UNIT, "Id": name, **(self.units.get(name) or {}), **unit}
            )

    def put(self, path: str, value: object) -> None:
        """Add a file, directory or symlink and its parents."""
        parent = posixpath.dirname(path)
        if parent not in self.nodes:
            self.put(parent, None)
        node: dict[str, Any] = {"mode": 0o755 if value is None else 0o644, "uid": 0, "gid": 0, "mtime": 0.0}
        if value is None:
            node["dir"] = True
        elif isinstance(value, Mapping):
            node.update(value)
            if "content" not in node and "link" not in node:
                node["dir"] = True
        else:
            node["content"] = value
        if isinstance(node.get("content"), str):
            node["content"] = node["content"].encode()
        self.nodes[path] = node

    def _resolve(self, path: str) -> str:
        for _ in range(20):
            link = self.nodes.get(path, {}).get("link")
            if link is None:
                return path
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
        return path

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        check: bool = True,
        input: bytes | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        on_line: Line | None = None,
        cancellable: bool = False,
        read_only: bool = False,
    ) -> Result:
        """The given output of a command, in turn; an unknown command is an AssertionError."""
        self.ran.append(tuple(argv))
        self.inputs.append(input)
        self.environments.append(dict(env or {}))
        answer = self._answer(" ".join(argv))
        result = Result(argv, answer.get("exit", 0), answer.get("out", ""), answer.get("err", ""))
        self.happen(answer)
        if on_line:
            for line in result.out.splitlines():
                on_line(line)
        if check and not result.ok:
            raise CommandFailed(argv, result.exit_code, result.tail())
        return result

    def _answer(self, command: str) -> Mapping[str, Any]:
        for key in (command, *(key for key in self.commands if key.endswith(" ..."))):
            if key in self.commands and (key == command or command.startswith(key[:-3])):
                answer = self.commands[key]
                if isinstance(answer, list):
                    if not answer:
                        raise AssertionError(f"one call too many: {command}")
                    answer = answer.pop(0)
                return {"out": answer} if isinstance(answer, str) else dict(answer)
        raise AssertionError(f"unexpected command: {command}")

    def which(self, program: str) -> str | None:
        """A program exists when a file of that name is in a bin directory."""
        for folder in ("/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin"):
            if f"{folder}/{program}" in self.nodes:
                return f"{folder}/{program}"
        return None

    def prefetch_units(self, names: Sequence[str]) -> None:
        """Nothing is asked before it is needed."""

    def unit(self, name: str) -> Mapping[str, str]:
        """The given properties."""
        found = self.units.get(name)
        return found or {**self.UNIT, "Id": name, "LoadState": "not-found", "UnitFileState": ""}

    def now(self) -> float:
        """The start and what was slept."""
        return self._start + self.slept

    def monotonic(self) -> float:
        """What was slept."""
        return self.slept

    def sleep(self, seconds: float) -> None:
        """Moves the clock; takes no time."""
        if self.cancelled():
            raise RunCancelled("stopped by the user")
        self.slept += seconds

    def lock_holder(self, path: str) -> tuple[int, str] | None:
        """Who holds a lock, until its time has come."""
        pid, command, seconds = self.locks.get(path, (0, "", 0.0))
        return (pid, command) if seconds > self.slept else None

    def syncfs(self, path: str) -> None:
        """Nothing to write in memory."""

    def stat(self, path: str) -> Stat | None:
        node = self.nodes.get(path)
        if node is None:
            return None
        kind = "directory" if node.get("dir") else "link" if "link" in node else "file"
        size = len(node.get("content", b""))
        return Stat(kind, node["mode"], node["uid"], node["gid"], size, node.get("mtime", 0.0))

    def exists(self, path: str) -> bool:
        return self._resolve(path) in self.nodes

    def read(self, path: str) -> bytes | None:
        content = self.nodes.get(self._resolve(path), {}).get("content")
        return content if isinstance(content, bytes) else None

    def readlink(self, path: str) -> str | None:
        link = self.nodes.get(path, {}).get("link")
        return link if isinstance(link, str) else None

    def listdir(self, path: str) -> list[str]:
        base = self._resolve(path).rstrip("/") + "/"
        return sorted({p[len(base) :].split("/")[0] for p in self.nodes if p.startswith(base) and p != base})

    def write_atomic(self, path: str, content: bytes, *, mode: int, uid: int = 0, gid: int = 0) -> None:
        if posixpath.dirname(path) not in self.nodes:
            raise FileNotFoundError(2, "No such file or directory", path)
        self.nodes[path] = {"content": bytes(content), "mode": mode, "uid": uid, "gid": gid, "mtime": 0.0}

    def symlink_atomic(self, target: str, path: str) -> None:
        self.nodes[path] = {"link": target, "mode": 0o777, "uid": 0, "gid": 0, "mtime": 0.0}

    def fsync_directory(self, path: str) -> None:
        """Nothing to make durable in memory."""

    def mkdir(self, path: str, *, mode: int = 0o755, uid: int = 0, gid: int = 0) -> None:
        if path in self.nodes:
            raise FileExistsError(17, "File exists", path)
        self.put(path, {"mode": mode, "uid": uid, "gid": gid})

    def chmod(self, path: str, mode: int) -> None:
        self.nodes[self._resolve(path)]["mode"] = mode

    def chown(self, path: str, uid: int, gid: int) -> None:
        self.nodes[path].update(uid=uid, gid=gid)

    def rename(self, old: str, new: str) -> None:
        for path in [p for p in self.nodes if p == old or p.startswith(old + "/")]:
            self.nodes[new + path[len(old) :]] = self.nodes.pop(path)

    def unlink(self, path: str) -> None:
        self.nodes.pop(path, None)

    def remove_tree(self, path: str) -> None:
        for found in [p for p in self.nodes if p == path or p.startswith(path + "/")]:
            del self.nodes[found]

    def user(self, name: str) -> tuple[int, int, str, str] | None:
        return self.users.get(name)

    def group(self, name: str) -> tuple[int, tuple[str, ...]] | None:
        return self.groups.get(name)

    def user_name(self, uid: int) -> str:
        return next((name for name, entry in self.users.items() if entry[0] == uid), str(uid))

    def group_name(self, gid: int) -> str:
        return next((name for name, entry in self.groups.items() if entry[0] == gid), str(gid))


__all__ = ["FakeSystem"]
