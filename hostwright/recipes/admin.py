"""The login we manage the server with, where it begins with root only."""

from __future__ import annotations

from hostwright.inventory import Host
from hostwright.remote.resources.authorized_key import AuthorizedKey
from hostwright.remote.resources.base import Resource
from hostwright.remote.resources.file import File
from hostwright.remote.resources.user import User


def admin(host: Host, public_key: str) -> list[Resource]:
    """The host's `user` with our key and sudo without a password, made through `bootstrap_user`.

    Args:
        host: with `bootstrap_user` set.
        public_key: the key that `bootstrap_user` logs in with, as in authorized_keys.
    """
    # sudo reads no file with a dot in its name
    sudoers = f"/etc/sudoers.d/hostwright-{host.user.replace('.', '__')}"
    return [
        User(name=host.user, system=False, home=f"/home/{host.user}", shell="/bin/bash"),
        AuthorizedKey(name=host.user, key=public_key),
        File(
            name=sudoers,
            content=f"{host.user} ALL=(ALL) NOPASSWD:ALL\n",
            mode=0o440,
            validate=("visudo", "-cq"),
        ),
    ]
