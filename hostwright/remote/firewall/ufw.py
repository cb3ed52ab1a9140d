"""ufw, where it is what manages the server already: read from its files, changed by its own command.

A rule of somebody else's that does what is wanted is enough; ufw would write our comment over theirs.
"""

from __future__ import annotations

from .rule import Rule, in_order

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable

    from ..system import System

CONF, DEFAULTS = "/etc/ufw/ufw.conf", "/etc/default/ufw"
RULES = ("/etc/ufw/user.rules", "/etc/ufw/user6.rules")
MARK = "### tuple ### "
COMMENT = "hostwright"
ANY = {"ip": "0.0.0.0/0", "ip6": "::/0"}
TIMEOUT = 60.0


class Entry:
    """A rule of ufw for what comes in, from anywhere to any address of this server.

    Args:
        action: allow, limit, deny or reject.
        protocol: tcp, udp or any.
        port: as ours: 60000-61000.
        source: an address or network.
        ours: our comment is at it.
    """

    def __init__(self, action: str, protocol: str, port: str, source: str, ours: bool) -> None:
        self.action = action
        self.protocol = protocol
        self.port = port
        self.source = source
        self.ours = ours

    @property
    def lets_in(self) -> bool:
        """Does it open anything?"""
        return self.action in ("allow", "limit")

    def covers(self, port: int, protocol: str) -> bool:
        """Does it let somebody in at this port? ufw takes lists too: 80,443."""
        if not self.lets_in or self.protocol not in (protocol, "any"):
            return False
        ranges = [part.partition("-") for part in self.port.split(",")]
        return any(
            first == "any" or (first.isdigit() and int(first) <= port <= int(last or first))
            for first, _, last in ranges
        )

    def does(self, protocol: str, port: str, source: str) -> bool:
        """Does it open this?"""
        same = self.protocol in (protocol, "any") and (self.port, self.source) == (port, source)
        return self.lets_in and same


class Ufw:
    """What ufw is told on this server.

    Args:
        system: the server.
    """

    def __init__(self, system: System) -> None:
        self._system = system
        self.active = _settings(system, CONF).get("ENABLED", "").lower() == "yes" and system.exists(
            "/usr/sbin/ufw"
        )
        defaults = _settings(system, DEFAULTS)
        self.policy = defaults.get("DEFAULT_INPUT_POLICY", "DROP").upper()
        self.ipv6 = defaults.get("IPV6", "yes").lower() == "yes"
        self.entries = [entry for path in RULES for entry in _entries(system, path)]

    def open(self, rules: Iterable[Rule]) -> list[str]:
        """What of these is open, and what of ours is that is not among them."""
        rules = list(rules)
        there = [rule for rule in rules if all(self._has(*item) for item in _items(rule))]
        return [str(rule) for rule in in_order([*there, *self._dropped(rules)])]

    @property
    def ours(self) -> list[str]:
        """Rules with our comment."""
        return self.open([])

    def _has(self, protocol: str, port: str, source: str) -> bool:
        return any(entry.does(protocol, port, source) for entry in self.entries)

    def _dropped(self, rules: Iterable[Rule]) -> list[Rule]:
        wanted = {item for rule in rules for item in _items(rule)}
        mine = [entry for entry in self.entries if entry.ours]
        return [_rule(entry) for entry in mine if (entry.protocol, entry.port, entry.source) not in wanted]

    def change(self, rules: Iterable[Rule]) -> None:
        """Open what is missing, close what we opened and nobody wants any more.

        Raises:
            CommandFailed
        """
        rules = list(rules)
        missing = [item for rule in rules for item in _items(rule) if not self._has(*item)]
        for words in dict.fromkeys(_words(*item) for item in missing):
            self._system.run(("ufw", "allow", *words, "comment", COMMENT), timeout=TIMEOUT)
        if self.active and self.policy == "ACCEPT":
            self._system.run(("ufw", "default", "deny", "incoming"), timeout=TIMEOUT)
        items = [item for rule in self._dropped(rules) for item in _items(rule)]
        for words in dict.fromkeys(_words(*item) for item in items):
            self._system.run(("ufw", "delete", "allow", *words), timeout=TIMEOUT)


def _items(rule: Rule) -> list[tuple[str, str, str]]:
    """(protocol, port, source) of each rule that ufw keeps for one of ours."""
    return [(rule.protocol, rule.port, source) for source in rule.sources or ANY.values()]


def _words(protocol: str, port: str, source: str) -> tuple[str, ...]:
    """As the command takes them; one with `any` is both for IPv4 and IPv6."""
    origin = "any" if source in ANY.values() else source
    return ("proto", protocol, "from", origin, "to", "any", "port", port.replace("-", ":"))


def _rule(entry: Entry) -> Rule:
    sources = () if entry.source in ANY.values() else (entry.source,)
    return Rule("%s/%s" % (entry.port, entry.protocol), sources)


def _settings(system: System, path: str) -> dict[str, str]:
    text = (system.read(path) or b"").decode("utf-8", "replace")
    pairs = (line.strip().partition("=") for line in text.splitlines() if not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, found, value in pairs if found}


def _entries(system: System, path: str) -> list[Entry]:
    """`ACTION PROTOCOL PORT TO PORT FROM [PROFILE PROFILE] DIRECTION[_INTERFACE] [comment=HEX]`, as ufw writes them."""
    found = []
    for line in (system.read(path) or b"").decode("utf-8", "replace").splitlines():
        if not line.startswith(MARK):
            continue
        words = line[len(MARK) :].split()
        comment = words.pop()[len("comment=") :] if words[-1].startswith("comment=") else ""
        if len(words) < 7 or words[-1] != "in" or words[3] not in ANY.values() or words[4] != "any":
            continue
        ours = comment == COMMENT.encode().hex() and len(words) == 7
        found.append(Entry(words[0].split("_")[0], words[1], words[2].replace(":", "-"), words[5], ours))
    return found
