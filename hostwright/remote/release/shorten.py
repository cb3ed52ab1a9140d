"""The log of a very busy app does not grow for ever; what lies on disk stays known."""

from __future__ import annotations

import json

from .record import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Collection, Sequence

    from ..system import System
    from .layout import Layout

# lines that are kept when the log has grown to twice as many
KEEP = 1000


def shorten(system: System, layout: Layout, present: Collection[str]) -> None:
    """Forget the oldest lines of a very long log.

    Args:
        present: releases that must stay known: what no line speaks of is taken for unfinished, and removed.
    """
    lines = Log(system, layout).lines()
    if len(lines) > 2 * KEEP:
        kept = [*_first_of(lines[:-KEEP], present), *lines[-KEEP:]]
        system.write_atomic(layout.log, b"\n".join(kept) + b"\n", mode=0o600)


def _first_of(lines: Sequence[bytes], present: Collection[str]) -> list[bytes]:
    """Of each of these releases the first line of each kind: the later ones say little that is new."""
    found: dict[tuple[str, str], bytes] = {}
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("id") in present:
            found.setdefault((entry["id"], str(entry.get("did"))), line)
    return list(found.values())
