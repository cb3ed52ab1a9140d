"""nginx in front of apps on real servers: what visitors get, what apps are told, what strangers are not."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hostwright.sandbox import Sandbox, Server

from .conftest import SUITES
from .project import Project, sh, until

# answers what it was asked; /ws speaks up for a WebSocket, and gives back what it hears
CODE = """\
import json
import os


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/ws":
        link = environ["gunicorn.socket"]
        link.sendall(b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n\\r\\n")
        while True:
            heard = link.recv(100)
            if not heard:
                os._exit(0)
            link.sendall(heard)
    size = int(environ.get("CONTENT_LENGTH") or 0)
    environ["wsgi.input"].read(size)
    told = {name: value for name, value in environ.items() if isinstance(value, str)}
    body = json.dumps({"scheme": environ["wsgi.url_scheme"], "size": size, **told}).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    if path == "/own":
        headers += [("X-Frame-Options", "DENY"), ("X-Powered-By", "python"), ("Content-Security-Policy", "own")]
    start_response("503 Busy" if path == "/busy" else "200 OK", headers)
    return [body]
"""
APP = {
    "module": "served:app",
    "interface": "wsgi",
    "requirements": "requirements.txt",
    "build_command": "true",
    "release_command": "true",
    "workers": 2,
    "drain": 1,
    "health": {"window": 0.2, "timeout": 20},
}
SECURITY = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "strict-origin-when-cross-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
CURL_RESET, CURL_TLS = 56, 35
LOCATIONS = """\
location = /{{ app.name }}-snippet {
    default_type text/plain;
    return 200 "snippet\\n";
}
"""


@dataclass(frozen=True)
class Answer:
    """What curl got; `code` is curl's own exit code."""

    code: int
    status: int
    headers: list[tuple[str, str]]
    body: str

    def header(self, name: str) -> str:
        """A header that must be there exactly once."""
        (value,) = [value for found, value in self.headers if found == name]
        return value

    @property
    def told(self) -> dict[str, Any]:
        """What the app saw."""
        assert self.status == 200, self
        seen: dict[str, Any] = json.loads(self.body)
        return seen


class Door(Project):
    """Two apps on one server: `door` with a certificate, `plain` without; and the machine of the test as a proxy."""

    def __init__(self, folder: Path, server: Server, sandbox: Sandbox) -> None:
        super().__init__(folder, server, name="door", app="door")
        self.sandbox = sandbox
        shutil.rmtree(self.folder / "app")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.connect((server.address, 80))
            self.me = str(link.getsockname()[0])
        for path, text in {
            "requirements.txt": "",
            "served.py": CODE,
            "static/site.css": "p { color: red }\n" * 100,
            "static/.hidden": "secret",
            "static/sub/page.txt": "page",
            "templates/nginx/locations/door.conf.j2": LOCATIONS,
        }.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_text(text)
        self.data: dict[str, Any] = {
            "project": "door",
            "defaults": {"user": "ubuntu", "identity_file": str(server.identity_file), "hardening": False},
            "apps": {
                "door": {
                    **APP,
                    "domains": ["door.test", "www.door.test"],
                    "client_max_body_size": "100k",
                    "static": {"/static": "static"},
                    "tls": {"issuer": "selfsigned", "hsts": {"max_age": 1000}},
                    "nginx": {
                        "canonical": "door.test",
                        "csp": True,
                        "headers": {"X-Team": "door"},
                        "rate_limits": {
                            "/limited": {"rate": "1r/m", "burst": 2},
                            "/": {"rate": "100r/s", "burst": 100},
                        },
                    },
                },
                "plain": {
                    **APP,
                    "domains": ["plain.test", "www.plain.test"],
                    "tls": {"issuer": "off"},
                    "nginx": {
                        "canonical": "www.plain.test",
                        "trusted_proxies": [self.me],
                        "headers": {"X-Frame-Options": None},
                        "error_pages": False,
                    },
                },
            },
            "hosts": {"web1": {"address": server.address}},
        }
        self.write()

    def write(self) -> None:
        (self.folder / "inventory.yaml").write_text(json.dumps(self.data, indent=1))
        self.commit("inventory")

    def ask(self, url: str, *options: str) -> Answer:
        """Ask the server for a URL of any name, whatever its certificate is worth."""
        argv = ("curl", "-sSik", "-m", "10", "--path-as-is", "--http1.1", *options)
        done = subprocess.run(
            (*argv, "--connect-to", f"::{self.server.address}:", url),
            capture_output=True,
            text=True,
            check=False,
        )
        head, _, body = done.stdout.partition("\n\n")
        first, *lines = head.splitlines() or [""]
        headers = [
            (name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)
        ]
        return Answer(done.returncode, int(first.split()[1]) if first else 0, headers, body)

    def on(self, script: str) -> str:
        """Run a script on the server as root."""
        return sh(self.sandbox, self.server, script)


@pytest.fixture(scope="module", params=SUITES)
def door(
    request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Door]:
    name = f"door-{request.param}-{os.getpid()}"
    server = sandbox.up(name, suite=request.param, ephemeral=True, say=print)[0]
    found = Door(tmp_path_factory.mktemp("door"), server, sandbox)
    found.inv("provision")
    found.inv("deploy", "--app", "door")
    found.inv("deploy", "--app", "plain")
    yield found
    sandbox.down(name)


def test_a_second_run_changes_nothing(door: Door) -> None:
    said = door.inv("provision").out
    assert re.search(r"web1 .*0 changed", said), said
    assert door.on("nginx -t 2>&1 | grep -v -e 'syntax is ok' -e 'test is successful' || true") == ""


def test_gixy_finds_nothing(door: Door, tmp_path: Path) -> None:
    """Of more settings than test_https_judges.py has."""
    whole = tmp_path / "nginx.conf"
    whole.write_text(door.on("nginx -T 2>/dev/null") + "\n")
    argv = (str(Path(sys.executable).with_name("gixy")), "--format", "json", str(whole))
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert json.loads(done.stdout) == [], done.stdout


# -- names -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "to"),
    [
        ("http://door.test/a?b=c%20d", "https://door.test/a?b=c%20d"),
        ("http://www.door.test/a", "https://door.test/a"),
        ("https://www.door.test/a?b", "https://door.test/a?b"),
        ("http://plain.test/a?b", "http://www.plain.test/a?b"),
    ],
)
def test_redirects(door: Door, url: str, to: str) -> None:
    answer = door.ask(url)
    assert (answer.status, answer.header("location")) == (308, to)


def test_names_that_nobody_has(door: Door) -> None:
    assert door.ask("http://other.test/").code == CURL_RESET
    assert door.ask(f"http://{door.server.address}/").code == CURL_RESET
    assert door.ask("https://other.test/").code == CURL_TLS
    assert door.ask(f"https://{door.server.address}/").code == CURL_TLS
    # the app without HTTPS has none
    assert door.ask("https://plain.test/").code == CURL_TLS


def test_challenges_are_answered_for_any_name(door: Door) -> None:
    token = "abcdefghijklmnopqrstuvwxyz012345"
    place = "/var/www/hostwright/acme/.well-known/acme-challenge"
    door.on(f"mkdir -p {place} && printf answer > {place}/{token} && touch /etc/hostwright/maintenance/door")
    try:
        for name in ("door.test", "www.door.test", "plain.test", "other.test", door.server.address):
            answer = door.ask(f"http://{name}/.well-known/acme-challenge/{token}")
            assert (answer.status, answer.body) == (200, "answer"), name
        assert door.ask("http://door.test/.well-known/acme-challenge/nothing").status == 404
        assert door.ask("http://door.test/.well-known/acme-challenge/../../etc/passwd").status in (
            308,
            400,
            404,
        )
    finally:
        door.on(f"rm -r {place} /etc/hostwright/maintenance/door")


# -- what the app is told ------------------------------------------------------------------------------------------


FORGED = (
    *("-H", "X-Forwarded-For: 6.6.6.6", "-H", "X-Forwarded-Proto: ftp", "-H", "X-Forwarded-Host: evil.test"),
    *(
        "-H",
        "X-Real-IP: 6.6.6.6",
        "-H",
        "X-Request-ID: mine",
        "-H",
        "Proxy: evil.test",
        "-H",
        "Forwarded: for=6.6.6.6",
    ),
)


def test_what_a_visitor_forges_is_ignored(door: Door) -> None:
    told = door.ask("https://door.test/", *FORGED).told
    assert told["REMOTE_ADDR"] in (door.me, "")
    assert told["HTTP_X_FORWARDED_FOR"] == told["HTTP_X_REAL_IP"] == door.me
    assert told["HTTP_X_FORWARDED_PROTO"] == told["scheme"] == "https"
    assert told["HTTP_X_FORWARDED_HOST"] == told["HTTP_HOST"] == "door.test"
    assert re.fullmatch(r"[0-9a-f]{32}", told["HTTP_X_REQUEST_ID"])
    assert "HTTP_PROXY" not in told
    assert "HTTP_FORWARDED" not in told


def test_a_trusted_proxy_is_believed(door: Door) -> None:
    url = "http://www.plain.test/"
    told = door.ask(url, "-H", "X-Forwarded-For: 6.6.6.6, 192.0.2.9", "-H", "X-Forwarded-Proto: https").told
    assert told["HTTP_X_FORWARDED_FOR"] == told["HTTP_X_REAL_IP"] == "192.0.2.9"
    assert told["HTTP_X_FORWARDED_PROTO"] == told["scheme"] == "https"
    assert door.ask(url).told["HTTP_X_FORWARDED_PROTO"] == "http"
    assert door.ask(url, "-H", "X-Forwarded-Proto: javascript").told["HTTP_X_FORWARDED_PROTO"] == "http"
    answer = door.ask("http://plain.test/a", "-H", "X-Forwarded-Proto: https")
    assert answer.header("location") == "https://www.plain.test/a"
    # the same headers from somebody who is not the proxy: from the server itself
    script = "curl -sS -H 'Host: www.plain.test' -H 'X-Forwarded-For: 6.6.6.6' -H 'X-Forwarded-Proto: https' "
    stranger = json.loads(door.on(script + "http://127.0.0.1/"))
    assert (stranger["HTTP_X_FORWARDED_FOR"], stranger["scheme"]) == ("127.0.0.1", "http")


def test_a_websocket_over_tls(door: Door) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    head = (
        "GET /ws HTTP/1.1\r\nHost: door.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with (
        socket.create_connection((door.server.address, 443), 10) as plain,
        context.wrap_socket(plain, server_hostname="door.test") as link,
    ):
        link.sendall(head.encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += link.recv(1000)
        assert answer.startswith(b"HTTP/1.1 101 ")
        for word in (b"one", b"two"):
            link.sendall(word)
            assert link.recv(100) == word


# -- limits --------------------------------------------------------------------------------------------------------


def test_large_bodies(door: Door) -> None:
    assert door.ask("https://door.test/", "--data-binary", "x" * 90_000).told["size"] == 90_000
    assert door.ask("https://door.test/", "--data-binary", "x" * 120_000).status == 413


def test_rate_limits(door: Door) -> None:
    found = [door.ask(f"https://door.test/limited/{number}").status for number in range(5)]
    assert found == [200, 200, 200, 429, 429]
    assert door.ask("https://door.test/limitedness").status == 200
    assert door.ask("https://door.test/").status == 200


# -- headers and files ---------------------------------------------------------------------------------------------


def test_security_headers_once(door: Door) -> None:
    for path in ("/", "/static/site.css", "/static/nothing", "/.env", "/busy"):
        answer = door.ask(f"https://door.test{path}")
        assert {name: answer.header(name) for name in SECURITY} == SECURITY, path
        assert answer.header("strict-transport-security") == "max-age=1000"
        assert answer.header("content-security-policy").startswith("default-src 'self'; object-src 'none'")
        assert answer.header("x-team") == "door"
        assert answer.header("server") == "nginx"
    own = door.ask("https://door.test/own")
    assert own.header("x-frame-options") == "DENY"
    assert own.header("content-security-policy") == "own"
    names = [name for name, _ in own.headers]
    assert "x-powered-by" not in names
    plain = door.ask("http://www.plain.test/")
    names = [name for name, _ in plain.headers]
    assert not {"x-frame-options", "strict-transport-security", "content-security-policy"} & set(names)
    assert plain.header("x-content-type-options") == "nosniff"
    # nothing of TLS before TLS
    assert "strict-transport-security" not in dict(door.ask("http://door.test/").headers)
    assert door.ask("https://www.door.test/").header("strict-transport-security")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/.env", 404),
        ("/.git/config", 404),
        ("/a/.svn/x", 404),
        ("/static/.hidden", 403),
        ("/static/sub/", 403),
        ("/static/sub", 404),
        ("/static/../served.py", 200),  # the app's, as it always was
        ("/static/%2e%2e/%2e%2e/code/served.py", 400),
        ("/.well-known/security.txt", 200),
        ("/.hostwright/error.html", 404),
        ("/door-snippet", 200),
    ],
)
def test_paths(door: Door, path: str, status: int) -> None:
    answer = door.ask(f"https://door.test{path}")
    assert answer.status == status, answer
    assert "def app" not in answer.body
    assert "secret" not in answer.body


def test_static_files(door: Door) -> None:
    style = door.ask("https://door.test/static/site.css")
    assert (style.status, style.header("cache-control")) == (200, "public, max-age=3600")
    assert door.ask("https://door.test/static/sub/page.txt").body == "page"
    missing = door.ask("https://door.test/static/nothing.css")
    assert missing.status == 404
    assert "cache-control" not in dict(missing.headers)
    packed = door.ask(
        "https://door.test/static/site.css", "-H", "Accept-Encoding: gzip", "--output", "/dev/null"
    )
    assert packed.code == 0
    head = door.ask("https://door.test/static/site.css", "-H", "Accept-Encoding: gzip", "--compressed")
    assert (head.header("content-encoding"), head.header("vary")) == ("gzip", "Accept-Encoding")
    assert "cache-control" not in dict(door.ask("https://door.test/").headers)


# -- when the app is away --------------------------------------------------------------------------------------------


def test_maintenance(door: Door) -> None:
    flag = "/etc/hostwright/maintenance/door"
    door.on(f"touch {flag}")
    try:
        for path in ("/", "/static/site.css", "/limited/x", "/.env"):
            answer = door.ask(f"https://door.test{path}")
            assert answer.status == 503, path
            assert "We will be back soon" in answer.body
            assert answer.header("retry-after") == "120"
            assert answer.header("content-type") == "text/html"
            assert "style-src 'unsafe-inline'" in answer.header("content-security-policy")
            assert answer.header("x-frame-options") == "SAMEORIGIN"
        assert door.ask("https://door.test/", "--data", "a=b").status == 503
        assert door.ask("http://www.plain.test/").status == 200
    finally:
        door.on(f"rm {flag}")
    assert door.ask("https://door.test/").status == 200
    # what an app says itself is passed on
    busy = door.ask("https://door.test/busy")
    assert (busy.status, json.loads(busy.body)["PATH_INFO"]) == (503, "/busy")
    assert "retry-after" not in dict(busy.headers)


def test_an_app_that_is_down(door: Door) -> None:
    door.on("systemctl stop 'door@*.socket' 'door@*.service' 'plain@*.socket' 'plain@*.service'")
    try:
        answer = door.ask("https://door.test/")
        assert (answer.status, "does not answer at the moment" in answer.body) == (502, True)
        assert "style-src 'unsafe-inline'" in answer.header("content-security-policy")
        assert door.ask("https://door.test/", "--data", "a=b").status == 502
        assert "nginx" in door.ask("http://www.plain.test/").body  # its own page: error_pages is off
        assert door.ask("https://door.test/static/site.css").status == 200
    finally:
        door.on("systemctl restart door.service plain.service")
    until(lambda: door.ask("https://door.test/").status == 200, 20, "the app is back")


# -- the log -------------------------------------------------------------------------------------------------------


def test_the_log(door: Door) -> None:
    door.ask(
        "https://door.test/seen%20here?password=1", "-A", 'quote " agent', "-e", "https://a.test/x?token=1#y"
    )
    line = json.loads(door.on("tail -n 1 /var/log/nginx/door.access.log"))
    release = door.on("basename $(readlink /srv/door/current)")
    wanted = {
        "client": door.me, "host": "door.test", "method": "GET", "path": "/seen%20here", "status": 200,
        "protocol": "HTTP/1.1", "release": release, "agent": 'quote " agent', "referer": "https://a.test/x",
    }  # fmt: skip
    assert {name: line[name] for name in wanted} == wanted
    assert line["tls"] in ("TLSv1.2", "TLSv1.3")
    assert re.fullmatch(r"[0-9a-f]{32}", line["request"])
    assert line["bytes"] > 0
    assert float(line["upstream"]) <= line["seconds"] + 0.002


def test_the_log_is_rotated(door: Door) -> None:
    door.ask("https://door.test/before")
    door.on("logrotate -f /etc/logrotate.d/nginx")
    time.sleep(0.5)  # nginx reopens its logs when it gets the signal
    door.ask("https://door.test/after")
    folder = "/var/log/nginx"
    assert "/after" in door.on(f"cat {folder}/door.access.log")
    assert "/before" in door.on(f"cat {folder}/door.access.log.1")


def test_an_app_that_loses_its_names_and_gets_them_again(door: Door) -> None:
    """nginx takes every step of it: of two upstreams, maps or default servers it would take none."""
    settings, address = door.data["apps"]["door"], door.server.address
    kept = dict(settings)
    settings.update(domains=[], nginx={})
    door.write()
    assert "0 failed" in door.inv("provision").out
    door.inv("deploy", "--app", "door")
    answer = door.ask(f"http://{address}/a?b")
    assert (answer.status, answer.header("location")) == (308, f"https://{address}/a?b")
    assert door.ask(f"https://{address}/").told["HTTP_X_FORWARDED_PROTO"] == "https"
    assert door.ask("http://other.test/").told["HTTP_HOST"] == "other.test"
    assert door.ask("http://www.plain.test/").told["HTTP_HOST"] == "www.plain.test"
    assert re.search(r"web1 .*0 changed", door.inv("provision").out)

    settings.clear()
    settings.update(kept)
    door.write()
    door.inv("provision")
    door.inv("deploy", "--app", "door")
    assert door.ask("https://door.test/").told["HTTP_HOST"] == "door.test"
    assert door.ask("http://other.test/").code == CURL_RESET
    assert door.ask(f"https://{address}/").code == CURL_TLS

    # ... and its certificate
    settings["tls"] = {"issuer": "off"}
    door.write()
    door.inv("provision")
    assert door.ask("http://door.test/").told["HTTP_X_FORWARDED_PROTO"] == "http"
    assert door.ask("https://door.test/").code not in (0, CURL_TLS)  # nobody listens there
    assert door.on("ls /etc/nginx/sites-enabled") == "\n".join(
        f"hostwright-{name}.conf" for name in ("default", "door", "plain")
    )
