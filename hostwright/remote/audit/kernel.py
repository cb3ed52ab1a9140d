"""Settings of the kernel, read from /proc/sys."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Sequence

    from ..system import System


def settings(system: System, names: Sequence[str]) -> dict[str, Any]:
    """values: name as sysctl(8) writes it -> value; what this kernel does not have is left out."""
    found = {}
    for name in names:
        try:
            value = system.read("/proc/sys/" + name.replace(".", "/"))
        except OSError:  # ours to read only on another kernel
            continue
        if value is not None:
            found[name] = " ".join(value.decode("ascii", "replace").split())
    return {"values": found}
