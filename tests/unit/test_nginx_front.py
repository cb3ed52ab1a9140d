"""nginx's configuration as servers get it: of several nginx, with and without certificates, IPv6 and names."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from hostwright.inventory import App, load
from hostwright.recipes.front import DOCS, STRICT, Front
from hostwright.recipes.https import Https, Site
from hostwright.recipes.nginx import SITES, front, secure
from hostwright.recipes.render import renderer
from hostwright.remote import dpkg
from hostwright.remote.nginx_sites import servers, statements
from hostwright.remote.release.drain import SEEN
from hostwright.remote.resources.base import Resource, diff
from hostwright.remote.resources.file import File
from hostwright.remote.system import System
from hostwright.testing import FakeSystem
from tests.unit.agent.test_features import SERVERS
from tests.unit.tls.certificates import make, pem

FIVE = [name for name in SERVERS if name != "jammy"]
HSTS = "max-age=63072000"
DEFAULT_TLS = f"{SITES}/hostwright-default.tls.conf"


def folder(app: str) -> str:
    return f"/etc/letsencrypt/live/{app}"


def app_of(path: Path, keys: str = "", name: str = "shop") -> App:
    file = path / "inventory.yaml"
    file.write_text(
        f"apps: {{{name}: {{source: ., module: m:app, {keys}}}}}\nhosts: {{web1: {{address: 203.0.113.10}}}}\n"
    )
    return load(file, {}).apps[name]


def site_of(app: App, peers: tuple[str, ...] = (), addresses: tuple[str, ...] = ()) -> Site:
    at = folder(app.name)
    https = Https(f"{at}/fullchain.pem", f"{at}/privkey.pem", app.domains, addresses, HSTS)
    return Site(app, https, peers)


class Tree:
    """What /etc/nginx holds of a site on a server."""

    def __init__(
        self,
        path: Path,
        *sites: Site,
        server: str = "bookworm",
        ipv6: bool = True,
        certificate: tuple[str, ...] = (),
    ) -> None:
        self.system = FakeSystem({dpkg.STATUS: SERVERS[server][0]})
        if ipv6:
            self.system.put("/proc/net/if_inet6", "")
        if certificate:
            for site in sites:
                self.system.put(f"{folder(site.app.name)}/fullchain.pem", pem(make(certificate)))
                self.system.put(f"{folder(site.app.name)}/privkey.pem", "key")
        self.resources: list[Resource] = [*front(sites, renderer(path)), *secure(sites, renderer(path))]
        self.files: dict[str, str] = {}
        for resource in self.resources:
            if isinstance(resource, File):
                wanted = resource._wanted(self.system)
                self.files.update({name: text.decode() for name, text in wanted.items() if text is not None})

    def __getitem__(self, name: str) -> str:
        return self.files[name if name.startswith("/") else f"/etc/nginx/{name}"]

    def __contains__(self, name: str) -> bool:
        return f"/etc/nginx/{name}" in self.files

    def listens(self, name: str) -> list[str]:
        """The `listen` and `http2` lines of a file, in their order."""
        return [" ".join(words) for _, words in statements(self[name]) if words[0] in ("listen", "http2")]


def directives(text: str, name: str) -> list[str]:
    return [" ".join(words[1:]) for _, words in statements(text) if words[0] == name]


# -- versions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ipv6", [True, False])
@pytest.mark.parametrize("server", FIVE)
def test_listening(tmp_path: Path, server: str, ipv6: bool) -> None:
    site = site_of(app_of(tmp_path, "domains: [shop.test]"))
    tree = Tree(tmp_path, site, server=server, ipv6=ipv6, certificate=("shop.test",))
    new = SERVERS[server][1] >= (1, 25, 1)
    plain = ["listen 80", *(["listen [::]:80"] if ipv6 else [])]
    assert tree.listens("sites-enabled/hostwright-shop.conf") == plain
    words = "ssl" if new else "ssl http2"
    lines = [
        f"listen 443 {words}",
        *([f"listen [::]:443 {words}"] if ipv6 else []),
        *(["http2 on"] if new else []),
    ]
    assert tree.listens("sites-enabled/hostwright-shop.tls.conf") == lines
    # http2 belongs to the port, for an older nginx: all servers there must say the same
    if SERVERS[server][1] >= (1, 19, 4):  # else it waits for a certificate: see below
        default = [f"{line} default_server" if line.startswith("listen") else line for line in lines]
        assert tree.listens("sites-enabled/hostwright-default.tls.conf") == default
    for text in tree.files.values():
        assert "#?" not in text


@pytest.mark.parametrize("server", FIVE)
def test_names_that_nobody_has_on_443(tmp_path: Path, server: str) -> None:
    site = site_of(app_of(tmp_path, "domains: [shop.test]"))
    tree = Tree(tmp_path, site, server=server)
    text = tree["sites-enabled/hostwright-default.tls.conf"]
    if SERVERS[server][1] >= (1, 19, 4):
        assert directives(text, "ssl_reject_handshake") == ["on"]
        assert directives(text, "ssl_certificate") == []
        return
    assert servers(text) == []  # it needs a certificate, and that is not there yet
    tree.system.put("/etc/hostwright/tls/default/fullchain.pem", pem(make(["x"])))
    tree.system.put("/etc/hostwright/tls/default/privkey.pem", "key")
    (closed,) = [found for found in tree.resources if found.name == DEFAULT_TLS]
    assert isinstance(closed, File)
    text = (closed._wanted(tree.system)[DEFAULT_TLS] or b"").decode()
    assert len(servers(text)[0].listens) == 2
    assert "ssl_reject_handshake" not in text
    assert directives(text, "ssl_certificate") == ["/etc/hostwright/tls/default/fullchain.pem"]
    assert directives(text, "return") == ["444"]


@pytest.mark.parametrize("server", FIVE)
def test_curves(tmp_path: Path, server: str) -> None:
    tree = Tree(tmp_path, Site(app_of(tmp_path)), server=server)
    (curves,) = directives(tree["nginx.conf"], "ssl_ecdh_curve")
    assert curves.startswith("?X25519MLKEM768:") is (SERVERS[server][2] >= (3, 5))
    assert curves.endswith("X25519:prime256v1:secp384r1")
    assert directives(tree["nginx.conf"], "ssl_protocols") == ["TLSv1.2 TLSv1.3"]
    assert "brotli" not in tree["nginx.conf"]


@pytest.mark.parametrize("server", FIVE)
def test_connections_to_the_app_are_kept_where_their_age_can_be_bounded(tmp_path: Path, server: str) -> None:
    """Unbounded, requests would go to the old release for as long as it runs."""
    tree = Tree(tmp_path, Site(app_of(tmp_path)), server=server)
    bounded = SERVERS[server][1] >= (1, 19, 10)
    shared = tree["hostwright/shop/http.conf"]
    for name, value in (("keepalive", "32"), ("keepalive_time", "100ms"), ("keepalive_timeout", "100ms")):
        assert directives(shared, name) == ([value] if bounded else [])
    assert SEEN > 0.1 + 0.1  # what is left after that is a request, not a connection that takes more of them
    (_, _, values) = tree["nginx.conf"].partition("map $http_upgrade $connection_upgrade {")
    words = [line.split() for line in values.partition("}")[0].splitlines() if line.strip()]
    assert words == [["default", "upgrade;"], ["''", '"";' if bounded else "close;"]]
    # it may be the request that ended the app: it is never given a second time
    assert directives(tree["hostwright/shop/app.conf"], "proxy_next_upstream") == ["off"]


def test_brotli_where_its_modules_are(tmp_path: Path) -> None:
    tree = Tree(tmp_path, Site(app_of(tmp_path)))
    conf = next(found for found in tree.resources if found.name == "/etc/nginx/nginx.conf")
    assert isinstance(conf, File)
    for name, line in (("filter", "brotli on;"), ("static", "brotli_static on;")):
        tree.system.put(f"/etc/nginx/modules-enabled/50-mod-http-brotli-{name}.conf", "load_module x;")
        assert line in (conf._wanted(tree.system)[conf.name] or b"").decode()


# -- names ---------------------------------------------------------------------------------------------------------


DOMAINS = "domains: [shop.test, www.shop.test, '*.eu.shop.test']"


@pytest.mark.parametrize(
    ("covered", "canonical", "served", "led"),
    [
        ((), "", None, {}),
        (("other.test",), "", None, {}),
        (("shop.test",), "", ["shop.test"], {"shop.test": "shop.test"}),
        (
            ("shop.test", "www.shop.test", "*.eu.shop.test"),
            "",
            ["shop.test", "www.shop.test", "*.eu.shop.test"],
            {
                "shop.test": "shop.test",
                "www.shop.test": "www.shop.test",
                "de.eu.shop.test": "de.eu.shop.test",
            },
        ),
        (
            ("shop.test", "www.shop.test"),
            "shop.test",
            ["shop.test", "-> www.shop.test"],
            {"shop.test": "shop.test", "www.shop.test": "shop.test"},
        ),
        (
            ("shop.test", "www.shop.test", "*.eu.shop.test"),
            "www.shop.test",
            ["www.shop.test", "-> shop.test *.eu.shop.test"],
            {
                "shop.test": "www.shop.test",
                "www.shop.test": "www.shop.test",
                "de.eu.shop.test": "www.shop.test",
            },
        ),
        # the canonical one is not covered yet: nobody is sent to where no certificate is
        (("www.shop.test",), "shop.test", ["www.shop.test"], {"www.shop.test": "www.shop.test"}),
        (("shop.test",), "shop.test", ["shop.test"], {"shop.test": "shop.test"}),
    ],
)
def test_names_and_where_they_lead(
    tmp_path: Path,
    covered: tuple[str, ...],
    canonical: str,
    served: list[str] | None,
    led: dict[str, str],
) -> None:
    keys = DOMAINS + (f", nginx: {{canonical: {canonical}}}" if canonical else "")
    tree = Tree(tmp_path, site_of(app_of(tmp_path, keys)), certificate=covered)
    # over HTTP all are answered, whatever becomes of the certificate
    (plain,) = servers(tree["sites-enabled/hostwright-shop.conf"])
    assert plain.names == ["shop.test", "www.shop.test", "*.eu.shop.test"]
    if served is None:
        assert "sites-enabled/hostwright-shop.tls.conf" not in tree
        assert "hostwright/shop/redirect.conf" not in tree
        return
    first, *others = servers(tree["sites-enabled/hostwright-shop.tls.conf"])
    assert [*first.names, *(f"-> {' '.join(other.names)}" for other in others)] == served
    redirect = tree["hostwright/shop/redirect.conf"]
    for name in ("shop.test", "www.shop.test", "de.eu.shop.test", "a.de.eu.shop.test"):
        assert leads(redirect, name) == led.get(name), name


def leads(text: str, host: str) -> str | None:
    """Where redirect.conf sends a host, as nginx would read it: the last `set` wins."""
    to = None
    for how, what, where in re.findall(
        r'if \(\$host (=|~) "(.*?)"\) \{ set \$hostwright_to "https://(.*?)"; \}', text
    ):
        if host == what if how == "=" else re.search(what, host):
            to = where.replace("$host", host)
    return to


def test_an_address_instead_of_names(tmp_path: Path) -> None:
    site = site_of(app_of(tmp_path), addresses=("203.0.113.10", "2001:db8::1"))
    before = Tree(tmp_path, site)
    default = "sites-enabled/hostwright-default.tls.conf"
    assert "ssl_reject_handshake on" in before[default]
    assert "hostwright/shop/redirect.conf" not in before
    tree = Tree(tmp_path, site, certificate=("203.0.113.10", "2001:db8::1"))
    (server,) = servers(tree[default])
    assert server.nameless
    assert all(listen.default for listen in server.listens)
    assert "ssl_reject_handshake" not in tree[default]
    redirect = tree["hostwright/shop/redirect.conf"]
    assert leads(redirect, "203.0.113.10") == "203.0.113.10"
    assert leads(redirect, "[2001:db8::1]") == "[2001:db8::1]"
    assert leads(redirect, "shop.test") is None
    assert "sites-enabled/hostwright-shop.tls.conf" not in tree


def test_a_canonical_name_without_https(tmp_path: Path) -> None:
    app = app_of(tmp_path, "domains: [shop.test, www.shop.test], nginx: {canonical: www.shop.test}")
    tree = Tree(tmp_path, Site(app))
    text = tree["sites-enabled/hostwright-shop.conf"]
    assert [server.names for server in servers(text)] == [["www.shop.test"], ["shop.test"]]
    assert "return 308 $scheme://www.shop.test$request_uri;" in text
    assert "redirect" not in text
    assert not any(".tls.conf" in name for name in tree.files)


def test_hsts_is_said_over_tls_alone(tmp_path: Path) -> None:
    app = app_of(tmp_path, "domains: [shop.test, www.shop.test], nginx: {canonical: shop.test}")
    tree = Tree(tmp_path, site_of(app), certificate=("shop.test", "www.shop.test"))
    having = [name for name, text in tree.files.items() if "Strict-Transport-Security" in text]
    assert having == [f"{SITES}/hostwright-shop.tls.conf"]
    assert tree[having[0]].count("add_header Strict-Transport-Security") == 2
    site = site_of(app)
    assert site.https
    without = Site(app, Https(site.https.certificate, site.https.key, app.domains))
    tree = Tree(tmp_path, without, certificate=("shop.test", "www.shop.test"))
    assert "Strict-Transport-Security" not in tree[having[0]]


# -- the same everywhere ---------------------------------------------------------------------------------------------


def test_every_server_on_port_80_answers_challenges(tmp_path: Path) -> None:
    app = app_of(tmp_path, "domains: [shop.test, www.shop.test], nginx: {canonical: shop.test}")
    tree = Tree(tmp_path, Site(app))
    include = "include /etc/nginx/hostwright/acme.conf;"
    assert include in tree["hostwright/shop/app.conf"]
    for name in ("default", "shop"):
        for server in tree[f"sites-enabled/hostwright-{name}.conf"].split("server {")[1:]:
            assert include in server or "/shop/app.conf;" in server
    assert "proxy_pass" not in tree["hostwright/acme.conf"]


def test_other_servers_of_the_same_name_are_asked(tmp_path: Path) -> None:
    site = site_of(app_of(tmp_path, "domains: [shop.test]"), peers=("192.0.2.7", "2001:db8::7"))
    tree = Tree(tmp_path, site)
    assert directives(tree["hostwright/shop/http.conf"], "server") == [
        "unix:/srv/shop/current/link.sock", "192.0.2.7:80 max_fails=0", "[2001:db8::7]:80 max_fails=0",
    ]  # fmt: skip
    text = tree["hostwright/shop/acme.conf"]
    assert "proxy_pass http://hostwright_shop_peers;" in text
    assert "proxy_set_header X-Hostwright-Peer 1;" in text
    assert "include /etc/nginx/hostwright/shop/acme.conf;" in tree["hostwright/shop/app.conf"]
    # for names that no app has there is nobody to ask
    assert "include /etc/nginx/hostwright/acme.conf;" in tree["sites-enabled/hostwright-default.conf"]


def test_what_variables_are_used_are_made(tmp_path: Path) -> None:
    """nginx refuses a variable that nothing makes; here for the fullest and the barest settings."""
    full = (
        "domains: [shop.test], static: {/static: static}, nginx: {csp: true, connections: 9, trusted_proxies: "
        "[10.0.0.0/8], headers: {X-A: b}, rate_limits: {/: 20r/s, /login: 5r/m}}"
    )
    for keys, site in ((full, Site), (full, site_of), ("", Site)):
        tree = Tree(tmp_path, site(app_of(tmp_path, keys)), certificate=("shop.test",))
        everything = "".join(tree.files.values())
        made = set(re.findall(r"^\s*(?:map|geo) .*\$(hostwright\w+) \{", everything, re.MULTILINE))
        made |= set(re.findall(r"set \$(hostwright\w+)", everything)) | {
            "hostwright_before",
            "hostwright_from",
        }
        assert set(re.findall(r"\$(hostwright\w+)", everything)) <= made


# -- settings --------------------------------------------------------------------------------------------------------


def test_who_is_believed(tmp_path: Path) -> None:
    app = app_of(
        tmp_path, "domains: [shop.test], nginx: {trusted_proxies: [10.0.0.0/8], real_ip_header: X-Real}"
    )
    tree = Tree(tmp_path, Site(app))
    text = tree["hostwright/shop/app.conf"]
    assert directives(text, "set_real_ip_from") == ["10.0.0.0/8"]
    assert directives(text, "real_ip_header") == ["X-Real"]
    assert "X-Forwarded-Proto $hostwright_shop_scheme" in directives(text, "proxy_set_header")
    # where TLS ends here, nobody's word is needed
    tree = Tree(tmp_path, site_of(app))
    assert "X-Forwarded-Proto $scheme" in directives(tree["hostwright/shop/app.conf"], "proxy_set_header")
    assert "geo " not in tree["hostwright/shop/http.conf"]
    alone = Tree(tmp_path, Site(app_of(tmp_path)))["hostwright/shop/app.conf"]
    assert directives(alone, "proxy_set_header") == [
        "Host $host", "X-Forwarded-For $remote_addr", "X-Forwarded-Proto $scheme", "X-Forwarded-Host $host",
        "X-Real-IP $remote_addr", "X-Request-ID $request_id", "Forwarded ", "Proxy ", "Upgrade $http_upgrade",
        "Connection $connection_upgrade",
    ]  # fmt: skip
    assert "set_real_ip_from" not in alone


def test_times_and_buffers(tmp_path: Path) -> None:
    keys = "nginx: {timeouts: {connect: 2, read: 1.5}, buffering: false, request_buffering: false}"
    text = Tree(tmp_path, Site(app_of(tmp_path, keys)))["hostwright/shop/app.conf"]
    assert directives(text, "proxy_connect_timeout") == ["2s"]
    assert directives(text, "proxy_send_timeout") == ["120s"]
    assert directives(text, "proxy_read_timeout") == ["1500ms"]
    assert directives(text, "proxy_buffering") == directives(text, "proxy_request_buffering") == ["off"]
    text = Tree(tmp_path, Site(app_of(tmp_path)))["hostwright/shop/app.conf"]
    assert "buffering" not in text
    assert directives(text, "client_max_body_size") == ["25m"]


def test_limits(tmp_path: Path) -> None:
    limits = "{/: {rate: 20r/s, burst: 40}, /login: 5r/m, /login/2: 1r/m}"
    app = app_of(tmp_path, f"static: {{/static: static}}, nginx: {{rate_limits: {limits}, connections: 30}}")
    found = Front(Site(app), renderer(tmp_path)).limits

    def zone(path: str) -> str:
        return next(limit.zone for limit in found if re.search(limit.pattern, path))

    assert zone("/login/2") == zone("/login/2/x") == "hostwright_shop_1"
    assert zone("/login") == zone("/login/3") == "hostwright_shop_3"
    assert zone("/static/site.css") == ""
    assert zone("/loginform") == zone("/") == zone("/a") == "hostwright_shop_4"
    tree = Tree(tmp_path, Site(app))
    assert directives(tree["hostwright/shop/app.conf"], "limit_req") == [
        "zone=hostwright_shop_1 burst=5 nodelay",
        "zone=hostwright_shop_3 burst=5 nodelay",
        "zone=hostwright_shop_4 burst=40 nodelay",
    ]
    assert directives(tree["hostwright/shop/app.conf"], "limit_conn") == ["hostwright_shop_connections 30"]
    assert directives(tree["hostwright/shop/http.conf"], "limit_req_zone")[2] == (
        "$hostwright_shop_limit_4 zone=hostwright_shop_4:4m rate=20r/s"
    )


@pytest.mark.parametrize(
    ("keys", "values"),
    [
        ("", {"X-Frame-Options": "SAMEORIGIN"}),
        ("nginx: {headers: {x-frame-options: DENY, X-New: a}}", {"x-frame-options": "DENY", "X-New": "a"}),
        ("nginx: {headers: {X-FRAME-OPTIONS: null}}", {}),
    ],
)
def test_headers(tmp_path: Path, keys: str, values: dict[str, str]) -> None:
    found = Front(Site(app_of(tmp_path, keys)), renderer(tmp_path)).headers
    ours = ("X-Content-Type-Options", "Referrer-Policy", "Permissions-Policy")
    assert {header.name: header.value for header in found if header.name not in ours} == values
    assert sum(header.name in ours for header in found) == 3


@pytest.mark.parametrize(
    ("keys", "policy", "docs"),
    [
        ("", "", ""),
        ("nginx: {csp: true}", STRICT, DOCS),
        ("interface: wsgi, nginx: {csp: true}", STRICT, ""),
        ("nginx: {csp: \"default-src 'none'\"}", "default-src 'none'", ""),
    ],
)
def test_content_security_policy(tmp_path: Path, keys: str, policy: str, docs: str) -> None:
    tree = Tree(tmp_path, Site(app_of(tmp_path, keys)))
    text = tree["hostwright/shop/http.conf"]
    assert (f'"{policy}";' in text) is bool(policy) or not policy
    assert ("cdn.jsdelivr.net" in text) is bool(docs)
    assert ("Content-Security-Policy" in tree["hostwright/shop/app.conf"]) is bool(policy)
    if docs:
        pattern = re.findall(r'"~(\S+)" "default-src .*jsdelivr', text)[0]
        for path, is_docs in {
            "/docs": True,
            "/docs/oauth2-redirect": True,
            "/redoc": True,
            "/docs2": False,
        }.items():
            assert bool(re.search(pattern, path)) is is_docs


def test_the_projects_own_locations(tmp_path: Path) -> None:
    own = tmp_path / "templates" / "nginx"
    (own / "locations").mkdir(parents=True)
    (own / "locations" / "shop.conf.j2").write_text("location = /one { return 200 {{ app.name }}; }\n")
    (own / "locations" / "blog.conf.j2").write_text("location = /two { }\n")
    (own / "locations.conf.j2").write_text("location = /all { } #?ipv6\n")
    text = Tree(tmp_path, Site(app_of(tmp_path)))["hostwright/shop/app.conf"]
    assert "\nlocation = /one { return 200 shop; }\n" in text
    assert "\nlocation = /all { }\n" in text
    assert "/two" not in text
    # before our own regular expressions: the first that fits is taken
    assert text.index("/all") < text.index('location ~ "/\\.')


def test_pages(tmp_path: Path) -> None:
    tree = Tree(tmp_path, Site(app_of(tmp_path)))
    app, pages = tree["hostwright/shop/app.conf"], "/var/www/hostwright/shop"
    assert directives(app, "error_page") == [
        "502 504 /.hostwright/error.html",
        "503 /.hostwright/maintenance.html",
    ]
    for name in ("error", "maintenance"):
        text = tree[f"{pages}/{name}.html"]
        assert not re.search(r"(src|href|url)\W*[=(]", text), "a page that needs others is no help"
        assert "color-scheme: light dark" in text
        assert "width=device-width" in text
    assert "if (-f /etc/hostwright/maintenance/shop)" in app
    off = Tree(tmp_path, Site(app_of(tmp_path, "nginx: {error_pages: false}")))["hostwright/shop/app.conf"]
    assert directives(off, "error_page") == ["503 /.hostwright/maintenance.html"]


# -- what it costs -----------------------------------------------------------------------------------------------------


class Elsewhere(System):
    """The real file system, with its root in a folder."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = str(root)

    def stat(self, path: str) -> Any:
        return super().stat(self.root + path)

    def exists(self, path: str) -> bool:
        return super().exists(self.root + path)

    def read(self, path: str) -> bytes | None:
        return super().read(self.root + path)

    def readlink(self, path: str) -> str | None:
        return super().readlink(self.root + path)

    def listdir(self, path: str) -> list[str]:
        return super().listdir(self.root + path)

    def user_name(self, uid: int) -> str:
        return "root"

    def group_name(self, gid: int) -> str:
        return "root"


def test_twenty_apps_with_forty_names(tmp_path: Path) -> None:
    """A run that finds nothing to do: both looks at each file, as converge.py has them."""
    apps = [
        app_of(
            tmp_path,
            f"domains: [a{n}.test, www.a{n}.test], nginx: {{canonical: a{n}.test, csp: true}}",
            f"app{n}",
        )
        for n in range(20)
    ]
    root = tmp_path / "root"
    status = SERVERS["trixie"][0] + "".join(
        f"Package: p{n}\nStatus: install ok installed\nArchitecture: amd64\nDescription: {'x' * 900}\n\n"
        for n in range(700)
    )
    files = {dpkg.STATUS: status, "/proc/net/if_inet6": ""}
    for app in apps:
        files[f"{folder(app.name)}/fullchain.pem"] = pem(make(app.domains)) * 3
        files[f"{folder(app.name)}/privkey.pem"] = "key"
    for name, text in files.items():
        (root / name[1:]).parent.mkdir(parents=True, exist_ok=True)
        (root / name[1:]).write_text(text)
    sites = [site_of(app) for app in apps]
    resources = [found for found in (*front(sites, renderer(tmp_path)), *secure(sites, renderer(tmp_path)))
                 if isinstance(found, File)]  # fmt: skip
    system = Elsewhere(root)
    for resource in resources:
        for name, content in resource._wanted(system).items():
            if content is None:
                continue
            (root / name[1:]).parent.mkdir(parents=True, exist_ok=True)
            (root / name[1:]).write_bytes(content)
            (root / name[1:]).chmod(0o644)

    def look(system: System) -> float:
        began = time.perf_counter()
        for resource in resources:
            assert not diff(resource.desired(system), resource.read(system)), resource.name
            resource.desired(system)
        return (time.perf_counter() - began) / len(apps)

    best = min(look(Elsewhere(root)) for _ in range(5))
    print(f"{best * 1000:.2f} ms an app, {len(resources)} files")
    assert best < 0.005


@pytest.mark.parametrize(
    ("own", "asked", "served"),
    [
        (True, False, "/etc/hostwright/tls/shop"),  # the CA refuses: what was there goes on
        (True, True, "/etc/letsencrypt/live/shop"),
        (False, True, "/etc/letsencrypt/live/shop"),
        (False, False, ""),
    ],
)
def test_another_certificate_is_served_as_long_as_the_ca_gives_none(
    tmp_path: Path, own: bool, asked: bool, served: str
) -> None:
    app = app_of(tmp_path, "domains: [shop.test]")
    at, before = folder("shop"), "/etc/hostwright/tls/shop"
    pair = (f"{before}/fullchain.pem", f"{before}/privkey.pem")
    site = Site(app, Https(f"{at}/fullchain.pem", f"{at}/privkey.pem", app.domains, before=pair))
    tree = Tree(tmp_path, site)
    for there, where in ((own, before), (asked, at)):
        if there:
            tree.system.put(f"{where}/fullchain.pem", pem(make(("shop.test",))))
            tree.system.put(f"{where}/privkey.pem", "key")
    (found,) = [r for r in tree.resources if isinstance(r, File) and r.name.endswith("shop.tls.conf")]
    content = found._wanted(tree.system)[found.name]
    if not served:
        assert content is None
        return
    assert content is not None
    lines = [line.strip() for line in content.decode().splitlines() if "ssl_certificate" in line]
    assert lines == [
        f"ssl_certificate {served}/fullchain.pem;",
        f"ssl_certificate_key {served}/privkey.pem;",
    ]
