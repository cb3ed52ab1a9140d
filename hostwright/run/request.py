"""What every request says about itself."""

from __future__ import annotations

import getpass
import hashlib
import json
import secrets
import socket
import time
from typing import Any

# seconds to wait for another run before giving up (--wait)
WAIT = 60


def who() -> str:
    """user@machine, as the other side's messages name us."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container without a passwd entry
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def digest(*parts: object) -> str:
    """The same for the same: so that a command that is repeated while its run goes on is not done twice."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def request(
    action: str,
    project: str,
    what: str,
    *,
    apply: bool = True,
    diff: bool = False,
    wait: float = WAIT,
    total: int = 0,
    **fields: Any,
) -> dict[str, Any]:
    """A request to an agent.

    Args:
        action: see hostwright/remote/actions.py.
        project: whose resources these are.
        what: for people who wait for us: "deploy hello 4f2c1d9".
        apply: change things; False is a check.
        diff: send the diffs of contents.
        wait: seconds to wait for another run.
        total: steps or resources, for progress.
        fields: what the action needs; `digest`, if what is asked for must not be done twice.
    """
    return {
        "action": action,
        "run": secrets.token_hex(4),
        "project": project,
        "by": who(),
        "began": time.time(),
        "what": what,
        "apply": apply,
        "diff": diff,
        "wait": float(wait),
        "total": total,
        **fields,
    }
