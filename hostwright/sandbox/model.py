"""What a throw-away server is to those who use one."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from ..errors import SandboxError

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
NAME_LIMIT = 40


@dataclass(frozen=True)
class Server:
    """One throw-away server as it was when asked.

    Attributes:
        name: host name, unique in its checkout.
        address: IPv4 address, reachable from this machine only.
        suite: release code name, e.g. `bookworm`.
        running: whether its init process runs (not: whether sshd answers).
        identity_file: private key, mode 0600, that opens both `users`.
        known_hosts: file with the server's host keys.
        console: file with what the server wrote on its console.
        vm: whether it is a VM with a kernel of its own, not a container.
        users: `ubuntu` has sudo without a password, `root` a key of its own; neither has a password.
    """

    name: str
    address: str
    suite: str
    running: bool
    identity_file: Path
    known_hosts: Path
    console: Path
    vm: bool = False
    users: tuple[str, ...] = ("ubuntu", "root")

    def ssh_argv(self, *command: str, user: str = "ubuntu") -> tuple[str, ...]:
        """The argv of ssh that runs `command` (quoted for the remote shell), or logs in when there is none.

        It reads no ssh_config, shares no connection and trusts only the server's own host key.
        """
        options = (
            *("-F", "none", "-S", "none", "-i", str(self.identity_file)),
            *(
                "-o",
                "IdentitiesOnly=yes",
                "-o",
                "BatchMode=yes",
                "-o",
                f"ConnectTimeout={60 if self.vm else 10}",
            ),
            *("-o", f"UserKnownHostsFile={self.known_hosts}", "-o", "GlobalKnownHostsFile=none"),
            *("-o", "StrictHostKeyChecking=yes"),
        )
        remote = (shlex.join(command),) if command else ()
        return ("ssh", *options, f"{user}@{self.address}", *remote)


def check_name(name: str) -> str:
    """`name`, or SandboxError when it cannot be a host name."""
    if len(name) > NAME_LIMIT or not NAME.fullmatch(name):
        raise SandboxError(
            f'"{name}" cannot name a server',
            hint=f"Use up to {NAME_LIMIT} lower-case letters, digits and dashes, a letter first: web1",
        )
    return name
