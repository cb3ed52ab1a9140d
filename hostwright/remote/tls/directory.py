"""What a CA says of itself in its ACME directory (RFC 8555, 7.1.1), asked before anything is done for it."""

from __future__ import annotations

from . import outlook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

    from ..system import System

TIMEOUT = 15.0
LARGEST = 1 << 18
# what public CAs call themselves in CAA records, by the host of their directory, where the directory does not say it
IDENTITIES = {
    "acme-v02.api.letsencrypt.org": ("letsencrypt.org",),
    "acme-staging-v02.api.letsencrypt.org": ("letsencrypt.org",),
    "acme.zerossl.com": ("sectigo.com", "zerossl.com"),
    "dv.acme-v02.api.pki.goog": ("pki.goog",),
    "api.buypass.com": ("buypass.com", "buypass.no"),
    "acme.ssl.com": ("ssl.com",),
}


class Directory:
    """A CA.

    Attributes:
        identities: what CAA records call it; empty: not known.
        profiles: names of its certificate profiles; empty: it has none, or was not reached.
        wants_account: it only serves accounts that are bound to its customers.
        public: it is one of those that browsers know, and sees what the whole world sees.
    """

    def __init__(self, url: str, meta: Mapping[str, Any]) -> None:
        from urllib.parse import urlsplit

        known = IDENTITIES.get(urlsplit(url).hostname or "", ())
        named = meta.get("caaIdentities")
        self.identities = tuple(str(name) for name in named) if isinstance(named, list) and named else known
        profiles = meta.get("profiles")
        self.profiles = sorted(map(str, profiles)) if isinstance(profiles, dict) else []
        self.wants_account = bool(meta.get("externalAccountRequired"))
        self.public = bool(known)


def ask(system: System, url: str) -> Directory:
    """What the directory says; where it cannot be reached, what is known of it: certbot then says why."""
    return Directory(url, outlook.in_time(lambda: _meta(system, url), TIMEOUT, {}))


def _meta(system: System, url: str) -> Mapping[str, Any]:
    import json
    import ssl
    from urllib.error import URLError
    from urllib.request import Request, urlopen

    from .certbot import trusted

    own = trusted(system).decode("utf-8", "replace")
    try:
        context = ssl.create_default_context(cadata=own or None)
        # what a certificate lacks of RFC 5280 (Python 3.13) is for certbot to say: nothing here is trusted
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        request = Request(url, headers={"User-Agent": "hostwright-preflight"})  # noqa: S310 - https, see the inventory
        with urlopen(request, timeout=TIMEOUT, context=context) as answer:  # noqa: S310
            found = json.loads(answer.read(LARGEST))
    except (URLError, OSError, ValueError):
        return {}
    meta = found.get("meta") if isinstance(found, dict) else None
    return meta if isinstance(meta, dict) else {}
