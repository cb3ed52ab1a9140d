"""The look before the CA is asked: what is gathered, what is fatal, what is only said."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from hostwright.remote.resources.base import Context, Failed
from hostwright.remote.resources.certificate import Certificate
from hostwright.remote.tls import directory, outlook, preflight
from hostwright.testing import FakeSystem
from tests.unit.tls.certificates import KEYS, make

CA = "https://acme-v02.api.letsencrypt.org/directory"
OURS = "8.8.4.4"
FOLDER = preflight.WEBROOT + preflight.CHALLENGES
IP = (
    "2: eth0    inet 8.8.4.4/24 brd 8.8.4.255 scope global eth0\\       valid_lft forever\n"
    "2: eth0    inet6 2a00::1/64 scope global \\       valid_lft forever\n"
)


class World:
    """What is seen from both sides."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.system = FakeSystem(commands={"ip -o addr show scope global": IP})
        self.here: dict[str, Any] = {
            "addresses": [OURS],
            "error": "",
            "fetches": {OURS: {"ok": True, "error": ""}},
        }
        self.there: Mapping[str, Any] | None = self.here
        self.caa: dict[str, Any] = {}
        self.skew = 0.0
        self.meta: dict[str, Any] = {}
        self.asked: list[tuple[str, Mapping[str, Any], float]] = []
        self.tokens: list[bytes | None] = []
        self.said: list[str] = []
        self.noticed: list[str] = []
        monkeypatch.setattr(outlook, "resolve", lambda name: {"addresses": [OURS], "error": ""})
        monkeypatch.setattr(outlook, "look", self._look)
        monkeypatch.setattr(directory, "_meta", lambda system, url: self.meta)

    def _look(self, name: str, path: str, token: str, found: Any) -> Any:
        self.tokens.append(self.system.read(preflight.WEBROOT + path))
        return self.here

    def ask(self, question: str, data: Mapping[str, Any], timeout: float) -> dict[str, Any] | None:
        self.asked.append((question, data, timeout))
        if self.there is None:
            return None
        names = dict.fromkeys(data["names"], self.there)
        now = self.system.now() - self.skew
        return {"now": now, "names": names, "caa": self.caa, "reached": [OURS]}

    def check(self, *domains: str, **fields: Any) -> None:
        wanted = Certificate(
            name="shop", domains=domains or ("shop.test",), directory=CA, reached=OURS, **fields
        )
        preflight.check(self.system, wanted, Context(self.said.append, {}, self.noticed.append, self.ask))

    def refused(self, *domains: str, **fields: Any) -> Failed:
        with pytest.raises(Failed) as error:
            self.check(*domains, **fields)
        assert error.value.reason == "preflight"
        return error.value


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_all_is_well(world: World) -> None:
    world.check("shop.test", "www.shop.test")
    assert world.noticed == []
    assert world.said == ["looking at the names as the CA will see them"]
    ((question, data, timeout),) = world.asked
    assert (question, timeout) == ("reachable", preflight.PATIENCE)
    assert data["names"] == data["domains"] == ["shop.test", "www.shop.test"]
    assert data["reached"] == OURS
    assert world.tokens == [data["token"].encode()] * 2, "it lay there when it was looked for"
    assert world.system.listdir(FOLDER) == [], "and does not any more"


def test_the_token_goes_also_when_it_was_not_found(world: World) -> None:
    world.there = world.here = {
        "addresses": [OURS],
        "error": "",
        "fetches": {OURS: {"ok": False, "error": "timeout"}},
    }
    error = world.refused()
    assert (
        error.message
        == "port 80 of this server cannot be reached from outside (shop.test at 8.8.4.4: no answer)"
    )
    assert error.hint.endswith("The CA was not asked; run the command again when that is done.")
    assert world.system.listdir(FOLDER) == []


def test_tokens_of_a_run_that_was_killed_go(world: World) -> None:
    world.system.put(f"{FOLDER}/hostwright-old", "x")
    world.system.put(f"{FOLDER}/certbots-own", "y")
    world.check()
    assert world.system.listdir(FOLDER) == ["certbots-own"]


def test_several_names_with_one_cause_are_one_error(world: World) -> None:
    world.there = world.here = {"addresses": [], "error": "nxdomain", "fetches": {}}
    error = world.refused("a.test", "b.test")
    assert error.message == "a.test has no address in the DNS"
    assert "also: b.test has no address in the DNS" in error.tail
    assert "Change the record at your DNS provider:  b.test  A  now: none  wanted: 8.8.4.4." in error.tail


def test_nobody_looks_from_outside(world: World) -> None:
    world.there = None
    world.check()
    assert world.said[-1] == "nobody looked from outside: only the server's own view counts"


def test_what_is_odd_is_only_said(world: World) -> None:
    world.skew = 600.0
    world.check()
    assert world.noticed == [
        "the server's clock is 10 min ahead of that of this machine. Which one is right? timedatectl shows; "
        "sudo timedatectl set-ntp true sets it."
    ]
    world.skew = -7200.0
    assert world.refused().message == "the server's clock is 2 h behind that of this machine"


def test_caa_of_another_ca(world: World) -> None:
    world.caa = {"shop.test": {"at": "shop.test", "records": [[0, "issue", "digicert.com"]], "error": ""}}
    error = world.refused()
    assert error.message == "CAA records of shop.test forbid this CA to issue for shop.test"
    assert 'Add the record:  shop.test  CAA  0 issue "letsencrypt.org"' in error.hint


def test_a_directory_says_what_it_is_called(world: World) -> None:
    world.meta = {"caaIdentities": ["digicert.com"]}
    world.caa = {"shop.test": {"at": "shop.test", "records": [[0, "issue", "digicert.com"]], "error": ""}}
    world.check()


def test_through_the_dns_only_records_count(world: World) -> None:
    world.there = world.here = {"addresses": [], "error": "nxdomain", "fetches": {}}
    world.check("*.shop.test", "shop.test", dns_auth="/h")
    ((_, data, _),) = world.asked
    assert (data["names"], data["domains"]) == ([], ["*.shop.test", "shop.test"])
    assert world.tokens == []
    assert not world.system.exists(FOLDER)


def test_a_wildcard_over_http(world: World) -> None:
    error = world.refused("*.shop.test", "shop.test")
    assert error.message == "*.shop.test can only be proved through the DNS"
    assert "tls: {dns: {auth: PROGRAM}}" in error.hint


def test_a_profile_that_the_ca_does_not_have(world: World) -> None:
    world.meta = {"profiles": {"classic": "x", "shortlived": "y"}}
    world.check(profile="shortlived")
    error = world.refused(profile="shortlife")
    assert error.message == "the CA has no profile shortlife"
    assert error.hint.startswith("It has: classic, shortlived.")


def test_a_ca_that_wants_to_know_its_customers(world: World) -> None:
    world.meta = {"externalAccountRequired": True}
    world.check(eab_kid="k", eab_hmac="h")
    assert world.refused().message == "the CA only serves its customers: it wants an external account binding"


@pytest.mark.parametrize("meta", [{}, {"profiles": 3, "caaIdentities": "x"}, {"profiles": None}])
def test_a_directory_that_says_nothing_useful(meta: dict[str, Any]) -> None:
    found = directory.Directory(CA, meta)
    assert (found.identities, found.profiles, found.wants_account, found.public) == (
        ("letsencrypt.org",),
        [],
        False,
        True,
    )
    assert not directory.Directory("https://ca.test/dir", meta).public


def test_the_servers_own_addresses() -> None:
    system = FakeSystem(commands={"ip -o addr show scope global": IP})
    assert preflight.own_addresses(system) == ["8.8.4.4", "2a00::1"]
    system = FakeSystem(commands={"ip -o addr show scope global": {"exit": 127}})
    assert preflight.own_addresses(system) == []


def test_an_address_is_looked_at_as_it_is(world: World) -> None:
    world.check(addresses=(OURS,))
    ((_, data, _),) = world.asked
    assert data["names"] == ["shop.test", OURS]
    assert data["domains"] == ["shop.test"]


class Answer(BaseHTTPRequestHandler):
    """A directory."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(
            json.dumps({"meta": {"caaIdentities": ["ca.test"], "profiles": {"short": ""}}}).encode()
        )

    def log_message(self, *_: object) -> None:
        """Quiet."""


def test_a_directory_is_asked_with_the_cas_of_the_inventory(tmp_path: Path) -> None:
    certificate, key = make(["127.0.0.1"], ca=True), KEYS["ecdsa"]
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (tmp_path / "both.pem").write_bytes(pem + key.private_bytes(serialization.Encoding.PEM, *form))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    url = f"https://127.0.0.1:{server.server_port}/dir"
    try:
        found = directory.ask(FakeSystem({"/etc/hostwright/acme/x.pem": pem.decode()}), url)
        assert (found.identities, found.profiles) == (("ca.test",), ["short"])
        found = directory.ask(FakeSystem(), url)
        assert (found.identities, found.profiles) == ((), []), "it is not trusted"
    finally:
        server.shutdown()
        server.server_close()
