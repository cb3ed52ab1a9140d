"""First contact: what a run finds on a server that somebody else set up, what it says, what --adopt does."""

from __future__ import annotations

from hashlib import md5
from pathlib import Path
from typing import Any

import pytest

from hostwright.inventory import load
from hostwright.recipes.https import Https, Site
from hostwright.recipes.nginx import RELOAD, front, secure
from hostwright.recipes.render import renderer
from hostwright.remote import brownfield, dpkg, events, provision
from hostwright.remote.catalog import Catalog
from hostwright.remote.records import Conflict
from hostwright.remote.resources.base import Context, diff
from hostwright.remote.run import Run
from hostwright.testing import FakeSystem

INVENTORY = """\
apps:
  shop: {source: ., module: m:app, domains: [shop.example.com]}
hosts: {web1: {address: 203.0.113.10}}
"""
NGINX = "/etc/nginx"
SHIPPED = "http { include /etc/nginx/mime.types; }\n"
WELCOME = "server { listen 80 default_server; listen [::]:80 default_server; server_name _; }\n"
STATUS = """\
Package: nginx-common
Status: {status}
Architecture: all
Conffiles:
 /etc/nginx/mime.types 60d17ef2cb190ea97b74947b5d1a0ad6
 /etc/nginx/nginx.conf {conf}
 /etc/nginx/sites-available/default {default} obsolete
Description: small web server
 /etc/nginx/nginx.conf

Package: nginx
Status: {status}
Architecture: amd64
Version: 1.22.1-9+deb12u11
Depends: libssl3 (>= 3.0.0)

Package: libssl3
Status: install ok installed
Architecture: amd64
Version: 3.0.22-1~deb12u2
"""
SOCKET = (
    "   1: {address}:0050 00000000:0000 {state} 00:0 00:0 00000000     0        0 791416 1 0 100 0 0 10 0\n"
)
REFUSED = "Hostwright did not set up this server, and {} of it would be cut; nothing was changed"


def digest(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def server(*, status: str = "install ok installed", **files: Any) -> FakeSystem:
    """Debian with nginx as it came; keywords are paths below /etc/nginx."""
    packages = STATUS.format(status=status, conf=digest(SHIPPED), default=digest(WELCOME))
    system = FakeSystem(
        {
            dpkg.STATUS: packages,
            f"{NGINX}/nginx.conf": SHIPPED,
            f"{NGINX}/sites-available/default": WELCOME,
            f"{NGINX}/sites-enabled/default": {"link": f"{NGINX}/sites-available/default"},
        }
    )
    for name, value in files.items():
        system.put(f"{NGINX}/{name}", value)
    return system


def enabled(name: str, text: str) -> dict[str, Any]:
    return {f"sites-available/{name}": text, f"sites-enabled/{name}": {"link": f"../sites-available/{name}"}}


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    path = tmp_path / "inventory.yaml"
    path.write_text(INVENTORY)
    return Catalog(front([Site(app) for app in load(path, {}).apps.values()], renderer(tmp_path)), [RELOAD])


class Met:
    """How a first contact ended."""

    def __init__(
        self, catalog: Catalog, system: FakeSystem, adopt: bool = False, check: bool = False
    ) -> None:
        self.notices: list[tuple[str, str]] = []
        self.refused: tuple[str, str] | None = None
        self.catalog: Catalog | None = None
        before = repr(system.nodes)
        try:
            self.catalog = brownfield.meet(
                catalog, system, Run(self.hear, lambda: False), adopt=adopt, check=check
            )
        except Conflict as error:
            self.refused = (error.message, error.hint)
        assert repr(system.nodes) == before, "it only reads"
        assert system.ran == []

    def hear(self, event: events.Event) -> None:
        assert isinstance(event, events.Noticed)
        self.notices.append((event.message, event.hint))

    @property
    def asides(self) -> list[str]:
        assert self.catalog
        return [found.name for found in self.catalog.resources if found.kind == "set_aside"]


# -- what is not in the way ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "system",
    [
        FakeSystem(),
        server(),
        server(**{"conf.d/default.conf.bak": "server {}", "sites-enabled/.hidden": "server {}"}),
        server(**{"conf.d/gzip.conf": "gzip_static on;\n", "sites-enabled/folder": None}),
        server(**{"sites-enabled/dangling": {"link": "../gone"}}),
        server(status="deinstall ok config-files", **{"nginx.conf": "of long ago\n"}),
    ],
)
def test_a_server_with_nothing_of_its_own(catalog: Catalog, system: FakeSystem) -> None:
    met = Met(catalog, system)
    assert (met.notices, met.refused, met.catalog) == ([], None, catalog)


def test_a_run_that_died_before_it_was_recorded_is_no_surprise(catalog: Catalog) -> None:
    system = server()
    for resource in catalog.resources:
        if resource.kind in ("file", "absent"):
            changes = diff(resource.desired(system), resource.read(system))
            resource.validate = ()  # type: ignore[attr-defined]
            resource.apply(system, changes, Context(lambda _: None, {}))
    met = Met(catalog, system)
    assert (met.notices, met.refused) == ([], None)


def test_sites_that_get_along_are_told(catalog: Catalog) -> None:
    blog = "server { listen 80; listen 443 ssl; server_name blog.example.com www.blog.example.com; }"
    one = Met(catalog, server(**enabled("blog", blog)))
    assert one.refused is None
    assert one.notices == [
        (
            "1 other nginx site stays as it is: /etc/nginx/sites-enabled/blog "
            "(blog.example.com www.blog.example.com, ports 80 and 443)",
            "",
        )
    ]
    local = "server { listen 127.0.0.1:80 default_server; server_name shop.example.com; }"
    wild = "server { listen 80; server_name *.example.com; }\nserver { listen 8080 default_server; }"
    two = Met(catalog, server(**enabled("local", local), **{"conf.d/wild.conf": wild}), adopt=True)
    assert two.notices == [
        (
            "2 other nginx sites stay as they are: /etc/nginx/conf.d/wild.conf (*.example.com, ports 80 and 8080); "
            "/etc/nginx/sites-enabled/local (shop.example.com, port 80)",
            "",
        )
    ]
    assert two.asides == []


# -- nginx.conf ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("worker_processes 7;\n", ""),
        (
            "http { include mime.types; include vhosts/*.conf; include /etc/nginx/sites-enabled/*; }",
            "; ours does not include vhosts/*.conf",
        ),
        (
            "http { server { listen 80; server_name old.example.com; } }",
            "; it has a site in it (old.example.com, port 80)",
        ),
    ],
)
def test_nginx_conf_that_somebody_changed(catalog: Catalog, text: str, more: str) -> None:
    system = server(**{"nginx.conf": text})
    met = Met(catalog, system)
    assert met.notices == [
        (
            f"/etc/nginx/nginx.conf was changed on this server and would be replaced{more}",
            "What you need of it belongs into your project: inv template.eject nginx/nginx.conf.j2",
        )
    ]
    assert met.refused == (
        REFUSED.format("one thing"),
        "`inv provision --adopt` goes on, and keeps what it replaces or switches off.",
    )
    adopted = Met(catalog, system, adopt=True)
    assert (adopted.notices, adopted.refused, adopted.asides) == ([], None, [])


def test_nginx_conf_that_no_package_brought(catalog: Catalog) -> None:
    system = server()
    system.put(dpkg.STATUS, "Package: zlib1g\nStatus: install ok installed\n")
    system.unlink(f"{NGINX}/sites-enabled/default")
    assert Met(catalog, system).notices[0][0].startswith("/etc/nginx/nginx.conf was changed on this server")


@pytest.mark.parametrize("where", [dpkg.STATUS, f"{dpkg.UPDATES}/0003"])
def test_a_package_that_dpkg_did_not_finish_was_not_changed(catalog: Catalog, where: str) -> None:
    """What a first run that was killed leaves: files in their places, and a status that does not know them yet."""
    system = server()
    system.put(dpkg.STATUS, "Package: zlib1g\nStatus: install ok installed\n")
    unfinished = STATUS.format(status="install ok half-configured", conf=dpkg.NEW, default=dpkg.NEW)
    system.put(where, unfinished)
    met = Met(catalog, system)
    assert (met.notices, met.refused) == ([], None)


def test_what_dpkg_wrote_last_counts(catalog: Catalog) -> None:
    newer = "http { server_tokens off; }\n"
    system = server(**{"nginx.conf": newer})
    done = STATUS.format(status="install ok installed", conf=digest(newer), default=digest(WELCOME))
    system.put(f"{dpkg.UPDATES}/0007", done)
    assert Met(catalog, system).notices == []


# -- sites ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said", "way_out"),
    [
        (
            "server { listen 80 default_server; server_name blog.example.com; }",
            "answers for all other names on port 80, as one of ours has to; all of it would be switched off "
            "(blog.example.com, port 80)",
            "Or give it a `server_name` and no `default_server` yourself.",
        ),
        (
            "server { listen 80; root /var/www; }",
            "answers for all other names on port 80, as one of ours has to; all of it would be switched off "
            "(no name, port 80)",
            "Or give it a `server_name` and no `default_server` yourself.",
        ),
        (
            "server { listen 80; server_name www.example.com shop.example.com; }\nserver { listen 443 ssl; }",
            "serves shop.example.com, as one of ours has to; all of it would be switched off "
            "(shop.example.com www.example.com, ports 80 and 443)",
            "Or take the name out of it yourself.",
        ),
        (
            "server { listen 198.51.100.7:80; listen [::]:80 default_server; server_name SHOP.example.com; }",
            "serves shop.example.com and answers for all other names on port 80, as one of ours has to; "
            "all of it would be switched off (shop.example.com, port 80)",
            "Or take the name out of it and give it a `server_name` and no `default_server` yourself.",
        ),
    ],
)
def test_a_site_that_clashes(catalog: Catalog, text: str, said: str, way_out: str) -> None:
    system = server(**enabled("blog", text))
    met = Met(catalog, system)
    assert met.notices == [(f"/etc/nginx/sites-enabled/blog {said}", way_out)]
    assert met.refused
    assert met.refused[0] == REFUSED.format("one thing")
    adopted = Met(catalog, system, adopt=True)
    assert adopted.refused is None
    assert adopted.asides == ["/etc/nginx/sites-enabled/blog"]
    assert adopted.catalog
    (aside,) = (found for found in adopted.catalog.resources if found.kind == "set_aside")
    assert aside.notify == (RELOAD.name,)
    assert adopted.catalog.resources[0] is aside, "before nginx.conf, whose check would meet the clash"


def test_debians_default_site_that_somebody_made_use_of(catalog: Catalog) -> None:
    used = "server { listen 8080; server_name old.example.com; }"
    met = Met(catalog, server(**{"sites-available/default": used}))
    assert met.notices == [
        (
            "/etc/nginx/sites-enabled/default was changed on this server; all of it would be switched off "
            "(old.example.com, port 8080)",
            "Or move it to a file of another name.",
        )
    ]
    adopted = Met(catalog, server(**{"sites-available/default": used}), adopt=True)
    assert adopted.asides == [], "the catalog removes that link anyway"


# -- ports ---------------------------------------------------------------------------------------------------


def listening(pid: int, name: str, cgroup: str, state: str = "0A", table: str = "tcp") -> FakeSystem:
    system = server()
    address = "00000000" if table == "tcp" else "0" * 32
    system.put(f"/proc/net/{table}", "  sl  local_address\n" + SOCKET.format(address=address, state=state))
    for number in {1, pid}:
        system.put(f"/proc/{number}/fd/3", {"link": "socket:[791416]"})
    system.put(f"/proc/{pid}/comm", name + "\n")
    system.put(f"/proc/{pid}/cgroup", f"9:name=systemd:/\n0::{cgroup}\n")
    system.put("/proc/9/fd/3", {"link": "/dev/null"})
    return system


@pytest.mark.parametrize(
    ("system", "said", "hint"),
    [
        (
            listening(812, "apache2", "/system.slice/apache2.service"),
            "apache2 (pid 812) listens on port 80: nginx could not start",
            "Stop and disable it yourself: sudo systemctl disable --now apache2.service",
        ),
        (
            listening(812, "apache2", "/system.slice/apache2.service", table="tcp6"),
            "apache2 (pid 812) listens on port 80: nginx could not start",
            "Stop and disable it yourself: sudo systemctl disable --now apache2.service",
        ),
        (
            listening(40, "docker-proxy", "/system.slice/docker.service"),
            "docker-proxy (pid 40) listens on port 80: nginx could not start",
            "A container publishes that port: docker ps --filter publish=80",
        ),
        (
            listening(41, "caddy", "/user.slice/user-1000.slice/user@1000.service/caddy.service"),
            "caddy (pid 41) listens on port 80: nginx could not start",
            "Stop it yourself, and what starts it: ps -fp 41",
        ),
        (
            listening(42, "nginx", "/user.slice/user-0.slice/session-1.scope"),
            "nginx (pid 42) listens on port 80: nginx could not start",
            "Stop it yourself, and what starts it: ps -fp 42",
        ),
        (
            listening(1, "systemd", "/init.scope"),
            "systemd (pid 1) listens on port 80: nginx could not start",
            "A socket unit has it: systemctl list-sockets",
        ),
    ],
)
def test_a_program_on_our_port(catalog: Catalog, system: FakeSystem, said: str, hint: str) -> None:
    for adopt in (False, True):
        met = Met(catalog, system, adopt=adopt)
        assert met.notices == [(said, hint)]
        assert met.refused == (
            REFUSED.format("one thing"),
            "Free the port yourself, --adopt does not help there. Then run this command again.",
        )


def test_a_program_nobody_sees(catalog: Catalog) -> None:
    system = listening(812, "x", "/")
    system.remove_tree("/proc/812")
    system.remove_tree("/proc/1")
    assert Met(catalog, system).notices == [
        (
            "a program listens on port 80: nginx could not start",
            "No process of this server has it; a container with the host's network may.",
        )
    ]


@pytest.mark.parametrize(
    "system",
    [
        listening(42, "nginx", "/system.slice/nginx.service"),
        listening(42, "nginx", "/lxc.payload.web1/system.slice/nginx.service"),
        listening(42, "curl", "/user.slice/x.scope", state="06"),
    ],
)
def test_a_port_that_is_free_or_nginx_own(catalog: Catalog, system: FakeSystem) -> None:
    met = Met(catalog, system)
    assert (met.notices, met.refused) == ([], None)


@pytest.fixture
def secured(tmp_path: Path) -> Catalog:
    path = tmp_path / "inventory.yaml"
    path.write_text(INVENTORY)
    https = Https("/c/fullchain.pem", "/c/privkey.pem", ("shop.example.com",))
    behind = [Site(app, https) for app in load(path, {}).apps.values()]
    return Catalog([*front(behind, renderer(tmp_path)), *secure(behind, renderer(tmp_path))], [RELOAD])


def test_port_443_is_wanted_with_https_alone(catalog: Catalog, secured: Catalog) -> None:
    """Also while the certificate is not there yet: it will be."""
    system = listening(812, "caddy", "/system.slice/caddy.service")
    system.put(
        "/proc/net/tcp",
        "  sl  local_address\n" + SOCKET.format(address="00000000", state="0A").replace("0050", "01BB"),
    )
    assert Met(catalog, system).refused is None
    met = Met(secured, system)
    assert met.notices == [
        (
            "caddy (pid 812) listens on port 443: nginx could not start",
            "Stop and disable it yourself: sudo systemctl disable --now caddy.service",
        )
    ]
    assert met.refused


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("server { listen 443 ssl; server_name shop.example.com; }", "serves shop.example.com, as"),
        (
            "server { listen 443 ssl default_server; server_name blog.example.com; }",
            "answers for all other names on port 443, as",
        ),
        ("server { listen 443 ssl; server_name blog.example.com; }", ""),
    ],
)
def test_sites_on_port_443(catalog: Catalog, secured: Catalog, text: str, said: str) -> None:
    system = server(**enabled("blog", text))
    assert Met(catalog, system).refused is None
    met = Met(secured, system)
    assert bool(met.refused) is bool(said)
    assert said in met.notices[0][0]


def test_an_nginx_that_no_package_knows(catalog: Catalog) -> None:
    """What ours would look like there cannot be known; that it is another can."""
    system = FakeSystem({f"{NGINX}/nginx.conf": "mine\n"})
    met = Met(catalog, system)
    assert [message for message, _ in met.notices] == [
        "/etc/nginx/nginx.conf was changed on this server and would be replaced"
    ]


# -- all of it -----------------------------------------------------------------------------------------------


def everything() -> FakeSystem:
    system = listening(812, "apache2", "/system.slice/apache2.service")
    system.put(f"{NGINX}/nginx.conf", "mine\n")
    for path, value in enabled("old", "server { listen 80; server_name shop.example.com; }").items():
        system.put(f"{NGINX}/{path}", value)
    system.put(f"{NGINX}/conf.d/blog.conf", "server { server_name blog.example.com; }")
    return system


def test_everything_at_once(catalog: Catalog) -> None:
    met = Met(catalog, everything())
    heads = [message.split(" ")[0] for message, _ in met.notices]
    assert heads == ["apache2", "/etc/nginx/nginx.conf", "/etc/nginx/sites-enabled/old"]
    assert met.refused == (
        REFUSED.format("3 things"),
        "Free the port yourself, --adopt does not help there. Then `inv provision --adopt` goes on, "
        "and keeps what it replaces or switches off.",
    )
    adopted = Met(catalog, everything(), adopt=True)
    assert [message.split(" ")[0] for message, _ in adopted.notices] == ["apache2"]
    assert adopted.refused


@pytest.mark.parametrize("adopt", [False, True])
def test_a_check_lists_and_goes_on(catalog: Catalog, adopt: bool) -> None:
    met = Met(catalog, everything(), adopt=adopt, check=True)
    assert met.refused is None
    heads = [message.split(" ")[0] for message, _ in met.notices[:3]]
    assert heads == ["apache2", "/etc/nginx/nginx.conf", "/etc/nginx/sites-enabled/old"]
    assert met.notices[3][0] == "a run would refuse to cut this"
    assert met.notices[4][0].startswith("1 other nginx site stays as it is: /etc/nginx/conf.d/blog.conf")
    assert met.asides == (["/etc/nginx/sites-enabled/old"] if adopt else [])


# -- through the action ----------------------------------------------------------------------------------------


def request(catalog: Catalog, **fields: Any) -> dict[str, Any]:
    base = {"run": "r", "project": "p", "by": "ann@laptop", "began": 0.0, "apply": True}
    return {**base, "paths": {"state": "/var/lib/hostwright"}, "catalog": catalog.to_wire(), **fields}


def test_a_run_is_refused_before_anything_is_changed(catalog: Catalog) -> None:
    system, heard = everything(), list[events.Event]()
    before = repr(system.nodes)
    with pytest.raises(Conflict):
        provision.plan(request(catalog), system, heard.append)
    assert [event.event for event in heard] == ["run_started", "noticed", "noticed", "noticed"]
    with pytest.raises(Conflict):
        provision.job(request(catalog), system, Run(heard.append, lambda: False))
    assert repr(system.nodes) == before


def test_a_check_ends_as_a_check(catalog: Catalog) -> None:
    system, heard = everything(), list[events.Event]()
    finished = provision.plan(request(catalog, apply=False), system, heard.append)
    assert finished
    assert finished.outcome == "done"
    assert sum(isinstance(event, events.Noticed) for event in heard) == 5


def test_only_the_first_contact_asks(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    system = everything()
    asked: list[bool] = []

    def meet(catalog: Catalog, *_: object, **__: object) -> Catalog:
        asked.append(True)
        return catalog

    monkeypatch.setattr(brownfield, "meet", meet)
    provision.plan(request(catalog, apply=False), system, lambda _: None)
    assert asked == [True]
    records = (
        '{"format": 1, "apps": {}, "owned": {"file:/etc/nginx/nginx.conf": {"projects": {}}}, "pending": {}}'
    )
    system.put("/var/lib/hostwright/records.json", records)
    provision.plan(request(catalog, apply=False), system, lambda _: None)
    nothing = Catalog([found for found in catalog.resources if found.kind == "absent"], [RELOAD])
    provision.plan(request(nothing, apply=False, project="q"), FakeSystem(), lambda _: None)
    assert asked == [True]
