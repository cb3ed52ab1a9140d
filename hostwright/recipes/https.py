"""What a site has to know about its certificate: nothing about where that comes from."""

from __future__ import annotations

from dataclasses import dataclass

from hostwright.inventory import App


@dataclass(frozen=True)
class Https:
    """A certificate on the server, as nginx uses it.

    Attributes:
        certificate: path of the chain.
        key: path of the private key.
        names: domains it should hold, the canonical one first; empty where the app answers to every name.
        addresses: IP addresses it should hold.
        hsts: value of Strict-Transport-Security; empty for none.
        before: (chain, key) of another certificate, which is served as long as there is none here; empty for none.
    """

    certificate: str
    key: str
    names: tuple[str, ...]
    addresses: tuple[str, ...] = ()
    hsts: str = ""
    before: tuple[str, str] | tuple[()] = ()


@dataclass(frozen=True)
class Site:
    """An app behind nginx.

    Attributes:
        app: the app.
        https: None where it is served over HTTP only.
        peers: IP addresses of the other servers behind its names; they may be asked for an ACME challenge.
    """

    app: App
    https: Https | None = None
    peers: tuple[str, ...] = ()
