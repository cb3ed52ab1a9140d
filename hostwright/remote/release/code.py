"""The code of one release: the commit's files, what the build command makes of them, what nginx serves of that."""

from __future__ import annotations

import posixpath

from . import shared
from .assets import ensure_assets, unserved
from .build_code import BuildCommand
from .tree import Store, ensure_source, ensure_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping

    from ..system import System
    from .builder import Builder
    from .git import Repository
    from .layout import Layout
    from .tree import Kept

    Line = Callable[[str], None]


class Code:
    """Of a commit that is in the app's repository.

    Args:
        request: `commit`, `directory`, `build_command`, `build_env`, `static`, `shared`, `release`.

    Attributes:
        kept: the folder with it, below /srv/APP/trees: first of the commit's files, then of what was built.
        files, size: number and bytes of the commit's files.
    """

    def __init__(
        self, system: System, layout: Layout, repository: Repository, request: Mapping[str, Any]
    ) -> None:
        self._system = system
        self._layout = layout
        self._repository = repository
        self._request = request
        self._store = Store(system, layout.trees)
        self._links = shared.links(layout, request["directory"], request["shared"])
        self._listing = repository.listing(request["commit"])
        self._tree = repository.tree(request["commit"])
        self.kept: Kept
        self.files = len(self._listing)
        self.size = sum(size for _, size in self._listing.values())

    @property
    def folder(self) -> str:
        """Its absolute path."""
        return self._store.folder(self.kept.name)

    @property
    def path(self) -> str:
        """The app's directory, below /srv/APP/trees."""
        return posixpath.normpath(posixpath.join(self.kept.name, self._request["directory"]))

    def fetch(self) -> Kept:
        """The commit's files, with symlinks to the shared directories, unless they are to be built yet.

        Raises:
            StepError, CommandFailed, OSError, RunCancelled
        """
        shared.check(shared.kinds(self._listing), self._links)
        shared.ensure(self._system, self._layout, self._request["shared"])
        if self._request["build_command"]:
            self.kept = ensure_source(self._repository, self._store, self._tree)
        else:
            self.kept = ensure_tree(self._system, self._repository, self._store, self._tree, self._links)
        return self.kept

    def build(self, builder: Builder, venv: str) -> Kept:
        """What the build command makes of the files.

        Args:
            venv: key of the environment.

        Raises:
            StepError, CommandFailed, OSError, RunCancelled
        """
        command = BuildCommand(self._system, self._layout, builder, self._request, self._links)
        self.kept = command.ensure(self._store, self.folder, self._tree, venv, self.size, self.files)
        return self.kept

    def assets(self, say: Line) -> str:
        """The key of what nginx serves itself; an empty string when that is nothing.

        Args:
            say: takes what people should know.

        Raises:
            StepError, CommandFailed, OSError, RunCancelled
        """
        static, names = self._request["static"], self._request["shared"]
        if not static:
            return ""
        unknown = unserved(self._system, self._layout, static)
        if unknown:
            say("nginx does not serve %s yet; inv provision makes it do so" % ", ".join(unknown))
        store = Store(self._system, self._layout.assets)
        return ensure_assets(self._system, self._layout, store, self.path, static, names, say).name
