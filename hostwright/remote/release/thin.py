"""Thin releases: the code and packages of a release that is there, under an id of their own. Nothing is built."""

from __future__ import annotations

import json
import posixpath

from ..run import StepError
from . import credentials
from .dependencies import Lock
from .folder import write_folder
from .layout import LOCK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

    from ..system import System
    from .layout import Layout
    from .shelf import Shelf

# where a release's links to code lead, seen from its folder
TREES = "../../trees/"


def render_again(
    system: System, layout: Layout, shelf: Shelf, request: Mapping[str, Any], source: str
) -> None:
    """A release of what another one is made of, with the files that the controller rendered now.

    Args:
        request: as for `write_folder`.
        source: the other one.

    Raises:
        StepError: that one is damaged. OSError
    """
    lacks = shelf.missing(source)
    if lacks:
        raise StepError(
            "%s is damaged: its %s is missing" % (source, lacks), hint="inv deploy makes a new release."
        )
    about, folder = shelf.about(source), layout.release(source)
    code = (system.readlink(folder + "/code") or "").replace(TREES, "", 1)
    packages = (system.read("%s/%s" % (folder, LOCK)) or b"").decode("utf-8", "replace")
    lock = Lock(packages, str(about.get("given", "")), "as in %s" % source)
    write_folder(
        system, layout, request, code=code, tree=about["tree"], venv=about["venv"], assets=about.get("assets", ""),
        lock=lock, ran=False,
    )  # fmt: skip


def copy(
    system: System,
    layout: Layout,
    source: str,
    release: str,
    environment: bytes,
    secrets: Mapping[str, bytes],
    about: Mapping[str, Any],
) -> None:
    """A release that is another one but for its id and its environment.

    Args:
        source: the other one; its id is replaced in names, links and texts.
        environment: a file as `environment_file` makes it.
        secrets: its credentials by name.
        about: what release.json says otherwise.

    Raises:
        OSError
    """
    building = "%s/.%s.tmp" % (layout.releases, release)
    system.remove_tree(building)
    _copy_folder(system, layout.release(source), building, source, release)
    system.write_atomic(building + "/env", environment, mode=0o600)
    credentials.exchange(system, building, layout.release(release), secrets)
    was = json.loads(system.read(building + "/release.json") or b"{}")
    text = json.dumps({**was, **about}, indent=1).encode() + b"\n"
    system.write_atomic(building + "/release.json", text, mode=0o644)
    system.rename(building, layout.release(release))
    system.fsync_directory(layout.releases)


def _copy_folder(system: System, folder: str, to: str, source: str, release: str) -> None:
    system.mkdir(to)
    for name in system.listdir(folder):
        if name == credentials.FOLDER:  # it gets others
            continue
        path, new = posixpath.join(folder, name), posixpath.join(to, name.replace(source, release))
        file = system.stat(path)
        if file is None:
            continue
        if file.kind == "link":
            system.symlink_atomic((system.readlink(path) or "").replace(source, release), new)
        elif file.kind == "directory":
            _copy_folder(system, path, new, source, release)
        elif file.kind == "file":
            content = (system.read(path) or b"").replace(source.encode(), release.encode())
            system.write_atomic(new, content, mode=file.mode)
