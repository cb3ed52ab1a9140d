"""Is there memory for a second instance? Asked before anything is built: the kernel's OOM killer asks nobody."""

from __future__ import annotations

from ..run import StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping, Optional

    from ..system import System

MIB = 1 << 20
# a new release may need a little more than the old one, and the server does other things meanwhile
SHARE = 1.3
# where cgroup v2, a hybrid hierarchy and v1 have a unit's processes
MOUNTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd")
HINT = (
    "Fewer `workers`, a swap file or a larger server; or `switch: restart` in the inventory: the old release stops "
    "before the new one starts, and requests fail meanwhile."
)


def meminfo(system: System) -> dict[str, int]:
    """proc(5) meminfo in bytes."""
    found = {}
    for line in (system.read("/proc/meminfo") or b"").decode("ascii", "replace").splitlines():
        words = line.replace(":", " ").split()
        if len(words) >= 2 and words[1].isdigit():
            found[words[0]] = int(words[1]) * 1024
    return found


def processes(system: System, shown: Mapping[str, str]) -> list[int]:
    """The processes of a unit (`systemctl show`, with ControlGroup)."""
    group = shown.get("ControlGroup", "")
    for mount in MOUNTS if group else ():
        raw = system.read("%s%s/cgroup.procs" % (mount, group))
        if raw:
            return [int(pid) for pid in raw.split()]
    return []


def proportional(system: System, shown: Mapping[str, str]) -> Optional[int]:
    """Bytes of a unit's processes, what they share counted once: PSS, proc(5) smaps_rollup. None: none runs."""
    total = 0
    for pid in processes(system, shown):
        for line in (system.read("/proc/%d/smaps_rollup" % pid) or b"").splitlines():
            if line.startswith(b"Pss:"):
                total += int(line.split()[1]) * 1024
    return total or None


def require_memory(system: System, shown: Mapping[str, str]) -> str:
    """There must be memory for a second instance like this one.

    Args:
        shown: properties of the live instance.

    Returns:
        For people: what is free; empty when nothing runs that could be compared with.

    Raises:
        StepError: with all figures.
    """
    running, memory = proportional(system, shown), meminfo(system)
    if not running or "MemAvailable" not in memory:
        return ""
    available, swap, needed = memory["MemAvailable"], memory.get("SwapFree", 0), int(SHARE * running)
    if available + swap < needed:
        raise StepError(
            "not enough memory for a second instance: %d MiB available and %d MiB of swap, %d MiB needed "
            "(%.1f times what the live one uses)" % (available // MIB, swap // MIB, needed // MIB, SHARE),
            hint=HINT,
        )
    return "%.1f GiB of memory" % ((available + swap) / (1 << 30))
