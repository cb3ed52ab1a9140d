"""One port that is open, as text: `8443/tcp`, `60000-61000/udp`, `5432/tcp from 10.0.0.0/8 2001:db8::/32`.

Imported by the controller too: it travels as text, and it is what people read.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Sequence


class Rule:
    """Who may reach a port.

    Args:
        port: with its protocol: `8443/tcp`; a range is `60000-61000/udp`.
        sources: IP addresses and networks; empty: everybody.
    """

    def __init__(self, port: str, sources: Iterable[str] = ()) -> None:
        self.port, _, self.protocol = port.partition("/")
        self.sources = tuple(sorted(sources))

    @staticmethod
    def parse(text: str) -> Rule:
        """The rule of a text."""
        port, _, sources = text.partition(" from ")
        return Rule(port, sources.split())

    def __str__(self) -> str:
        port = "%s/%s" % (self.port, self.protocol)
        return "%s from %s" % (port, " ".join(self.sources)) if self.sources else port

    @property
    def ends(self) -> tuple[int, int]:
        """The first and the last port."""
        first, _, last = self.port.partition("-")
        return int(first), int(last or first)

    def covers(self, port: int, protocol: str) -> bool:
        """Is this port open, to somebody at least?"""
        first, last = self.ends
        return protocol == self.protocol and first <= port <= last

    @property
    def by_family(self) -> Sequence[tuple[str, tuple[str, ...]]]:
        """Sources by what nft calls their family; one `("", ())` for everybody."""
        if not self.sources:
            return [("", ())]
        six = tuple(source for source in self.sources if ":" in source)
        four = tuple(source for source in self.sources if ":" not in source)
        return [(family, found) for family, found in (("ip", four), ("ip6", six)) if found]

    def admits(self, address: str) -> bool:
        """May this IP address come in?"""
        if not self.sources:
            return True
        from ipaddress import ip_address, ip_network

        found = ip_address(address.partition("%")[0])
        found = getattr(found, "ipv4_mapped", None) or found
        return any(found in ip_network(source) for source in self.sources)


def in_order(rules: Iterable[Rule]) -> list[Rule]:
    """Each once, as people would list them: by port."""
    return sorted({str(rule): rule for rule in rules}.values(), key=lambda rule: (rule.ends, str(rule)))
