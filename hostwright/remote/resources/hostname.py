"""What the server calls itself: hostname(5), hosts(5), and the kernel."""

from __future__ import annotations

from .base import Resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from ..system import System
    from .base import Change, Context, State

FILE = "/etc/hostname"
HOSTS = "/etc/hosts"
KERNEL = "/proc/sys/kernel/hostname"
# Debian's address for the own name: it is found without a network
OWN = "127.0.1.1"
TIMEOUT = 30.0


class Hostname(Resource):
    """`name` is the name, with or without its domain. A host has one."""

    kind = "hostname"
    exclusive = True

    @property
    def id(self) -> str:
        """One for the host, so that two projects cannot want two names."""
        return "hostname:host"

    def desired(self, system: System) -> State:
        return {"name": self.name, "in force": self.name, "found by": HOSTS}

    def read(self, system: System) -> State:
        names = {name for _, names in hosts(system.read(HOSTS) or b"") for name in names}
        return {
            "name": _text(system, FILE),
            "in force": _text(system, KERNEL),
            "found by": HOSTS if {self.name, self.name.partition(".")[0]} <= names else None,
        }

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        wrong = {change.attribute for change in changes}
        # sudo looks its host up: before the name is another one
        if "found by" in wrong:
            system.write_atomic(HOSTS, self._hosts(system.read(HOSTS) or b""), mode=0o644)
        if not wrong & {"name", "in force"}:
            return
        # hostnamectl tells the running programs too; it needs D-Bus, which minimal images lack
        if system.which("hostnamectl"):
            system.run(("hostnamectl", "set-hostname", self.name), timeout=TIMEOUT, check=False)
        if _text(system, FILE) != self.name:
            system.write_atomic(FILE, self.name.encode() + b"\n", mode=0o644)
        if _text(system, KERNEL) != self.name:
            system.tell(KERNEL, self.name.encode() + b"\n")

    def _hosts(self, content: bytes) -> bytes:
        """The file with a line for our name; the line for the own address is replaced, others stay."""
        short = self.name.partition(".")[0]
        line = "%s\t%s" % (OWN, " ".join(dict.fromkeys((self.name, short))))
        lines = content.decode("utf-8", "replace").splitlines()
        kept = [one for one in lines if one.split()[:1] != [OWN]]
        at = next((i + 1 for i, one in enumerate(kept) if one.split()[:1] == ["127.0.0.1"]), 0)
        return ("\n".join([*kept[:at], line, *kept[at:]]) + "\n").encode()


def hosts(content: bytes) -> list[tuple[str, list[str]]]:
    """(address, names) of each line of hosts(5)."""
    lines = [line.partition("#")[0].split() for line in content.decode("utf-8", "replace").splitlines()]
    return [(words[0], words[1:]) for words in lines if words]


def _text(system: System, path: str) -> str:
    return (system.read(path) or b"").decode("utf-8", "replace").strip()
