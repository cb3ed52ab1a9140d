"""The nftables file: our own table, replaced in one transaction; nobody else's is touched. Pure."""

from __future__ import annotations

from .paths import TABLE
from .rule import in_order

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Mapping, Optional, Sequence

    from .rule import Rule

    # name of a chain -> (policy, number of its rules); None: a chain that only others jump to
    Shape = Mapping[str, tuple[Optional[str], int]]

HEAD = """\
#!/usr/sbin/nft -f
# Managed by hostwright, from `firewall:` in inventory.yaml; what is changed here is put back. Own rules belong into
# another table: nobody else's is touched. Load it: systemctl reload hostwright-firewall
"""
OPEN, OUTSIDE = "# open: ", "# outside: "
ICMP = "destination-unreachable, echo-request, time-exceeded, parameter-problem"
# RFC 4890, section 4.4: IPv6 finds neighbours, routers and packet sizes by these
ICMPV6 = (
    "destination-unreachable, packet-too-big, time-exceeded, parameter-problem, echo-request, echo-reply, "
    "mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report, nd-router-solicit, "
    "nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, nd-redirect, ind-neighbor-solicit, ind-neighbor-advert"
)
# what is open anyway: answers, this server itself, errors and neighbours, a lease of DHCP
ANYWAY = (
    "ct state established,related accept",
    'iif "lo" accept',
    "icmp type { %s } accept" % ICMP,
    "icmpv6 type { %s } accept" % ICMPV6,
    "ct state invalid drop",
    "udp sport 67 udp dport 68 accept",
    "ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept",
)
LAST = (
    "tcp flags & syn == 0 tcp dport @settling accept",
    "meta pkttype { broadcast, multicast } drop",
    'limit rate 3/minute burst 10 packets log prefix "hostwright drop: " level info',
)
SETTLING = """\
	# filled for an hour by the first load: connections from before are known by none of their packets yet
	set settling {
		type inet_service
		flags interval, timeout
	}
"""
SETTLE = ("nft", "add", "element", "inet", TABLE, "settling", "{ 1-65535 timeout 1h }")


class Ruleset:
    """What the table holds.

    Args:
        rules: what is open.
        outside: names of the interfaces that strangers come in by.
        filters: keep out what is not open; else only what containers publish is kept in, and somebody else filters.
    """

    def __init__(self, rules: Iterable[Rule], outside: Sequence[str], *, filters: bool) -> None:
        self.rules = in_order(rules)
        self.outside = tuple(outside)
        self.filters = filters

    @property
    def _chains(self) -> list[tuple[str, str, Optional[str], list[str]]]:
        """(name, first line, policy, rules) of each."""
        chains: list[tuple[str, str, Optional[str], list[str]]] = []
        if self.filters:
            head = "type filter hook input priority filter; policy drop;"
            own = [line for rule in self.rules for line in _input(rule)]
            chains.append(("input", head, "drop", [*ANYWAY, *own, *LAST]))
        if self.outside:
            names = ", ".join('"%s"' % name for name in self.outside)
            head = "type filter hook forward priority filter - 1; policy accept;"
            jump = "iifname { %s } ct state new ct status dnat jump published" % names
            own = [line for rule in self.rules for line in _published(rule)]
            chains.append(("published", "", None, [*own, "drop"]))
            chains.append(("forward", head, "accept", [jump]))
        return chains

    @property
    def shape(self) -> Shape:
        """How the table looks in the kernel when it is as it should be."""
        return {name: (policy, len(rules)) for name, _, policy, rules in self._chains}

    @property
    def text(self) -> str:
        """The file."""
        lines = [HEAD.rstrip("\n")]
        lines += [OPEN + str(rule) for rule in self.rules]
        lines += [OUTSIDE + name for name in self.outside]
        # made first, so that it is there to be deleted; all of it is one transaction
        lines += ["table inet %s" % TABLE, "delete table inet %s" % TABLE, "table inet %s {" % TABLE]
        if self.filters:
            lines.append(SETTLING.rstrip("\n"))
        for name, head, _, rules in self._chains:
            lines.append("\tchain %s {" % name)
            lines += ["\t\t" + line for line in ([head] if head else []) + rules]
            lines.append("\t}")
        return "\n".join([*lines, "}", ""])


def read(text: str) -> tuple[list[str], list[str]]:
    """(what is open, the outside interfaces) of a file of ours."""
    lines = text.splitlines()
    found = [[line[len(mark) :] for line in lines if line.startswith(mark)] for mark in (OPEN, OUTSIDE)]
    return found[0], found[1]


def _saddr(family: str, sources: Sequence[str]) -> str:
    return "%s saddr { %s } " % (family, ", ".join(sources)) if family else ""


def _input(rule: Rule) -> list[str]:
    return [
        "%s%s dport %s accept" % (_saddr(family, sources), rule.protocol, rule.port)
        for family, sources in rule.by_family
    ]


def _published(rule: Rule) -> list[str]:
    """By the port that was asked for: by now the packet has that of the container."""
    return [
        "meta l4proto %s %sct original proto-dst %s accept"
        % (rule.protocol, _saddr(family, sources), rule.port)
        for family, sources in rule.by_family
    ]
