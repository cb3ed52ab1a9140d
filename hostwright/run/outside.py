"""What an agent asks us because only we can see it: its names, as the rest of the world sees them.

Not the same as a CA's view, but nearer to it than the server's own: a firewall, a wrong record and a router in between
show from here. Answers come in time or not at all, and never end a run.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from hostwright.remote.tls import outlook

# RFC 8555, 8.3, and a name that cannot lead away from there
CHALLENGE = re.compile(r"/\.well-known/acme-challenge/[A-Za-z0-9_-]{1,128}")
# seconds for one DNS question with all its tries
PATIENCE = 5.0
# what is kept back of the time that the agent gives us
RESERVE = 1.0


def answer(
    question: str, data: Mapping[str, Any], timeout: float, within: Collection[str]
) -> dict[str, Any] | None:
    """The answer to an agent's question; None for one we do not know, or where we see nothing in time.

    A server that somebody has taken over must not look around in our network through us: it gets to know about the
    names that the inventory has for it, and about a path where CAs look, and nothing else.

    Args:
        question: `reachable`: names, path and token as in `reachable`.
        data: what it is about.
        timeout: seconds we have.
        within: the names and addresses of the inventory that this server may ask about.
    """
    questions: dict[str, Callable[[Mapping[str, Any], float, Collection[str]], dict[str, Any]]] = {
        "reachable": reachable
    }
    work = questions.get(question)
    if work is None:
        return None
    try:
        if not _allowed(data, within):
            return None
        return work(data, timeout - RESERVE, within)
    except Exception:  # what an agent asks must not end us; without an answer it helps itself
        return None


def _allowed(data: Mapping[str, Any], within: Collection[str]) -> bool:
    names = [*data.get("names", ()), *data.get("domains", ()), *filter(None, [data.get("reached")])]
    return CHALLENGE.fullmatch(str(data.get("path"))) is not None and all(name in within for name in names)


def reachable(data: Mapping[str, Any], seconds: float, within: Collection[str]) -> dict[str, Any]:
    """How names look from here.

    Args:
        data: names: those to fetch the token by; domains: those whose CAA records count; path, token; reached: our
            name for the server.
        seconds: until the answer must be there.
        within: names that redirects are followed to.

    Returns:
        now: our clock when asked (Unix seconds); names: name -> as `outlook.look`; caa: domain -> see `caa`;
        reached: the addresses of `reached`.
    """
    now = time.time()
    path, token = str(data["path"]), str(data["token"])
    work: dict[str, Callable[[], Any]] = {}
    for name in data["names"]:
        work[f"name {name}"] = _looking(str(name), path, token, within)
    for name in data["domains"]:
        work[f"caa {name}"] = _asking(str(name))
    reached = str(data.get("reached", ""))
    if reached:
        work["reached"] = lambda: addresses(reached)["addresses"]
    found = outlook.all_in_time(work, seconds, None)
    names = {name: found[f"name {name}"] for name in data["names"]}
    return {
        "now": now,
        "names": {name: view for name, view in names.items() if view is not None},
        "caa": {name: found[f"caa {name}"] for name in data["domains"] if found[f"caa {name}"] is not None},
        "reached": found.get("reached") or [],
    }


def _looking(name: str, path: str, token: str, within: Collection[str]) -> Callable[[], Any]:
    return lambda: outlook.look(name, path, token, addresses(name), within)


def _asking(name: str) -> Callable[[], Any]:
    return lambda: caa(name)


def addresses(name: str) -> dict[str, Any]:
    """What the DNS says, without this machine's hosts file: see outlook.resolve."""
    from hostwright.inventory.address import is_ip

    if is_ip(name):
        return {"addresses": [name], "error": ""}
    import dns.exception
    import dns.resolver

    resolver = _resolver()
    found: list[str] = []
    error = "nxdomain"
    for kind in ("A", "AAAA"):
        try:
            found += [str(record) for record in resolver.resolve(name, kind, search=False)]
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            continue
        except dns.resolver.NoNameservers:
            error = "servfail"
        except (dns.exception.DNSException, OSError):
            error = "silent"
    return {"addresses": found, "error": "" if found else error}


def caa(name: str) -> dict[str, Any]:
    """The CAA records that count for a domain: those of the nearest one above it that has any (RFC 8659, 3).

    Returns:
        at: the domain that has them, empty where none has; records: [flags, tag, value] each; error: as in `addresses`.
    """
    import dns.exception
    import dns.name
    import dns.resolver

    resolver = _resolver()
    domain = dns.name.from_text(name.removeprefix("*."))
    while len(domain) > 1:
        try:
            records = _records(resolver.resolve(domain, "CAA", search=False))
            return {"at": domain.to_text(omit_final_dot=True), "records": records, "error": ""}
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            domain = domain.parent()
        except dns.resolver.NoNameservers:
            return {"at": domain.to_text(omit_final_dot=True), "records": [], "error": "servfail"}
        except (dns.exception.DNSException, OSError):
            return {"at": "", "records": [], "error": "silent"}
    return {"at": "", "records": [], "error": ""}


def _records(found: Iterable[Any]) -> list[list[Any]]:
    return [[int(record.flags), record.tag.decode().lower(), record.value.decode()] for record in found]


def _resolver() -> Any:
    import dns.resolver

    resolver = dns.resolver.Resolver()
    resolver.lifetime = PATIENCE
    return resolver
