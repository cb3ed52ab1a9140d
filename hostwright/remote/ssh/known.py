"""What the installed OpenSSH understands: asked of it once, kept as long as its programs are the same files."""

from __future__ import annotations

import json
import re

from ..resources.base import Failed, Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Optional, Sequence

    from ..system import System

SSHD, SSH = "/usr/sbin/sshd", "/usr/bin/ssh"
KEPT = "/var/lib/hostwright/sshd.json"
# what `ssh -Q` calls them
QUERIES = ("kex", "cipher", "mac", "HostKeyAlgorithms")
VERSION = re.compile(r"OpenSSH_(\d+)\.(\d+)")
PRIVILEGE_SEPARATION = "/run/sshd"


class Known:
    """What one version of OpenSSH knows.

    Attributes:
        version: (9, 2).
        keywords: of sshd_config, in lower case.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields = fields
        self.version: tuple[int, ...] = tuple(fields["version"])
        self.keywords = frozenset(fields["keywords"])

    def of(self, wanted: Sequence[str], query: str) -> list[str]:
        """Those of the wanted algorithms that it knows, in the order they are wanted."""
        known = set(self.fields[query])
        return [name for name in wanted if name in known]


def stamp(system: System) -> str:
    """Tells one installed version from another, without starting it.

    Raises:
        Unknown: there is none.
    """
    found = []
    for path in (SSHD, SSH):
        about = system.stat(path)
        if about is None:
            raise Unknown("the package openssh-server is installed")
        found.append("%d:%d" % (about.size, about.mtime))
    return " ".join(found)


def kept(system: System) -> Optional[Known]:
    """What was asked before, if it is still true."""
    raw = system.read(KEPT)
    try:
        fields = json.loads(raw) if raw else {}
        return Known(fields) if fields.get("stamp") == stamp(system) else None
    except (ValueError, KeyError, TypeError):
        return None


def ask(system: System) -> Known:
    """Ask it.

    Raises:
        Failed: its own configuration is broken already.
        CommandFailed, Unknown
    """
    fields: dict[str, Any] = {"stamp": stamp(system)}
    told = system.run((SSH, "-V"), timeout=20, read_only=True)
    version = VERSION.search(told.err + told.out)
    fields["version"] = [int(part) for part in version.groups()] if version else [0, 0]
    for query in QUERIES:
        fields[query] = system.run((SSH, "-Q", query), timeout=20, read_only=True).out.split()
    fields["keywords"] = sorted(effective(system))
    return Known(fields)


def keep(system: System, known: Known) -> None:
    """Remember it."""
    folder = KEPT.rpartition("/")[0]
    if system.stat(folder) is None:
        system.mkdir(folder, mode=0o700)
    system.write_atomic(KEPT, json.dumps(known.fields).encode(), mode=0o600)


def effective(system: System) -> dict[str, list[str]]:
    """What sshd would do with the files as they are: keyword in lower case -> values.

    Raises:
        Failed: it does not accept them.
    """
    prepare(system)
    done = system.run((SSHD, "-T"), timeout=30, check=False, read_only=True)
    if not done.ok:
        raise Failed(
            "sshd does not accept its own configuration", "On the server: sudo sshd -t", tail=done.tail()
        )
    found: dict[str, list[str]] = {}
    for line in done.out.splitlines():
        keyword, _, value = line.partition(" ")
        found.setdefault(keyword.lower(), []).append(value.strip())
    return found


def prepare(system: System) -> None:
    """What sshd wants to be there even for a look; a socket makes it only when somebody logs in."""
    if system.stat(PRIVILEGE_SEPARATION) is None:
        system.mkdir(PRIVILEGE_SEPARATION, mode=0o755)
