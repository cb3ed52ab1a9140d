"""How a run gets into a host: the inventory's user, or the bootstrap user while that one cannot log in."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from hostwright.errors import AuthenticationFailed, HostUnreachable, SudoFailed
from hostwright.inventory import FromEnv, Host, Inventory, Secret
from hostwright.transport.base import Transport
from hostwright.transport.keys import Passphrases
from hostwright.transport.prompt import Prompt

Say = Callable[[str, str], None]


@dataclass
class Logins:
    """Opens connections to hosts.

    Args:
        say: takes (host name, line) for people: a first contact's fingerprint.
        inventory: knows the hosts that others are reached through.
        environ: where `sudo_password: {from_env: NAME}` is read.
        known_hosts: instead of ~/.ssh/known_hosts.
        pause: holds the output still while a question is asked.
    """

    say: Say
    inventory: Inventory
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    known_hosts: Path | None = None
    pause: Callable[[], AbstractContextManager[None]] = nullcontext
    # hosts where the bootstrap user had to be used
    bootstrapped: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._prompt = Prompt(self.pause)
        # asks for each key's passphrase once, however many hosts want it
        self._passphrases = Passphrases(self._prompt)
        # sudo's passwords by host and user: a command may log in more than once
        self._passwords: dict[tuple[str, str], Secret] = {}

    def connect(self, host: Host) -> Transport:
        """A connection as the host's user; as its bootstrap user where that one cannot log in.

        Where nothing answers at its port, the bootstrap port is tried.

        Raises:
            TransportError
        """
        try:
            return self._as_somebody(host)
        except HostUnreachable:
            if not host.bootstrap_port or host.bootstrap_port == host.port:
                raise
            first = sys.exc_info()[1]
        there = host.model_copy(update={"port": host.bootstrap_port})
        there.__pydantic_fields_set__.add("port")
        try:
            transport = self._as_somebody(there)
        except HostUnreachable as error:
            assert isinstance(first, HostUnreachable)
            raise HostUnreachable(
                f"{first.message}; nor does the bootstrap_port help: {error.message}",
                host=host.name,
                evidence=(*first.evidence, *error.evidence),
                hint=error.hint or first.hint,
            ) from error
        self.say(host.name, f"port {host.port} does not answer yet: using {host.bootstrap_port} this once")
        return transport

    def _as_somebody(self, host: Host) -> Transport:
        try:
            return self._connect(host)
        except AuthenticationFailed:
            if not host.bootstrap_user or host.bootstrap_user == host.user:
                raise
        self.say(host.name, f"{host.user} cannot log in yet: using {host.bootstrap_user} this once")
        transport = self._connect(host.model_copy(update={"user": host.bootstrap_user}))
        self.bootstrapped.add(host.name)
        return transport

    def _connect(self, host: Host) -> Transport:
        from hostwright.transport.ssh import connect

        return connect(
            host,
            say=lambda line: self.say(host.name, line),
            password=(lambda: self._password(host)) if host.sudo_password else None,
            known_hosts=self.known_hosts,
            passphrase=self._passphrases,
            jump=self.inventory.jump_host(host),
        )

    def learn(self, host: Host, keys: Sequence[str]) -> None:
        """Take the host keys of a server that has proven by another one who it is; see hostkeys.learn.

        Args:
            keys: as in known_hosts, without the name: "ssh-ed25519 AAAA...".
        """
        from hostwright.transport.hostkeys import learn
        from hostwright.transport.ssh_config import resolve

        target = resolve(host, jump=self.inventory.jump_host(host))
        if target.pin is None:
            port = 22 if target.host_key_alias else target.port
            learn(target.host_key_alias or target.address, port, keys, self.known_hosts)

    def _password(self, host: Host) -> Secret:
        """The sudo password: from the environment, or asked for, one host after another."""
        source = host.sudo_password
        if isinstance(source, FromEnv):
            value = self.environ.get(source.from_env)
            if value is None:
                raise SudoFailed(
                    f"the sudo password is to come from {source.from_env}, which is not set",
                    host=host.name,
                    hint=f"{source.from_env}=... inv ...",
                )
            return Secret(value)
        if not sys.stdin.isatty():
            raise SudoFailed(
                f"sudo needs the password of {host.user}, and there is no terminal to ask on",
                host=host.name,
                hint="In the inventory: sudo_password: {from_env: SUDO_PASSWORD}",
            )
        known = (host.name, host.user)
        if known not in self._passwords:
            question = f"sudo password of {host.user} on {host.name}: "
            self._passwords[known] = Secret(self._prompt(question))
        return self._passwords[known]
