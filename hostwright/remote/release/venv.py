"""The environment of a release, by what is in it. Built in the sandbox, taken over by root, never changed."""

from __future__ import annotations

import json
import os
import posixpath
import re
import sys

from ..digest import sha256
from ..run import StepError
from . import guard
from .dependencies import hand_over
from .layout import UV
from .tree import Kept

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from ..system import System
    from .builder import Builder
    from .dependencies import Lock
    from .layout import Layout
    from .tree import Store

VENV = ("venv", "--relocatable", "--no-project", "--quiet")
SYNC = ("pip", "sync", "--compile-bytecode", "--allow-empty-requirements")
MINOR = re.compile(r"python3\.[0-9]+\Z")


def platform() -> tuple[str, str]:
    """(version of the server's Python, its architecture)."""
    return "%d.%d.%d" % sys.version_info[:3], os.uname().machine


def venv_key(lock: str, python: str, machine: str, uv: str) -> str:
    """The name of an environment: everything it is made from.

    Args:
        lock: the requirements with their versions.
        python: full version.
        machine: architecture.
        uv: its version.
    """
    return sha256(json.dumps([lock, python, machine, uv, VENV, SYNC]).encode())[:20]


def starts(system: System, folder: str) -> bool:
    """Has an environment still the interpreter it was made with? An upgrade of the distribution removes it."""
    path = folder + "/bin/python"
    if not system.exists(path):
        return False
    for _ in range(10):
        target = system.readlink(path)
        if target is None:
            break
        path = posixpath.join(posixpath.dirname(path), target)
    version = MINOR.match(posixpath.basename(path))
    return not version or system.exists("%s/lib/%s" % (folder, version.group()))


def ensure_venv(
    system: System, layout: Layout, store: Store, builder: Builder, lock: Lock, modules: Sequence[str]
) -> Kept:
    """The environment of a lock, built when it is not there, not whole, or cannot start any more.

    Args:
        modules: what it must be able to import.

    Raises:
        StepError, CommandFailed, OSError, RunCancelled
    """
    python, machine = platform()
    key = venv_key(lock.text, python, machine, system.readlink(UV) or "")
    found, damage = store.find(key, lambda folder: [] if starts(system, folder) else ["bin/python"])
    if found:
        return Kept(found, True)
    name = store.free(key)
    guard.require(system, layout.root, guard.ENVIRONMENT, guard.ENVIRONMENT_FILES)
    guard.require(system, guard.CACHE, guard.ENVIRONMENT, guard.ENVIRONMENT_FILES)
    try:
        _build(system, layout, builder, lock, modules)
        builder.hand_back("venv", store.begin(name))
        store.finish(name)
    except BaseException:
        store.abandon(name)
        raise
    finally:
        system.remove_tree(builder.folder + "/venv")
    builder.uv("cache", "prune", "--quiet", cwd="/")
    return Kept(name, False, damage)


def _build(system: System, layout: Layout, builder: Builder, lock: Lock, modules: Sequence[str]) -> None:
    requirements = hand_over(system, layout, "lock.txt", lock.text)
    system.remove_tree(builder.folder + "/venv")
    venv = builder.cache + "/venv"
    builder.uv(*VENV, "--python", sys.executable, venv, cwd="/")
    hashes = ("--require-hashes",) if lock.hashed and lock.text.strip() else ()
    sync = (*SYNC, *hashes, "--python", venv + "/bin/python", requirements)
    # a lock is exact, so what is in the cache is what the package index would give
    if not builder.try_uv(*sync, "--offline", cwd=layout.build).ok:
        builder.uv(*sync, cwd=layout.build)
    argv = (venv + "/bin/python", "-I", "-c", "import " + ", ".join(modules))
    tried = builder.run(argv, cwd="/", timeout=120)
    if not tried.ok:
        raise StepError(
            "the environment cannot import what serves the app: %s" % ", ".join(modules),
            tried.tail(),
            "Do the requirements hold versions of gunicorn or uvicorn that do not go together?",
        )
