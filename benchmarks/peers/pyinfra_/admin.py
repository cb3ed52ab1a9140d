"""Who may log in and become root."""

from __future__ import annotations

from pyinfra import host
from pyinfra.operations import files, server


def make_admin() -> None:
    """A user with a key and sudo."""
    admin = host.data.admin
    server.user(
        name="Admin",
        user=admin,
        groups=["sudo"],
        shell="/bin/bash",
        home=f"/home/{admin}",
        create_home=True,
        public_keys=[host.data.admin_key],
    )
    rights = files.template(
        name="Admin's rights",
        src="files/sudoers.j2",
        dest=f"/etc/sudoers.d/90-{admin}",
        mode="440",
        admin=admin,
    )
    server.shell(name="Rights are valid", commands=["visudo -c -q"], _if=rights.did_change)
