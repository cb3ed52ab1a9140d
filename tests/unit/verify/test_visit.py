"""Visits see what is there: also what no client of today would offer."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hostwright.verify import visit as module
from hostwright.verify import visitor as ways
from hostwright.verify.visit import visit
from tests.unit.tls.certificates import KEYS, der, make, name, pem
from tests.unit.tls.listener import Listener

CA = make(subject=name("Test CA"), key="rsa", ca=True)
LEAF = make(["example.com", "127.0.0.1"], subject=name(), issuer=CA.subject, signer="rsa")
RSA = make(["example.com"], subject=name(), issuer=CA.subject, key="rsa", signer="rsa")
V = ssl.TLSVersion
ANSWER = (
    b"HTTP/1.1 308 Permanent Redirect\r\nServer: nginx\r\nLocation: https://x/\r\nX-A:  b: c \r\n\r\nbody"
)
Start = Callable[..., Listener]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[Listener] = []

    def listener(*, rsa: bool = False, **more: Any) -> Listener:
        chain = (KEYS["rsa"], [RSA, CA]) if rsa else (KEYS["ecdsa"], [LEAF, CA])
        made.append(Listener(tmp_path, {"example.com": chain, "": chain}, **more))
        return made[-1]

    yield listener
    for one in made:
        one.close()


def hello(port: int, version: int, ciphers: tuple[int, ...], name: str = "example.com") -> dict[str, Any]:
    return visit({"do": "hello", "address": "127.0.0.1", "port": port, "name": name, "version": version,
                  "ciphers": ciphers})  # fmt: skip


def ask(port: int, *, name: str = "example.com", **more: Any) -> dict[str, Any]:
    return visit({"do": "ask", "address": "127.0.0.1", "port": port, "name": name, "tls": True, **more})


def test_the_chain_comes_with_a_hello(start: Start) -> None:
    found = hello(start().port, ways.TLS_1_2, ways.GOOD)
    assert (found["problem"], found["version"]) == ("", ways.TLS_1_2)
    assert found["cipher"] in ways.GOOD
    assert [module.base64.b64decode(one) for one in found["chain"]] == [der(LEAF), der(CA)]


def test_a_name_that_is_unknown_is_refused(start: Start) -> None:
    assert (
        hello(start().port, ways.TLS_1_2, ways.GOOD, "other.example").get("problem") == "refused, alert 112"
    )


@pytest.mark.parametrize("version", [ways.TLS_1_0, ways.TLS_1_1])
def test_old_versions_are_found(start: Start, version: int) -> None:
    modern = hello(start().port, version, (*ways.GOOD, *ways.CBC))
    assert modern["problem"] == "refused, alert 70"
    old = start(lowest=V.TLSv1, highest=V.TLSv1_3, ciphers="ALL:@SECLEVEL=0")
    found = hello(old.port, version, (*ways.GOOD, *ways.CBC))
    assert (found["problem"], found["version"]) == ("", version)
    assert found["chain"]


@pytest.mark.parametrize(
    ("offered", "has", "rsa"),
    [
        (ways.STATIC_RSA, "AES128-GCM-SHA256", True),
        (ways.STATIC_RSA, "AES256-SHA", True),
        (ways.CBC, "ECDHE-ECDSA-AES128-SHA", False),
        (ways.CBC, "ECDHE-RSA-AES256-SHA384", True),
        (ways.CBC, "AES256-SHA256", True),
        (ways.BROKEN, "eNULL", True),
        (ways.BROKEN, "aNULL", True),
    ],
)
def test_bad_ciphers_are_found(start: Start, offered: tuple[int, ...], has: str, rsa: bool) -> None:
    good = hello(start(rsa=rsa, ciphers="ECDHE+AESGCM:ECDHE+CHACHA20").port, ways.TLS_1_2, offered)
    assert good["problem"] == "refused, alert 40"
    bad = start(rsa=rsa, highest=V.TLSv1_2, ciphers=f"{has}:@SECLEVEL=0")
    found = hello(bad.port, ways.TLS_1_2, offered)
    assert found["problem"] == ""
    assert found["cipher"] in offered


def test_no_good_cipher_is_among_the_bad() -> None:
    assert not set(ways.GOOD) & {*ways.STATIC_RSA, *ways.CBC, *ways.BROKEN}


def test_versions_and_trust(start: Start) -> None:
    port = start().port
    assert ask(port, highest="TLSv1_2")["version"] == "TLSv1.2"
    found = ask(port, highest="TLSv1_3")
    assert (found["version"], [module.base64.b64decode(one) for one in found["chain"]]) == (
        "TLSv1.3",
        [der(LEAF)],
    )
    assert ask(port, trust=pem(CA))["problem"] == ""
    assert ask(port, trust=pem(CA), name="127.0.0.1")["problem"] == ""
    assert ask(port, trust="system")["problem"].startswith("not trusted: ")


def test_a_version_that_is_missing(start: Start) -> None:
    problem = ask(start(highest=V.TLSv1_2).port, highest="TLSv1_3")["problem"]
    assert problem.startswith("the handshake failed: ")


def test_an_answer(start: Start) -> None:
    found = ask(start(answer=ANSWER).port, request="GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (found["problem"], found["status"]) == ("", 308)
    assert found["headers"] == [["Server", "nginx"], ["Location", "https://x/"], ["X-A", "b: c"]]


def test_no_answer(start: Start) -> None:
    found = ask(start().port, request="GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert found["problem"] == "it closed the connection without an answer"


def test_something_that_is_no_http(start: Start) -> None:
    found = ask(start(answer=b"hello\r\n\r\n").port, request="GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert found["problem"] == "it does not speak HTTP"


def test_nobody_is_there() -> None:
    found = ask(9)
    assert found["problem"] == "Connection refused"
    assert hello(9, ways.TLS_1_2, ways.GOOD)["problem"] == "Connection refused"


class OnTheServer:
    """Runs on this machine what would run on the server."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def run(self, line: str, *words: str) -> Any:
        self.lines.append(line)
        argv = [sys.executable, *line.split()[1:5], *words]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        done.succeeded = done.returncode == 0  # type: ignore[attr-defined]
        return done


class Server:
    """A host of the inventory behind a jump host."""

    address, jump = "203.0.113.7", "gate"

    def model_copy(self, update: dict[str, Any]) -> Server:
        return self


def test_the_server_looks_itself_where_we_cannot(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    listener = start(answer=ANSWER)
    monkeypatch.setattr(ways, "resolve", lambda server: server)
    monkeypatch.setattr(ways, "HTTPS", listener.port)

    def unreachable(place: object, timeout: float) -> Any:
        raise OSError(113, "No route to host")

    monkeypatch.setattr(ways.socket, "create_connection", unreachable)
    there = OnTheServer()
    visitor = ways.Visitor(there, Server())  # type: ignore[arg-type]
    assert (visitor.outside, visitor.behind_jump) == (False, True)
    assert visitor.why == f"203.0.113.7 port {listener.port}: No route to host"
    assert visitor.hello("example.com", ways.TLS_1_2, ways.GOOD).chain == (der(LEAF), der(CA))
    assert visitor.connect("example.com", highest="TLSv1_3").version == "TLSv1.3"
    seen = visitor.get("/", "example.com", tls=True, name="example.com")
    assert (seen.status, seen.values("location")) == (308, ["https://x/"])
    assert set(there.lines) == {"python3 -I -S -B -c %s %s"}


def test_what_the_server_runs_is_small_and_old_enough() -> None:
    import ast
    import inspect

    source = inspect.getsource(module)
    ast.parse(source, feature_version=(3, 9))
    assert len(source) < 100_000, "one argument of execve(2) holds 128 KiB"
    json.dumps(source)
