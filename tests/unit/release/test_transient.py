"""Commands of an app: when systemd could not start one, what it says about that is their error."""

from __future__ import annotations

import json

from hostwright.remote.release.transient import run
from hostwright.remote.system import Result
from hostwright.testing import FakeSystem

SAID = "x.service: Failed at step NAMESPACE spawning /bin/true: No space left on device"


def ended(code: int, out: str, free: tuple[int, int] = (1 << 40, 1 << 20)) -> Result:
    """A command that ends like this, on a server whose journal holds SAID."""
    commands = {
        "systemctl stop x.service": "",
        "systemd-run ...": {"exit": code, "out": out},
        "journalctl --sync": "",
        "journalctl --unit=x.service ...": json.dumps({"MESSAGE": SAID, "_PID": "1"}),
    }
    system = FakeSystem(commands=commands)
    system.free = free
    return run(system, "x.service", ("/bin/true",), (), timeout=60)


def test_systemd_says_why_it_could_not_start() -> None:
    assert ended(226, "").tail() == (SAID,)


def test_a_full_disk_is_told_also_when_the_journal_is_on_it() -> None:
    assert "no space left for /tmp: df -h" in ended(226, "", free=(0, 0)).tail()[-1]


def test_what_a_command_says_itself_counts() -> None:
    assert ended(226, "mine\n").tail() == ("mine",)
    assert ended(1, "").tail() == ()
    assert ended(0, "").ok
