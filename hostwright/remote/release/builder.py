"""Runs uv, and with it the build scripts of packages, where they can do no harm.

The user is made by systemd for the time of the build (DynamicUser=, systemd.exec(5)) and may read the app's
code. It may write its own cache alone, which no other app shares: what a build script leaves there can only
come back to the app that asked for it. Nothing of an environment is ever run as root.
"""

from __future__ import annotations

import re
from configparser import ConfigParser, Error

from ..run import StepError
from . import transient
from .environment import environment_file
from .git import proxies
from .guard import CACHE, full
from .layout import UV

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Mapping, Optional, Sequence

    from ..system import Result, System
    from .layout import Layout

    Line = Callable[[str], None]

TIMEOUT = 1800.0
COPY_TIMEOUT = 600.0
SANDBOX = (
    "DynamicUser=yes",
    "CacheDirectoryMode=0700",
    "PrivateDevices=yes",
    "PrivateTmp=yes",
    "ProtectHome=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectControlGroups=yes",
    "ProtectProc=invisible",
    "CapabilityBoundingSet=",
    "LockPersonality=yes",
    "RestrictRealtime=yes",
    "RestrictNamespaces=yes",
    "SystemCallArchitectures=native",
    "UMask=0022",
    # the app that is live comes first
    "Nice=10",
    "CPUWeight=20",
    "IOWeight=20",
    "OOMScoreAdjust=500",
)
# what a failure of each uv command means to people
MEANING = {
    "pip compile": "the requirements do not resolve",
    "pip sync": "the packages could not be installed",
    "export": "uv.lock could not be used",
    "venv": "the environment could not be made",
}
CULPRIT = re.compile(r"Failed to (?:build|download|install)[^`\n]*`[^`\n]+`")
# what uv says when a package index does not answer
UNREACHABLE = ("ailed to fetch", "dns error", "Connection refused")
# what compilers and their callers say when there is none, or no headers of Python
NO_COMPILER = (
    "gcc' failed",
    "cc' failed",
    "No such file or directory: 'gcc'",
    "unable to execute",
    "Unknown compiler",
    "Python.h: No such file",
)


class Builder:
    """uv for one app.

    Args:
        env: the environment of the build, with secrets: credentials of package indexes.
        runtime: /run/hostwright; holds the environment while a command runs.
        say: takes lines of output.

    Attributes:
        offline: a package index could not be reached, and what was in the cache was enough.
    """

    def __init__(
        self, system: System, layout: Layout, env: Mapping[str, str], runtime: str, say: Line
    ) -> None:
        self._system = system
        self._layout = layout
        self._env = dict(env)
        self._file = "%s/build-%s.env" % (runtime, layout.app)
        self._say = say
        self.offline = False
        self.unit = "hostwright-build-%s.service" % layout.app
        # as the build sees it; root finds the folder itself at `folder`
        self.cache = "/var/cache/hostwright-build-%s" % layout.app
        self.folder = "/var/cache/private/hostwright-build-%s" % layout.app

    def uv(self, *args: str, cwd: str, timeout: float = TIMEOUT) -> Result:
        """Run uv; where the package index cannot be reached, what it told before and what is in the cache is used.

        Raises:
            StepError: it failed; with its last lines.
            CommandFailed: out of time. RunCancelled.
        """
        result = self.try_uv(*args, cwd=cwd, timeout=timeout)
        if not result.ok and any(text in result.out + result.err for text in UNREACHABLE):
            again = self.try_uv(*args, "--offline", cwd=cwd, timeout=timeout)
            if again.ok:
                self.offline = True
                return again
        if not result.ok:
            raise self._failed(args, result)
        return result

    def try_uv(self, *args: str, cwd: str, timeout: float = TIMEOUT) -> Result:
        """Run uv, which may fail."""
        return self.run((UV + "/bin/uv", *args), cwd=cwd, timeout=timeout)

    def run(
        self, argv: Sequence[str], *, cwd: str, timeout: float, programs: str = "", env: str = ""
    ) -> Result:
        """Run a command in the sandbox.

        Args:
            timeout: seconds.
            programs: a folder that comes first on the PATH.
            env: lines of an environment file (`environment_file`); they win over ours, `build_env` over them.
        """
        values = {
            "HOME": "/tmp",  # noqa: S108 - its own (PrivateTmp)
            "PATH": ":".join(filter(None, (programs, "/usr/local/bin:/usr/bin:/bin"))),
            "LC_ALL": "C.UTF-8",
            "UV_CACHE_DIR": self.cache + "/uv",
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_NO_PROGRESS": "1",
            # the machine's certificates: a company's proxy may have its own
            "UV_SYSTEM_CERTS": "1",
            "UV_NATIVE_TLS": "1",
            "PYC_INVALIDATION_MODE": "UNCHECKED_HASH",
            **proxies(self._system),
            **pip_configuration(self._system.read("/etc/pip.conf")),
            **({"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"} if env else {}),
        }
        # of a name that comes twice systemd takes the last value; root alone may read the file
        content = environment_file(values) + env + environment_file(self._env)
        properties = (
            *SANDBOX,
            "SupplementaryGroups=" + self._layout.app,
            "CacheDirectory=hostwright-build-" + self._layout.app,
            "InaccessiblePaths=-%s -/etc/hostwright -/etc/letsencrypt -/etc/ssh" % self._layout.state,
            "WorkingDirectory=" + cwd,
            "EnvironmentFile=" + self._file,
        )
        self._system.write_atomic(self._file, content.encode(), mode=0o600)
        try:
            return transient.run(
                self._system, self.unit, argv, properties, timeout=timeout, on_line=self._say
            )
        finally:
            self._system.unlink(self._file)

    def tidy(self) -> Result:
        """Remove what nothing in uv's cache leads to any more. See `uv`."""
        return self.uv("cache", "prune", "--quiet", cwd="/")

    # -- what goes in and out ------------------------------------------------------------------------------

    def give(self, name: str, content: bytes) -> None:
        """Put a file into the cache, for uv to start from; nothing happens before the first build."""
        found = self._system.stat(self.folder)
        if found and found.kind == "directory":
            self._system.write_atomic(
                "%s/%s" % (self.folder, name), content, mode=0o644, uid=found.uid, gid=found.gid
            )

    def take(self, name: str) -> bytes:
        """A file that the build left in its cache: never what a link of it leads to.

        Raises:
            StepError: it is not there.
        """
        path = "%s/%s" % (self.folder, name)
        found = self._system.stat(path)
        content = self._system.read(path) if found and found.kind == "file" else None
        if content is None:
            raise StepError("the build left no %s" % name)
        return content

    def hand_back(self, name: str, folder: str) -> None:
        """Copy a folder that the build left in its cache; root owns the copy, everyone may read it, nobody writes it.

        Copied, not moved or linked: the build's user keeps no way to change it. No bit of its modes is taken over,
        no device or pipe that would hold up who reads it, and no symlink where root will write bytecode.

        Raises:
            StepError: it is not there. CommandFailed, OSError, RunCancelled
        """
        built = "%s/%s" % (self.folder, name)
        found = self._system.stat(built)
        if found is None or found.kind != "directory":
            raise StepError("the build left no %s" % name)
        copy = (
            "cp",
            "-R",
            "--no-dereference",
            "--preserve=timestamps",
            "--reflink=auto",
            "--",
            built + "/.",
            folder,
        )
        self._system.run(copy, timeout=COPY_TIMEOUT, cancellable=True)
        self._system.run(("chmod", "-R", "a=rX", folder), timeout=COPY_TIMEOUT)
        odd = ("(", "!", "-type", "f", "!", "-type", "d", "!", "-type", "l", ")")
        linked = ("(", "-name", "__pycache__", "!", "-type", "d", ")")
        self._system.run(("find", folder, *odd, "-delete", "-o", *linked, "-delete"), timeout=COPY_TIMEOUT)

    def _failed(self, args: Sequence[str], result: Result) -> StepError:
        tail, said = result.tail(), result.out + result.err
        hint, culprit = "", CULPRIT.search(said)
        if any(text in said for text in NO_COMPILER):
            hint = (
                "A package is compiled here: `packages: [build-essential, python3-dev]` in the inventory, and its -dev "
                "libraries."
            )
        elif "401 Unauthorized" in said or "403 Forbidden" in said:
            hint = "Credentials of a private index belong into `build_env:`, e.g. UV_INDEX_NAME_PASSWORD."
        elif culprit and "build" in culprit.group(0):
            hint = (
                "There is no wheel of it for this server's Python, so it is built here. Take a version that has one, "
                "or put what it misses into `packages:` in the inventory, e.g. build-essential, python3-dev, libpq-dev."
            )
        elif any(text in said for text in UNREACHABLE):
            hint = "The server cannot reach the package index: its network, proxy (/etc/environment), /etc/pip.conf?"
        hint = full(self._system, self._layout.root, CACHE) or hint
        command = " ".join(word for word in args[:2] if not word.startswith("-"))
        meaning = MEANING.get(command, "uv %s failed" % command)
        what = "%s: %s" % (meaning, culprit.group(0).replace("`", "")) if culprit else meaning
        return StepError("%s (uv %s: exit code %d)" % (what, command, result.exit_code), tail, hint)


def pip_configuration(raw: Optional[bytes]) -> dict[str, str]:
    """The package indexes of pip.conf(5) in uv's words: uv itself does not read it."""
    parser = ConfigParser(interpolation=None)
    try:
        parser.read_string((raw or b"").decode("utf-8", "replace"))
        section = parser["global"] if parser.has_section("global") else {}
    except Error:
        return {}
    names = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS"}
    found = {}
    for key, value in section.items():
        name = names.get(key.replace("_", "-"))
        if name:
            found[name] = ("," if name == "UV_FIND_LINKS" else " ").join(value.split())
    return found
