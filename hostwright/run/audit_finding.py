"""`inv audit`: what a finding is, and how the answer of a host is looked at."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hostwright.inventory import Host

HIGH, MEDIUM, LOW, INFO = "high", "medium", "low", "info"
SEVERITIES = (HIGH, MEDIUM, LOW, INFO)
# how much of a list is evidence; the rest is counted
SHOWN = 6


@dataclass(frozen=True)
class Finding:
    """Something that somebody should know, or do something about.

    Args:
        severity: high: somebody could get in, or to secrets, today; medium: a defence is missing; low: it could be
            better; info: for you to know.
        area: where it was looked: one of `run.audit.AREAS`.
        what: one sentence without its end.
        evidence: what was seen, a line each.
        todo: what to do: a command, or a key of the inventory; empty where there is nothing.
    """

    severity: str
    area: str
    what: str
    evidence: tuple[str, ...] = ()
    todo: str = ""


@dataclass(frozen=True)
class View:
    """How one looks at the answer of one host.

    Args:
        host: as the inventory has it.
        answer: see remote/audit/report.py.
        now: Unix seconds, by the server's clock.
        known: the inventory names this host; the advice says what to write into it.
        flags: what a command needs to mean this host: ` --host web1`, or nothing.
        users: accounts that the inventory knows.
        open_ports: (protocol, port) that the inventory opens beside SSH and the web's.
        root_login, password_login, forwarding: what the inventory allows of them.
    """

    host: Host
    answer: Mapping[str, Any]
    now: float
    flags: str = ""
    users: frozenset[str] = frozenset()
    open_ports: frozenset[tuple[str, int]] = frozenset()
    root_login: bool = False
    password_login: bool = False
    forwarding: bool = False

    def area(self, name: str) -> Mapping[str, Any]:
        """The facts of an area; nothing where it could not be looked at."""
        found: Mapping[str, Any] = self.answer[name]
        return {} if found.get("problem") and name != "firewall" else found

    def command(self, name: str) -> str:
        """A command for this host."""
        return f"inv {name}{self.flags}"

    def harden(self, part: str) -> str:
        """What switches a part of the hardening on, where the inventory does not have it already."""
        if getattr(self.host.hardening, part):
            return self.command("provision")
        return f"Write `hardening: {{{part}: true}}` into the inventory, then: {self.command('provision')}"

    @property
    def container(self) -> str:
        """What the server runs in; empty: it has a kernel of its own."""
        return str(self.answer["host"].get("container", ""))


def some(lines: Sequence[str], most: int = SHOWN) -> tuple[str, ...]:
    """The first lines, and how many more there are."""
    more = len(lines) - most
    return (*lines[:most], *([f"and {more} more"] if more > 0 else []))


def span(seconds: float) -> str:
    """A span of time, never more than it is: 64 d, 30 h, 12 min, 40 s."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(seconds, 0) // 1:.0f} s"


def day(when: float) -> str:
    """2027-01-24, UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime(when))


def many(count: int, one: str, several: str = "") -> str:
    """`1 key`, `3 keys`."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


Findings = Iterator[Finding]
