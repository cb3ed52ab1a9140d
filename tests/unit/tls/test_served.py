"""Handshakes with something that serves certificates, and with something that does not."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostwright.remote.system import System
from hostwright.remote.tls import served
from tests.unit.tls.certificates import KEYS, der, make, name
from tests.unit.tls.listener import Listener

CA = make(subject=name("Test CA"), key="rsa", ca=True)
LEAF = make(["example.com"], subject=name(), issuer=CA.subject, signer="rsa")
WILD = make(["*.example.org"], subject=name("wild"))
BARE = make(["127.0.0.1"], subject=name("bare"))


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    key = KEYS["ecdsa"]
    found = Listener(
        tmp_path,
        {"example.com": (key, [LEAF, CA]), "any.example.org": (key, [WILD]), "": (key, [BARE])},
    )
    yield found
    found.close()


def ask(port: int, target: str, patience: float = 5.0) -> served.Answer:
    return served.handshake(target, "127.0.0.1", port, patience)


@pytest.mark.parametrize(
    ("target", "certificate"),
    [("example.com", LEAF), ("*.example.org", WILD), ("127.0.0.1", BARE), ("", BARE)],
)
def test_the_certificate_of_a_name(listener: Listener, target: str, certificate: object) -> None:
    answer = ask(listener.port, target)
    assert (answer.problem, answer.version, answer.name) == ("", "TLSv1.3", target)
    assert answer.certificate
    assert answer.certificate.der == der(certificate)


def test_the_chain_that_is_sent(listener: Listener) -> None:
    """This Python may not tell; openssl does."""
    system = System()
    answer = ask(listener.port, "example.com")
    assert answer.chain == [der(LEAF)] if sys.version_info < (3, 13) else [der(LEAF), der(CA)]
    assert served.whole_chain(system, answer, "127.0.0.1", listener.port) == [der(LEAF), der(CA)]
    without_name = ask(listener.port, "127.0.0.1")
    assert served.whole_chain(system, without_name, "127.0.0.1", listener.port) == [der(BARE)]


def test_without_openssl_nobody_can_tell(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.version_info >= (3, 13):
        pytest.skip("this Python needs no openssl")
    monkeypatch.setattr(System, "which", lambda self, program: None)
    assert served.whole_chain(System(), ask(listener.port, "example.com"), "127.0.0.1", listener.port) is None
    assert served.whole_chain(System(), served.Answer("x", "refused")) is None


def test_a_name_that_is_not_served(listener: Listener) -> None:
    answer = ask(listener.port, "other.example.net")
    assert answer.problem == "nginx has no site with HTTPS for this name"
    assert answer.certificate is None


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert ask(port, "example.com").problem == f"nothing listens on port {port}"


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "what listens on port 443 does not speak TLS"),
        (None, "no answer within 0.3 s"),
    ],
)
def test_something_else_listens(said: bytes | None, problem: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            link, _ = listening.accept()
            with link:
                if said:
                    link.sendall(said)
                link.settimeout(2)
                with contextlib.suppress(OSError):
                    while link.recv(4096):
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert ask(listening.getsockname()[1], "example.com", 0.3).problem == problem
        thread.join(5)


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ("example.com", "example.com"), ("*.example.com", "any.example.com"), ("203.0.113.7", ""),
        ("2001:db8::1", ""), ("", ""), ("7.example", "7.example"),
    ],
)  # fmt: skip
def test_server_names(target: str, sent: str) -> None:
    assert served.server_name(target) == sent


def test_what_is_asked_for() -> None:
    assert served.targets(["a", "b"], ["203.0.113.7"]) == ["a", "b", "203.0.113.7"]
    assert served.targets([], []) == [""]


def test_a_slow_nginx_is_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    from hostwright.testing.system import FakeSystem

    system = FakeSystem()

    def slow(target: str, address: str, port: int) -> served.Answer:
        system.sleep(20)
        return served.Answer(target, "no answer within 5 s")

    monkeypatch.setattr(served, "handshake", slow)
    answers = served.ask(system, ["a", "b", "c", "d"])
    assert [one.problem for one in answers] == [
        *["no answer within 5 s"] * 2,
        *["not asked: nginx is too slow"] * 2,
    ]


def test_what_forty_handshakes_take(listener: Listener) -> None:
    system = System()
    begin = system.monotonic()
    served.ask(system, ["example.com"] * 40, "127.0.0.1", listener.port)
    took = system.monotonic() - begin
    print(f"40 handshakes: {took * 1000:.0f} ms")
    assert took < 10
