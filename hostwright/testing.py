"""FakeSystem: a server in memory, for tests of resources and recipes. Public, like the local transport."""

from __future__ import annotations


import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from hostwright.remote.system import CommandFailed, Line, Result, Stat, System


class FakeSystem(System):
    """A System whose files, names and commands are given.

    Args:
        files: path -> content (str), or a mapping with content, mode, uid, gid; None is a directory;
            {"link": target} is a symlink.
        users: name -> (uid, gid, home, shell); root is always there.
        groups: name -> (gid, members); root is always there.
        commands: "argv joined by spaces" -> output, or {"exit": code, "out": text, "err": text}, or a list of
            those for successive calls. A command that is not listed fails the test.

    `ran` lists the commands that were run, as tuples.
    """

    def __init__(
        self,
        files: Mapping[str, Any] | None = None,
        users: Mapping[str, Sequence[Any]] | None = None,
        groups: Mapping[str, Sequence[Any]] | None = None,
        commands: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.nodes: dict[str, dict[str, Any]] = {"/": {"dir": True, "mode": 0o755, "uid": 0, "gid": 0}}
        self.users = {"root": (0, 0, "/root", "/bin/bash"), **{k: tuple(v) for k, v in (users or {}).items()}}
        self.groups = {"root": (0, ()), **{k: (v[0], tuple(v[1])) for k, v in (groups or {}).items()}}
        self.commands = {k: list(v) if isinstance(v, list) else v for k, v in (commands or {}).items()}
        self.ran: list[tuple[str, ...]] = []
        self.inputs: list[bytes | None] = []
        for path, value in (files or {}).items():
            self.put(path, value)

    def put(self, path: str, value: Any) -> None:
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
    ) -> Result:
        """The given output of a command, in turn; an unknown command is an AssertionError."""
        key = " ".join(argv)
        self.ran.append(tuple(argv))
        self.inputs.append(input)
        if key not in self.commands:
            raise AssertionError(f"unexpected command: {key}")
        answer = self.commands[key]
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, str):
            answer = {"out": answer}
        result = Result(argv, answer.get("exit", 0), answer.get("out", ""), answer.get("err", ""))
        for path, value in answer.get("files", {}).items():
            self.put(path, value)
        if on_line:
            for line in result.out.splitlines():
                on_line(line)
        if check and not result.ok:
            raise CommandFailed(argv, result.exit_code, result.tail())
        return result

    def which(self, program: str) -> str | None:
        """A program exists when a file of that name is in a bin directory."""
        for folder in ("/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin"):
            if f"{folder}/{program}" in self.nodes:
                return f"{folder}/{program}"
        return None

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
        return self.users.get(name)  # type: ignore[return-value]

    def group(self, name: str) -> tuple[int, tuple[str, ...]] | None:
        return self.groups.get(name)

    def user_name(self, uid: int) -> str:
        return next((name for name, entry in self.users.items() if entry[0] == uid), str(uid))

    def group_name(self, gid: int) -> str:
        return next((name for name, entry in self.groups.items() if entry[0] == gid), str(gid))


__all__ = ["FakeSystem"]
