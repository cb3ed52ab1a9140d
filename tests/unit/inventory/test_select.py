from __future__ import annotations

import pytest

from hostwright.errors import UsageError
from hostwright.inventory import Inventory, select_app, select_hosts
from tests.unit.inventory.conftest import Loader

FLEET = """
defaults: {user: deploy, identity_file: /keys/id}
apps:
  hello: {module: "a:b", domains: [a.example.com]}
  shop: {module: "a:b", domains: [b.example.com]}
groups: {production: {}, staging: {}, empty: {}}
hosts:
  web1: {address: 203.0.113.1, groups: [production], apps: [hello]}
  web2: {address: 203.0.113.2, groups: [production, staging], apps: [hello, shop], port: 2222}
  db1.example.com: {groups: [production], apps: []}
  six: {address: "2001:db8::1", apps: [shop]}
"""


@pytest.fixture
def fleet(inventory_of: Loader) -> Inventory:
    return inventory_of(FLEET)


def names(inventory: Inventory, *spec: str, purpose: str = "provision", app: str | None = None) -> list[str]:
    return [host.name for host in select_hosts(inventory, spec, purpose=purpose, app=app)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (["web1"], ["web1"]),
        (["web2", "web1"], ["web2", "web1"]),
        (["web2,web1, web2", "web1,"], ["web2", "web1"]),
        (["staging"], ["web2"]),
        (["staging,production"], ["web2", "web1", "db1.example.com"]),
        (["all"], ["web1", "web2", "db1.example.com", "six"]),
        (["db1.example.com"], ["db1.example.com"]),
        (["203.0.113.2"], ["web2"]),
        (["2001:DB8:0::1"], ["six"]),
        (["[2001:db8::1]:22"], ["six"]),
        (["DB1.example.com."], ["db1.example.com"]),
        (["198.51.100.7"], ["198.51.100.7"]),
        (["198.51.100.7:2222"], ["198.51.100.7:2222"]),
        (["[2001:db8::2]:2222"], ["[2001:db8::2]:2222"]),
        (["root@new.example.com,web1"], ["new.example.com", "web1"]),
    ],
)
def test_named_hosts(fleet: Inventory, spec: list[str], expected: list[str]) -> None:
    assert names(fleet, *spec) == expected


def test_user_and_port_override_those_of_a_known_host(fleet: Inventory) -> None:
    [host] = select_hosts(fleet, ["root@web2:22"], purpose="provision", app=None)
    assert host == fleet.hosts["web2"].model_copy(update={"user": "root", "port": 22})
    [host] = select_hosts(fleet, ["root@203.0.113.2"], purpose="provision", app=None)
    assert (host.name, host.user, host.port) == ("web2", "root", 2222)


def test_a_bare_address_gets_the_defaults_and_every_app(fleet: Inventory) -> None:
    [host] = select_hosts(fleet, ["root@198.51.100.7"], purpose="deploy", app="shop")
    assert (host.name, host.address, host.user, host.port) == ("198.51.100.7", "198.51.100.7", "root", 22)
    assert host.apps == ("hello", "shop")
    assert host.identity_file == fleet.defaults.identity_file
    [host] = select_hosts(fleet, ["198.51.100.7:2200"], purpose="provision", app=None)
    assert (host.user, host.port) == ("deploy", 2200)


def test_a_bare_address_gets_the_apps_of_the_defaults(inventory_of: Loader) -> None:
    inventory = inventory_of("defaults: {apps: [two]}\napps: {one: {module: 'a:b'}, two: {module: 'a:b'}}")
    [host] = select_hosts(inventory, ["198.51.100.7"], purpose="provision", app=None)
    assert host.apps == ("two",)


def test_a_bare_address_with_nothing_but_an_app(inventory_of: Loader) -> None:
    inventory = inventory_of("apps: {hello: {module: 'a:b'}}\nhosts:\n")
    [host] = select_hosts(inventory, ["203.0.113.10"], purpose="provision", app=None)
    assert (host.apps, host.user, host.model_fields_set) == (
        ("hello",),
        "ubuntu",
        {"name", "address", "apps"},
    )


def test_several_hosts_at_one_address(inventory_of: Loader) -> None:
    inventory = inventory_of(
        "hosts: {a: {address: 127.0.0.1, port: 2201}, b: {address: 127.0.0.1, port: 2202}}"
    )
    assert names(inventory, "127.0.0.1:2202") == ["b"]
    assert names(inventory, "127.0.0.1:2203") == ["127.0.0.1:2203"]
    with pytest.raises(UsageError) as caught:
        names(inventory, "127.0.0.1")
    assert str(caught.value) == (
        "--host 127.0.0.1: several hosts have this address: a, b\n  Use one of their names."
    )


def test_none_named(fleet: Inventory, inventory_of: Loader) -> None:
    assert names(fleet, purpose="deploy", app="hello") == ["web1", "web2"]
    assert names(fleet, purpose="deploy") == ["web1", "web2", "six"]
    one = inventory_of("apps: {hello: {module: 'a:b'}}\nhosts: {web1: {}}")
    assert names(one) == ["web1"]
    assert names(one, purpose="deploy", app="hello") == ["web1"]


def test_to_look_at_a_host_it_needs_no_app(inventory_of: Loader) -> None:
    inventory = inventory_of(
        "apps: {hello: {module: 'a:b'}}\nhosts: {web1: {apps: [hello]}, db1: {apps: []}}"
    )
    assert names(inventory, purpose="any") == ["web1", "db1"]
    assert names(inventory, "db1", purpose="any") == ["db1"]


def test_a_deploy_to_a_group_leaves_out_hosts_that_do_not_run_the_app(fleet: Inventory) -> None:
    assert names(fleet, "production", purpose="deploy", app="shop") == ["web2"]
    assert names(fleet, "all", purpose="deploy", app="shop") == ["web2", "six"]


BARE = "A server that is not in the inventory: --host [user@]address[:port]"
KNOWN = "Known: web1, web2, db1.example.com, six, production, staging, empty. " + BARE
REFUSED = [
    ([], "provision", None, "there are 4 hosts: web1, web2, db1.example.com, six", "Name some, or say --host all"),
    (["wbe1"], "provision", None, 'no host or group is called "wbe1". Did you mean "web1"?', KNOWN),
    (["prodution"], "deploy", None, 'no host or group is called "prodution". Did you mean "production"?', KNOWN),
    (["nothing-like-it"], "deploy", None, 'no host or group is called "nothing-like-it".', KNOWN),
    (["web1,-x"], "provision", None, '--host: expected a name, got "-x"', None),
    (["--check"], "provision", None, '--host: expected a name, got "--check"', None),
    ([""], "provision", None, "--host: expected a name, a group, all or an address, got nothing", None),
    ([","], "deploy", None, "--host: expected a name, a group, all or an address, got nothing", None),
    (["empty"], "provision", None, "--host empty: the group empty has no hosts", BARE),
    (["a b@c"], "provision", None, '"a b@c": "a b" cannot be a user name', None),
    (["web1:x"], "provision", None, '"web1:x": the port must be an integer from 1 to 65535, got "x"', None),
    (["web1,root@web1"], "provision", None, "--host names web1 twice, with different users or ports", None),
    (["six"], "deploy", "hello", "six does not run hello; its apps: shop", "See `apps:` in the inventory."),
    (
        ["db1.example.com"], "deploy", None,
        "db1.example.com does not run any app; its apps: none", "See `apps:` in the inventory.",
    ),
    (
        ["staging"], "deploy", "other", "no host of the group staging runs other",
        "Add it to a host's `apps:`, or name a --host.",
    ),
    ([], "deploy", "other", "no host of the inventory runs other", "Add it to a host's `apps:`, or name a --host."),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "purpose", "app", "message", "hint"), REFUSED)
def test_refused(
    fleet: Inventory, spec: list[str], purpose: str, app: str | None, message: str, hint: str | None
) -> None:
    with pytest.raises(UsageError) as caught:
        names(fleet, *spec, purpose=purpose, app=app)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_refused_without_hosts(inventory_of: Loader) -> None:
    inventory = inventory_of("apps: {a: {module: 'a:b'}, b: {module: 'a:b'}}")
    for spec, message in (
        ([], "the inventory has no hosts and --host names none"),
        (["all"], "--host all: the inventory has no hosts"),
        (["web1"], 'no host or group is called "web1".'),
    ):
        with pytest.raises(UsageError) as caught:
            names(inventory, *spec)
        assert (caught.value.message, caught.value.hint) == (message, BARE)
    with pytest.raises(UsageError) as caught:
        names(inventory, "203.0.113.1")
    assert str(caught.value) == (
        "203.0.113.1 would run every app, but at apps.b: neither this app nor a has domains, so each would "
        "answer to every name\n  Describe the server under `hosts:` with the `apps:` it runs."
    )


def test_select_app(fleet: Inventory, inventory_of: Loader) -> None:
    assert select_app(fleet, "shop").name == "shop"
    assert select_app(inventory_of("apps: {one: {module: 'a:b'}}"), None).name == "one"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (None, "there are 2 apps: hello, shop\n  Name one: --app NAME"),
        ("helo", 'no app is called "helo". Did you mean "hello"?\n  Known: hello, shop'),
        ("", 'no app is called "".\n  Known: hello, shop'),
        ("-x", '--app: expected a name, got "-x"'),
    ],
)
def test_select_app_refuses(fleet: Inventory, name: str | None, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        select_app(fleet, name)
    assert str(caught.value) == text


def test_select_app_without_any(inventory_of: Loader) -> None:
    with pytest.raises(UsageError) as caught:
        select_app(inventory_of("hosts: {}"), None)
    assert str(caught.value) == "the inventory has no apps\n  Describe one under `apps:` in inventory.yaml."
