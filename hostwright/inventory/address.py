"""`[user@]address[:port]`, as on a command line; IPv6 as `::1` or `[::1]:22`."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from hostwright.errors import UsageError

USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\Z")
LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\Z")  # ssh_config aliases use underscores


class Address(NamedTuple):
    """Where a server is reached; `user` and `port` are None when not given."""

    host: str
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        if self.port is None:
            return f"{user}{self.host}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{user}{host}:{self.port}"


def is_ip(text: str) -> bool:
    """Whether `text` is an IPv4 or IPv6 address, the latter with or without a zone (`fe80::1%eth0`)."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    # ipaddress takes anything after %, we only what can be an interface's name
    zone = text.partition("%")[2] if "%" in text else "eth0"
    return re.fullmatch(r"[A-Za-z0-9_.-]{1,15}", zone) is not None


def is_host(text: str) -> bool:
    """Whether `text` can be the name (or the alias in ssh_config) or the IP address of a server."""
    if is_ip(text):
        return True
    labels = text.removesuffix(".").split(".")
    # 203.0.113 and 256.1.1.1 are mistyped addresses, not names
    return len(text) <= 253 and all(map(LABEL.match, labels)) and not labels[-1].isdecimal()


def same_host(one: str, other: str) -> bool:
    """Whether two names or addresses are written differently but mean the same, without asking DNS."""
    if is_ip(one) and is_ip(other):
        return ipaddress.ip_address(one) == ipaddress.ip_address(other)
    return one.rstrip(".").lower() == other.rstrip(".").lower()


def parse_address(text: str) -> Address:
    """Read `[user@]address[:port]`.

    Raises:
        UsageError: the text is not of that form; the message says which part.
    """
    user, at, rest = text.rpartition("@")
    if at and not USER.match(user):
        raise UsageError(f'"{text}": "{user}" cannot be a user name')
    host, port = _split_port(text, rest)
    if not is_host(host):
        raise UsageError(f'"{text}": "{host}" is neither a host name nor an IP address')
    return Address(host, user if at else None, port)


def _split_port(text: str, rest: str) -> tuple[str, int | None]:
    """Take `:port` off; the colons of a bare IPv6 address are not one."""
    if is_ip(rest):
        return rest, None
    if rest.startswith("["):
        host, closed, tail = rest[1:].partition("]")
        if not closed or (tail and not tail.startswith(":")) or ":" not in host:
            raise UsageError(f'"{text}": write an IPv6 address with a port as [::1]:22')
        return host, _port(text, tail[1:]) if tail else None
    host, colon, tail = rest.partition(":")
    if ":" in tail:
        raise UsageError(f'"{text}": write an IPv6 address with a port as [::1]:22')
    return host, _port(text, tail) if colon else None


def _port(text: str, digits: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", digits) or not 1 <= int(digits) <= 65535:
        raise UsageError(f'"{text}": the port must be an integer from 1 to 65535, got "{digits}"')
    return int(digits)
