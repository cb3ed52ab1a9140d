"""Lock-out protection: what decides who gets in is put back unless a new login proves that we still do.

trees     what is kept, and what is reloaded when it is put back
snapshot  keeps it, on disk
revert    puts it back: a program of its own, which needs nothing of the agent
guard     arms, proves, disarms
loop      the part of converge.py that is about it
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..system import System


def folder_of(state: str) -> str:
    """Where a snapshot lies."""
    return os.path.join(state, "guard")


def unfinished(system: System, state: str) -> bool:
    """Is something to be put back, or was it put back and not told yet? Costs two stat(2)."""
    folder = folder_of(state)
    return any(system.exists(os.path.join(folder, name)) for name in ("armed", "reverted.json"))
