"""nginx's sandbox as provision declares it, and as servers get it."""

from __future__ import annotations

import pytest

from hostwright.inventory import Host
from hostwright.recipes.nginx_unit import DROP_IN, nginx_unit
from hostwright.remote.features import Features, fit
from hostwright.remote.resources import from_wire
from hostwright.remote.resources.drop_in import DropIn
from hostwright.testing import FakeSystem


def host(hardening: object = True) -> Host:
    return Host.model_validate({"name": "web1", "address": "203.0.113.1", "apps": (), "hardening": hardening})


def lines(*configuration: str) -> list[str]:
    """The settings on a server whose nginx has these lines in a site."""
    (found,) = nginx_unit(host())
    assert isinstance(found, DropIn)
    system = FakeSystem({"/etc/nginx/sites-enabled/x": "\n".join(configuration)})
    text = fit(found.content, Features(system).hold)
    return [line for line in text.splitlines() if "=" in line and not line.startswith("#")]


def test_it_is_on_unless_it_is_switched_off() -> None:
    assert [resource.name for resource in nginx_unit(host())] == [DROP_IN]
    assert nginx_unit(host(False)) == []
    assert nginx_unit(host({"nginx": False})) == []


def test_it_travels() -> None:
    (declared,) = nginx_unit(host())
    arrived = from_wire(declared.to_wire())
    assert arrived.to_wire() == declared.to_wire()
    assert arrived.id == f"drop_in:{DROP_IN}"


def test_nothing_is_said_twice_or_left_over() -> None:
    found = lines()
    names = [line.partition("=")[0] for line in found]
    assert len(set(names)) == len(names)
    assert not any("#?" in line for line in found)
    assert {"ProtectHome=yes", "PrivateTmp=yes", "UMask=0027", "NoNewPrivileges=yes"} <= set(found)


@pytest.mark.parametrize(
    ("line", "there", "gone"),
    [
        ("root /home/ann/site;", "ProtectHome=read-only", "ProtectHome=yes"),
        ("alias /root/x/;", "ProtectHome=read-only", "ProtectHome=yes"),
        ("proxy_pass http://unix:/tmp/app.sock;", "ProtectHome=yes", "PrivateTmp=yes"),
    ],
)
def test_what_others_sites_need_stays_seen(line: str, there: str, gone: str) -> None:
    assert there in lines(line)
    assert gone not in lines(line)
    assert gone in lines("# " + line)
