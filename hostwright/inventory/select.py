"""Which hosts and which app a command is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from hostwright.errors import UsageError
from hostwright.inventory.address import Address, is_ip, parse_address, same_host
from hostwright.inventory.app import App
from hostwright.inventory.checks import same_domains
from hostwright.inventory.host import Host
from hostwright.inventory.model import ALL, Inventory
from hostwright.inventory.nearest import did_you_mean

Purpose = Literal["provision", "deploy", "any"]

BARE = "A server that is not in the inventory: --host [user@]address[:port]"


def select_hosts(
    inventory: Inventory, spec: Sequence[str], *, purpose: Purpose, app: str | None
) -> list[Host]:
    """The hosts that `--host` means, each once, in the order they were named.

    Args:
        spec: the values of `--host`: names, groups, `all`, comma lists, `[user@]address[:port]`.
        purpose: "provision" never takes several hosts that nobody named; "deploy" (also rollback, logs
            and the like) takes every host that runs an app; "any" (status, verify, cancel) every host.
        app: the app that a deploy is about; hosts of a group that do not run it are left out. None: any.

    Raises:
        UsageError: nothing or nobody is meant, with the nearest names.
    """
    terms = [term.strip() for value in spec for term in value.split(",")]
    if spec and not any(terms):
        raise UsageError("--host: expected a name, a group, all or an address, got nothing")
    if not terms:
        return _unnamed(inventory, purpose, app)
    chosen: dict[str, Host] = {}
    for term in filter(None, terms):
        for host in _named(inventory, term, purpose, app):
            if chosen.setdefault(host.name, host) != host:
                raise UsageError(f"--host names {host.name} twice, with different users or ports")
    return list(chosen.values())


def select_app(inventory: Inventory, name: str | None) -> App:
    """The app that `--app` means; without a name the only one.

    Raises:
        UsageError: no such app, none at all, or several and none named.
    """
    known = ", ".join(inventory.apps)
    if name is not None and name in inventory.apps:
        return inventory.apps[name]
    if not inventory.apps:
        raise UsageError(
            "the inventory has no apps", hint=f"Describe one under `apps:` in {inventory.path.name}."
        )
    if name is not None:
        _refuse_option("app", name)
        raise UsageError(
            f'no app is called "{name}".{did_you_mean(name, inventory.apps)}', hint=f"Known: {known}"
        )
    if len(inventory.apps) > 1:
        raise UsageError(f"there are {len(inventory.apps)} apps: {known}", hint="Name one: --app NAME")
    return next(iter(inventory.apps.values()))


def _refuse_option(flag: str, value: str) -> None:
    if value.startswith("-"):
        raise UsageError(f'--{flag}: expected a name, got "{value}"')


def _unnamed(inventory: Inventory, purpose: str, app: str | None) -> list[Host]:
    hosts = list(inventory.hosts.values())
    if not hosts:
        raise UsageError("the inventory has no hosts and --host names none", hint=BARE)
    if len(hosts) > 1 and purpose == "provision":
        raise UsageError(
            f"there are {len(hosts)} hosts: {', '.join(inventory.hosts)}", hint="Name some, or say --host all"
        )
    return _running(hosts, app, "the inventory") if purpose == "deploy" else hosts


def _running(hosts: Iterable[Host], app: str | None, where: str) -> list[Host]:
    """The hosts that run `app`, or any app when it is None."""
    running = [host for host in hosts if (app in host.apps if app is not None else host.apps)]
    if not running:
        what = app if app is not None else "an app"
        raise UsageError(
            f"no host of {where} runs {what}", hint="Add it to a host's `apps:`, or name a --host."
        )
    return running


def _named(inventory: Inventory, term: str, purpose: str, app: str | None) -> list[Host]:
    """The hosts of one word of `--host`."""
    _refuse_option("host", term)
    if term == ALL or term in inventory.groups:
        names = inventory.groups.get(term, tuple(inventory.hosts))
        if not names:
            what = "the inventory has no hosts" if term == ALL else f"the group {term} has no hosts"
            raise UsageError(f"--host {term}: {what}", hint=BARE)
        hosts = [inventory.hosts[name] for name in names]
        where = "the inventory" if term == ALL else f"the group {term}"
        return _running(hosts, app, where) if purpose == "deploy" else hosts
    host = inventory.hosts.get(term) or _addressed(inventory, term)
    if purpose == "deploy":
        _must_run(host, app)
    return [host]


def _must_run(host: Host, app: str | None) -> None:
    if app not in host.apps if app is not None else not host.apps:
        what = app if app is not None else "any app"
        runs = ", ".join(host.apps) or "none"
        raise UsageError(
            f"{host.name} does not run {what}; its apps: {runs}", hint="See `apps:` in the inventory."
        )


def _addressed(inventory: Inventory, term: str) -> Host:
    """A host that is named by its address, with or without user and port, in the inventory or not."""
    if not (is_ip(term) or any(char in term for char in "@:.")):
        known = [*inventory.hosts, *inventory.groups]
        near = did_you_mean(term, [*known, ALL])
        hint = f"Known: {', '.join(known)}. {BARE}" if known else BARE
        raise UsageError(f'no host or group is called "{term}".{near}', hint=hint)
    address = parse_address(term)
    host = _known(inventory, address)
    if host is None:
        return _bare(inventory, address)
    overrides = {
        key: value for key, value in (("user", address.user), ("port", address.port)) if value is not None
    }
    return host.model_copy(update=overrides)


def _known(inventory: Inventory, address: Address) -> Host | None:
    """The host of the inventory that an address means; among several at one address, by the port."""
    if address.host in inventory.hosts:
        return inventory.hosts[address.host]
    hosts = [host for host in inventory.hosts.values() if same_host(host.address, address.host)]
    if len(hosts) <= 1:
        return hosts[0] if hosts else None
    same_port = [host for host in hosts if host.port == address.port]
    if len(same_port) == 1:
        return same_port[0]
    if address.port is not None and not same_port:
        return None
    names = ", ".join(host.name for host in hosts)
    raise UsageError(
        f"--host {address}: several hosts have this address: {names}", hint="Use one of their names."
    )


def _bare(inventory: Inventory, address: Address) -> Host:
    host = inventory.bare_host(address.host, user=address.user, port=address.port)
    for path, words in same_domains({name: inventory.apps[name].domains for name in host.apps}):
        raise UsageError(
            f"{address.host} would run every app, but at {'.'.join(map(str, path[:2]))}: {words}",
            hint="Describe the server under `hosts:` with the `apps:` it runs.",
        )
    return host
