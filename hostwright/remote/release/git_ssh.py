"""How git logs in to a git server from here: with which key, and which host keys it takes."""

from __future__ import annotations

import re
import shlex

from .git import QUICK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from ..system import System
    from .layout import Layout

URL = re.compile(r"ssh://(?:[^@/]*@)?(\[[^]/]*\]|[^:/]+)(?::(\d+))?/")
SHORT = re.compile(r"(?:[^@/:]*@)?(\[[^]/]*\]|[^:/]+):(?!//)")


def server_of(url: str) -> str:
    """The git server of a URL as known_hosts names it (sshd(8)): `HOST`, or `[HOST]:PORT`; "" when it is not ssh."""
    found = URL.match(url) or SHORT.match(url)
    if not found:
        return ""
    host = found.group(1).strip("[]").lower()
    port = found.group(2) if found.re is URL else None
    return "[%s]:%s" % (host, port) if port and port != "22" else host


def command(
    system: System, layout: Layout, url: str, published: Sequence[str], state: str, *, agent: bool
) -> str:
    """GIT_SSH_COMMAND, which git gives to a shell: every word is quoted.

    Args:
        published: known_hosts lines of a server that tells its host keys in public; no other is taken.
        state: /var/lib/hostwright: where host keys are kept.
        agent: whether keys of a forwarded agent may be shown to the git server.
    """
    words = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=15"]
    for option in _host_keys(system, server_of(url), published, state):
        words += ["-o", option]
    if system.exists(layout.deploy_key):
        words += ["-i", layout.deploy_key]
        # no other key of root's is shown to the git server
        words += [] if agent else ["-o", "IdentitiesOnly=yes"]
    return " ".join(shlex.quote(word) for word in words)


def _host_keys(system: System, server: str, published: Sequence[str], state: str) -> tuple[str, ...]:
    """ssh_config(5). A first contact is recorded, a changed key refused, as for the servers we manage.

    For a server that is known, `accept-new` is not enough: it takes a key of a type not seen before as new.
    """
    if published:
        path = state + "/git_published_hosts"
        system.write_atomic(path, "".join(line + "\n" for line in published).encode(), mode=0o600)
        return "StrictHostKeyChecking=yes", "UserKnownHostsFile=" + path
    path = state + "/git_known_hosts"
    argv = ("ssh-keygen", "-F", server, "-f", path)
    known = bool(server) and system.run(argv, timeout=QUICK, check=False, read_only=True).ok
    strict = "yes" if known else "accept-new"
    return "StrictHostKeyChecking=" + strict, "UserKnownHostsFile=" + path
