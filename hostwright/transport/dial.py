"""Connecting and logging in, through jump hosts where need be, by way of fabric."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hostwright.errors import ProtocolError
from hostwright.transport.bundle import agent
from hostwright.transport.hostkeys import TYPES, HostKeys, WrongKeyType
from hostwright.transport.keys import Keys, Passphrases, check
from hostwright.transport.ssh_config import Target
from hostwright.transport.tcp import Tcp

if TYPE_CHECKING:
    from fabric import Connection
    from paramiko import Channel

    from hostwright.transport.login import Login
    from hostwright.transport.tuned import TunedTransport

LOGIN_TIMEOUT = 30.0  # seconds: PAM and name lookups of the server take their time
SESSION_TIMEOUT = 30.0


@dataclass
class Link:
    """A login that worked.

    Attributes:
        target: where, and who.
        connection: fabric's, open.
        session: a session that is open already and not used yet.
        public_key: of the key that was accepted, as in authorized_keys.
        closing: closes all that belongs to it, jump hosts last.
    """

    target: Target
    connection: Connection
    session: Channel | None
    public_key: str
    closing: contextlib.ExitStack

    @property
    def transport(self) -> TunedTransport:
        """The SSH connection."""
        return self.connection.transport  # type: ignore[no-any-return]


class Dialer:
    """Makes connections, through jump hosts where need be. Arguments as for `connect`."""

    def __init__(self, say: Callable[[str], None], known_hosts: Path | None, passphrase: Passphrases) -> None:
        self._say = say
        self._known_hosts = known_hosts
        self._passphrase = passphrase

    def dial(self, target: Target) -> Link:
        """Connect and log in, the fast way if possible.

        Raises:
            TransportError
        """
        check(target.identity_files if target.identity_strict else (), target.name)
        direct = target.via is None and target.proxy_command is None
        tcp = Tcp(target) if direct else None
        try:
            return self._dial_until_it_works(target, tcp)
        finally:
            if tcp:
                tcp.close()

    def _dial_until_it_works(self, target: Target, tcp: Tcp | None) -> Link:
        from hostwright.transport.login import Surprise

        fast = target.via is None and target.proxy_command is None and not target.jump
        wrong: WrongKeyType | None = None
        without: set[str] = set()  # host key types that are not the pinned fingerprint's
        while True:
            try:
                first, tcp = tcp, None
                return self._dial(target, fast, without, first)
            except Surprise:
                fast = False
            except WrongKeyType as caught:
                wrong = caught
                without.add(caught.key.type)
            except ProtocolError:
                if wrong is None:
                    raise
                raise wrong.error from None  # the server has no key of the types that are left
            if wrong and without >= set(TYPES):
                raise wrong.error

    def _dial(self, target: Target, fast: bool, without: set[str], tcp: Tcp | None) -> Link:
        from hostwright.transport.agent import Agent
        from hostwright.transport.login import Login

        with contextlib.ExitStack() as stack:
            with contextlib.closing(Agent(target.identity_agent)) as agent:
                keys = Keys(
                    target.identity_files,
                    agent,
                    self._passphrase,
                    strict=target.identity_strict,
                    agent_too=not target.identities_only,
                    host=target.name,
                )
                gateway = None
                if target.via:
                    link = self.dial(target.via)
                    link.transport.channel_timeout = target.timeout
                    stack.callback(link.closing.close)
                    gateway = link.connection
                login = Login(target, keys, fast)
                connection = self._connection(target, gateway, login, without, stack, tcp)
            public_key = login.tried[-1].line if login.tried else ""
            return Link(target, connection, login.session, public_key, stack.pop_all())

    def _connection(
        self,
        target: Target,
        gateway: Connection | None,
        login: Login,
        without: set[str],
        stack: contextlib.ExitStack,
        tcp: Tcp | None,
    ) -> Connection:
        """A fabric.Connection that is open. `stack` closes it."""
        import fabric
        from paramiko import SSHConfig

        made: list[TunedTransport] = []

        def transport(connection: socket.socket | Channel, disabled_algorithms: None) -> TunedTransport:
            made.append(self._transport(target, connection, without))
            stack.callback(made[-1].end)
            return made[-1]

        options: dict[str, Any] = {
            "timeout": target.timeout,
            "auth_timeout": LOGIN_TIMEOUT,
            "channel_timeout": SESSION_TIMEOUT,
            "transport_factory": transport,
            "auth_strategy": login,
        }
        if target.proxy_command:
            options["sock"] = _proxy(target.proxy_command, stack)
        elif gateway is None:
            options["sock"] = (tcp or Tcp(target)).take()
            stack.callback(options["sock"].close)
        connection = fabric.Connection(
            target.address,
            user=target.user,
            port=target.port,
            gateway=gateway,
            config=fabric.Config(ssh_config=SSHConfig(), lazy=True),
            connect_kwargs=options,
        )
        with _explained(target, made):
            connection.open()
        return connection

    def _transport(
        self, target: Target, connection: socket.socket | Channel, without: set[str]
    ) -> TunedTransport:
        """One that checks the host key; types that are not `without` are asked for in the order of HostKeys."""
        from hostwright.transport.tuned import TunedTransport

        keys = HostKeys(
            target.host_key_alias or target.address,
            22 if target.host_key_alias else target.port,  # an alias stands for both, as in ssh
            pin=target.pin,
            say=self._say,
            file=self._known_hosts,
            label=target.name,
        )
        if keys.new:
            agent().expect()
        types = tuple(name for name in keys.types if name not in without)
        return TunedTransport(connection, check=keys.check, key_types=types)


def _proxy(command: str, stack: contextlib.ExitStack) -> socket.socket:
    """ssh_config's ProxyCommand: run by the shell, by its definition, with a socket for stdin and stdout."""
    ours, theirs = socket.socketpair()
    stack.callback(ours.close)
    with theirs:
        there = theirs.fileno()
        process = subprocess.Popen(("/bin/sh", "-c", f"exec {command}"), stdin=there, stdout=there)

    def end_process() -> None:
        process.kill()
        process.wait()

    stack.callback(end_process)
    return ours


@contextlib.contextmanager
def _explained(target: Target, made: Sequence[TunedTransport]) -> Iterator[None]:
    """Turns what paramiko and the system raise into our errors."""
    from paramiko.ssh_exception import SSHException

    from hostwright.transport import failures

    try:
        yield
    except (SSHException, EOFError, OSError) as error:
        if target.via and not made:
            raise failures.beyond_jump(target, error) from error
        raise failures.greeting(target, made[-1] if made else None, error) from error
