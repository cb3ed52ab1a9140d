"""Before a release that lies on disk is started again: is what it leads to still whole, and its Python still there?

A rollback may come long after a release was made: an upgrade of the distribution has removed its Python, or
somebody's hand or a bad disk its files. Then code and environment are made again, the environment of exactly the
versions that the release had, and the release leads there. What was there is left as it is: it may be running.
"""

from __future__ import annotations

import json
import posixpath
import sys

from ..run import StepError
from .builder import Builder
from .dependencies import Lock
from .git import Repository
from .layout import LOCK
from .tree import Store, ensure_tree, key_of, linked_key, told, tree_of
from .venv import ensure_venv, platform, starts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .transaction import Transaction

# what every release that knows nothing of modules can import
SERVER = ("gunicorn",)
# where a release's links lead, seen from its folder
TREES, VENVS = "../../trees/", "../../venvs/"


def mended(transaction: Transaction, release: str) -> str:
    """Make what a release leads to whole again; nothing happens where it is.

    Args:
        transaction: its request may hold `build_env`, for packages that are not in the cache any more.

    Returns:
        The release.

    Raises:
        StepError: it cannot be; with why. CommandFailed, OSError, RunCancelled
    """
    # what still answers its last requests is whole enough, and is never changed
    if release not in transaction.drain.active():
        _mend_code(transaction, release)
        _mend_environment(transaction, release)
    return release


def _mend_environment(transaction: Transaction, release: str) -> None:
    system, layout, request = transaction.system, transaction.layout, transaction.request
    folder, store = layout.release(release), Store(system, layout.venvs)
    name = (system.readlink(folder + "/venv") or "").replace(VENVS, "", 1)
    damage = store.damage(name)
    if not damage and starts(system, store.folder(name)):
        return
    about = transaction.shelf.about(release)
    with transaction.run.step("venv") as step:
        text = (system.read("%s/%s" % (folder, LOCK)) or b"").decode("utf-8", "replace")
        if not text:
            raise StepError(
                "the environment of %s is damaged, and nothing tells its packages" % release, tuple(damage)
            )
        lock = Lock(text, str(about.get("given", "")), "as in %s" % release)
        say = transaction.run.output("venv")
        builder = Builder(system, layout, request.get("build_env", {}), request["paths"]["runtime"], say)
        try:
            kept = ensure_venv(system, layout, store, builder, lock, about.get("modules") or SERVER)
        finally:
            system.remove_tree(layout.build)
        why = told(damage) if damage else "the server has Python %s now" % platform()[0]
        step.detail = "rebuilt with the versions that %s had: %s" % (release, why)
        step.data = {"key": kept.name, "reused": kept.reused}
        _lead(transaction, release, "venv", VENVS + kept.name, {"venv": kept.name})


def _mend_code(transaction: Transaction, release: str) -> None:
    system, layout = transaction.system, transaction.layout
    about, store = transaction.shelf.about(release), Store(system, layout.trees)
    name, _, directory = (
        (system.readlink(layout.release(release) + "/code") or "").replace(TREES, "", 1).partition("/")
    )
    damage = store.damage(name)
    # what another minor version of Python compiled is not used: each worker would compile it again
    if not damage and "-%s" % sys.implementation.cache_tag in name:
        return
    links, repository = _shared(store, name, layout.shared), Repository(system, layout.repository)
    again = linked_key(tree_of(name), links)
    known = repository.has(str(about.get("commit", "")))
    if not known or again.split("-")[3:] != key_of(name).split("-")[3:]:
        if damage:
            raise StepError(
                "the code of %s is damaged: %s" % (release, told(damage)),
                hint="inv deploy --ref %s makes it anew." % about.get("commit", "COMMIT"),
            )
        return
    with transaction.run.step("tree") as step:
        kept = ensure_tree(system, repository, store, tree_of(name), links)
        step.detail = kept.detail("compiled for Python %s" % platform()[0])
        step.data = {"key": kept.name, "reused": kept.reused}
        path = posixpath.join(kept.name, directory) if directory else kept.name
        _lead(transaction, release, "code", TREES + path, {"tree": kept.name})


def _shared(store: Store, name: str, folder: str) -> dict[str, str]:
    """The symlinks to shared directories that are listed for a tree: path -> where it leads."""
    found = {
        path: what.rpartition(" ")[2] for path, what in store.listed(name).items() if what.startswith("link ")
    }
    return {path: target for path, target in found.items() if target.startswith(folder + "/")}


def _lead(transaction: Transaction, release: str, link: str, target: str, facts: dict[str, Any]) -> None:
    system, folder = transaction.system, transaction.layout.release(release)
    system.symlink_atomic(target, "%s/%s" % (folder, link))
    about = json.dumps({**transaction.shelf.about(release), **facts}, indent=1).encode() + b"\n"
    system.write_atomic(folder + "/release.json", about, mode=0o644)
