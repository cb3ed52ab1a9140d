"""Which certificates the apps of a host have, as its agent is asked for them."""

from __future__ import annotations

from typing import Any

from hostwright.inventory import App, Host, Inventory
from hostwright.inventory.tls import tls_of
from hostwright.recipes.tls import https_of


def wanted(inventory: Inventory, host: Host, app: str | None = None) -> list[dict[str, Any]]:
    """The apps of a host that have a certificate: name, kind, directory (URL, of the CA), certificate (path), names
    and addresses.

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
            directory = tls_of(one, host).directory
            found.append({"name": one.name, "kind": kind(one, host), "directory": directory, **fields})
    return found


def plain(inventory: Inventory, host: Host, app: str | None = None) -> list[str]:
    """The apps of a host that are served over HTTP only."""
    return [one.name for one in _apps(inventory, host, app) if https_of(one, host) is None]


def _apps(inventory: Inventory, host: Host, app: str | None) -> list[App]:
    return [inventory.apps[name] for name in host.apps if app in (None, name)]


def kind(app: App, host: Host) -> str:
    """acme, selfsigned, files or off."""
    tls = tls_of(app, host)
    return "acme" if tls.is_acme else tls.issuer
