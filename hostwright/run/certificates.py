"""Which certificates the apps of a host have, as its agent is asked for them."""

from __future__ import annotations

from typing import Any

from hostwright.inventory import App, Host, Inventory
from hostwright.inventory.tls import LETSENCRYPT, LETSENCRYPT_STAGING, TlsSettings, tls_of
from hostwright.recipes.tls import https_of


def wanted(inventory: Inventory, host: Host, app: str | None = None) -> list[dict[str, Any]]:
    """The apps of a host that have a certificate: name, kind, directory (URL, of the CA), staging (URL, for dry tries),
    certificate (path), names and addresses.

    Args:
        inventory: the apps.
        host: the host.
        app: only this one.
    """
    found = []
    for one in _apps(inventory, host, app):
        https = https_of(one, host)
        if https is not None:
            fields = {"certificate": https.certificate, "names": https.names, "addresses": https.addresses}
            tls = tls_of(one, host)
            where = {"directory": tls.directory, "staging": _staging(tls)}
            found.append({"name": one.name, "kind": kind(one, host), **where, **fields})
    return found


def _staging(tls: TlsSettings) -> str:
    """Where a dry try may go: to the staging directory, or to a CA that has none itself; it keeps nothing."""
    instead = LETSENCRYPT_STAGING if tls.directory == LETSENCRYPT else tls.directory
    return tls.dry_directory or instead


def plain(inventory: Inventory, host: Host, app: str | None = None) -> list[str]:
    """The apps of a host that are served over HTTP only."""
    return [one.name for one in _apps(inventory, host, app) if https_of(one, host) is None]


def _apps(inventory: Inventory, host: Host, app: str | None) -> list[App]:
    return [inventory.apps[name] for name in host.apps if app in (None, name)]


def kind(app: App, host: Host) -> str:
    """acme, selfsigned, files or off."""
    tls = tls_of(app, host)
    return "acme" if tls.is_acme else tls.issuer
