"""The build command: what it makes of a commit's files is the code of a release. Run once, where it can do no harm.

It works on a copy, in the sandbox of the builder, with the release's packages and the app's environment. Root
takes over what it left. What goes into it is in the key of the result, but for the app's environment: the same
code built for another value of a variable is built when the code changes next.
"""

from __future__ import annotations

import json
import os
import posixpath
import shlex

from .. import digest
from ..run import StepError
from ..system import TAIL
from . import guard, shared
from .command import locate
from .tree import Kept, compile_code, tree_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

    from ..system import System
    from .builder import Builder
    from .layout import Layout
    from .tree import Store

COPY = "code"
COPY_TIMEOUT = 600.0
TIMEOUT = 1800.0


class BuildCommand:
    """The build of one release.

    Args:
        request: `build_command`, `build_env`, `directory`, `release` (its files: the app's environment).
        links: the shared directories, see shared.links.
    """

    def __init__(
        self,
        system: System,
        layout: Layout,
        builder: Builder,
        request: Mapping[str, Any],
        links: Mapping[str, str],
    ) -> None:
        self._system = system
        self._layout = layout
        self._builder = builder
        self._links = links
        self._argv = tuple(request["build_command"])
        self._directory: str = request["directory"]
        self._build_env: Mapping[str, str] = request["build_env"]
        self._env: str = request["release"]["files"]["env"]["content"]

    def key(self, tree: str, venv: str) -> str:
        """The name of what the command makes.

        Args:
            tree: id of the git tree.
            venv: key of the environment.
        """
        what = [venv, self._directory, self._argv, self._secret(), sorted(self._links)]
        return "%s-%s" % (tree_key(tree), digest.sha256(json.dumps(what).encode())[:16])

    def _secret(self) -> str:
        """Tells the build's environment from another. It may hold a password, so nobody must be able to try some."""
        if not self._build_env:
            return ""
        path = self._layout.root + "/build.key"
        key = self._system.read(path)
        if not key:
            key = os.urandom(32)
            self._system.write_atomic(path, key, mode=0o600)
        return digest.sha256(key + json.dumps(sorted(self._build_env.items())).encode())

    def ensure(self, store: Store, source: str, tree: str, venv: str, size: int, files: int) -> Kept:
        """The folder of what the command makes of a commit's files, made when it is not there.

        Args:
            store: of the trees.
            source: folder with the files.
            tree, venv: as for `key`.
            size, files: of the source: bytes and their number.

        Raises:
            StepError: the command failed. CommandFailed, OSError, RunCancelled
        """
        key = self.key(tree, venv)
        found, damage = store.find(key)
        if found:
            return Kept(found, True)
        guard.require(self._system, self._layout.root, 2 * size, 2 * files)
        guard.require(self._system, guard.CACHE, size, files)
        name, copy = store.free(key), "%s/%s" % (self._builder.folder, COPY)
        try:
            self._run(source, "%s/%s" % (self._layout.venvs, venv))
            folder = store.begin(name)
            self._builder.hand_back(COPY, folder)
            self._share(folder)
            compile_code(self._system, folder)
            store.finish(name)
        except BaseException:
            store.abandon(name)
            raise
        finally:
            self._system.remove_tree(copy)
        return Kept(name, False, damage)

    def _share(self, folder: str) -> None:
        kinds = {path: what.partition(" ")[0] for path, what in self._system.walk(folder).items()}
        files = {path: kind for path, kind in kinds.items() if kind != "directory"}
        shared.check(files, self._links, "what was built")
        shared.link(self._system, folder, self._links)

    def _run(self, source: str, venv: str) -> None:
        folder = posixpath.normpath(posixpath.join(source, self._directory))
        program = locate(self._system, self._argv[0], venv + "/bin", folder)
        copy = "%s/%s" % (self._builder.cache, COPY)
        self._system.remove_tree("%s/%s" % (self._builder.folder, COPY))
        # copied by the build's own user: it shall be able to change what is there
        copied = self._builder.run(("/bin/cp", "-R", "--", source, copy), cwd="/", timeout=COPY_TIMEOUT)
        if not copied.ok:
            raise StepError("the code could not be copied for the build", copied.tail())
        if program.startswith(folder + "/"):
            program = posixpath.normpath(posixpath.join(copy, self._directory, program[len(folder) + 1 :]))
        result = self._builder.run(
            (program, *self._argv[1:]), cwd=posixpath.normpath(posixpath.join(copy, self._directory)),
            timeout=TIMEOUT, programs=venv + "/bin", env=self._env,
        )  # fmt: skip
        if not result.ok:
            written = " ".join(shlex.quote(word) for word in self._argv)
            raise StepError(
                "the build command failed: %s (exit code %d)" % (written, result.exit_code),
                tuple((result.out + result.err).splitlines()[-TAIL:]),
                "It runs on a copy of the code, as a user of its own, before the release is live: it can write "
                "there and in /tmp alone. The app's `env` is set, and `build_env`.",
            )
