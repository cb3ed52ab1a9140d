"""A CA that could not convince itself of a name: what it saw, and what to change. RFC 8555, 6.7 has the types."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from .explain import Refusal

    Problem = tuple[str, str, str]

# (type of the problem or empty, what its detail holds) -> what it means, what to do; the first that fits
MEANING = (
    (
        "caa",
        "",
        "a CAA record forbids this CA to issue for it",
        "Add the CA to the CAA records of the domain.",
    ),
    (
        "",
        r"CAA record for|prevents issuance",
        "a CAA record forbids this CA to issue for it",
        "Add the CA to the CAA records of the domain.",
    ),
    (
        "",
        r"looking up CAA",
        "its name servers do not answer the question for CAA records",
        "An answer without records would do; a name server that fails (SERVFAIL, time-out) does not. Ask its operator.",
    ),
    (
        "",
        r"SERVFAIL|DNSSEC|REFUSED looking up|server misbehaving|query timed out",
        "its name servers do not answer as they should",
        "The domain's name servers or its DNSSEC are broken: https://dnsviz.net shows where.",
    ),
    (
        "",
        r"No TXT records? found|Incorrect TXT record|TXT record .*(not found|did not match)|_acme-challenge",
        "the TXT record _acme-challenge was not there when the CA looked",
        "The DNS program (tls.dns.auth) must wait until all name servers of the domain have the record.",
    ),
    (
        "",
        r"NXDOMAIN|no such host|could not resolve|no valid (A|AAAA) records|No valid IP addresses|does not exist",
        "it has no address in the DNS",
        "Make an A record (and AAAA for IPv6) that leads to this server.",
    ),
    (
        "",
        r'Get "https://|:443: ',
        "the redirect to HTTPS could not be followed",
        "What answers for the name on port 80 redirects the CA to a port that does not answer.",
    ),
    (
        "",
        r"refused",
        "nobody answers on port 80: the connection was refused",
        "Is nginx running, and does port 80 of this name's address lead to this server?",
    ),
    (
        "",
        r"[Tt]imeout|timed out|deadline exceeded",
        "port 80 does not answer: a firewall, most likely",
        "Open port 80/tcp to everybody, in the firewall of the server and in that of its provider (security group).",
    ),
    (
        "",
        r"no route|unreachable",
        "its address cannot be reached",
        "Does the name's A or AAAA record lead to this server?",
    ),
    (
        "",
        r"EOF|reset by peer|[Cc]onnection reset|malformed HTTP",
        "who answers on port 80 closed the connection",
        "The A and AAAA records must lead to this server; another nginx site may hold the name: sudo nginx -T.",
    ),
    (
        "",
        r"status code .*returned 403|: 403",
        "the challenge may not be read (403)",
        "May nginx read /var/www/hostwright/acme? namei -l /var/www/hostwright/acme",
    ),
    (
        "",
        r"Invalid response|status code|did not match|Invalid Status|key authorization",
        "somebody else answered on port 80",
        "The A and AAAA records must lead to this server, and no other nginx site may hold the name: sudo nginx -T.",
    ),
    (
        "tls",
        "",
        "the redirect to HTTPS could not be followed",
        "What answers for the name on port 80? It redirects to a port that speaks no TLS.",
    ),
)


def validation(problems: Sequence[Problem], names: Sequence[str]) -> Refusal:
    """The refusal of a CA that gave these problems: (name, type, detail)."""
    from .explain import Refusal

    order = {name: place for place, name in enumerate(names)}
    problems = sorted(
        {problem[0]: problem for problem in problems}.values(), key=lambda p: order.get(p[0], 99)
    )
    meanings: dict[tuple[str, str], list[str]] = {}
    for name, kind, detail in problems:
        meanings.setdefault(meaning(kind, detail), []).append(name)
    (what, todo), first = next(iter(meanings.items()))
    message = "the CA could not verify %s: %s" % (_listed(first), what)
    if len(meanings) > 1:
        message += " (and %d more of another kind)" % sum(len(found) for found in list(meanings.values())[1:])
    tail = ["%s: %s" % (name, detail) for name, _, detail in problems[:6]]
    hint = todo + " Then run the command again; HTTP goes on meanwhile."
    refusal = Refusal("validation", message, hint, tail, counts=True)
    refusal.names = tuple(name for name, _, _ in problems)
    return refusal


def meaning(kind: str, detail: str) -> tuple[str, str]:
    """(what it means, what to do) of one problem."""
    for wanted, pattern, what, todo in MEANING:
        if wanted in ("", kind) and re.search(pattern, detail):
            return what, todo
    return "what it saw is below", "Look at the record and the port that it names."


def _listed(names: Sequence[str]) -> str:
    """a.example, b.example and 3 more."""
    if len(names) <= 3:
        return ", ".join(names)
    return "%s and %d more" % (", ".join(names[:2]), len(names) - 2)
