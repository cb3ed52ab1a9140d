"""SSH: log in to a server and run commands there. fabric and paramiko are imported when they are needed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hostwright.errors import ConnectionLost
from hostwright.transport.channel import SshChannel
from hostwright.transport.dial import SESSION_TIMEOUT, Dialer, Link
from hostwright.transport.keys import Passphrases
from hostwright.transport.ssh_config import resolve

if TYPE_CHECKING:
    from paramiko import Channel

    from hostwright.inventory import Host, Secret

Say = Callable[[str], None]


def connect(
    host: Host,
    *,
    say: Say,
    password: Callable[[], Secret] | None = None,
    known_hosts: Path | None = None,
    passphrase: Passphrases | None = None,
    jump: Host | None = None,
) -> SshTransport:
    """Log in to a server.

    Args:
        host: where, and as whom; ~/.ssh/config completes it.
        say: told what the user should know, e.g. the fingerprint at a first contact.
        password: sudo's password; called at most once, and only if sudo asks for one.
        known_hosts: file instead of ~/.ssh/known_hosts.
        passphrase: asks for the passphrases of keys; share one between hosts, so that each is asked for once.
        jump: the host of the inventory that `host.jump` names, if it names one.

    Raises:
        UsageError: ssh_config is wrong.
        TransportError: HostNotFound, HostUnreachable, HostKeyMismatch, AuthenticationFailed or ProtocolError.
    """
    # paramiko logs what it also raises; without a handler it would land on the terminal
    logging.getLogger("paramiko").addHandler(logging.NullHandler())
    target = resolve(host, jump=jump)
    dialer = Dialer(say, known_hosts, passphrase or Passphrases())
    return SshTransport(dialer.dial(target), password)


class SshTransport:
    """Commands on one server over one connection. See hostwright.transport.base.Transport.

    Args:
        link: the login.
        password: sudo's password; called at most once.

    Attributes:
        name: what the inventory calls the server.
        user: who is logged in.
    """

    def __init__(self, link: Link, password: Callable[[], Secret] | None = None) -> None:
        self._link = link
        self._ask = password
        self._password: Secret | None = None
        self._lock = threading.Lock()
        self.name = link.target.name
        self.user = link.target.user

    @property
    def label(self) -> str:
        """`ubuntu@203.0.113.10:22`."""
        return self._link.target.label

    @property
    def public_key(self) -> str:
        """The key that logged in, as a line of authorized_keys."""
        return self._link.public_key

    def open(
        self,
        argv: Sequence[str],
        *,
        root: bool = True,
        forward_agent: bool = False,
        patience: float | None = None,
    ) -> SshChannel:
        """Start a command; see Transport.open.

        Args:
            argv: the command.
            root: through sudo, unless root is logged in.
            forward_agent: the command may use this machine's ssh agent (for git over ssh).
            patience: seconds until our agent must have said something; None: any command, any time.
        """
        return SshChannel(self, argv, root=root, keep_agent=forward_agent, patience=patience)

    def start(self, command: str, *, forward_agent: bool = False) -> Channel:
        """A session in which the login shell runs `command`; does not wait for it.

        Raises:
            ConnectionLost: the connection is gone.
            ProtocolError: the server opens no more sessions.
        """
        from paramiko.ssh_exception import SSHException

        from hostwright.transport import failures
        from hostwright.transport.agent import Forwarding

        transport = self._link.transport
        try:
            with self._lock:
                channel, self._link.session = self._link.session, None
            channel = channel or transport.open_session(timeout=SESSION_TIMEOUT)
            if forward_agent:
                channel.request_forward_agent(Forwarding(self._link.target.identity_agent).accept)
            transport.start_command(channel, command)
        except (SSHException, EOFError, OSError) as error:
            if self.alive:
                raise failures.session(self._link.target, error) from error
            lost = f"connection lost: {self.reason}"
            raise ConnectionLost(lost, host=self.name, hint="Try again.") from error
        return channel

    @property
    def alive(self) -> bool:
        """Whether the connection stands, as far as is known."""
        return self._link.transport.is_active()

    @property
    def reason(self) -> str:
        """Why it does not."""
        transport = self._link.transport
        error = transport.saved_exception
        if transport.disconnected:
            return transport.disconnected
        if isinstance(error, OSError):
            return (error.strerror or str(error)).lower()
        return "the server closed it" if error is None or isinstance(error, EOFError) else str(error)

    @property
    def silence(self) -> float:
        """Seconds since anything came from the server."""
        return time.monotonic() - self._link.transport.line.heard

    def knock(self) -> None:
        """Ask the server for a sign of life."""
        self._link.transport.knock()

    def sudo_password(self) -> Secret | None:
        """sudo's password, if there is one to be had."""
        with self._lock:
            if self._password is None and self._ask:
                self._password = self._ask()
            return self._password

    def close(self) -> None:
        """Log out; see Transport.close. May be called twice."""
        self._link.closing.close()
