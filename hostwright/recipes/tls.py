"""The certificates of a host's apps: from a CA, self-signed, or brought along."""

from __future__ import annotations

from collections.abc import Mapping

from hostwright.inventory import App, Host, Inventory
from hostwright.inventory.address import is_ip
from hostwright.inventory.tls import TlsSettings, tls_of
from hostwright.inventory.tls_checks import certified_address
from hostwright.inventory.tls_material import Material
from hostwright.recipes.certbot import certbot, hook
from hostwright.recipes.https import Https, Site
from hostwright.recipes.nginx import RELOAD
from hostwright.remote.digest import sha256
from hostwright.remote.resources.base import Resource
from hostwright.remote.resources.certificate import Certificate
from hostwright.remote.resources.directory import Directory
from hostwright.remote.resources.file import File
from hostwright.remote.resources.self_signed import SelfSigned

# certbot's, and ours for what it does not make
LIVE, OWN = "/etc/letsencrypt/live", "/etc/hostwright/tls"
# CAs give certificates for IP addresses only for days
IP_PROFILE = "shortlived"


def https_of(app: App, host: Host) -> Https | None:
    """The certificate of an app on a host; None where it is served over HTTP only."""
    tls = tls_of(app, host)
    if tls.issuer == "off":
        return None
    folder = f"{LIVE if tls.is_acme else OWN}/{app.name}"
    canonical = app.nginx.canonical
    names = sorted(app.domains, key=lambda name: name != canonical)
    return Https(
        certificate=f"{folder}/fullchain.pem",
        key=f"{folder}/privkey.pem",
        names=tuple(names),
        addresses=tuple(filter(None, [certified_address(app, host)])),
        hsts=tls.hsts_header,
        # what was served before a CA is asked goes on being served while it refuses
        before=(f"{OWN}/{app.name}/fullchain.pem", f"{OWN}/{app.name}/privkey.pem") if tls.is_acme else (),
    )


def sites(inventory: Inventory, host: Host) -> list[Site]:
    """The host's apps as nginx serves them."""
    apps = [inventory.apps[name] for name in host.apps]
    return [Site(app, https_of(app, host), peers(inventory, app, host)) for app in apps]


def peers(inventory: Inventory, app: App, host: Host) -> tuple[str, ...]:
    """Other hosts that serve the app and prove its names over HTTP: the CA may ask any of them for a challenge.

    Only those whose address is a number: nginx does not start when it cannot resolve a name.
    """
    if not _proves_over_http(app, host):
        return ()
    return tuple(
        other.address
        for other in inventory.hosts.values()
        if other.address != host.address
        and app.name in other.apps
        and is_ip(other.address)
        and "%" not in other.address
        and _proves_over_http(app, other)
    )


def _proves_over_http(app: App, host: Host) -> bool:
    tls = tls_of(app, host)
    return tls.is_acme and tls.dns is None


def certificates(inventory: Inventory, host: Host, materials: Mapping[str, Material]) -> list[Resource]:
    """Everything that gets and keeps the certificates of a host's apps.

    Args:
        inventory: the apps.
        host: the host.
        materials: what lies on this machine, by app.
    """
    apps = [(inventory.apps[name], tls_of(inventory.apps[name], host)) for name in host.apps]
    asked = [(app, tls) for app, tls in apps if tls.is_acme]
    own = [(app, tls) for app, tls in apps if tls.issuer in ("selfsigned", "files")]
    if not (own or asked):
        return []
    resources: list[Resource] = [
        Directory(name=OWN),
        # a name that no app has is refused; older servers need a certificate to do that with
        SelfSigned(name=f"{OWN}/default", domains=(), when="nginx<1.19.4", notify=(RELOAD.name,)),
    ]
    for app, tls in own:
        resources += _own(app, host, tls, materials.get(app.name, Material()))
    if asked:
        bundles = {bundle_name(found.ca): found.ca for found in materials.values() if found.ca}
        resources += certbot(bundles)
    for app, tls in asked:
        resources += _asked(app, host, tls, materials.get(app.name, Material()))
    return resources


def bundle_name(content: str) -> str:
    """A CA bundle's name on the server: two projects that bring the same one agree."""
    return sha256(content.encode())[:12]


def _own(app: App, host: Host, tls: TlsSettings, material: Material) -> list[Resource]:
    folder = f"{OWN}/{app.name}"
    if tls.issuer == "selfsigned":
        address = host.address.partition("%")[0]
        numbers = (address,) if is_ip(address) and not app.domains else ()
        domains = app.domains or (() if numbers else (address,))
        return [
            SelfSigned(name=folder, domains=domains, addresses=numbers, app=app.name, notify=(RELOAD.name,))
        ]
    key = material.key.reveal() if material.key else ""
    return [
        Directory(name=folder, mode=0o700, app=app.name),
        # the key first: between the two writes nginx is not reloaded
        File(
            name=f"{folder}/privkey.pem",
            content=key,
            mode=0o600,
            sensitive=True,
            app=app.name,
            notify=(RELOAD.name,),
        ),
        File(name=f"{folder}/fullchain.pem", content=material.chain, app=app.name, notify=(RELOAD.name,)),
    ]


def _asked(app: App, host: Host, tls: TlsSettings, material: Material) -> list[Resource]:
    address = certified_address(app, host)
    resources: list[Resource] = []
    auth = cleanup = ""
    if tls.dns is not None:
        programs, auth, cleanup = hook(app.name, material.auth, material.cleanup, material.dns_env)
        resources += programs
    resources.append(
        Certificate(
            name=app.name,
            domains=app.domains,
            addresses=(address,) if address else (),
            directory=tls.directory,
            staging=tls.dry_directory,
            email=tls.email or "",
            profile=tls.profile or (IP_PROFILE if address else ""),
            key_type=tls.key_type,
            eab_kid=tls.eab.kid if tls.eab else "",
            eab_hmac=material.eab.reveal() if material.eab else "",
            dns_auth=auth,
            dns_cleanup=cleanup,
            preflight=tls.preflight,
            reached=host.address,
            app=app.name,
            notify=(RELOAD.name,),
        )
    )
    return resources
