"""Steady load on a server from this machine; a request that fails is a failure: nothing is tried again."""

from __future__ import annotations

import socket
import threading
import time
from types import TracebackType

PAUSE = 0.02


class Load:
    """New connections, a kept connection and, with `slow`, a request of 4 s always in flight, while a block runs.

    `failures` says what went wrong, `count` how many requests there were, `slow` how many of 4 s, `posts` how many
    bodies were sent.

    Args:
        echo: a path that gives the body of a POST back; with it, bodies are sent on new and on kept connections.
        threads: how many of each kind, each about 40 requests a second.
    """

    def __init__(self, address: str, *, slow: bool = True, echo: str = "", threads: int = 1) -> None:
        self._address = address
        self._echo = echo
        self._stop = threading.Event()
        self.failures: list[str] = []
        self.count = 0
        self.slow = self.posts = 0
        jobs = [self._fresh, self._fresh, self._kept, *([self._posted] if echo else [])] * threads
        jobs += [self._slowly] * 2 if slow else []
        self._threads = [threading.Thread(target=job) for job in jobs]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _connect(self) -> socket.socket:
        return socket.create_connection((self._address, 80), 20)

    def _fresh(self) -> None:
        while not self._stop.is_set():
            self._ask("/version")
            time.sleep(PAUSE)

    def _slowly(self) -> None:
        while not self._stop.is_set():
            self._ask("/slow?seconds=4")
            self.slow += 1

    def _posted(self) -> None:
        while not self._stop.is_set():
            self._ask(self._echo, self._body())
            time.sleep(PAUSE)

    def _body(self) -> bytes:
        """Another one each time, of up to 60 kB."""
        self.posts += 1
        return f"{self.posts} ".encode() * (self.posts % 10_000)

    def _ask(self, path: str, body: bytes | None = None) -> None:
        raw = b""
        self.count += 1
        try:
            with self._connect() as link:
                link.sendall(request(path, body, "Connection: close\r\n"))
                while chunk := link.recv(65536):
                    raw += chunk
        except OSError as error:
            self.failures.append(f"{path}: {error!r}")
            return
        if not raw.startswith(b"HTTP/1.1 200"):
            self.failures.append(f"{path}: {raw[:60]!r}")
        elif body is not None and raw.partition(b"\r\n\r\n")[2] != body:
            self.failures.append(
                f"{path}: not the {len(body)} bytes that were sent, but {len(raw)} with the head"
            )

    def _kept(self) -> None:
        while not self._stop.is_set():
            try:
                with self._connect() as link:
                    self._keep(link)
            except OSError as error:
                self.failures.append(f"kept: {error!r}")

    def _keep(self, link: socket.socket) -> None:
        """Requests on one connection, until the server says that it closes it."""
        file, last = link.makefile("rb"), False
        while not last and not self._stop.is_set():
            self.count += 1
            body = self._body() if self._echo and self.count % 2 else None
            link.sendall(request("/health" if body is None else self._echo, body))
            status, length = file.readline(), 0
            while (line := file.readline().lower()) not in (b"\r\n", b""):
                last = last or line.startswith(b"connection: close")
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            answer = file.read(length)
            if not status.startswith(b"HTTP/1.1 200"):
                self.failures.append(f"kept: {status!r}")
                return
            if body is not None and answer != body:
                self.failures.append(f"kept: not the {len(body)} bytes that were sent, but {len(answer)}")
                return
            time.sleep(PAUSE)


def request(path: str, body: bytes | None, headers: str = "") -> bytes:
    """A GET, or a POST of a body."""
    if body is not None:
        headers += f"Content-Length: {len(body)}\r\n"
    return f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: load\r\n{headers}\r\n".encode() + (
        body or b""
    )
