"""Is there memory for two?"""

from __future__ import annotations

import pytest

from hostwright.remote.release.memory import processes, proportional, require_memory
from hostwright.remote.run import StepError
from hostwright.testing import FakeSystem

SHOWN = {"ControlGroup": "/system.slice/hello@r1.service"}
MEMINFO = "MemTotal: 500000 kB\nMemAvailable: {} kB\nSwapFree: {} kB\n"


def server(available: int, swap: int = 0, mount: str = "/sys/fs/cgroup") -> FakeSystem:
    """An instance of two processes, 50 and 30 MiB; memory in MiB."""
    return FakeSystem(
        files={
            f"{mount}{SHOWN['ControlGroup']}/cgroup.procs": "10\n11\n12\n",
            "/proc/10/smaps_rollup": "0-1 ---p [rollup]\nRss: 99999 kB\nPss: 51200 kB\nPss_Anon: 1 kB\n",
            "/proc/11/smaps_rollup": "0-1 ---p [rollup]\nPss: 30720 kB\n",
            "/proc/meminfo": MEMINFO.format(available * 1024, swap * 1024),
        }
    )


@pytest.mark.parametrize("mount", ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"])
def test_what_is_shared_counts_once(mount: str) -> None:
    system = server(1000, mount=mount)
    assert processes(system, SHOWN) == [10, 11, 12], "12 has ended meanwhile"
    assert proportional(system, SHOWN) == 80 << 20
    assert proportional(system, {"ControlGroup": ""}) is None


def test_enough() -> None:
    assert require_memory(server(2048), SHOWN) == "2.0 GiB of memory"
    assert require_memory(server(60, swap=60), SHOWN) == "0.1 GiB of memory"


def test_not_enough_says_all_figures() -> None:
    with pytest.raises(StepError) as error:
        require_memory(server(60, swap=40), SHOWN)
    assert error.value.message == (
        "not enough memory for a second instance: 60 MiB available and 40 MiB of swap, 104 MiB needed "
        "(1.3 times what the live one uses)"
    )
    assert "`switch: restart`" in error.value.hint


def test_nothing_runs_that_could_be_compared_with() -> None:
    assert require_memory(server(1), {"ControlGroup": ""}) == ""
    assert require_memory(FakeSystem(), SHOWN) == ""
