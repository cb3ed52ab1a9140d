"""The catalog of a host: everything provision owns, in the order it is applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hostwright.errors import UsageError
from hostwright.inventory import Host, Inventory
from hostwright.inventory.tls_material import Material
from hostwright.recipes.admin import admin
from hostwright.recipes.app import app_resources
from hostwright.recipes.base import base
from hostwright.recipes.firewall import firewall
from hostwright.recipes.hardening import handlers, hardening
from hostwright.recipes.nginx import RELOAD, front, secure
from hostwright.recipes.nginx_unit import nginx_unit
from hostwright.recipes.render import Render
from hostwright.recipes.sshd import host_keys, sshd
from hostwright.recipes.tls import certificates, sites
from hostwright.recipes.users import users
from hostwright.recipes.uv import uv
from hostwright.remote.catalog import Catalog
from hostwright.remote.resources.base import Resource


def catalog(
    inventory: Inventory,
    host: Host,
    render: Render,
    public_key: str = "",
    materials: Mapping[str, Material] | None = None,
    keys: Mapping[str, Sequence[str]] | None = None,
) -> Catalog:
    """Everything that provision owns on a host.

    Args:
        inventory: who runs what.
        host: the host.
        render: fills in templates.
        public_key: of the login key; needed where the host has a `bootstrap_user`.
        materials: what lies on this machine and its apps' certificates need, by app.
        keys: lines of authorized_keys, by user of the host's `users`.

    Raises:
        RenderError, UsageError
    """
    apps = [inventory.apps[name] for name in host.apps]
    nameless = [app.name for app in apps if not app.domains]
    if len(nameless) > 1:
        raise UsageError(
            f"{host.name}: the apps {' and '.join(nameless)} have no domains, so nginx could not tell them apart",
            hint="Give all but one of them `domains:` in the inventory.",
        )
    resources: list[Resource] = base(host)
    if host.bootstrap_user:
        resources += admin(host, public_key)
    resources += uv()
    for app in apps:
        resources += app_resources(app, host, render)
    # HTTP serves before a certificate is asked for, while it is, and where it is refused
    behind = sites(inventory, host)
    resources += front(behind, render)
    resources += certificates(inventory, host, materials or {})
    resources += secure(behind, render)
    resources += nginx_unit(host)
    resources += hardening(inventory, host, render)
    resources += host_keys(host)
    # who gets in: last, kept before it is changed, and put back unless a new login works
    guarded = users(inventory, host, render, keys or {})
    guarded += firewall(inventory, host)
    guarded += sshd(inventory, host, render)
    return Catalog([*resources, *guarded], [RELOAD, *handlers(host)], [found.id for found in guarded])
