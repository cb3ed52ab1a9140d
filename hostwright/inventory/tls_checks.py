"""What must fit before a certificate is asked for: the app's names, the host's address, the files of one's own."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence

from hostwright.errors import InventoryError, UsageError
from hostwright.inventory.address import is_ip
from hostwright.inventory.app import App
from hostwright.inventory.host import Host
from hostwright.inventory.model import Inventory
from hostwright.inventory.own_certificate import problems_of
from hostwright.inventory.tls import LETSENCRYPT, TlsSettings, is_public, tls_of
from hostwright.inventory.trusted import read_trusted


def check_tls(inventory: Inventory, hosts: Sequence[Host], environ: Mapping[str, str]) -> None:
    """Refuse what no CA could certify and files that do not fit, before anything is contacted.

    Args:
        inventory: knows the apps.
        hosts: those that a command is about.
        environ: this machine's environment: secrets of DNS hooks and CA accounts must be there.

    Raises:
        InventoryError: everything at once.
    """
    problems: list[str] = []
    for host in hosts:
        for name in host.apps:
            app = inventory.apps[name]
            for problem in _problems(app, host, tls_of(app, host), environ):
                where = f"apps.{name}.tls" if app.tls is not None else f"apps.{name} on {host.name}"
                line = problem if problem.startswith("apps.") else f"{where}: {problem}"
                if line not in problems:
                    problems.append(line)
    if problems:
        raise InventoryError(problems)


def certified_address(app: App, host: Host) -> str:
    """The IP address that the certificate of an app without domains is for; empty for one with domains, or none."""
    address = host.address.partition("%")[0]
    return "" if app.domains or not is_ip(address) else str(ipaddress.ip_address(address))


def _problems(app: App, host: Host, tls: TlsSettings, environ: Mapping[str, str]) -> Iterator[str]:
    if tls.is_acme:
        yield from _nameable(app, host, tls)
        yield from _secrets(app, tls, environ)
    if tls.issuer == "files":
        assert tls.certificate is not None
        assert tls.key is not None
        yield from problems_of(tls.certificate, tls.key, app.domains, environ)


def _nameable(app: App, host: Host, tls: TlsSettings) -> Iterator[str]:
    """Names and addresses that the CA could certify in the way that is chosen."""
    public = tls.directory == LETSENCRYPT
    for name in app.domains:
        if public and not is_public(name):
            yield f'{name} is no public name, so Let\'s Encrypt cannot certify it; say "tls: selfsigned" or "tls: off"'
        if name.startswith("*.") and tls.dns is None:
            yield f"{name}: a wildcard can only be proved through DNS; give `tls` a `dns: {{auth: PROGRAM}}`"
    if app.domains:
        return
    address = certified_address(app, host)
    if not address:
        yield (
            f"an app without domains gets a certificate for the server's IP address, and {host.name} has "
            f"the address {host.address}; give the app `domains:`"
        )
    elif tls.dns is not None:
        yield "an IP address cannot be proved through DNS; take `dns` out, or give the app `domains:`"
    elif public and not ipaddress.ip_address(address).is_global:
        yield f'Let\'s Encrypt cannot certify {address}, no public address; say "tls: selfsigned" or "tls: off"'


def _secrets(app: App, tls: TlsSettings, environ: Mapping[str, str]) -> Iterator[str]:
    where = f"apps.{app.name}.tls"
    yield from tls.resolve_dns_env(environ, where)[1]
    yield from tls.resolve_eab(environ, where)[1]
    programs = (tls.dns.auth, tls.dns.cleanup) if tls.dns else ()
    for path in (*programs, tls.ca):
        if path is not None:
            try:
                read_trusted(path, environ)
            except UsageError as error:
                yield error.message + (f". {error.hint}" if error.hint else "")
