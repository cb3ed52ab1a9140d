"""Directories that outlive releases: /srv/APP/shared. In the code of a release each is a symlink there."""

from __future__ import annotations

import posixpath

from ..run import StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping, Sequence

    from ..system import System
    from .layout import Layout

# nginx may read what the app writes there, other apps may not; what is made inside has the same group
MODE, READERS = 0o2750, "www-data"
# what people commit so that git keeps a directory; an app does not miss it
PLACEHOLDERS = (".gitkeep", ".keep", ".gitignore", ".placeholder", ".empty")
NAMED = 3


def links(layout: Layout, directory: str, names: Sequence[str]) -> dict[str, str]:
    """Path in the repository -> where it leads, for each shared directory of the app.

    Args:
        directory: the app's in the repository.
        names: of the shared directories, in the app's.
    """
    return {
        posixpath.normpath(posixpath.join(directory, name)): "%s/%s" % (layout.shared, name) for name in names
    }


def kinds(files: Mapping[str, tuple[str, int]]) -> dict[str, str]:
    """path -> "file" or "link", for `check`; see Repository.listing."""
    return {path: "link" if mode == "120000" else "file" for path, (mode, _) in files.items()}


def check(found: Mapping[str, str], wanted: Mapping[str, str], where: str = "this commit") -> None:
    """May these paths become symlinks? Nothing but placeholders may be there.

    Args:
        found: path -> "file", "link" ..., of everything but directories.
        wanted: see `links`.
        where: "this commit", or what else they were found in.

    Raises:
        StepError: there are files, which the app would not see, or something else than a directory.
    """
    for path in wanted:
        parts = path.split("/")
        above = ["/".join(parts[: end + 1]) for end in range(len(parts))]
        wrong = [part for part in above if part in found]
        inside = sorted(file for file in found if file.startswith(path + "/"))
        lost = [file for file in inside if posixpath.basename(file) not in PLACEHOLDERS]
        if wrong:
            what = "%s is a %s" % (wrong[0], "symlink" if found[wrong[0]] == "link" else "file")
            lost = wrong[:1]
        elif lost:
            more = " and %d more" % (len(lost) - NAMED) if len(lost) > NAMED else ""
            what = "the app would not see %s%s" % (", ".join(lost[:NAMED]), more)
        else:
            continue
        hint = "The app alone writes there: the build needs a directory of its own."
        if where == "this commit":
            hint = "git rm -r --cached %s; what the app needs of it, copy to the server: %s" % (
                lost[0] if wrong else path, wanted[path],
            )  # fmt: skip
        raise StepError("the shared directory %s is not free in %s: %s" % (path, where, what), hint=hint)


def ensure(system: System, layout: Layout, names: Sequence[str]) -> None:
    """Make the directories; one that is there stays as it is. Provision sees to owners and modes.

    Raises:
        StepError: something else is there, or it would be made in a directory that the app may write: root does
            nothing there.
    """
    if not names:
        return
    user, group = system.user(layout.app), system.group(READERS)
    for name in names:
        path = layout.shared
        for part in ("", *name.split("/")):
            path = posixpath.join(path, part) if part else path
            found, last = system.stat(path), path == "%s/%s" % (layout.shared, name)
            if found is None and last:
                system.mkdir(path, mode=MODE, uid=user[0] if user else 0, gid=group[0] if group else 0)
            elif found is None:
                system.mkdir(path)
            elif found.kind != "directory" or not (last or found.uid == 0):
                what = "belongs to the app" if found.kind == "directory" else "is not a directory"
                raise StepError(
                    "the shared directory %s cannot be made: %s %s" % (name, path, what),
                    hint="Look: ls -ld %s. Then: inv provision" % path,
                )


def link(system: System, folder: str, wanted: Mapping[str, str]) -> None:
    """Make the symlinks among files that `check` found good.

    Args:
        folder: with the files.
        wanted: see `links`.
    """
    for path, target in wanted.items():
        full = "%s/%s" % (folder, path)
        system.remove_tree(full)
        if system.stat(posixpath.dirname(full)) is None:
            system.mkdir(posixpath.dirname(full))
        system.symlink_atomic(target, full)
