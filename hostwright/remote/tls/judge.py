"""Would the CA come to the same server? A judgement about what was seen of a name, before the CA is asked.

Pure functions. Two views count: the controller's (nearer to what a CA sees) and the server's own. A view that fetched
the token proves a name, whatever its DNS says: it may lie behind a CDN, a NAT or several servers. The server reaches
its own addresses through any firewall, so its word counts only where the controller sees nothing.
"""

from __future__ import annotations

from .finding import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Optional, Sequence

    Look = Mapping[str, Any]

ERRORS = {
    "refused": "the connection is refused",
    "timeout": "no answer",
    "reset": "the connection is closed without an answer",
    "unreachable": "no way there",
    "local": "this machine has no such network",
    "nxdomain": "does not exist",
    "silent": "the name servers do not answer",
    "servfail": "the name servers fail (SERVFAIL)",
}
FIREWALL = "Open port 80/tcp to everybody: in the server's firewall and in its provider's (security group)."


class Seen:
    """A name, as it was seen.

    Args:
        name: a domain or an IP address.
        here: the server's view, see outlook.look.
        there: the controller's; None: it sees nothing.
        ours: addresses of the server, as far as it and the controller know them.
        wanted: those that a record should name.
        public: the CA is a public one, which sees what the whole world sees.
    """

    def __init__(
        self,
        name: str,
        here: Look,
        there: Optional[Look],
        ours: Sequence[str],
        wanted: Sequence[str],
        *,
        public: bool,
    ) -> None:
        self.name = name
        self.here = here
        self.there = there
        self.ours = frozenset(ours)
        self.wanted = tuple(wanted)
        self.public = public

    @property
    def blind(self) -> bool:
        """Does the controller see nothing that counts?"""
        there = self.there
        if there is None or there["error"] in ("silent", "servfail"):
            return True
        if not there["addresses"]:  # a private DNS, unless it is the DNS of everybody
            return not self.public
        errors = {fetch["error"] for fetch in there["fetches"].values()}
        if errors == {"local"}:
            return True
        hidden = errors <= {"timeout", "unreachable", "local"} and all(map(private, there["addresses"]))
        return hidden and not self.public

    @property
    def view(self) -> Look:
        """The one that counts."""
        return self.here if self.blind or self.there is None else self.there

    def lines(self) -> list[str]:
        """What was seen, a line for each address and view."""
        found = []
        for who, look in (("this machine", self.there), ("the server", self.here)):
            if look is None:
                continue
            if not look["addresses"]:
                found.append("from %s: %s: %s" % (who, self.name, ERRORS.get(look["error"], look["error"])))
            for address, fetch in look["fetches"].items():
                found.append("from %s: %s at %s: %s" % (who, self.name, address, answered(fetch)))
        return found

    def fix(self) -> str:
        """The record to change, as it is and as it should be."""
        if is_address(self.name):
            return "Does %s belong to this server?" % self.name
        parts = []
        for kind, family in (("A", "."), ("AAAA", ":")):
            now = [address for address in self.view["addresses"] if family in address]
            wanted = [address for address in self.wanted if family in address]
            if (now and not set(now) <= self.ours) or (wanted and not now and family == "."):
                want = ", ".join(wanted) or ("this server's address" if family == "." else "none")
                parts.append(
                    "%s  %s  now: %s  wanted: %s" % (self.name, kind, ", ".join(now) or "none", want)
                )
        return "Change the record at your DNS provider:  %s." % ";  ".join(parts) if parts else ""


def judge(seen: Seen) -> list[Finding]:
    """What stands in the way of a certificate for a name through HTTP-01; empty: nothing."""
    view = seen.view
    if not view["addresses"]:
        return [_nameless(seen)]
    good = [address for address, fetch in view["fetches"].items() if fetch["ok"]]
    if not good:
        return [_unanswered(seen)]
    found = [_other(seen, address, fetch) for address, fetch in view["fetches"].items() if not fetch["ok"]]
    return [finding for finding in found if finding is not None]


def _nameless(seen: Seen) -> Finding:
    error = seen.view["error"]
    if error in ("silent", "servfail"):
        return Finding(
            True,
            "%s cannot be resolved: %s" % (seen.name, ERRORS[error]),
            "Ask at another place: dig %s @1.1.1.1. If it answers there, the server's name servers are at fault "
            "(/etc/resolv.conf)." % seen.name,
            seen.lines(),
        )
    if error not in ("nxdomain", ""):
        return Finding(
            True, "%s cannot be resolved: %s" % (seen.name, error), "Is the name spelt right?", seen.lines()
        )
    hint = seen.fix() or "Make an A record for %s." % seen.name
    return Finding(True, "%s has no address in the DNS" % seen.name, hint, seen.lines())


def _unanswered(seen: Seen) -> Finding:
    """Nobody answered with the token: say why, from the address that tells most."""
    view = seen.view
    fetches = view["fetches"]
    order = ("http", "reset", "refused", "timeout", "unreachable", "local")
    address = min(
        fetches, key=lambda a: order.index(fetches[a]["error"]) if fetches[a]["error"] in order else 3
    )
    error = fetches[address]["error"]
    if address not in seen.ours:
        return _elsewhere(seen, address, error)
    if error in ("http", "reset"):
        return Finding(
            True,
            "%s leads to this server, but something else answers on port 80: %s"
            % (seen.name, answered(fetches[address])),
            "Another nginx site holds the name, or another program holds the port: sudo nginx -T; sudo ss -ltnp",
            seen.lines(),
        )
    if error in ("timeout", "unreachable", "local") and seen.blind:
        # behind a NAT a server may not reach itself through its public address
        return Finding(
            False,
            "%s could not be looked at from outside; the CA will tell" % seen.name,
            FIREWALL,
            seen.lines(),
        )
    here = seen.here["fetches"].get(address, {})
    if error == "refused" and not here.get("ok"):
        hint = "Does nginx run? systemctl status nginx.service. " + FIREWALL
        return Finding(True, "nobody listens on port 80 of this server (%s)" % seen.name, hint, seen.lines())
    return Finding(
        True,
        "port 80 of this server cannot be reached from outside (%s at %s: %s)"
        % (seen.name, address, ERRORS.get(error, error)),
        FIREWALL,
        seen.lines(),
    )


def _elsewhere(seen: Seen, address: str, error: str) -> Finding:
    """The name leads to an address that is not known to be this server's."""
    hidden = not seen.ours or all(map(private, seen.ours))
    if seen.blind and hidden and error in ("timeout", "unreachable", "local", "refused"):
        return Finding(
            False,
            "%s leads to %s: whether that is this server cannot be seen from it" % (seen.name, address),
            "",
            seen.lines(),
        )
    return Finding(
        True,
        "%s leads to %s, and this server does not answer there: %s"
        % (seen.name, address, answered(seen.view["fetches"][address])),
        seen.fix() or FIREWALL,
        seen.lines(),
    )


def _other(seen: Seen, address: str, fetch: Look) -> Optional[Finding]:
    """One address answers as it should, this one does not."""
    error, six = fetch["error"], ":" in address
    if seen.here["fetches"].get(address, {}).get("ok"):
        return None  # seen by the server, where the controller has no such network
    if error == "local":
        if address in seen.ours:
            return None
        message = "%s has an AAAA record for %s, which is not known to be this server's" % (
            seen.name,
            address,
        )
        return Finding(False, message, "The CA asks IPv6 first.", seen.lines())
    message = "%s leads to %s too, and that does not answer as this server does: %s" % (
        seen.name,
        address,
        answered(fetch),
    )
    if six and error not in ("refused", "timeout", "unreachable"):
        # a CA goes to IPv6 first, and takes the other only where it gets no connection
        return Finding(True, message, seen.fix() or "Take the AAAA record away.", seen.lines())
    return Finding(False, message, seen.fix() or "The CA may ask there.", seen.lines())


# -- words -----------------------------------------------------------------------------------------------------------


def answered(fetch: Look) -> str:
    """What came of a fetch, for people."""
    if fetch["ok"]:
        return "answers as it should"
    if fetch["error"] != "http":
        return ERRORS.get(fetch["error"], str(fetch["error"]))
    who = " by %s" % fetch["server"] if fetch["server"] else ""
    what = ' with "%s"' % fetch["body"] if fetch["body"] and fetch["status"] == 200 else ""
    return "%s is answered %s%s%s" % (fetch["url"].partition("/.well-known")[0], fetch["status"], who, what)


def is_address(name: str) -> bool:
    """An IP address, not a domain?"""
    return ":" in name or name.replace(".", "").isdigit()


def private(address: str) -> bool:
    """An address that only its own network reaches?"""
    from ipaddress import ip_address

    try:
        return not ip_address(address.partition("%")[0]).is_global
    except ValueError:
        return False
