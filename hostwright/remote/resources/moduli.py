"""/etc/ssh/moduli: the groups of diffie-hellman-group-exchange, without those that are too short."""

from __future__ import annotations

from .base import Resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from ..system import System
    from .base import Change, Context, State

# moduli(5): the fifth field is the size, less one
SIZE, SHORTEST = 4, 3071


class Moduli(Resource):
    """`name` is the path. Where nothing long enough is in it, or it is not there, it stays as it is."""

    kind = "moduli"
    exclusive = True

    def desired(self, system: System) -> State:
        return {"short": 0}

    def read(self, system: System) -> State:
        lines = (system.read(self.name) or b"").splitlines()
        short = [line for line in lines if _size(line) and _size(line) < SHORTEST]
        return {"short": len(short) if any(_size(line) >= SHORTEST for line in lines) else 0}

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        lines = (system.read(self.name) or b"").splitlines()
        kept = [line for line in lines if not _size(line) or _size(line) >= SHORTEST]
        system.write_atomic(self.name, b"\n".join(kept) + b"\n", mode=0o644)


def _size(line: bytes) -> int:
    """The size in a line; 0 for a comment."""
    fields = line.split()
    return int(fields[SIZE]) if len(fields) > SIZE and fields[SIZE].isdigit() else 0
