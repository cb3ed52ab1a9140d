"""Which packages, exactly: a requirements file where every version is fixed, however the app writes them down.

With hashes and complete: as committed. Otherwise uv resolves once, and what it found is kept in the release;
as long as nothing that went into it changes, later releases use the same. So a deploy that changes code only
never changes a package, and needs no network.

What the app must have to be served (gunicorn, for ASGI uvicorn-worker) is added where it is missing.
"""

from __future__ import annotations

import os
import posixpath

from .. import events
from ..run import StepError
from . import python_version
from .layout import LOCK
from .question import PROJECT, Question, missing
from .requirements import Problem, parse, without

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Optional, Sequence

    from ..run import Run
    from ..system import System
    from .builder import Builder
    from .layout import Layout
    from .requirements import Requirements
    from .shelf import Shelf

COMPILE = ("--generate-hashes", "--no-header", "--no-annotate", "--quiet")
EXPORT = ("--no-dev", "--no-emit-project", "--no-header", "--no-annotate", "--quiet")
# what uv says of a uv.lock that is older than its pyproject.toml
OUTDATED = "needs to be updated"


class Lock:
    """Packages with their versions.

    Attributes:
        text: a requirements file.
        hashed: every line of it has a hash.
        given: digest of all that went into it; the same again needs no resolving.
        note: where it comes from, for people.
    """

    def __init__(self, text: str, given: str, note: str) -> None:
        self.text = text
        self.given = given
        self.note = note
        self.hashed = all("--hash=" in line for line in without(text, set()).splitlines())


class Resolver:
    """Finds the lock of a commit.

    Args:
        request: `requirements`, `runtime` (requirements of what serves the app); `lock` (host, text), what
            another host of the same deploy found.
        tree: the folder with the commit's files.
    """

    def __init__(
        self,
        system: System,
        layout: Layout,
        builder: Builder,
        shelf: Shelf,
        request: Mapping[str, Any],
        tree: str,
    ) -> None:
        self._system = system
        self._layout = layout
        self._builder = builder
        self._shelf = shelf
        self._runtime: Sequence[str] = request["runtime"]
        self._path: str = request["requirements"]
        self._other: Optional[Mapping[str, str]] = request.get("lock")
        self._tree = tree

    def lock(self, python: str, machine: str) -> Lock:
        """The lock.

        Args:
            python: its version; another one may need other packages.
            machine: its architecture.

        Raises:
            StepError: the requirements are damaged, contradict themselves, or cannot be found.
        """
        try:
            if posixpath.basename(self._path) == PROJECT:
                self._check_python(python)
            return self._lock("%s %s" % (python, machine))
        except Problem as error:
            raise StepError(error.message, hint=error.hint) from error

    def _lock(self, platform: str) -> Lock:
        question = Question(self._read, self._path, self._runtime, platform)
        given = question.given
        if question.complete:
            return Lock(parse(self._read, self._path, self._tree).text, given, "as committed")
        if self._other is not None:
            return Lock(self._other["text"], given, "the same as on %s" % self._other["host"])
        known = known_lock(self._system, self._layout, self._shelf, given)
        if known is not None:
            return known
        if posixpath.basename(self._path) == PROJECT:
            return self._project(given)
        asked = parse(self._read, self._path, self._tree)
        absent = missing(self._runtime, asked.names)
        if asked.hashed and asked.lines:
            return Lock(self._complete(asked), given, "as committed, and %s" % ", ".join(absent))
        text = self._compile(asked.text, absent)
        without = ", without the package index, which cannot be reached" if self._builder.offline else ""
        return Lock(text, given, "resolved" + without)

    def _check_python(self, version: str) -> None:
        """uv checks it only where it makes a project's environment itself."""
        wanted = python_version.wanted((self._read(self._path) or b"").decode("utf-8", "replace"))
        if not python_version.fits(wanted, version):
            raise Problem(
                self._path,
                "it wants Python %s, and this server has %s" % (wanted, version),
                "Widen `requires-python`, or take a server with a newer Debian or Ubuntu.",
            )

    def _project(self, given: str) -> Lock:
        folder = posixpath.dirname(self._path)
        if self._read(posixpath.join(folder, "uv.lock")) is not None:
            exported = self._export(folder)
            found = parse(lambda path: exported if path == LOCK else None, LOCK)
            if found.local:
                raise Problem(
                    self._path,
                    "a dependency that is a path is not carried: %s" % found.local[0][1],
                    "Code of this repository needs no requirement: `directory:` is its import root.",
                )
            return Lock(self._complete(found), given, "as in uv.lock")
        if b"[project]" not in (self._read(self._path) or b""):
            raise Problem(
                self._path,
                "it has no [project] table and no uv.lock beside it",
                "Export its requirements to a file that `requirements:` names, e.g. poetry export -o requirements.txt",
            )
        path = os.path.join(self._tree, self._path)
        return Lock(self._uv_compile([path], missing(self._runtime, set())), given, "resolved")

    # -- uv ------------------------------------------------------------------------------------------------

    def _complete(self, found: Requirements) -> str:
        """What is locked stays as it is, hashes too; what is missing to serve it is resolved and added."""
        absent = missing(self._runtime, found.names)
        if not absent:
            return found.text
        constraints = self._write("constraints.txt", found.text)
        more = self._uv_compile(["-c", constraints], absent)
        return found.text + without(more, found.names)

    def _compile(self, text: str, absent: Sequence[str]) -> str:
        return self._uv_compile([self._write("requirements.txt", text)], absent)

    def _uv_compile(self, arguments: Sequence[str], absent: Sequence[str]) -> str:
        before = self._system.read("%s/%s" % (self._layout.current, LOCK))
        # uv keeps the versions it finds there as far as they still fit
        self._builder.give(LOCK, before or b"")
        if absent:
            arguments = [*arguments, self._write("runtime.txt", "".join(line + "\n" for line in absent))]
        out = "%s/%s" % (self._builder.cache, LOCK)
        self._builder.uv(
            "pip", "compile", *_python(), *COMPILE, "--output-file", out, *arguments, cwd=self._folder()
        )
        return self._builder.take(LOCK).decode()

    def _export(self, folder: str) -> bytes:
        out = "%s/%s" % (self._builder.cache, LOCK)
        project = os.path.normpath(os.path.join(self._tree, folder))
        argv = ("export", *_python(), *EXPORT, "--project", project, "--output-file", out)
        checked = self._builder.try_uv(*argv, "--locked", cwd=project)
        if not checked.ok and OUTDATED in checked.err:
            raise Problem(
                posixpath.join(folder, "uv.lock"),
                "it does not hold what pyproject.toml asks for",
                "uv lock; git commit uv.lock",
            )
        if not checked.ok:
            # to check it uv may need a package index, or .git for the version; to use it, it does not
            self._builder.uv(*argv, "--frozen", cwd=project)
        return self._builder.take(LOCK)

    def _folder(self) -> str:
        """Where the project's own settings for uv are found: its package indexes."""
        return os.path.normpath(os.path.join(self._tree, posixpath.dirname(self._path)))

    def _read(self, path: str) -> Optional[bytes]:
        full = os.path.join(self._tree, path)
        # we are root: a link of the commit must not make us read what is the server's
        if not os.path.realpath(full).startswith(os.path.realpath(self._tree) + "/"):
            raise Problem(path, "it leads out of the repository")
        return self._system.read(full)

    def _write(self, name: str, text: str) -> str:
        return hand_over(self._system, self._layout, name, text)


def known_lock(system: System, layout: Layout, shelf: Shelf, given: str) -> Optional[Lock]:
    """The lock of a release that was given the same, the newest first."""
    for release in reversed(shelf.present()):
        if shelf.about(release).get("given") == given:
            raw = system.read("%s/%s/%s" % (layout.releases, release, LOCK))
            if raw:
                return Lock(raw.decode(), given, "locked as in %s" % release)
    return None


def share(run: Run, request: Mapping[str, Any], lock: Lock) -> None:
    """Tell what was found to the hosts that wait for it; never a lock that holds a secret."""
    if request.get("given") and not any(value in lock.text for value in request["secrets"]):
        run.emit(events.PackagesLocked(request["given"], lock.text))


def hand_over(system: System, layout: Layout, name: str, text: str) -> str:
    """Write a file that the build may read, and nobody but the app else; returns its path."""
    found = system.group(layout.app)
    gid = found[0] if found else 0
    if system.stat(layout.build) is None:
        system.mkdir(layout.build, mode=0o750, gid=gid)
    path = "%s/%s" % (layout.build, name)
    system.write_atomic(path, text.encode(), mode=0o640, gid=gid)
    return path


def _python() -> tuple[str, str]:
    import sys

    return ("--python", sys.executable)
