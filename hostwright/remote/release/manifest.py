"""What a folder that never changes was made of, so that damage is seen: a bad disk, fsck(8), somebody's hand. Pure.

Kept is what lstat(2) says, not the content: a look at thousands of files takes milliseconds, at each reuse.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping, Optional

# what marked a folder as complete before there were manifests
UNVERIFIED = b"complete\n"
FORMAT = 1
CACHES = "__pycache__/"
# what is called damage when the manifest itself cannot be read
UNREADABLE = "its list of files"


def dump(found: Mapping[str, str]) -> bytes:
    """A manifest as it is written.

    Args:
        found: path -> what it is, see System.walk.
    """
    return json.dumps({"format": FORMAT, "files": found}, separators=(",", ":"), sort_keys=True).encode()


def load(raw: bytes) -> Optional[Mapping[str, str]]:
    """What a manifest says; None when it is none."""
    try:
        value = json.loads(raw)
    except ValueError:
        return None
    files = value.get("files") if isinstance(value, dict) else None
    return files if isinstance(files, dict) else None


def differing(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Paths that are missing, changed, or too many, sorted.

    More bytecode is no damage: root ran something there, and what was there goes on to be used.
    """
    if wanted == found:
        return []
    paths = {path for path, what in wanted.items() if found.get(path) != what}
    more = {path for path in found if path not in wanted and CACHES not in "/" + path + "/"}
    return sorted(paths | more)
