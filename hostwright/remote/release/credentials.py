"""Secrets that an app reads from files instead of its environment: LoadCredential= of systemd.exec(5).

They lie in the release's folder, for root alone. systemd gives each process of the app a copy in memory that only its
user can read: $CREDENTIALS_DIRECTORY/NAME. Used by both sides.
"""

from __future__ import annotations

import json

from .. import dpkg, features
from ..run import StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Mapping

    from ..system import System

FOLDER = "credentials"
SETTING = "LoadCredential="
# systemd.exec(5): the first version whose directory for them is one of the service's own in every case; what all of
# one service may hold together, bytes
SINCE, MOST = 250, 1 << 20


def lines(folder: str, names: Iterable[str]) -> list[str]:
    """The settings of a service that gets them.

    Args:
        folder: of the release.
    """
    return ["%s%s:%s/%s/%s" % (SETTING, name, folder, FOLDER, name) for name in names]


def check(system: System, release: Mapping[str, Any]) -> None:
    """Can this server give a release its credentials? Asked before anything is built.

    Args:
        release: of the request: `files`.

    Raises:
        StepError: no.
    """
    prefix = FOLDER + "/"
    sizes = [
        len(file["content"].encode())
        for name, file in release.get("files", {}).items()
        if name.startswith(prefix)
    ]
    if not sizes:
        return
    if sum(sizes) > MOST:
        message = "its secrets are %d bytes, and systemd takes %d at most as credentials" % (sum(sizes), MOST)
        raise StepError(message, hint="Bring large ones to the server in another way, or say `secrets: env`.")
    found = dpkg.installed(system, ("systemd",)).get("systemd", {}).get("Version", "")
    version = features.version(found)
    if version and version < (SINCE,):
        message = "`secrets: credentials` needs systemd %d, and this server has %d" % (SINCE, version[0])
        raise StepError(message, hint="Say `secrets: env` in the inventory, or upgrade the server.")


def read(system: System, folder: str) -> dict[str, bytes]:
    """The credentials of a release, by name."""
    place = "%s/%s" % (folder, FOLDER)
    return {name: system.read("%s/%s" % (place, name)) or b"" for name in sorted(system.listdir(place))}


def write(system: System, folder: str, values: Mapping[str, bytes]) -> None:
    """Put them into a release's folder, without what was there."""
    place = "%s/%s" % (folder, FOLDER)
    system.remove_tree(place)
    if values:
        system.mkdir(place, mode=0o700)
    for name, value in values.items():
        system.write_atomic("%s/%s" % (place, name), value, mode=0o600)


def exchange(system: System, folder: str, final: str, values: Mapping[str, bytes]) -> None:
    """Give a release other credentials than it was made with: the files, and what its units load.

    Args:
        folder: of the release, as long as it is made.
        final: where that will lie.

    Raises:
        OSError
    """
    write(system, folder, values)
    wanted = lines(final, values)
    extra = "%s/units/extra" % folder
    names = [name for name in system.listdir(extra) if name.endswith(".service")]
    for path in (folder + "/units/service.conf", *("%s/%s" % (extra, name) for name in names)):
        text = (system.read(path) or b"").decode("utf-8", "replace")
        # [Service] is the last section in all of them
        kept = [line for line in text.splitlines() if not line.startswith(SETTING)]
        system.write_atomic(path, "".join(line + "\n" for line in [*kept, *wanted]).encode(), mode=0o644)
    path = folder + "/release.json"
    about = json.loads(system.read(path) or b"{}")
    properties = [line for line in about.get("properties", ()) if not line.startswith(SETTING)]
    about["properties"] = [*properties, *wanted]
    system.write_atomic(path, json.dumps(about, indent=1).encode() + b"\n", mode=0o644)
