"""Fetching a token as a CA does: redirects, wrong answers, silence; always a word, always in time."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from hostwright.remote.tls import outlook
from tests.unit.tls.certificates import KEYS, make

TOKEN = "a" * 32
PATH = "/.well-known/acme-challenge/x"


class Handler(BaseHTTPRequestHandler):
    """Answers by the host that is asked for."""

    def do_GET(self) -> None:
        host, answers = self.headers["Host"], self.server.answers  # type: ignore[attr-defined]
        self.server.seen.append((host, self.path))  # type: ignore[attr-defined]
        status, body, location = answers.get(host, (404, "not here", ""))
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body.encode())

    def version_string(self) -> str:
        return "test/1"

    def log_message(self, *_: object) -> None:
        """Quiet."""


class Net:
    """All of the internet: port 80 and 443 of every address lead here."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.answers: dict[str, tuple[int, str, str]] = {}
        self.seen: list[tuple[str, str]] = []
        self.dialled: list[tuple[str, int]] = []
        self.refuse: dict[str, OSError] = {}
        self.servers = {80: self._serve(None), 443: self._serve(self._context(tmp_path))}
        self._dial = socket.create_connection
        monkeypatch.setattr(socket, "create_connection", self._connect)

    def _serve(self, context: ssl.SSLContext | None) -> ThreadingHTTPServer:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.answers, server.seen = self.answers, self.seen  # type: ignore[attr-defined]
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server

    def _context(self, tmp_path: Path) -> ssl.SSLContext:
        pem = make(["other.test"]).public_bytes(serialization.Encoding.PEM)
        form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        path = tmp_path / "both.pem"
        path.write_bytes(pem + KEYS["ecdsa"].private_bytes(serialization.Encoding.PEM, *form))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _connect(self, address: tuple[str, int], timeout: float) -> socket.socket:
        self.dialled.append(address)
        if address[0] in self.refuse:
            raise self.refuse[address[0]]
        return self._dial(("127.0.0.1", self.servers[address[1]].server_port), timeout)

    def close(self) -> None:
        for server in self.servers.values():
            server.shutdown()
            server.server_close()


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Net]:
    found = Net(monkeypatch, tmp_path)
    yield found
    found.close()


def fetch(name: str = "shop.test", address: str = "192.0.2.1") -> dict[str, Any]:
    return outlook.fetch(name, address, PATH, TOKEN)


def test_the_token(net: Net) -> None:
    net.answers["shop.test"] = (200, TOKEN + "\n", "")
    assert fetch() == {"ok": True, "error": "", "url": f"http://shop.test{PATH}"}
    assert net.seen == [("shop.test", PATH)]
    assert net.dialled == [("192.0.2.1", 80)]


def test_an_ipv6_address_is_a_host_in_brackets(net: Net) -> None:
    net.answers["[2001:db8::1]"] = (200, TOKEN, "")
    assert fetch("2001:db8::1", "2001:db8::1")["ok"]


def test_somebody_else(net: Net) -> None:
    net.answers["shop.test"] = (200, "<html>\x1b[31m Hello", "")
    found = fetch()
    assert (found["ok"], found["error"], found["status"], found["server"]) == (False, "http", 200, "test/1")
    assert found["body"].startswith("<html>")


def test_redirects_are_followed_to_https_with_any_certificate(net: Net) -> None:
    net.answers["shop.test"] = (301, "", f"https://www.test{PATH}")
    net.answers["www.test"] = (200, TOKEN, "")
    assert fetch()["ok"]
    # the other name is looked up, the own one stays with the address in question
    assert net.dialled == [("192.0.2.1", 80), ("www.test", 443)]


@pytest.mark.parametrize("location", ["https://shop.test:8443/", "ftp://shop.test/"])
def test_a_redirect_that_no_ca_follows(net: Net, location: str) -> None:
    net.answers["shop.test"] = (302, "", location)
    assert fetch()["error"].startswith("it redirects to ")


def test_a_redirect_elsewhere_is_not_followed_where_it_is_not_ours(net: Net) -> None:
    net.answers["shop.test"] = (302, "", "http://router.lan/secret")
    net.answers["router.lan"] = (200, "what nobody should see", "")
    found = outlook.fetch("shop.test", "192.0.2.1", PATH, TOKEN, {"shop.test"})
    assert (found["ok"], found["status"], found["url"]) == (False, 302, "http://router.lan/secret")
    assert [host for host, _ in net.seen] == ["shop.test"]


def test_a_redirect_without_end(net: Net) -> None:
    net.answers["shop.test"] = (302, "", "/again")
    found = fetch()
    assert (found["error"], found["status"]) == ("http", 302)
    assert len(net.seen) == outlook.REDIRECTS + 1


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (ConnectionRefusedError(111, "refused"), "refused"),
        (TimeoutError("timed out"), "timeout"),
        (OSError(110, "timed out"), "timeout"),
        (OSError(113, "No route to host"), "unreachable"),
        (OSError(101, "Network is unreachable"), "local"),
        (ConnectionResetError(104, "reset"), "reset"),
        (OSError("something new"), "something new"),
    ],
)
def test_a_connection_that_fails_is_a_word(net: Net, error: OSError, word: str) -> None:
    net.refuse["192.0.2.1"] = error
    assert fetch()["error"] == word


def test_a_server_that_closes_or_speaks_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for said, word in ((b"", "reset"), (b"SSH-2.0-x\r\n", "reset")):
        listener = socket.create_server(("127.0.0.1", 0))

        def answer(listener: socket.socket = listener, said: bytes = said) -> None:
            connection = listener.accept()[0]
            connection.recv(4096)
            connection.sendall(said)
            connection.close()

        threading.Thread(target=answer, daemon=True).start()
        dial = socket.socket()
        dial.connect(listener.getsockname())
        monkeypatch.setattr(socket, "create_connection", lambda *_, dial=dial: dial)
        assert fetch()["error"] == word
        listener.close()


def test_each_address_of_a_name_is_looked_at(net: Net) -> None:
    net.answers["shop.test"] = (200, TOKEN, "")
    net.refuse["192.0.2.2"] = ConnectionRefusedError(111, "refused")
    seen = outlook.look("shop.test", PATH, TOKEN, {"addresses": ["192.0.2.1", "192.0.2.2"], "error": ""})
    assert {address: fetch["ok"] for address, fetch in seen["fetches"].items()} == {
        "192.0.2.1": True,
        "192.0.2.2": False,
    }


def test_a_few_addresses_of_each_family_are_enough() -> None:
    many = [f"192.0.2.{i}" for i in range(9)] + [f"2001:db8::{i}" for i in range(9)]
    assert len(outlook.chosen(many)) == 8
    assert "2001:db8::3" in outlook.chosen(many)


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (socket.gaierror(socket.EAI_NONAME, "not known"), "nxdomain"),
        (socket.gaierror(socket.EAI_AGAIN, "try again"), "silent"),
        (socket.gaierror(socket.EAI_FAIL, "broken"), "broken"),
        (UnicodeError("label too long"), "label too long"),
    ],
)
def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch, raised: Exception, error: str) -> None:
    def fails(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    assert outlook.resolve("shop.test") == {"addresses": [], "error": error}


def test_a_name_that_resolves() -> None:
    assert "127.0.0.1" in outlook.resolve("127.0.0.1")["addresses"]


def test_what_takes_too_long_is_left_behind() -> None:
    began = time.monotonic()
    assert outlook.in_time(lambda: time.sleep(5) or "late", 0.05, "gone") == "gone"
    work = {"slow": lambda: time.sleep(5), "quick": lambda: 1}
    assert outlook.all_in_time(work, 0.1, None) == {"slow": None, "quick": 1}
    assert time.monotonic() - began < 1
