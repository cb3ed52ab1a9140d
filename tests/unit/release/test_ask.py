"""One request over a real unix socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hostwright.remote.release.ask import ask

Serve = Callable[[Callable[[socket.socket], None]], str]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Listens and gives the first connection to a function."""
    listener = socket.socket(socket.AF_UNIX)
    path = str(tmp_path / "s")
    listener.bind(path)
    listener.listen(1)
    threads = []

    def start(answer: Callable[[socket.socket], None]) -> str:
        def run() -> None:
            link, _ = listener.accept()
            with link:
                answer(link)

        threads.append(threading.Thread(target=run, daemon=True))
        threads[0].start()
        return path

    yield start
    for thread in threads:
        thread.join(5)
    listener.close()


def read_request(link: socket.socket) -> bytes:
    raw = b""
    while b"\r\n\r\n" not in raw:
        raw += link.recv(4096)
    return raw


def test_status_and_request(serve: Serve) -> None:
    seen = []

    def answer(link: socket.socket) -> None:
        seen.append(read_request(link))
        link.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

    reply = ask(serve(answer), "/health?x=1", {"Host": "hello.test", "X-Forwarded-Proto": "https"}, 5)
    assert (reply.status, str(reply)) == (204, "204")
    assert seen[0] == (
        b"GET /health?x=1 HTTP/1.1\r\nHost: hello.test\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("rest", "location", "said"),
    [
        (b"Location: https://x/a b\r\n\r\n", "https://x/a b", ""),
        (b"\r\n<html><head><title>No</title></head><h1>Bad\n Request</h1> (400)", "", "Bad Request (400)"),
        (b'\r\n{"db": "down"}', "", '{"db": "down"}'),
        (b"Transfer-Encoding: chunked\r\n\r\n4\r\ndown\r\n6;x\r\n again\r\n0\r\n\r\n", "", "down again"),
        (b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n", "", ""),
        (b"\r\n\xff\x1b[31m" + b"x" * 500, "", "\ufffd[31m" + "x" * 195 + "..."),
    ],
)
def test_what_an_answer_says(serve: Serve, rest: bytes, location: str, said: str) -> None:
    def answer(link: socket.socket) -> None:
        read_request(link)
        link.sendall(b"HTTP/1.1 400 Bad\r\n" + rest)

    reply = ask(serve(answer), "/", {}, 5)
    assert (reply.status, reply.location, reply.said) == (400, location, said)


def test_nobody_listens(tmp_path: Path) -> None:
    assert (
        str(ask(str(tmp_path / "nothing"), "/", {}, 1)) == "nothing listens there (No such file or directory)"
    )


@pytest.mark.parametrize(
    ("raw", "said"),
    [(b"", "the connection was closed without an answer"), (b"hello\n", "no HTTP answer")],
)
def test_no_answer(serve: Serve, raw: bytes, said: str) -> None:
    def answer(link: socket.socket) -> None:
        read_request(link)
        link.sendall(raw)

    assert str(ask(serve(answer), "/", {}, 5)) == said


def test_silence_ends_and_somebody_looks_meanwhile(serve: Serve) -> None:
    done, looks = threading.Event(), []

    def answer(link: socket.socket) -> None:
        done.wait(5)

    reply = ask(serve(answer), "/", {}, 0.5, lambda: looks.append(1))
    done.set()
    assert str(reply) == "no answer within 0.5 s"
    assert 0.4 < reply.seconds < 3
    assert looks


def test_what_somebody_sees_may_end_it(serve: Serve) -> None:
    done = threading.Event()

    def look() -> None:
        raise RuntimeError("the unit is dead")

    def answer(link: socket.socket) -> None:
        done.wait(5)

    with pytest.raises(RuntimeError, match="the unit is dead"):
        ask(serve(answer), "/", {}, 5, look)
    done.set()


def test_the_body_is_what_was_sent(serve: Serve) -> None:
    def answer(link: socket.socket) -> None:
        read_request(link)
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        link.sendall(head + b"4\r\n<b>c\r\n7\r\nommit</\r\n2\r\nb>\r\n0\r\n\r\n")

    reply = ask(serve(answer), "/", {}, 5)
    assert (reply.body, reply.said) == (b"<b>commit</b>", "commit")
