"""What is on the disk when a release goes live: all of it. And that this would be seen if it were not so."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostwright.sandbox import Sandbox

from .crash import runs_end, stopped_at
from .disk import Disk, contents
from .project import ROOT
from .tiny import Tiny


class Durable(Tiny):
    """The project on a server whose /srv is a disk of its own.

    Attributes:
        disk: that one.
        root: where Hostwright is that the commands run; tests put a worse one there.
    """

    disk: Disk
    root: Path = ROOT

    def environ(self, **more: str) -> dict[str, str]:
        """Of the commands."""
        return super().environ(PYTHONPATH=str(self.root), **more)

    def needs(self, packages: str) -> str:
        """A version with other requirements, so that its environment is new too."""
        (self.folder / "requirements.txt").write_text(packages)
        return self.change(f"needs {packages}")

    def release(self, srv: Path) -> str:
        """The one that `current` names on a disk; empty when there is none."""
        try:
            return (srv / "tiny" / "current").readlink().name
        except FileNotFoundError:
            return ""

    def parts(self, srv: Path, release: str) -> dict[str, dict[str, str]]:
        """All that a release consists of on a disk: its folder, its code and its environment."""
        app = self.disk.live / "tiny"
        about = json.loads((app / "releases" / release / "release.json").read_text())
        names = (f"releases/{release}", f"trees/{about['tree']}", f"venvs/{about['venv']}")
        return {name.partition("/")[0]: contents(srv / "tiny" / name) for name in names}

    def is_whole(self, srv: Path, release: str) -> None:
        """A release on a disk is what it is in memory, to the last file."""
        found, wanted = self.parts(srv, release), self.parts(self.disk.live, release)
        assert len(wanted["venvs"]) > 20
        for name, files in wanted.items():
            assert found[name] == files, name


@pytest.fixture(scope="module")
def tiny(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Durable]:
    """Provisioned; nothing is deployed yet."""
    name, folder = f"durable-{os.getpid()}", tmp_path_factory.mktemp("durable")
    found = Durable(folder, sandbox.up(name, ephemeral=True, say=print)[0], sandbox)
    (folder / "disk").mkdir()
    found.disk = Disk(sandbox, found.server, folder / "disk", 1024)
    found.inv("provision")
    yield found
    sandbox.down(name)
    found.disk.remove()


def cut_after(tiny: Durable, point: str, *argv: str) -> tuple[str, Path]:
    """A command up to a point; its release, and what is on the disk there. The run goes on to its end."""
    with stopped_at(tiny, point, *argv):
        srv = tiny.disk.after_a_power_cut()
        live = tiny.release(tiny.disk.live)
    runs_end(tiny)
    return live, srv


@pytest.mark.parametrize("packages", ["", "click\n"])
def test_a_release_that_goes_live_is_on_the_disk(tiny: Durable, packages: str) -> None:
    """The first of all, with nothing there before, and another one."""
    tiny.needs(packages)
    live, srv = cut_after(tiny, "switch", "deploy")
    assert tiny.release(srv) == live
    tiny.is_whole(srv, live)
    last = json.loads((srv / "tiny" / "releases.jsonl").read_text().splitlines()[-1])
    assert (last["did"], last["id"]) == ("live", live)


def test_a_release_is_on_the_disk_before_anything_names_it(tiny: Durable) -> None:
    tiny.needs("itsdangerous\n")
    before, srv = cut_after(tiny, "begin:switch", "deploy")
    assert tiny.release(srv) == before
    tiny.is_whole(srv, before)
    made = tiny.one_serves()
    assert made != before
    tiny.is_whole(srv, made)


def test_a_rollback_is_on_the_disk(tiny: Durable) -> None:
    before = tiny.one_serves()
    live, srv = cut_after(tiny, "switch", "rollback")
    assert live != before
    assert tiny.release(srv) == live
    tiny.is_whole(srv, live)


# -- the controls: if a server that does not wait for its disk passed as well, the tests above would say nothing -----


def careless(tiny: Durable, folder: Path, *calls: str) -> None:
    """Commands run a copy of Hostwright whose agent skips these system calls."""
    shutil.copytree(ROOT / "hostwright", folder / "hostwright", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "templates").symlink_to(ROOT / "templates")
    for name in ("storage.py", "atomic.py"):
        path = folder / "hostwright" / "remote" / name
        text = path.read_text()
        for call in calls:
            text = re.sub(rf"\b(os|libc)\.{call}\(", "abs(0 * ", text)
        path.write_text(text)
    tiny.root = folder


@pytest.fixture
def careful(tiny: Durable) -> Iterator[None]:
    """The commands are ours again."""
    yield
    tiny.root = ROOT


@pytest.mark.usefixtures("careful")
def test_without_syncfs_a_release_that_is_live_is_empty(tiny: Durable, tmp_path: Path) -> None:
    careless(tiny, tmp_path, "syncfs")
    tiny.needs("markupsafe\n")
    live, srv = cut_after(tiny, "switch", "deploy")
    assert tiny.release(srv) == live
    with pytest.raises(AssertionError, match=r"^(trees|venvs)"):
        tiny.is_whole(srv, live)


@pytest.mark.usefixtures("careful")
def test_without_fsync_the_switch_is_lost(tiny: Durable, tmp_path: Path) -> None:
    before = tiny.one_serves()
    careless(tiny, tmp_path, "fsync")
    tiny.change("not synced")
    live, srv = cut_after(tiny, "switch", "deploy")
    assert live != before
    assert tiny.release(srv) != live
