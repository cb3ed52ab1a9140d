"""`./run demo` in a checkout of its own, twice in a row: the first thing a newcomer sees must work."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostwright.sandbox import Sandbox

from .project import ROOT


@pytest.fixture
def checkout(tmp_path: Path, sandbox: Sandbox) -> Iterator[Path]:
    """This working tree as a fresh clone would have it, committed."""
    folder = tmp_path / "clone"
    listing = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    author = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    for argv in (("init", "-q"), ("add", "-A"), (*author, "commit", "-q", "-m", "clone")):
        subprocess.run(("git", *argv), cwd=folder, check=True, capture_output=True)
    yield folder
    Sandbox(folder).down()


def test_demo_twice(checkout: Path) -> None:
    for _ in range(2):
        done = subprocess.run(
            (sys.executable, "-m", "invoke", "demo"),
            cwd=checkout,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        assert "0 do not." in done.stdout
        assert "The app is live: http://" in done.stdout
    (server,) = Sandbox(checkout).servers()
    body = subprocess.run(("curl", "-sS", f"http://{server.address}/health"), capture_output=True, check=True)
    assert b"ok" in body.stdout
