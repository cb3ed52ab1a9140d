"""Keys of people: written into the inventory, in a file, at a URL; and what is said when they are none."""

from __future__ import annotations

import base64
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hostwright.errors import HostwrightError, UsageError
from hostwright.inventory import Host
from hostwright.inventory.user_keys import UserKeys, fetch_keys, parse
from hostwright.inventory.users import check_key_url, check_public_key


def blob(kind: str, *parts: bytes) -> str:
    fields = [kind.encode(), *parts]
    return base64.b64encode(b"".join(struct.pack(">I", len(field)) + field for field in fields)).decode()


def rsa(bits: int) -> str:
    return "ssh-rsa " + blob("ssh-rsa", bytes([1, 0, 1]), bytes([0, 128]) + bytes(bits // 8 - 1))


ANN = f"ssh-ed25519 {blob('ssh-ed25519', bytes(range(32)))}"
BOB = f"ssh-ed25519 {blob('ssh-ed25519', bytes(range(1, 33)))}"


def host(**users: Any) -> Host:
    return Host(name="web1", address="203.0.113.10", apps=(), users=users)


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (ANN, ANN),
        (f"{ANN}  ann@laptop", f"{ANN} ann@laptop"),
        (f"{ANN} ann\x1b[31m $(reboot); `x`", f"{ANN} ann31m reboot x"),
        (rsa(2048), rsa(2048)),
    ],
)
def test_a_key(line: str, kept: str) -> None:
    assert check_public_key(line) == kept


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("ssh-ed25519 AAAA", "expected a public key"),
        (f"ssh-rsa {ANN.split()[1]}", "expected a public key"),
        ("ssh-dss AAAAB3NzaC1kc3M= x", "expected a public key"),
        (f'command="x" {ANN}', "without options"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "this is a private key"),
        (rsa(1024), "an RSA key of 1024 bits can be broken"),
    ],
)
def test_no_key(line: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem.replace("(", "\\(")):
        check_public_key(line)


@pytest.mark.parametrize(
    "url",
    [
        "http://github.com/ann.keys",
        "https://github.com/ann",
        "https://user@github.com/ann.keys",
        "https://github.com:8443/ann.keys",
        "https://github.com/ann.keys?x=1",
        "https://github.com/ann.keys#x",
        "https:///ann.keys",
        "file:///etc/ann.keys",
    ],
)
def test_no_url_of_keys(url: str) -> None:
    with pytest.raises(ValueError, match="expected an https URL that ends in"):
        check_key_url(url)


def test_every_source_once(tmp_path: Path) -> None:
    (tmp_path / "ann.pub").write_text(f"# mine\n{ANN} ann@laptop\n\n")
    fetched: list[str] = []

    def fetch(url: str) -> str:
        fetched.append(url)
        return f"{ANN}\n{BOB}\n"

    keys = UserKeys({}, fetch)
    url = "https://github.com/ann.keys"
    both = host(ann={"keys": [tmp_path / "ann.pub", url, BOB]}, bob={"keys": [url]}, eve={})
    found = keys.of(both)
    assert found == {"ann": (ANN, BOB), "bob": (ANN, BOB), "eve": ()}
    keys.of(both)
    assert fetched == [url]


def test_sudo_without_a_key_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        UserKeys({}).of(host(ann={"sudo": True}))
    assert str(caught.value) == (
        "web1: users.ann has sudo, but no key to log in with\n  users: {ann: {keys: [~/.ssh/ann.pub], sudo: true}}"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "users.ann: x.pub has no keys in it"),
        (
            "<html>",
            "users.ann: x.pub:1: expected a public key such as ssh-ed25519 AAAA..., without options before it",
        ),
        (f"{ANN}\nssh-rsa x\n", "users.ann: x.pub:2: expected a public key"),
    ],
)
def test_lists_that_are_none(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text.splitlines(), "users.ann: x.pub")
    assert caught.value.message.startswith(message)


class Answers(BaseHTTPRequestHandler):
    """A web server that answers as its path says."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        status = int(self.path.split("/")[1].partition(".")[0])
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", "/200.keys")
        self.end_headers()
        self.wfile.write(b"x" * (70_000 if "large" in self.path else 10))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("path", "message", "hint"),
    [
        ("/404.keys", "/404.keys answers 404", "Is the name right?"),
        ("/500.keys", "/500.keys answers 500", "Open it in a browser."),
        ("/302.keys", "/302.keys answers 302 and leads to /200.keys", "Open it in a browser."),
        ("/200/large.keys", "/200/large.keys is no list of keys: it has more than 64 KiB", None),
    ],
)
def test_answers_that_are_no_keys(web: str, path: str, message: str, hint: str | None) -> None:
    with pytest.raises(HostwrightError) as caught:
        fetch_keys(web + path)
    assert (caught.value.message, caught.value.hint) == (web + message, hint)


def test_an_answer_and_none(web: str) -> None:
    assert fetch_keys(web + "/200.keys") == "x" * 10
    with pytest.raises(HostwrightError, match=r"cannot be fetched: .*refused"):
        fetch_keys("http://127.0.0.1:1/ann.keys")
