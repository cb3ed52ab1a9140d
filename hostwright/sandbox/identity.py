"""The key that opens a checkout's servers: `.sandbox/identity` in the checkout, made by us."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .command import run

FOLDER = ".sandbox"


def private_key(checkout: Path) -> Path:
    """Where it is, made or not."""
    return checkout / FOLDER / "identity"


def ensure_identity(checkout: Path) -> str:
    """Makes the key pair when missing and returns the public key. Call it under the registry's lock.

    Behind sudo it belongs to the user who asked, so that their own ssh can read it.
    """
    key = private_key(checkout)
    public = key.with_name("identity.pub")
    if not (key.exists() and public.exists()):
        key.parent.mkdir(mode=0o700, exist_ok=True)
        (key.parent / ".gitignore").write_text("*\n")
        key.unlink(missing_ok=True)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"sandbox of {checkout}", "-f", str(key))
        for path in (key.parent, *key.parent.iterdir()):
            os.chown(path, int(os.environ.get("SUDO_UID", "-1")), int(os.environ.get("SUDO_GID", "-1")))
    return public.read_text()


def remove_identity(checkout: Path) -> None:
    """Deletes it and its folder."""
    shutil.rmtree(checkout / FOLDER, ignore_errors=True)
