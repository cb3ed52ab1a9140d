"""A server in memory on which uv works: it resolves, makes environments, or fails."""

from __future__ import annotations

from typing import Any

from hostwright.remote.release.builder import Builder
from hostwright.remote.release.dependencies import Lock
from hostwright.remote.release.layout import Layout
from hostwright.remote.release.tree import Kept, Store
from hostwright.remote.release.venv import ensure_venv
from hostwright.testing import FakeSystem

ROOT, TREE = "/srv/hello", "/srv/hello/trees/k"
CACHE = "/var/cache/private/hostwright-build-hello"
FULL = "flask==3 --hash=sha256:aa\ngunicorn==27 --hash=sha256:bb\n"
FILES = {"/usr/bin/python3": "", f"{ROOT}/venvs": None}


class Server(FakeSystem):
    """Knows what uv leaves: the result of a resolve is `resolved`."""

    def __init__(self, files: dict[str, Any], resolved: str = "", failing: str = "") -> None:
        stat = {"mode": 0o700, "uid": 61000, "gid": 61000}
        super().__init__(
            files={
                "/etc/hosts": "",
                "/run/hostwright": None,
                ROOT: None,
                CACHE: stat,
                "/opt/hostwright/uv": {"link": "uv-1"},
                **files,
            },
            groups={"hello": (999, ())},
            commands={"systemctl stop ...": ""},
        )
        self.resolved, self.failing, self.uv = resolved, failing, []  # type: ignore[var-annotated]

    def _answer(self, command: str) -> Any:
        if not command.startswith("systemd-run"):
            return super()._answer(command)
        words = command.split(" -- ", 1)[1].split()
        self.uv.append(words[1:])
        if self.failing:
            return {"exit": 1, "err": self.failing}
        if "--output-file" in words:
            self.put(f"{CACHE}/requirements.lock", self.resolved)
        return {"out": ""}


class Unreachable(Server):
    """Its package index does not answer; what is in uv's cache may be enough."""

    enough = True

    def _answer(self, command: str) -> Any:
        online = "--offline" not in command and any(word in command for word in ("pip compile", "pip sync"))
        self.failing = "error: Failed to fetch: `https://index.invalid/`\n dns error" if online else ""
        if not online and not self.enough and "--offline" in command:
            self.failing = "error: flask was not found in the cache"
        return super()._answer(command)


def build(system: Server, lock: Lock | None = None, like: str = "") -> Kept:
    layout = Layout("hello")
    builder = Builder(system, layout, {}, "/run/hostwright", lambda line: None)
    store = Store(system, layout.venvs)
    lock = lock or Lock(FULL, "g", "as committed")
    return ensure_venv(system, layout, store, builder, lock, ["gunicorn"], like)


def builds(system: Server) -> Server:
    """uv makes an environment, and cp copies it."""
    answer = system._answer

    def make(command: str) -> Any:
        if "uv/bin/uv venv" in command:
            system.put(f"{CACHE}/venv/bin/python", {"link": "/usr/bin/python3"})
        if command.startswith("cp "):
            system.put(command.rsplit(maxsplit=1)[-1] + "/bin/python", {"link": "/usr/bin/python3"})
            return {}
        return {} if command.startswith(("chmod ", "find ")) else answer(command)

    system._answer = make  # type: ignore[method-assign]
    return system
