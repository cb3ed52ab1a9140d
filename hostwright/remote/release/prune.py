"""Old releases, and code and environments that no release uses any more. Never what is live or the way back."""

from __future__ import annotations

from .git import Repository
from .instance import Instances
from .processes import Processes
from .record import Log, previous
from .shelf import Shelf
from .shorten import shorten
from .tree import Store, tree_of, used

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Collection, Mapping, Sequence

    from ..system import System
    from .layout import Layout
    from .record import Known


def obsolete(
    known: Mapping[str, Known],
    present: Sequence[str],
    current: str,
    trees: Mapping[str, str],
    busy: Collection[str],
    keep: int,
) -> list[str]:
    """The releases to remove.

    Args:
        known: from the log; its order is theirs.
        present: the releases on disk.
        current: the one that is live.
        trees: release -> key of its code. `keep` counts different code: a restart or a changed variable is a
            release too, and must not push out the way back.
        busy: releases of which something still runs.
        keep: how many.

    Returns:
        Their ids. Kept are: what is live, what a rollback goes to, what still runs, the newest of good code
        (at most `keep` of each), and the newest one that went wrong, for a look at it.
    """
    kept = {current, previous(known, current, present), *busy}
    of_tree: dict[str, int] = {}
    for release in kept:
        if release in known and release in present:
            tree = trees.get(release, release)
            of_tree[tree] = of_tree.get(tree, 0) + 1
    wrong = 0
    for release in reversed(list(known)):
        if release not in present or release in kept:
            continue
        if known[release].verdict != "good":
            wrong += 1
            if wrong == 1:
                kept.add(release)
            continue
        tree = trees.get(release, release)
        if of_tree.get(tree, 0) < keep and (tree in of_tree or len(of_tree) < keep):
            of_tree[tree] = of_tree.get(tree, 0) + 1
            kept.add(release)
    return [release for release in present if release in known and release not in kept]


def prune(system: System, layout: Layout, keep: int) -> list[str]:
    """Remove what is obsolete. The caller holds the host's lock.

    Returns:
        The ids of the removed releases.

    Raises:
        CommandFailed, OSError
    """
    shelf, log = Shelf(system, layout), Log(system, layout)
    present = [name for name in system.listdir(layout.releases) if not name.startswith(".")]
    about = {release: shelf.about(release) for release in present}
    # pages of the release before may be open in browsers, and ask for its files
    left = system.readlink(layout.previous) or ""
    running = Processes(system, layout).busy()
    busy = {*Instances(system, layout).states(), *running, left.rpartition("/")[2]}
    trees = {release: tree_of(str(facts.get("tree", ""))) for release, facts in about.items()}
    gone = obsolete(log.known(), present, shelf.current(), trees, busy, keep)
    for release in gone:
        shelf.remove(release)
    leads = used(system, layout.releases)
    stay = [facts for release, facts in about.items() if release not in gone]
    for path, key in ((layout.trees, "tree"), (layout.venvs, "venv"), (layout.assets, "assets")):
        store, needed = Store(system, path), {*leads, *(facts.get(key) for facts in stay)}
        for name in store.complete():
            if name not in needed:
                store.remove(name)
    repository = Repository(system, layout.repository)
    if gone and system.exists(layout.repository):
        repository.prune([str(facts.get("commit", "")) for facts in stay])
    shorten(system, layout, present)
    return gone
