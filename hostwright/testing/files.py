"""Files, directories and symlinks in memory."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from hostwright.remote.system import Stat, System


class FakeFiles(System):
    """The part of a System that is about files. `nodes` is what there is, by path.

    A node has mode, uid, gid, mtime, and one of content (bytes), link (its target), dir, other (a device ...).
    """

    def __init__(self, files: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.nodes: dict[str, dict[str, Any]] = {"/": {"dir": True, "mode": 0o755, "uid": 0, "gid": 0}}
        for folder in ("/etc", "/run", "/srv", "/tmp", "/usr/bin", "/usr/sbin", "/var/lib"):  # noqa: S108
            self.put(folder, None)
        self.free = (1 << 40, 1 << 20)
        for path, value in (files or {}).items():
            self.put(path, value)

    def apart(self) -> System:
        """Itself: there is one in memory."""
        return self

    def put(self, path: str, value: object) -> None:
        """Add a node and the directories above it; see FakeSystem."""
        parent = posixpath.dirname(path)
        if parent not in self.nodes:
            self.put(parent, None)
        node: dict[str, Any] = {"mode": 0o755 if value is None else 0o644, "uid": 0, "gid": 0, "mtime": 0.0}
        if isinstance(value, Mapping):
            node.update(value)
        elif value is not None:
            node["content"] = value
        if not {"content", "link", "other"} & set(node):
            node["dir"] = True
        if isinstance(node.get("content"), str):
            node["content"] = node["content"].encode()
        self.nodes[path] = node

    def _real(self, path: str, last: bool = True) -> str:
        """The path with its symlinks followed; the last part too when `last`."""
        real, rest = "/", [part for part in path.split("/") if part]
        for _ in range(100):
            if not rest:
                break
            real = posixpath.normpath(posixpath.join(real, rest.pop(0)))
            link = self.nodes.get(real, {}).get("link")
            if link is not None and (rest or last):
                rest = (
                    [*link.split("/"), *rest] if not link.startswith("/") else [*link[1:].split("/"), *rest]
                )
                real = "/" if link.startswith("/") else posixpath.dirname(real)
        return real

    def _node(self, path: str) -> dict[str, Any]:
        found = self.nodes.get(self._real(path))
        if found is None:
            raise FileNotFoundError(2, "No such file or directory", path)
        return found

    def _place(self, path: str) -> str:
        """Where a new node goes: its directory must be there."""
        real = self._real(path, last=False)
        if not self.nodes.get(posixpath.dirname(real), {}).get("dir"):
            raise FileNotFoundError(2, "No such file or directory", path)
        return real

    def which(self, program: str) -> str | None:
        """A program exists when a file of that name is in a bin directory."""
        for folder in ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"):
            if self.exists(f"{folder}/{program}"):
                return f"{folder}/{program}"
        return None

    def has(self, conditions: str) -> bool:
        """As on a server; nothing is kept, because times of change tell little here."""
        self._features().forget()
        return super().has(conditions)

    def stat(self, path: str) -> Stat | None:
        """lstat."""
        node = self.nodes.get(self._real(path, last=False))
        if node is None:
            return None
        kind = next((kind for key, kind in KINDS.items() if key in node), "directory")
        size = len(node.get("content", b""))
        return Stat(kind, node["mode"], node["uid"], node["gid"], size, node.get("mtime", 0.0))

    def exists(self, path: str) -> bool:
        """Does it lead somewhere?"""
        return self._real(path) in self.nodes

    def read(self, path: str) -> bytes | None:
        """The content of a file."""
        content = self.nodes.get(self._real(path), {}).get("content")
        return content if isinstance(content, bytes) else None

    def readlink(self, path: str) -> str | None:
        """The target of a symlink."""
        link = self.nodes.get(self._real(path, last=False), {}).get("link")
        return link if isinstance(link, str) else None

    def listdir(self, path: str) -> list[str]:
        """Sorted names."""
        base = self._real(path).rstrip("/") + "/"
        return sorted({p[len(base) :].split("/")[0] for p in self.nodes if p.startswith(base) and p != base})

    def write_atomic(self, path: str, content: bytes, *, mode: int, uid: int = 0, gid: int = 0) -> None:
        """Replace a file; in its place, also where a symlink was."""
        self.nodes[self._place(path)] = {
            "content": bytes(content),
            "mode": mode,
            "uid": uid,
            "gid": gid,
            "mtime": self.now(),
        }

    def symlink_atomic(self, target: str, path: str) -> None:
        """Make or replace a symlink."""
        node = {"link": target, "mode": 0o777, "uid": 0, "gid": 0, "mtime": self.now()}
        self.nodes[self._place(path)] = node

    def tell(self, path: str, content: bytes) -> None:
        """Replace what a file of the kernel holds; nothing happens when there is none."""
        if self.read(path) is not None:
            self.put(path, content.decode())

    def writable(self, path: str) -> bool:
        """What is there, unless the node says `readonly`."""
        node = self.nodes.get(self._real(path))
        return node is not None and not node.get("readonly")

    def walk(self, path: str) -> dict[str, str]:
        """What is below a directory."""
        base = self._real(path).rstrip("/") + "/"
        return {p[len(base) :]: self._said(p) for p in self.nodes if p.startswith(base) and p != base}

    def _said(self, path: str) -> str:
        node = self.nodes[path]
        kind = next((kind for key, kind in KINDS.items() if key in node), "directory")
        rest = f"{len(node.get('content', b''))} {node.get('mtime', 0.0):.0f}" if kind == "file" else ""
        rest = node["link"] if kind == "link" else rest
        return f"{kind} {node['mode']:o} {node['uid']}:{node['gid']} {rest}"

    def append(self, path: str, line: bytes, *, mode: int) -> None:
        """Add a line to a file."""
        old = self.read(path)
        self.write_atomic(path, (old or b"") + line, mode=mode if old is None else self._node(path)["mode"])

    def fsync_directory(self, path: str) -> None:
        """Nothing to make durable in memory."""

    def syncfs(self, path: str) -> None:
        """Nothing to make durable in memory."""

    def room(self, path: str) -> tuple[int, int]:
        """`free`, wherever it is."""
        return self.free

    def mkdir(self, path: str, *, mode: int = 0o755, uid: int = 0, gid: int = 0) -> None:
        """Make a directory and those above it."""
        if self.stat(path) is not None:
            raise FileExistsError(17, "File exists", path)
        self.put(self._real(path, last=False), {"mode": mode, "uid": uid, "gid": gid})

    def chmod(self, path: str, mode: int) -> None:
        """Set permission bits."""
        self._node(path)["mode"] = mode

    def chown(self, path: str, uid: int, gid: int) -> None:
        """Set owner and group of the path itself."""
        self.nodes[self._real(path, last=False)].update(uid=uid, gid=gid)

    def rename(self, old: str, new: str) -> None:
        """Move a node and what is below it."""
        source, target = self._real(old, last=False), self._place(new)
        if source not in self.nodes:
            raise FileNotFoundError(2, "No such file or directory", old)
        for path in [p for p in self.nodes if p == source or p.startswith(source + "/")]:
            self.nodes[target + path[len(source) :]] = self.nodes.pop(path)

    def unlink(self, path: str) -> None:
        """Remove a file or symlink."""
        self.nodes.pop(self._real(path, last=False), None)

    def remove_tree(self, path: str) -> None:
        """Remove a directory and what is below it."""
        top = self._real(path, last=False)
        if self.nodes.get(top, {}).get("dir"):
            for found in [p for p in self.nodes if p == top or p.startswith(top + "/")]:
                del self.nodes[found]


KINDS = {"dir": "directory", "content": "file", "link": "link", "other": "other"}
