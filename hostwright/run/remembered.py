"""The servers a project without hosts in its inventory was last provisioned on, so that `inv deploy` finds them.

Kept outside the project, in $XDG_STATE_HOME (default ~/.local/state), one file a project; nothing secret in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from hostwright.inventory import Host, Inventory

SSH_PORT = 22


def place(inventory: Inventory, environ: Mapping[str, str]) -> Path:
    """The project's file."""
    base = environ.get("XDG_STATE_HOME") or str(
        Path(environ.get("HOME", "~")).expanduser() / ".local" / "state"
    )
    digest = hashlib.sha256(str(inventory.path).encode()).hexdigest()[:12]
    return Path(base) / "hostwright" / f"{inventory.project}-{digest}.json"


def remember(inventory: Inventory, hosts: Sequence[Host], environ: Mapping[str, str]) -> None:
    """Keep how these servers were reached. A disk that cannot be written is no reason to fail."""
    known = [
        {
            "address": host.address,
            "user": host.user,
            "port": host.port,
            "identity_file": str(host.identity_file) if host.identity_file else None,
        }
        for host in hosts
    ]
    path = place(inventory, environ)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


def recall(inventory: Inventory, environ: Mapping[str, str]) -> list[Host]:
    """The servers that were remembered; none where nothing was, or where it cannot be read any more."""
    try:
        known = json.loads(place(inventory, environ).read_text(encoding="utf-8"))
        hosts = [
            inventory.bare_host(
                item["address"], user=item["user"], port=None if item["port"] == SSH_PORT else item["port"]
            )
            for item in known
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    keys = [Path(item["identity_file"]) if item["identity_file"] else None for item in known]
    return [
        host.model_copy(update={"identity_file": key}) if key else host
        for host, key in zip(hosts, keys, strict=True)
    ]
