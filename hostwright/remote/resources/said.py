"""What a resource had to leave alone on this server, remembered so that it is said once and is no change again."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..system import System

FOLDER = "/var/lib/hostwright/left-alone"


def said(system: System, kind: str) -> str:
    """What was said about a kind of resource; empty: nothing."""
    return (system.read("%s/%s" % (FOLDER, kind)) or b"").decode("utf-8", "replace").rstrip("\n")


def keep(system: System, kind: str, text: str) -> None:
    """Remember what is said now; empty: nothing any more."""
    path = "%s/%s" % (FOLDER, kind)
    if not text:
        system.unlink(path)
        return
    for folder in (FOLDER.rpartition("/")[0], FOLDER):
        if system.stat(folder) is None:
            system.mkdir(folder, mode=0o700)
    system.write_atomic(path, text.encode() + b"\n", mode=0o600)
