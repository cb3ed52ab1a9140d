"""Write a release's folder: links to code and environment, and everything its process reads."""

from __future__ import annotations

import json

from . import credentials
from .layout import LOCK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

    from ..system import System
    from .dependencies import Lock
    from .layout import Layout

FORMAT = 1


def write_folder(
    system: System,
    layout: Layout,
    request: Mapping[str, Any],
    *,
    code: str,
    tree: str,
    venv: str,
    assets: str = "",
    lock: Lock,
    ran: bool,
) -> None:
    """Make releases/ID, under another name until it is whole.

    Args:
        request: `commit`, `subject`, `by`, `health`, `drain`, and `release`: id, files (name -> content and mode, the
            controller rendered them), properties (of a command that runs in this release), processes, timers.
        code: key of the tree, with the app's directory in it.
        tree, venv: keys.
        assets: key of what nginx serves itself, or an empty string.
        lock: what the environment holds.
        ran: whether the release command runs for this release: a rollback does not undo it.
    """
    release = request["release"]["id"]
    folder = layout.release(release)
    new = "%s/.%s.tmp" % (layout.releases, release)
    system.remove_tree(new)
    for path in (new, new + "/units", new + "/units/extra"):
        system.mkdir(path)
    if any(name.startswith(credentials.FOLDER + "/") for name in request["release"]["files"]):
        system.mkdir("%s/%s" % (new, credentials.FOLDER), mode=0o700)
    for name, file in request["release"]["files"].items():
        system.write_atomic("%s/%s" % (new, name), file["content"].encode(), mode=file["mode"])
    system.write_atomic("%s/%s" % (new, LOCK), lock.text.encode(), mode=0o644)
    system.symlink_atomic("../../trees/" + code, new + "/code")
    system.symlink_atomic("../../venvs/" + venv, new + "/venv")
    system.symlink_atomic(layout.socket(release), new + "/link.sock")
    if assets:
        system.symlink_atomic("../../assets/" + assets, new + "/public")
    about = {
        "format": FORMAT,
        "id": release,
        "commit": request["commit"],
        "subject": request["subject"],
        "by": request["by"],
        "made": round(system.now(), 3),
        "tree": tree,
        "venv": venv,
        "assets": assets,
        "given": lock.given,
        "modules": list(request.get("modules", ())),
        "health": _health(request),
        "drain": request["drain"],
        "properties": request["release"]["properties"],
        "processes": request["release"].get("processes", {}),
        "timers": request["release"].get("timers", {}),
        "release_command": list(request["release_command"]) if ran else [],
    }
    system.write_atomic(new + "/release.json", json.dumps(about, indent=1).encode() + b"\n", mode=0o644)
    system.rename(new, folder)
    system.fsync_directory(layout.releases)


def _health(request: Mapping[str, Any]) -> dict[str, Any]:
    """What the gate asks, with this release's own names in the text that it wants to see."""
    health = dict(request["health"])
    if health.get("contains"):
        text = health["contains"].replace("{commit}", request["commit"])
        health["contains"] = text.replace("{release}", request["release"]["id"])
    return health
