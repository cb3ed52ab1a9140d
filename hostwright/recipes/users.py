"""People who may log in, besides the login that every run uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hostwright.inventory import Host, Inventory
from hostwright.recipes.render import Render
from hostwright.remote.resources.account import Account
from hostwright.remote.resources.base import Resource
from hostwright.remote.resources.file import File
from hostwright.remote.resources.login_group import LoginGroup

# whose members may log in, unless `ssh.groups` names others
GROUP = "hostwright-ssh"


def users(
    inventory: Inventory, host: Host, render: Render, keys: Mapping[str, Sequence[str]]
) -> list[Resource]:
    """The accounts of `users:`, their keys and their rights, and the group whose members may log in. All of it guarded.

    Args:
        inventory: whose project it is.
        host: with `users`.
        render: fills in templates.
        keys: lines of authorized_keys by user.
    """
    found: list[Resource] = []
    for name, user in host.users.items():
        found.append(Account(name=name, keys=tuple(keys.get(name, ())), project=inventory.project))
        # admin() has made the rule of the login that we use
        if user.sudo and not (name == host.user and host.bootstrap_user):
            found.append(
                File(
                    name=sudoers(name),
                    content=render("sudo/user.j2", name=name),
                    mode=0o440,
                    validate=("visudo", "-cq"),
                    # a rule of somebody else's that sudo passes over is no reason to leave this one out
                    judges_all=True,
                )
            )
    if host.hardening.ssh and not host.ssh.groups:
        members = [*host.users, host.user, *(["root"] if root_login(host) else [])]
        found.append(LoginGroup(name=GROUP, members=tuple(dict.fromkeys(members))))
    return found


def sudoers(name: str) -> str:
    """The path of a user's rule. sudo passes over files with a dot in their name: sudoers(5), @includedir."""
    return f"/etc/sudoers.d/hostwright-{name.replace('.', '__')}"


def root_login(host: Host) -> bool:
    """May root log in with a key? Where every run does so, it stays."""
    return host.ssh.root_login or host.user == "root"
