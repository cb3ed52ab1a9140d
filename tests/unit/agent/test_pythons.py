"""The agent under every Python a server may have that is on this machine: 3.9 to 3.14."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hostwright.remote.resources.file import File
from tests.unit.agent.conftest import Machine, last

VERSIONS = [f"3.{minor}" for minor in range(9, 15)]


def interpreter(version: str) -> str | None:
    """A working Python of this version, if there is one."""
    pyenv = Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python")
    places = [shutil.which(f"python{version}") or "", *map(str, pyenv)]
    for path in filter(None, places):
        ask = (path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
        said = subprocess.run(ask, capture_output=True, text=True, check=False)
        if said.stdout.strip() == version:
            return path
    return None


@pytest.mark.skipif(os.geteuid() != 0, reason="files are owned by root")
@pytest.mark.parametrize("version", VERSIONS)
def test_apply_and_nothing_to_do(version: str, tmp_path: Path) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine; its syntax is checked by test_layers.py")
    machine = Machine(tmp_path, python)
    wanted = File(name=str(tmp_path / "etc" / "motd"), content="hello\n")
    assert last(machine.provision(wanted)).changed == 1
    assert last(machine.provision(wanted)).changed == 0
