"""Steady load on a server from this machine; a request that fails is a failure: nothing is tried again."""

from __future__ import annotations

import socket
import threading
import time
from types import TracebackType

PAUSE = 0.02


class Load:
    """New connections, a kept connection and, with `slow`, a request of 4 s always in flight, while a block runs.

    `failures` says what went wrong, `count` how many requests there were, `slow` how many of 4 s.
    """

    def __init__(self, address: str, *, slow: bool = True) -> None:
        self._address = address
        self._stop = threading.Event()
        self.failures: list[str] = []
        self.count = 0
        self.slow = 0
        jobs = [self._fresh, self._fresh, self._kept, *([self._slowly] * 2 if slow else [])]
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

    def _ask(self, path: str) -> None:
        raw = b""
        self.count += 1
        try:
            with self._connect() as link:
                link.sendall(f"GET {path} HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n".encode())
                while chunk := link.recv(65536):
                    raw += chunk
        except OSError as error:
            self.failures.append(f"{path}: {error!r}")
            return
        if not raw.startswith(b"HTTP/1.1 200"):
            self.failures.append(f"{path}: {raw[:60]!r}")

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
            link.sendall(b"GET /health HTTP/1.1\r\nHost: load\r\n\r\n")
            status, length = file.readline(), 0
            while (line := file.readline().lower()) not in (b"\r\n", b""):
                last = last or line.startswith(b"connection: close")
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            file.read(length)
            if not status.startswith(b"HTTP/1.1 200"):
                self.failures.append(f"kept: {status!r}")
                return
            time.sleep(PAUSE)
