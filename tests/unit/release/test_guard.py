"""Room on the server's disks."""

from __future__ import annotations

import pytest

from hostwright.remote.release.guard import full
from hostwright.testing import FakeSystem


@pytest.mark.parametrize("free", [(100_000, 5000), (1 << 30, 0)])
def test_a_full_disk_is_told_as_one(free: tuple[int, int]) -> None:
    system = FakeSystem()
    system.free = free
    assert "no space left for /srv/hello: df -h and df -i" in full(system, "/srv/hello")


def test_a_disk_with_room_is_no_reason() -> None:
    assert full(FakeSystem(), "/srv/hello") == ""
