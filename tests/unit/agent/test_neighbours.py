"""Two projects on one server whose sites would answer to the same names."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostwright.inventory import load
from hostwright.recipes.https import Https, Site
from hostwright.recipes.nginx import DEFAULT_SITE, RELOAD, SITES, front, secure
from hostwright.recipes.render import renderer
from hostwright.remote import neighbours
from hostwright.remote.catalog import Catalog
from hostwright.remote.records import Conflict, Records
from hostwright.remote.resources.file import File
from hostwright.testing import FakeSystem

STATE = "/var/lib/hostwright"
NAMES = "domains: [shop.example.com, www.example.com]"


def sites(folder: Path, app: str, domains: str, tls: bool = False) -> Catalog:
    path = folder / "inventory.yaml"
    path.write_text(
        f"apps: {{{app}: {{source: ., module: m:app, {domains}}}}}\nhosts: {{web1: {{address: 203.0.113.10}}}}\n"
    )
    (found,) = load(path, {}).apps.values()
    at = f"/etc/hostwright/tls/{app}"
    https = Https(f"{at}/fullchain.pem", f"{at}/privkey.pem", found.domains) if tls else None
    behind = [Site(found, https)]
    return Catalog([*front(behind, renderer(folder)), *secure(behind, renderer(folder))], [RELOAD])


def provisioned(catalog: Catalog, project: str = "one") -> FakeSystem:
    """A server that has the sites of a project."""
    system = FakeSystem()
    system.happen({"files": {}})
    records = Records(system, STATE, project)
    for resource in catalog.resources:
        if isinstance(resource, File):
            system.put(resource.name, resource.content)
            records.claim(resource, {})
    records.save(force=True)
    return system


def check(catalog: Catalog, system: FakeSystem, project: str = "two") -> None:
    neighbours.check(catalog, Records(system, STATE, project), system)


def test_a_name_is_taken(tmp_path: Path) -> None:
    system = provisioned(sites(tmp_path, "shop", NAMES))
    with pytest.raises(Conflict) as error:
        check(sites(tmp_path, "blog", "domains: [WWW.example.com]"), system)
    assert error.value.message == (
        "www.example.com belongs to the project 'one' on this server, and 'two' cannot have it too"
    )
    assert error.value.hint == (
        "Take it out of `domains:` in the inventory of one of them; of 'one' first, then inv provision there."
    )


def test_names_that_differ_and_ones_own(tmp_path: Path) -> None:
    system = provisioned(sites(tmp_path, "shop", NAMES))
    check(sites(tmp_path, "blog", "domains: [blog.example.com]"), system)
    check(sites(tmp_path, "shop", NAMES), system, project="one")
    # a name may move between apps of one project
    check(sites(tmp_path, "blog", NAMES), system, project="one")
    # an app without domains, and the site for unknown names that gives way to it
    check(sites(tmp_path, "blog", "domains: []"), system)


def test_one_app_alone_answers_to_every_name(tmp_path: Path) -> None:
    system = provisioned(sites(tmp_path, "shop", "domains: []"))
    wanted = f"file:{SITES}/", f"file:{DEFAULT_SITE}"
    assert wanted == (neighbours.SITES, neighbours.DEFAULT)
    with pytest.raises(Conflict) as error:
        check(sites(tmp_path, "blog", "domains: []"), system)
    assert error.value.message == (
        "an app of the project 'one' answers to every name on this server, so one of 'two' cannot"
    )
    assert error.value.hint == "Give the app `domains:` in the inventory of one of them."
    check(sites(tmp_path, "blog", NAMES), system)


def admitted(catalog: Catalog, system: FakeSystem, project: str = "two") -> list[str]:
    return [found.id for found in Records(system, STATE, project).admit(catalog).resources]


def test_two_projects_with_https(tmp_path: Path) -> None:
    closed = f"file:{SITES}/hostwright-default.tls.conf"
    shop = sites(tmp_path, "shop", NAMES, tls=True)
    blog = sites(tmp_path, "blog", "domains: [blog.example.com]", tls=True)
    system = provisioned(shop)
    check(blog, system)
    assert closed in admitted(blog, system), "both say the same"
    with pytest.raises(Conflict, match=r"www\.example\.com belongs to the project 'one'"):
        check(sites(tmp_path, "blog", "domains: [www.example.com]", tls=True), system)
    # with HTTPS or without it is the same name
    with pytest.raises(Conflict, match=r"www\.example\.com belongs to the project 'one'"):
        check(sites(tmp_path, "blog", "domains: [www.example.com]"), system)


def test_an_app_that_answers_to_every_name_over_https_too(tmp_path: Path) -> None:
    closed = f"file:{SITES}/hostwright-default.tls.conf"
    any_name = sites(tmp_path, "shop", "domains: []", tls=True)
    blog = sites(tmp_path, "blog", "domains: [blog.example.com]", tls=True)
    # what closes the port gives way to it, whoever came first
    assert closed not in admitted(blog, provisioned(any_name))
    assert closed in admitted(any_name, provisioned(blog, project="two"), project="one")
    check(any_name, provisioned(blog, project="two"), project="one")
    with pytest.raises(Conflict, match="answers to every name"):
        check(sites(tmp_path, "blog", "domains: []", tls=True), provisioned(any_name))
