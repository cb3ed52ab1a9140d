"""A virtual environment for a tool of the server, from hashed requirements. Built aside, then renamed."""

from __future__ import annotations

import os
import re

from ..digest import sha256
from .base import Failed, Resource, Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Sequence

    from ..system import Result, System
    from .base import Change, Context, Say, State

MINOR = re.compile(r"/python3\.([0-9]+)\Z")
# written last: an environment without it was never finished
MARKER = "hostwright.complete"
# of python3-venv: its pip runs from its wheel; to install it first, as ensurepip does, takes as long as all else
BUNDLED = "/usr/share/python-wheels"
VENV_TIMEOUT, PIP_TIMEOUT = 180.0, 900.0
PIP = (
    "--require-hashes",
    "--only-binary=:all:",
    "--disable-pip-version-check",
    "--no-input",
    "--no-cache-dir",
    "--progress-bar=off",
    "--retries=2",
    "--timeout=15",
)
# ahead: where the index does not answer, its turn comes in any case
PIP_AHEAD = ("--retries=0",)
UV_PIP = (
    "pip",
    "sync",
    "--require-hashes",
    "--only-binary=:all:",
    "--compile-bytecode",
    "--no-cache",
    "--no-progress",
)
# never another interpreter than the server's own
UV_ENVIRONMENT = {"UV_PYTHON_DOWNLOADS": "never", "UV_LINK_MODE": "copy"}
# what pip and uv say when they got no answer, or none they trust
NO_ANSWER = (
    "Failed to fetch",
    "Request failed after",
    "error sending request",
    "dns error",
    "after connection broken by",
    "Max retries exceeded",
    "problem confirming the ssl certificate",
    "is not a trusted or secure host",
)


class VirtualEnvironment(Resource):
    """`name` is the absolute path of the environment; root owns it.

    Args:
        requirements: a requirements file with hashes; only wheels are taken, nothing is built.
        python: the interpreter. Another minor version of it means a new environment.
        wheels: a directory on the server; when it has what is required, no index is asked. Else pip asks
            the index that the server is configured for.
        uv: path of a uv that makes it, faster and with compiled bytecode; empty: venv and pip do.
        oldest: the first minor version of Python 3 that the requirements are for; 0: any.

    A missing package index fails with the reason `no_package_index`.
    """

    kind = "virtual_environment"
    exclusive = True
    # what makes it is there long before apt is done with all that it installs
    early = True

    def __init__(
        self,
        *,
        name: str,
        requirements: str,
        python: str = "/usr/bin/python3",
        wheels: str = "",
        uv: str = "",
        oldest: int = 0,
        app: str = "",
        notify: Sequence[str] = (),
    ) -> None:
        super().__init__(name=name, app=app, notify=notify)
        self.requirements = requirements
        self.python = python
        self.wheels = wheels
        self.uv = uv
        self.oldest = oldest

    def desired(self, system: System) -> State:
        return {"python": self._interpreter(system), "requirements": sha256(self.requirements.encode())[:12]}

    def _interpreter(self, system: System) -> str:
        """Where `python` leads, e.g. /usr/bin/python3.11: the version without starting it."""
        path = self.python
        for _ in range(20):
            target = system.readlink(path)
            if target is None:
                break
            path = os.path.normpath(os.path.join(os.path.dirname(path), target))
        if not system.exists(path):
            raise Unknown("%s is installed" % self.python)
        minor = MINOR.search(path)
        if minor and int(minor.group(1)) < self.oldest:
            raise Failed(
                "%s needs Python 3.%d, and this server has 3.%s" % (self.name, self.oldest, minor.group(1)),
                "Upgrade the server's distribution: Debian 12 and Ubuntu 22.04 have it.",
            )
        return path

    def read(self, system: System) -> State:
        found = system.stat(self.name)
        if found and (found.kind != "directory" or not self._is_ours(system)):
            raise Failed(
                "%s is not a virtual environment" % self.name, "Move it away, so that one can be made there."
            )
        return self._state(system, self.name)

    def _state(self, system: System, folder: str) -> State:
        state: dict[str, Optional[str]] = {"python": None, "requirements": None}
        # the link of bin/python breaks when the interpreter goes away
        if system.exists(folder + "/bin/python"):
            marker = (system.read("%s/%s" % (folder, MARKER)) or b"").decode("utf-8", "replace")
            for line in marker.splitlines():
                name, _, value = line.partition("=")
                state[name] = value
        return state

    def _is_ours(self, system: System) -> bool:
        return system.exists(self.name + "/pyvenv.cfg") or not system.listdir(self.name)

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        # made ahead, or by a run that was cut right before the last step; the marker says that it is whole
        if self._state(system, self._new) != self.desired(system):
            folder = os.path.dirname(self.name)
            if not system.exists(folder):
                system.mkdir(folder)
            self._make(system, context.say)
        self._move(system, self._new)

    def ready(self, system: System) -> bool:
        """uv, or pip: dpkg has unpacked that when it still has half of its work before it."""
        tool = system.exists(self.uv) if self.uv else bool(self._bundled_pip(system))
        return tool and system.exists(os.path.dirname(self.name))

    def ahead(self, system: System) -> None:
        self._make(system, lambda line: None, PIP_AHEAD)

    @property
    def _new(self) -> str:
        return self.name + ".tmp"

    def _make(self, system: System, say: Say, options: Sequence[str] = ()) -> None:
        """All but its name."""
        system.remove_tree(self._new)
        try:
            self._build(system, self._new, say, options)
        except BaseException:
            system.remove_tree(self._new)
            raise

    def _build(self, system: System, new: str, say: Say, options: Sequence[str]) -> None:
        pip = self._bundled_pip(system)
        make: tuple[str, ...] = (self.python, "-m", "venv", *(("--without-pip",) if pip else ()), new)
        if self.uv:
            make = (self.uv, "venv", "--quiet", "--no-project", "--python", self.python, new)
        made = system.run(
            make, timeout=VENV_TIMEOUT, check=False, cancellable=True, env=UV_ENVIRONMENT if self.uv else {}
        )
        if not made.ok:
            hint = "Is the package python3-venv installed?" if "ensurepip" in made.out + made.err else ""
            raise self._failed("%s cannot make virtual environments" % self.python, hint, made)
        self._install(system, new + "/bin/python", (pip,) if pip else ("-m", "pip"), say, options)
        self._relocate(system, new)
        system.unlink(new + "/.lock")  # uv's own, which everybody may write
        marker = "".join("%s=%s\n" % item for item in self.desired(system).items())
        system.syncfs(new)
        system.write_atomic("%s/%s" % (new, MARKER), marker.encode(), mode=0o644)

    def _bundled_pip(self, system: System) -> str:
        """What python runs as pip; empty: there is none."""
        wheels = [
            name for name in system.listdir(BUNDLED) if name.startswith("pip-") and name.endswith(".whl")
        ]
        return "%s/%s/pip" % (BUNDLED, wheels[-1]) if wheels else ""

    def _install(
        self, system: System, python: str, pip: tuple[str, ...], say: Say, options: Sequence[str]
    ) -> None:
        """From the wheels on the server if they are the right ones, else from the package index."""
        sources: list[tuple[str, ...]] = [()]
        if self.wheels and system.exists(self.wheels):
            sources.insert(0, ("--no-index", "--find-links=" + self.wheels))
        tool = (
            (self.uv, *UV_PIP, "--python", python) if self.uv else (python, *pip, "install", *PIP, *options)
        )
        for source in sources:
            installed = system.run(
                (*tool, *source, *(("-",) if self.uv else ("-r", "/dev/stdin"))),
                timeout=PIP_TIMEOUT,
                check=False,
                input=self.requirements.encode(),
                env=UV_ENVIRONMENT if self.uv else {},
                on_line=say,
                cancellable=True,
            )
            if installed.ok:
                return
        raise self._pip_failed(installed)

    def _relocate(self, system: System, new: str) -> None:
        """Scripts name their interpreter by its path: give them the path it will have."""
        paths = [new + "/pyvenv.cfg", *("%s/bin/%s" % (new, name) for name in system.listdir(new + "/bin"))]
        for path in paths:
            found = system.stat(path)
            content = system.read(path) if found and found.kind == "file" else None
            if found and content and new.encode() in content and b"\0" not in content[:4096]:
                content = content.replace(new.encode(), self.name.encode())
                system.write_atomic(path, content, mode=found.mode)

    def _move(self, system: System, new: str) -> None:
        old = self.name + ".old"
        system.remove_tree(old)
        if system.stat(self.name):
            system.rename(self.name, old)
        system.rename(new, self.name)
        system.fsync_directory(os.path.dirname(self.name))
        system.remove_tree(old)

    def _pip_failed(self, result: Result) -> Failed:
        text = result.out + result.err
        if any(words in text for words in NO_ANSWER) and "DO NOT MATCH" not in text:
            return self._failed(
                "the server cannot reach its Python package index",
                "Look at the server's network, proxy and %s"
                % (
                    "the configuration of uv: /etc/uv/uv.toml"
                    if self.uv
                    else "pip configuration: sudo pip config list"
                ),
                result,
                "no_package_index",
            )
        hint = "Has every requirement a hash, and a wheel for this server's Python and processor?"
        what = "%s could not install the requirements of %s" % ("uv" if self.uv else "pip", self.name)
        return self._failed(what, hint, result)

    def _failed(self, message: str, hint: str, result: Result, reason: str = "") -> Failed:
        return Failed(
            message, hint, tail=result.tail(), argv=result.argv, exit_code=result.exit_code, reason=reason
        )
