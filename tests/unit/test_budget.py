"""What travels: the agent once a version, the request on every run. Bytes are budgeted: they cost round trips."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostwright.inventory import load, select_hosts
from hostwright.recipes.provision import catalog
from hostwright.recipes.render import renderer
from hostwright.remote import wire
from hostwright.run.request import request
from hostwright.transport.bundle import BOOT, agent

ROOT = Path(__file__).parents[2]
# what TCP sends before the first acknowledgement: 10 segments (RFC 6928), less SSH's own bytes
FIRST_FLIGHT = 13_000


@pytest.fixture(scope="module")
def sent() -> bytes:
    """The frame of `inv provision` with the example inventory."""
    inventory = load(ROOT / "inventory.yaml", {})
    (host,) = select_hosts(inventory, ("203.0.113.10",), purpose="provision", app=None)
    wanted = catalog(inventory, host, renderer(inventory.base))
    fields = {"catalog": wanted.to_wire(), "secrets": []}
    return wire.message(request("provision", "p", "provision", total=len(wanted.resources), **fields))


def test_a_request_fits_the_first_flight(sent: bytes) -> None:
    print(f"request: {len(sent)} bytes")
    assert len(sent) < FIRST_FLIGHT


def test_the_agent_stays_small() -> None:
    size = len(agent().frame())
    print(f"agent: {size} bytes compressed, {len(agent().files)} files; boot line: {len(BOOT)} bytes")
    assert size < 200_000  # it travels once a version
    assert len(BOOT) < 1_000
