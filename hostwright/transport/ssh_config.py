"""Where a server is and who logs in: the inventory's host, completed from ~/.ssh/config.

The inventory wins where it says something; its address may be an alias of ssh_config. Honoured are
HostName, User, Port, IdentityFile, IdentitiesOnly, IdentityAgent, HostKeyAlias, ProxyJump and ProxyCommand,
with Include and Match (then ssh itself is asked: `ssh -G`).
"""

from __future__ import annotations

import getpass
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hostwright.errors import UsageError

if TYPE_CHECKING:
    from hostwright.inventory import Host

PORT = 22
TIMEOUT = 10.0
MAX_JUMPS = 8
NEEDS_SSH = re.compile(r"^\s*(include|match)\b", re.IGNORECASE | re.MULTILINE)

# lower-case keyword -> its values; only IdentityFile has several
Options = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Target:
    """One login: everything there is to know before connecting.

    Attributes:
        name: what the user calls it; in errors.
        address: name or IP address to connect to.
        port: where sshd listens.
        user: who logs in.
        timeout: seconds for each of connecting, greeting and key exchange.
        identity_files: private keys to use; empty means the usual ones.
        identity_strict: the inventory names the key, so it must be usable.
        identities_only: do not try keys of the agent that no file names.
        identity_agent: socket of the agent; None means SSH_AUTH_SOCK, "none" that there is none.
        host_key_alias: the name in known_hosts, if it is not made of address and port.
        pin: the only host key to accept.
        proxy_command: program whose stdin and stdout are the connection.
        via: the jump host.
        jump: this is one.
    """

    name: str
    address: str
    port: int
    user: str
    timeout: float
    identity_files: tuple[Path, ...] = ()
    identity_strict: bool = False
    identities_only: bool = False
    identity_agent: str | None = None
    host_key_alias: str | None = None
    pin: str | None = None
    proxy_command: str | None = None
    via: Target | None = None
    jump: bool = False

    @property
    def place(self) -> str:
        """`203.0.113.10:22`, `[2001:db8::1]:22`."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def label(self) -> str:
        """`ubuntu@203.0.113.10:22`."""
        return f"{self.user}@{self.place}"

    @property
    def called(self) -> str:
        """For errors: `jump host 203.0.113.9:22` or the place alone."""
        return f"jump host {self.place}" if self.jump else self.place


def read_options(alias: str, config: Path | None = None) -> Options:
    """What ssh_config says about a host.

    Args:
        alias: the address as the inventory has it.
        config: the file; default ~/.ssh/config. The machine's own file is not read.

    Raises:
        UsageError: the file is wrong.
    """
    file = config or Path.home() / ".ssh" / "config"
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    if NEEDS_SSH.search(text):
        return _ask_ssh(alias, file)
    from paramiko.config import SSHConfig
    from paramiko.ssh_exception import SSHException

    try:
        found = SSHConfig.from_text(text).lookup(alias)
    except SSHException as error:
        raise UsageError(f"{file}: {error}") from error
    return {key: tuple([value] if isinstance(value, str) else value) for key, value in found.items() if value}


def _ask_ssh(alias: str, file: Path) -> Options:
    argv = ("ssh", "-F", str(file), "-T", "-G", "--", alias)
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=TIMEOUT, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(
            f"{file} uses Include or Match, which only ssh understands, and `ssh -G` cannot be run: {error}",
            hint="Install the OpenSSH client, or write the options into inventory.yaml.",
        ) from error
    if done.returncode != 0:
        raise UsageError(f"{file}: ssh does not accept it", evidence=done.stderr.splitlines()[-5:])
    options: dict[str, tuple[str, ...]] = {}
    for line in done.stdout.splitlines():
        key, _, value = line.partition(" ")
        options[key] = (*options.get(key, ()), value)
    return _without_defaults(options)


def _without_defaults(options: dict[str, tuple[str, ...]]) -> Options:
    """`ssh -G` prints defaults too, as if somebody had written them."""
    files = options.get("identityfile", ())
    # the defaults come as a list of one file for each type
    if len(files) > 3 and all(re.fullmatch(r"~/\.ssh/id_[a-z0-9_]+", name) for name in files):
        del options["identityfile"]
    if options.get("user") == (getpass.getuser(),):
        del options["user"]
    return options


def resolve(host: Host, *, jump: Host | None = None, config: Path | None = None) -> Target:
    """Complete a host of the inventory from ssh_config.

    Args:
        host: the server.
        jump: the host of the inventory that `host.jump` names; None when it names an address or an alias.
        config: instead of ~/.ssh/config.

    Raises:
        UsageError: ssh_config is wrong, or its jump hosts go round in a circle.
    """
    options = read_options(host.address, config)
    said = host.model_fields_set
    target = _target(
        host.address,
        options,
        name=host.name,
        user=host.user if "user" in said else _one(options, "user") or host.user,
        port=host.port if "port" in said else None,
        timeout=host.connect_timeout,
        identity=(host.identity_file,) if host.identity_file else (),
        pin=host.host_key,
    )
    if jump:
        via = resolve(jump, config=config)
        return replace(
            target, proxy_command=None, via=_same_key(replace(via, name=host.name, jump=True), target)
        )
    return _jumped(target, host.jump or _one(options, "proxyjump"), config, MAX_JUMPS)


def _one(options: Options, key: str) -> str | None:
    return options[key][0] if options.get(key) else None


def _target(
    address: str,
    options: Options,
    *,
    name: str,
    user: str,
    port: int | None,
    timeout: float,
    identity: tuple[Path, ...],
    pin: str | None,
) -> Target:
    real = (_one(options, "hostname") or address).replace("%h", address)
    number = port or int(_one(options, "port") or PORT)
    tokens = {"%": "%", "h": real, "n": address, "p": str(number), "r": user, "u": getpass.getuser()}
    tokens["d"] = str(Path.home())
    command = _one(options, "proxycommand")
    files = tuple(Path(_expand(value, tokens)).expanduser() for value in options.get("identityfile", ()))
    agent = _one(options, "identityagent")
    return Target(
        name=name,
        address=real,
        port=number,
        user=user,
        timeout=timeout,
        host_key_alias=_one(options, "hostkeyalias"),
        identity_files=identity or files,
        identity_strict=bool(identity),
        identities_only=_one(options, "identitiesonly") == "yes",
        identity_agent=None if agent in (None, "SSH_AUTH_SOCK") else agent,
        pin=pin,
        proxy_command=_expand(command, tokens) if command and command != "none" else None,
    )


def _expand(text: str, tokens: Mapping[str, str]) -> str:
    """TOKENS of ssh_config(5); unknown ones stay as they are."""
    return re.sub(r"%(.)", lambda match: tokens.get(match[1], match[0]), text)


def _jumped(target: Target, jumps: str | None, config: Path | None, left: int) -> Target:
    """`target` reached through `jumps`: `[user@]host[:port]`, with commas in the order of the way."""
    hops = [hop.strip() for hop in (jumps or "").split(",") if hop.strip() and hop.strip() != "none"]
    if not hops:
        return target
    if left < len(hops):
        raise UsageError(f"{target.name}: the jump hosts go round in a circle: {jumps}")
    *before, last = hops
    user, port, address = _hop(last)
    options = read_options(address, config)
    via = _target(
        address,
        options,
        name=target.name,
        user=user or _one(options, "user") or target.user,
        port=port,
        timeout=target.timeout,
        identity=(),
        pin=None,
    )
    via = _same_key(replace(via, jump=True), target)
    further = ",".join(before) or _one(options, "proxyjump")
    return replace(target, proxy_command=None, via=_jumped(via, further, config, left - 1))


def _same_key(via: Target, target: Target) -> Target:
    """The same key opens the jump host too, unless something says which one does."""
    if not via.identity_files:
        via = replace(via, identity_files=target.identity_files, identity_strict=target.identity_strict)
    return replace(via, identity_agent=via.identity_agent or target.identity_agent)


def _hop(text: str) -> tuple[str | None, int | None, str]:
    from hostwright.inventory.address import parse_address

    parsed = parse_address(text.removeprefix("ssh://"))
    return parsed.user, parsed.port, parsed.host
