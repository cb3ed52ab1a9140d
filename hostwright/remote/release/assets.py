"""What nginx serves itself of a release: /srv/APP/assets/KEY, hard links to the files of its code.

The code stays closed to others; this holds the directories of `static` alone, as their URLs have them.
"""

from __future__ import annotations

import json
import os

from .. import digest
from ..run import StepError
from .tree import Kept

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Mapping, Sequence

    from ..system import System
    from .layout import Layout
    from .tree import Store

    Line = Callable[[str], None]

SITES = "/etc/nginx/sites-enabled"
SITE = "/etc/nginx/hostwright/%s/app.conf"
TIMEOUT = 600.0
NAMED = 3


def assets_key(code: str, static: Mapping[str, str], shared: Sequence[str]) -> str:
    """The name of what a release serves.

    Args:
        code: path of the app's directory below /srv/APP/trees.
        static: URL path -> directory of the app.
        shared: the app's shared directories.
    """
    return digest.sha256(json.dumps([code, sorted(static.items()), sorted(shared)]).encode())[:20]


def ensure_assets(
    system: System,
    layout: Layout,
    store: Store,
    code: str,
    static: Mapping[str, str],
    shared: Sequence[str],
    say: Line,
) -> Kept:
    """The folder that nginx serves, made when it is not there.

    Args:
        code, static, shared: as for `assets_key`.
        say: takes what people should know: links that are left out.

    Raises:
        StepError: a directory is not there, or is not one to be served.
        CommandFailed, OSError, RunCancelled
    """
    key = assets_key(code, static, shared)
    found, damage = store.find(key)
    if found:
        return Kept(found, True)
    name = store.free(key)
    try:
        folder = store.begin(name)
        # what is inside another comes later
        for url, directory in sorted(static.items()):
            place = _place(system, folder, url)
            if is_shared(directory, shared):
                if system.stat(place) is not None:
                    raise StepError("static: %s is in the code and a shared directory too" % url)
                system.symlink_atomic("%s/%s" % (layout.shared, directory), place)
            else:
                _copy(system, layout, code, directory, place)
        _leave_out(system, folder, layout, say)
        store.finish(name)
    except BaseException:
        store.abandon(name)
        raise
    return Kept(name, False, damage)


def unserved(system: System, layout: Layout, static: Mapping[str, str]) -> list[str]:
    """URL paths that nginx, as it was provisioned last, knows nothing of."""
    # a project's own site may have its locations itself
    names = [SITE % layout.app, *("%s/%s" % (SITES, name) for name in system.listdir(SITES))]
    texts = [(system.read(name) or b"").decode("utf-8", "replace") for name in names]
    mine = "".join(text for text in texts if layout.root + "/" in text)
    return [url for url in static if " %s/" % url not in mine]


def is_shared(directory: str, shared: Sequence[str]) -> bool:
    """Is a directory of the app one that outlives releases, or inside one?"""
    return any((directory + "/").startswith(name + "/") for name in shared)


def _place(system: System, folder: str, url: str) -> str:
    """Where the files of a URL go. Root makes what is above, and never through a symlink."""
    parts = url.strip("/").split("/")
    if set(parts) & {"", ".", ".."}:
        raise StepError("static: %s is not a URL that nginx serves" % url)
    path = folder
    for index, part in enumerate(parts):
        path = "%s/%s" % (path, part)
        found = system.stat(path)
        if found and found.kind != "directory" and index + 1 < len(parts):
            what = "a shared directory, a file or a symlink"
            raise StepError(
                "static: %s cannot be served inside /%s: %s" % (url, "/".join(parts[: index + 1]), what)
            )
        if not found and index + 1 < len(parts):
            system.mkdir(path)
    return path


def _copy(system: System, layout: Layout, code: str, directory: str, place: str) -> None:
    root = os.path.realpath("%s/%s" % (layout.trees, code))
    source = os.path.realpath("%s/%s" % (root, directory))
    if source == root:
        raise StepError(
            'static: "%s" is all of the app\'s code' % directory, hint="Name the directory to serve."
        )
    if not source.startswith(root + "/") or not system.exists(source):
        raise StepError(
            "static: there is no directory %s in this release" % directory,
            hint="Is it made by a build? Then: build_command: python manage.py collectstatic --noinput",
        )
    if not system.exists(source + "/."):
        raise StepError("static: %s is a file; a directory is served" % directory)
    there = system.stat(place)
    if there is None:
        system.mkdir(place)
    elif there.kind != "directory":
        raise StepError(
            "static: a file or symlink of what is served already is in the place of %s" % directory
        )
    argv = ("cp", "--archive", "--link", "--force", "--", source + "/.", place)
    system.run(argv, timeout=TIMEOUT, cancellable=True)


def _leave_out(system: System, folder: str, layout: Layout, say: Line) -> None:
    """Remove the symlinks that lead out: through one, nginx would serve other files of the server."""
    left = []
    for path, what in sorted(system.walk(folder).items()):
        if not what.startswith("link "):
            continue
        target = os.path.realpath("%s/%s" % (folder, path))
        inside = target.startswith(os.path.realpath(folder) + "/") and system.exists(target)
        if not inside and not target.startswith(layout.shared + "/"):
            system.unlink("%s/%s" % (folder, path))
            left.append(path)
    if left:
        more = " and %d more" % (len(left) - NAMED) if len(left) > NAMED else ""
        say("not served, as they lead out of their directory: %s%s" % (", ".join(left[:NAMED]), more))
