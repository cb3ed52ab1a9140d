"""The kinds of resources, one file each: declaration, current state, desired state, apply.

KINDS maps the name on the wire to the module, which is imported only when a catalog uses it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

    from ..system import System
    from .base import Resource

# kind -> (module, class)
KINDS = {
    "absent": ("absent", "Absent"),
    "account": ("account", "Account"),
    "authorized_key": ("authorized_key", "AuthorizedKey"),
    "packages": ("packages", "Packages"),
    "upgrade": ("packages", "Upgrade"),
    "file": ("file", "File"),
    "firewall": ("firewall", "Firewall"),
    "directory": ("directory", "Directory"),
    "drop_in": ("drop_in", "DropIn"),
    "log_file": ("log_file", "LogFile"),
    "self_signed": ("self_signed", "SelfSigned"),
    "set_aside": ("set_aside", "SetAside"),
    "symlink": ("symlink", "Symlink"),
    "user": ("user", "User"),
    "group": ("group", "Group"),
    "unit": ("unit", "Unit"),
    "git_checkout": ("git_checkout", "GitCheckout"),
    "virtual_environment": ("virtual_environment", "VirtualEnvironment"),
    "calendar": ("calendar", "Calendar"),
    "certificate": ("certificate", "Certificate"),
    "command": ("command", "Command"),
    "timezone": ("timezone", "Timezone"),
    "locale": ("locale", "Locale"),
    "host_key": ("host_key", "HostKey"),
    "login_group": ("login_group", "LoginGroup"),
    "moduli": ("moduli", "Moduli"),
    "sshd": ("sshd", "Sshd"),
    "ssh_key": ("ssh_key", "SshKey"),
    "sysctl": ("sysctl", "Sysctl"),
    "tightened": ("tightened", "Tightened"),
    "swap": ("swap", "Swap"),
    "hostname": ("hostname", "Hostname"),
}


def from_wire(fields: Mapping[str, Any]) -> Resource:
    """The resource of a JSON object.

    Raises:
        ValueError: unknown kind or fields.
    """
    from importlib import import_module

    values = dict(fields)
    kind = values.pop("kind", "")
    if kind not in KINDS:
        raise ValueError("unknown kind of resource: %r" % kind)
    module, name = KINDS[kind]
    cls = getattr(import_module("." + module, __name__), name)
    try:
        resource: Resource = cls(**values)
    except TypeError as error:
        raise ValueError("%s: %s" % (kind, error)) from error
    return resource


def withdraw(kind: str, system: System, name: str) -> str:
    """Take back a resource that is no longer wanted; returns what stays, empty for nothing.

    Raises:
        CommandFailed, OSError
    """
    from importlib import import_module

    module, cls = KINDS[kind]
    left: str = getattr(import_module("." + module, __name__), cls).withdraw(system, name)
    return left
