"""A whole agent on this machine: real processes, real files, its state under a temporary folder."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hostwright.remote import events
from hostwright.remote.catalog import Catalog, Handler
from hostwright.remote.resources.base import Resource
from hostwright.run.dialogue import Dialogue
from hostwright.run.request import request
from hostwright.transport.bundle import agent
from hostwright.transport.local import LocalChannel, LocalTransport


class Machine:
    """This machine as a host. `python` may be another interpreter than ours."""

    def __init__(self, root: Path, python: str = sys.executable) -> None:
        self.root = root
        self.state, self.runtime = root / "state", root / "run"
        self.python = python

    def open(self) -> LocalChannel:
        return LocalTransport().open(agent().argv(str(self.state), str(self.runtime), self.python))

    def request(
        self, *resources: Resource, handlers: tuple[Handler, ...] = (), **fields: Any
    ) -> dict[str, Any]:
        catalog = Catalog(resources, handlers).to_wire()
        fields = {"project": "p", "what": "provision here", "inline": True, "secrets": [], **fields}
        return request("provision", catalog=catalog, total=len(resources), **fields)

    def provision(self, *resources: Resource, **fields: Any) -> list[events.Event]:
        return self.hold(self.request(*resources, **fields))

    def hold(self, wanted: dict[str, Any]) -> list[events.Event]:
        heard: list[events.Event] = []
        channel = self.open()
        try:
            Dialogue(channel, "here", heard.append).hold(wanted)
        finally:
            channel.close()
        return heard


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def until(condition: Any, seconds: float = 10.0) -> None:
    """Wait for a condition with a deadline."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.01)


def names(heard: list[events.Event]) -> list[str]:
    return [event.event for event in heard]


def last(heard: list[events.Event]) -> events.RunFinished:
    found = heard[-1]
    assert isinstance(found, events.RunFinished)
    return found


def pgrep(text: str) -> bool:
    return subprocess.run(["pgrep", "-f", text], capture_output=True, check=False).returncode == 0
