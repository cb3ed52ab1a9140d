"""Locks of fcntl(2) held by real processes, and waiting for them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hostwright.remote.posix_lock import holder
from hostwright.remote.resources.base import Change, Context, Failed
from hostwright.remote.resources.packages import Packages
from hostwright.remote.system import RunCancelled
from hostwright.testing import FakeSystem

HOLD = "import fcntl, sys; f = open(sys.argv[1], 'a+'); fcntl.{}; print('held', flush=True); sys.stdin.read()"
POSIX = "lockf(f, fcntl.LOCK_EX)"
BSD = "flock(f, fcntl.LOCK_EX)"


@contextmanager
def held(path: Path, how: str) -> Iterator[int]:
    """Another process holds a lock on the file."""
    argv = (sys.executable, "-c", HOLD.format(how), str(path))
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdin
        assert child.stdout.readline() == b"held\n"
        yield child.pid
        child.stdin.close()
        child.wait(10)


def test_the_holder_has_a_name_and_a_number(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with held(lock, POSIX) as pid:
        assert holder(str(lock)) == (pid, Path(f"/proc/{pid}/comm").read_text().strip())
    assert holder(str(lock)) is None


def test_looking_takes_no_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    assert holder(str(lock)) is None
    with held(lock, POSIX):  # would wait for ever behind a lock of ours
        assert holder(str(lock)) is not None


def test_flock_is_another_kind_of_lock(tmp_path: Path) -> None:
    with held(tmp_path / "lock", BSD):
        assert holder(str(tmp_path / "lock")) is None


def test_no_file_is_no_lock(tmp_path: Path) -> None:
    assert holder(str(tmp_path / "none" / "lock")) is None


def apply_with(system: FakeSystem) -> list[str]:
    said: list[str] = []
    packages = Packages(name="base", packages=["git"])
    packages.apply(system, [Change("git", None, "installed")], Context(said.append, {}))
    return said


def test_cancelling_ends_the_wait_for_apt() -> None:
    system = FakeSystem(locks={"/var/lib/dpkg/lock": (812, "apt", 999)})
    system.cancelled = lambda: system.slept > 3
    with pytest.raises(RunCancelled):
        apply_with(system)
    assert system.ran == []
    assert 3 < system.slept < 6


def test_one_lock_after_another_is_one_wait() -> None:
    locks = {
        "/var/lib/dpkg/lock-frontend": (1, "apt-get", 5),
        "/var/cache/apt/archives/lock": (2, "packagekitd", 9),
    }
    status = {"files": {"/var/lib/dpkg/status": "Package: git\nStatus: install ok installed\n\n"}}
    system = FakeSystem(locks=locks, commands={"apt-get ...": status})
    said = apply_with(system)
    assert said == ["waiting for apt: held by apt-get (pid 1)"]
    assert 9 <= system.slept < 11


def test_a_lock_lost_again_and_again_ends_at_the_deadline() -> None:
    lost = {"exit": 100, "err": "E: Could not get lock /var/cache/apt/archives/lock"}
    system = FakeSystem({"/var/lib/apt/lists/x_Packages": ""}, commands={"apt-get ...": lost})
    with pytest.raises(Failed) as caught:
        apply_with(system)
    assert caught.value.message.startswith("apt is held by one process after another; waited 60")
    assert 600 <= system.slept < 610


def test_apt_is_told_to_ask_nothing_and_to_restart_nothing() -> None:
    status = {"files": {"/var/lib/dpkg/status": "Package: git\nStatus: install ok installed\n\n"}}
    system = FakeSystem({"/var/lib/apt/lists/x_Packages": ""}, commands={"apt-get ...": status})
    apply_with(system)
    for argv, environment in zip(system.ran, system.environments, strict=True):
        assert environment["DEBIAN_FRONTEND"] == "noninteractive"
        assert environment["NEEDRESTART_MODE"] == "l"
        text = " ".join(argv)
        assert "-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold" in text
        assert "--no-remove" in argv
        assert "APT::Cmd::Pattern-Only=true" in argv
