"""Rules of others that open a port or lead it to a container: what our table would close again.

Only at first contact, so nft may be asked. Rules of iptables-nft are there too.
"""

from __future__ import annotations

import re

from .paths import TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

    from ..system import System

TIMEOUT = 30.0
TABLE_LINE = re.compile(r"table (\w+) (\S+) \{")
PORTS = re.compile(r"\b(tcp|udp) dport (?:\{ ([^}]*) \}|(\S+))")
OPENS = re.compile(r"\baccept\b")
LEADS = re.compile(r'\bdnat\b|\bredirect\b|xt target "(?:DNAT|REDIRECT)"')


class Opened:
    """A port that a rule of somebody else's opens.

    Args:
        table: `ip filter`.
        port: 8080, or a range: 8000-8010.
        leads: to somewhere else, such as a container.
    """

    def __init__(self, table: str, port: str, protocol: str, leads: bool) -> None:
        self.table = table
        self.port = port
        self.protocol = protocol
        self.leads = leads


def opened(system: System) -> list[Opened]:
    """Each once. Nothing where there is no nft: then there are hardly any rules, or old ones of iptables."""
    if not system.which("nft"):
        return []
    command = ("nft", "-n", "list", "ruleset")
    listed = system.run(command, timeout=TIMEOUT, check=False, read_only=True)
    found = {(rule.table, rule.port, rule.protocol): rule for rule in _rules(listed.out)}
    return [found[key] for key in sorted(found)]


def _rules(text: str) -> Iterator[Opened]:
    table = chain = ""
    for line in text.splitlines():
        start = TABLE_LINE.match(line)
        if start:
            table = "%s %s" % start.groups()
        elif line.strip().startswith("chain "):
            chain = line.split()[1].lower()
        elif table != "inet " + TABLE:
            leads = LEADS.search(line) is not None
            # what leaves this server is none of our business
            if leads or (OPENS.search(line) and "output" not in chain):
                for found in PORTS.finditer(line):
                    for port in (found[2] or found[3]).split(", "):
                        yield Opened(table, port.strip(), found[1], leads)
