"""The environment of a release, by what is in it. Built in the sandbox, taken over by root, never changed."""

from __future__ import annotations

import json
import os
import posixpath
import re
import sys

from ..digest import sha256
from ..run import StepError
from . import bytecode, guard
from .builder import TIMEOUT
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
# bytecode comes from an environment that is there
LINK = tuple(word for word in SYNC if word != "--compile-bytecode")
# the exit code of a build that cannot import what it must; neither uv's nor Python's
NO_IMPORT = 86
# runs steps one after the other: of each its commands until one succeeds, and the exit code when none does
STEPS = """\
import json, subprocess, sys
for commands, code in json.loads(sys.argv[1]):
    for argv in commands:
        failed = subprocess.run(argv).returncode
        if not failed:
            break
    if failed:
        sys.exit(code or 1)
"""
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
    system: System,
    layout: Layout,
    store: Store,
    builder: Builder,
    lock: Lock,
    modules: Sequence[str],
    like: str = "",
) -> Kept:
    """The environment of a lock, built when it is not there, not whole, or cannot start any more.

    Args:
        modules: what it must be able to import.
        like: one in the store that may have most of the same files: their bytecode is taken from it.

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
        _build(system, layout, builder, lock, modules, store.folder(like) if like else "")
        builder.hand_back("venv", store.begin(name))
        store.finish(name)
    except BaseException:
        store.abandon(name)
        raise
    finally:
        system.remove_tree(builder.folder + "/venv")
    return Kept(name, False, damage)


def _build(
    system: System, layout: Layout, builder: Builder, lock: Lock, modules: Sequence[str], like: str
) -> None:
    requirements = hand_over(system, layout, "lock.txt", lock.text)
    hashes = ("--require-hashes",) if lock.hashed and lock.text.strip() else ()
    venv = builder.cache + "/venv"
    make = (*VENV, "--python", sys.executable, venv)
    packages = (*hashes, "--python", venv + "/bin/python", requirements)
    test = (venv + "/bin/python", "-I", "-c", "import " + ", ".join(modules))
    system.remove_tree(builder.folder + "/venv")
    if like:
        tried = builder.run(_at_once(make, packages, test, like, venv), cwd=layout.build, timeout=TIMEOUT)
        if tried.ok:
            return
        if tried.exit_code == NO_IMPORT:
            raise _no_import(modules, tried.tail())
        # step by step, so that what fails is told as what it is
        system.remove_tree(builder.folder + "/venv")
    builder.uv(*make, cwd="/")
    # a lock is exact, so what is in the cache is what the package index would give
    if like or not builder.try_uv(*SYNC, *packages, "--offline", cwd=layout.build).ok:
        builder.uv(*SYNC, *packages, cwd=layout.build)
    tried = builder.run(test, cwd="/", timeout=120)
    if not tried.ok:
        raise _no_import(modules, tried.tail())


def _at_once(
    make: Sequence[str], packages: Sequence[str], test: Sequence[str], like: str, venv: str
) -> tuple[str, ...]:
    """All of a build as one command: each start of the sandbox takes its time."""
    uv = UV + "/bin/uv"
    sync = (uv, *LINK, *packages)
    steps = (
        (((uv, *make),), 0),
        (((*sync, "--offline"), sync), 0),
        ((bytecode.command(like, venv),), 0),
        ((test,), NO_IMPORT),
    )
    return (sys.executable, "-I", "-S", "-B", "-c", STEPS, json.dumps(steps))


def _no_import(modules: Sequence[str], tail: Sequence[str]) -> StepError:
    return StepError(
        "the environment cannot import what serves the app: %s" % ", ".join(modules),
        tuple(tail),
        "Do the requirements hold versions of gunicorn or uvicorn that do not go together?",
    )
