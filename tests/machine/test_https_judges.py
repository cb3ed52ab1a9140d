"""The sample app over HTTPS, judged by others: testssl.sh, gixy, nginx itself, and a browser."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from hostwright.sandbox import Sandbox

from . import browser
from .acme import Bed
from .conftest import SUITES
from .load_tls import trusting
from .project import ROOT, until
from .secure import Secure

# as much of nginx's part as an inventory can ask for
NGINX = {
    "csp": True,
    "rate_limits": {"/": {"rate": "200r/s", "burst": 400}, "/login": "5r/m"},
    "connections": 100,
    "trusted_proxies": ["192.0.2.0/24"],
    "timeouts": {"read": 60},
}
# testssl's findings of severity LOW and worse that are not ours
NOT_OURS = {
    "cert_revocation": "the test CA's certificates name neither CRL nor OCSP",
    "cert_trust": "the test CA is nobody's but the test's",
    "DNS_CAArecord": "the test's DNS is not the server's, and a CAA record is the owner's business",
    "engine_problem": "testssl's own openssl has no GOST",
    # it says now that tickets are supported, now that they are not, now that it could not connect
    "sessionresumption_ticket": "testssl 3.2 with OpenSSL 3.5 does not come to the same result twice",
    "sessionresumption_ID": "testssl 3.2 with OpenSSL 3.5 does not come to the same result twice",
}
BAD = ("LOW", "MEDIUM", "HIGH", "CRITICAL", "WARN", "FATAL")
# all but the simulation of clients: protocols, ciphers, forward secrecy, preferences, certificate, headers, holes
TESTSSL = ("-p", "-s", "-f", "-P", "-S", "-h", "-U")


# what it must have looked at, or it found nothing because it did not look
LOOKED_AT = {
    *("TLS1", "TLS1_1", "TLS1_2", "TLS1_3", "cipherlist_OBSOLETED", "FS", "cert_chain_of_trust", "HSTS_time"),
    *("heartbleed", "ROBOT", "LUCKY13", "secure_renego", "BREACH", "X-Content-Type-Options"),
}


@pytest.fixture(scope="module")
def sites(sandbox: Sandbox, acme: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Secure]]:
    """The sample app with many settings, on a server of each release."""

    def make(suite: str) -> Secure:
        server = sandbox.up(f"judged-{os.getpid()}-{suite}", suite=suite, ephemeral=True, say=print)[0]
        domains = [f"{suite}.sandbox.test", f"www.{suite}.sandbox.test"]
        site = Secure(tmp_path_factory.mktemp("judged"), server, sandbox, acme, domains)
        shutil.copytree(
            ROOT / "app", site.folder / "app", ignore=shutil.ignore_patterns("__pycache__", "tests")
        )
        site.data["apps"]["tiny"] = {
            "module": "app.main:app",
            "requirements": "app/requirements.txt",
            "health": {"path": "/health", "timeout": 20, "window": 0.5},
            "env": {"HELLO_GREETING": "Hello"},
            "domains": domains,
            "nginx": {"canonical": domains[0], **NGINX},
        }
        site.write()
        return site

    made = [make(suite) for suite in SUITES]
    with ThreadPoolExecutor() as pool:
        jobs = [pool.submit(site.up) for site in made]
        jobs.append(pool.submit(acme.install, "testssl.sh", *browser.PACKAGES))
        for job in jobs:
            job.result()
    yield made
    sandbox.down(*(site.server.name for site in made))


@pytest.fixture(params=range(2), ids=SUITES)
def site(request: pytest.FixtureRequest, sites: list[Secure]) -> Secure:
    """One of them."""
    return sites[request.param]


def test_nginx_has_no_warning(site: Secure) -> None:
    said = site.sh("nginx -t 2>&1").splitlines()
    assert all("syntax is ok" in line or "test is successful" in line for line in said), said


def test_gixy_finds_nothing(site: Secure, tmp_path: Path) -> None:
    whole = tmp_path / "nginx.conf"
    whole.write_text(site.sh("nginx -T 2>/dev/null") + "\n")
    argv = (str(Path(sys.executable).with_name("gixy")), "--format", "json", str(whole))
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    issues = json.loads(done.stdout)
    assert issues == [], "\n".join(f"{one['severity']} {one['plugin']}: {one['reason']}" for one in issues)


def test_gixy_can_find_something(tmp_path: Path) -> None:
    """The control: a configuration of which it is known to say something."""
    bad = tmp_path / "nginx.conf"
    bad.write_text("events {} http { server { location /a { alias /srv/a/; } } }\n")
    argv = (str(Path(sys.executable).with_name("gixy")), "--format", "json", str(bad))
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert "alias_traversal" in {one["plugin"] for one in json.loads(done.stdout)}, done


def findings(acme: Bed, site: Secure) -> list[dict[str, Any]]:
    """What testssl.sh finds at a server."""
    name = site.server.name
    acme.run(f"cat > /tmp/{name}.pem; rm -f /tmp/{name}.json", acme.ca.root())
    words = " ".join(TESTSSL)
    script = (
        f"testssl --quiet --color 0 --warnings batch --jsonfile /tmp/{name}.json --add-ca /tmp/{name}.pem "
        f"--ip {site.server.address} {words} https://{site.canonical}/ > /tmp/{name}.out 2>&1 || true\n"
        f"cat /tmp/{name}.json"
    )
    return list(json.loads(acme.run(script, timeout=240)))


def looked_at(items: list[dict[str, Any]]) -> set[str]:
    """Ids of findings; those about a certificate have its number behind a space where there are several."""
    return {item["id"].split(" ")[0] for item in items}


def test_testssl_finds_nothing(acme: Bed, sites: list[Secure]) -> None:
    """Of severity LOW or worse, but for what is the test CA's."""
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda site: findings(acme, site), sites))
    for site, items in zip(sites, found, strict=True):
        assert looked_at(items) >= LOOKED_AT, sorted(LOOKED_AT - looked_at(items))
        bad = {
            item["id"]: f"{item['severity']} {item['finding']}"
            for item in items
            if item["severity"] in BAD and item["id"].split(" ")[0] not in NOT_OURS
        }
        assert bad == {}, site.server.suite


def test_http_2_and_what_openssl_can(sites: list[Secure]) -> None:
    """HTTP/2 everywhere; key exchange that holds against quantum computers where OpenSSL has it."""
    for site in sites:
        context = trusting(site.ca.root())
        context.set_alpn_protocols(["h2", "http/1.1"])
        with socket.create_connection((site.server.address, 443), 10) as link:
            with context.wrap_socket(link, server_hostname=site.canonical) as wrapped:
                assert wrapped.selected_alpn_protocol() == "h2", site.server.suite
                assert wrapped.version() == "TLSv1.3"


def test_a_forged_address_is_ignored(site: Secure) -> None:
    """The app sees the visitor's own address, scheme and host."""
    forged = (
        "-H",
        "X-Forwarded-For: 6.6.6.6",
        "-H",
        "X-Forwarded-Proto: ftp",
        "-H",
        "X-Request-ID: forged-1",
    )
    answer = site.get(f"https://{site.canonical}/version", *forged)
    assert answer.status == 200, answer
    lines = site.sh("journalctl -o cat --no-pager -u 'tiny@*' | grep '\"/version\"' | tail -1")
    seen = json.loads(lines[lines.index("{") :])
    gateway = site.server.address.rpartition(".")[0] + ".1"
    assert seen["client"] == gateway, seen
    assert seen["scheme"] == "https", seen


def test_a_websocket_over_tls(site: Secure) -> None:
    with socket.create_connection((site.server.address, 443), 10) as link:
        with connect(f"wss://{site.canonical}/ws", sock=link, ssl=trusting(site.ca.root())) as socket_:
            socket_.send("hello")
            assert socket_.recv(timeout=10) == "hello"


def test_a_browser_uses_the_docs(sandbox: Sandbox, acme: Bed, site: Secure) -> None:
    """With the root trusted and the policy on: no warning, operations on the page, and one of them answers."""
    browser.prepare(sandbox, acme.server, acme.ca.root() + "\n")
    name, www = site.settings["domains"]
    names = dict.fromkeys((name, www), site.server.address)
    with browser.browser(sandbox, acme.server, names) as page:
        page.open(f"https://{name}/")
        assert page.security["state"] == "secure", page.security
        assert page.evaluate("document.querySelector('h1').textContent") == "Hello"
        assert page.security["http"] == "h2", page.security
        if site.server.suite == "trixie":
            assert page.security["keyExchangeGroup"] == "X25519MLKEM768", page.security
        page.open(f"https://{www}/docs")
        page.wait("document.querySelectorAll('.opblock').length > 3")
        assert page.evaluate("location.href") == f"https://{name}/docs"
        page.evaluate("document.querySelector('.opblock-summary-path[data-path=\"/version\"]').click()")
        page.wait("!!document.querySelector('.try-out__btn')")
        page.evaluate("document.querySelector('.try-out__btn').click()")
        page.wait("!!document.querySelector('.execute')")
        page.evaluate("document.querySelector('.execute').click()")
        status = page.wait(
            "document.querySelector('.live-responses-table tbody .response-col_status')?.textContent"
        )
        assert "200" in status
        assert page.console == []
        assert page.failed == []
        assert [url for url in page.requests if not url.startswith((f"https://{name}/", "data:"))] == [
            f"https://{www}/docs"
        ]
        # the control: the policy is on
        page.open(f"https://{name}/docs")
        page.evaluate(
            "document.head.append(Object.assign(document.createElement('script'), {src: 'https://x.example/y.js'}))"
        )
        until(
            lambda: page.evaluate("true") and any("Content Security Policy" in line for line in page.console),
            5,
            "the policy forbids a script from elsewhere",
        )


def test_chromium_turns_a_stranger_away(sandbox: Sandbox, acme: Bed, site: Secure) -> None:
    """The control: with another root the same page is refused."""
    browser.prepare(sandbox, acme.server, acme.bundle.read_text())
    with browser.browser(sandbox, acme.server, {site.canonical: site.server.address}) as page:
        with pytest.raises(AssertionError, match="ERR_CERT_AUTHORITY_INVALID"):
            page.open(f"https://{site.canonical}/")
