"""`inv provision`: a catalog to each host, and the proof of a new login where one was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from hostwright.errors import HostwrightError, UnsupportedServer
from hostwright.inventory import Host, Inventory
from hostwright.inventory.tls_checks import certified_address, check_tls
from hostwright.inventory.tls_material import materials
from hostwright.inventory.user_keys import UserKeys
from hostwright.report import Output, Report
from hostwright.run import wheels
from hostwright.run.drafts import Drafts
from hostwright.run.fleet import Fleet
from hostwright.run.login import Logins
from hostwright.run.proof import new_login
from hostwright.run.request import request
from hostwright.transport.base import Transport

if TYPE_CHECKING:
    from hostwright.remote.catalog import Catalog


def provision(
    inventory: Inventory,
    hosts: Sequence[Host],
    logins: Logins,
    output: Output,
    *,
    apply: bool,
    diff: bool,
    wait: float,
    adopt: bool = False,
) -> Report:
    """Converge each host, or tell what would change.

    Returns:
        The report; errors of single hosts are in it.

    Raises:
        InventoryError: a certificate that no CA could issue, or files that do not fit; nothing was contacted.
        HostwrightError: the keys of somebody who may log in cannot be had; nothing was contacted.
    """
    check_tls(inventory, hosts, logins.environ)
    found = UserKeys(logins.environ)
    keys = {host.name: found.of(host) for host in hosts}
    names_of = partial(public_names, inventory)
    looks = {"login": partial(new_login, logins), "first_environment": partial(_first_environment, inventory)}
    fleet = Fleet(hosts, logins.connect, output, names_of=names_of, looks=looks)
    tell_outdated(inventory, output)

    def draft(host: Host, public_key: str = "") -> tuple[Catalog, list[str]]:
        from hostwright.recipes.provision import catalog
        from hostwright.recipes.render import renderer

        material = materials(inventory, host, logins.environ)
        wanted = catalog(inventory, host, renderer(inventory.base), public_key, material, keys[host.name])
        return wanted, sorted({secret for found in material.values() for secret in found.secrets})

    def request_for(host: Host, transport: Transport) -> dict[str, Any]:
        wanted, secrets = drafts.of(host) if host in drafts else draft(host, transport.public_key)
        return request(
            "provision",
            inventory.project,
            f"provision {host.name}",
            apply=apply,
            diff=diff,
            wait=wait,
            adopt=adopt,
            total=len(wanted.resources),
            catalog=wanted.to_wire(),
            login={"user": host.user, "port": host.port},
            secrets=secrets,
        )

    def missing_python(host: Host, transport: Transport) -> bool:
        if not apply:
            raise UnsupportedServer(
                "there is no Python on this server yet, so a check cannot look; it installs nothing",
                host=host.name,
                hint=f"`inv provision --host {host.name}` installs python3 first.",
            )
        from hostwright.transport.python import install_python

        install_python(transport, lambda line: logins.say(host.name, line))
        return True

    # the key of a bootstrap user's login is part of its host's catalog, and known once it has worked
    with Drafts(draft, [host for host in hosts if not host.bootstrap_user]) as drafts:
        report = fleet.run(request_for, on_missing_python=missing_python)
        without = [host for host in hosts if _reason(report, host) == wheels.REASON]
        if apply and without:
            kinds = {
                host.name: wheels.kind_of(inventory, host, report.hosts[host.name].facts) for host in without
            }
            pushed = wheels.push(inventory.project, without, kinds, logins, output)
            if pushed.exit_code == 0:
                fleet = Fleet(without, logins.connect, output, names_of=names_of, looks=looks)
                report.hosts.update(fleet.run(request_for).hosts)
    if apply and report.exit_code == 0:
        prove(hosts, logins, output, report)
    return report


def _first_environment(
    inventory: Inventory, host: Host, data: Mapping[str, Any], timeout: float
) -> dict[str, Any]:
    from hostwright.run.first_environment import first_environment

    return first_environment(inventory, host, data)


def public_names(inventory: Inventory, host: Host) -> frozenset[str]:
    """What a host may ask us to look at, as the rest of the world sees it."""
    domains = [name for app in host.apps for name in inventory.apps[app].domains]
    addresses = [certified_address(inventory.apps[app], host) for app in host.apps]
    return frozenset(filter(None, [host.address, *domains, *addresses]))


def tell_outdated(inventory: Inventory, output: Output) -> None:
    """Say which of the project's templates were made from one of ours that has changed since."""
    from hostwright.recipes.overrides import overrides
    from hostwright.recipes.render import templates

    for found in overrides(inventory.base, templates()):
        if found.outdated:
            output.notice(
                f"templates/{found.name} overrides ours, which has changed since: inv template.diff {found.name}"
            )


def _reason(report: Report, host: Host) -> str:
    """Why a host failed, in a word for programs."""
    found = report.hosts.get(host.name)
    return next((failure.reason for failure in found.failures if failure.reason), "") if found else ""


def prove(hosts: Sequence[Host], logins: Logins, output: Output, report: Report) -> None:
    """Where the bootstrap user did the work: does the real user get in, and to root, now?"""
    for host in hosts:
        if host.name not in logins.bootstrapped:
            continue
        try:
            transport = logins.connect(host.model_copy(update={"bootstrap_user": None}))
            try:
                channel = transport.open(("id", "-u"))
                answer = b"".join(channel.lines()).strip()
                channel.close()
            finally:
                transport.close()
            if answer != b"0":
                raise HostwrightError(
                    f"sudo did not make {host.user} root: {answer.decode(errors='replace')}"
                )
        except HostwrightError as error:
            error.host = host.name
            error.hint = f"{host.bootstrap_user} still works; run provision again."
            report.error(host.name, error)
            output.error(host.name, error)
        else:
            output.notice(f"{host.name}  proved: a new login as {host.user} works, and so does its sudo")
