"""Steady load over TLS from this machine: each request on a new connection, or on one that is kept.

A request that fails is a failure. The one thing a client may try again, once and on a new connection, is a request
on a kept connection that the server closed between two requests: it cannot know before it has sent it. Those are
counted apart, as `resent`.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
import time
from collections import Counter
from types import TracebackType

PAUSE = 0.02
DEADLINE = 20.0


class ClosedBetween(Exception):
    """A kept connection ended before a byte of the answer came."""


class TlsLoad:
    """Visitors while a block runs.

    Attributes:
        failures: what went wrong, with the request.
        fresh, kept: how many requests on new and on kept connections.
        resent: how many of `kept` were sent once again, on a new connection.
        certificates: SHA-256 of the certificate a new connection was shown -> how many times.
        slowest: the longest a request took, seconds.

    Args:
        address: IP address of the server.
        name: host name, for SNI and the Host header.
        root: the certificate that the server's chain must end at, PEM; empty takes any chain.
        path: what is asked for; must be answered with 200 and a Content-Length.
        fresh: threads that use a new connection each time, each about 30 requests a second.
        kept: threads that keep theirs.
        pause: seconds between two requests of a thread.
    """

    def __init__(
        self,
        address: str,
        name: str,
        root: str = "",
        *,
        path: str = "/version",
        fresh: int = 3,
        kept: int = 2,
        pause: float = PAUSE,
    ) -> None:
        self._address, self._name, self._pause = address, name, pause
        self._request = f"GET {path} HTTP/1.1\r\nHost: {name}\r\n"
        self._context = trusting(root)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.failures: list[str] = []
        self.certificates: Counter[str] = Counter()
        self.fresh = self.kept = self.resent = 0
        self.slowest = 0.0
        jobs = [self._always_new] * fresh + [self._keeping] * kept
        self._threads = [threading.Thread(target=job) for job in jobs]

    def __enter__(self) -> TlsLoad:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(DEADLINE + 10)

    def __str__(self) -> str:
        return (
            f"{self.fresh} requests on new connections, {self.kept} on kept ones ({self.resent} of them sent once "
            f"again: closed between two requests), {len(self.failures)} failed, slowest {self.slowest:.3f} s, "
            f"{len(self.certificates)} certificates seen"
        )

    def _connect(self) -> ssl.SSLSocket:
        link = socket.create_connection((self._address, 443), DEADLINE)
        try:
            wrapped = self._context.wrap_socket(link, server_hostname=self._name)
        except BaseException:
            link.close()
            raise
        seen = hashlib.sha256(wrapped.getpeercert(True) or b"").hexdigest()
        with self._lock:
            self.certificates[seen] += 1
        return wrapped

    def _failed(self, what: str) -> None:
        with self._lock:
            self.failures.append(what)

    def _took(self, began: float) -> None:
        with self._lock:
            self.slowest = max(self.slowest, time.monotonic() - began)

    def _always_new(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            with self._lock:
                self.fresh += 1
            try:
                with self._connect() as link:
                    status, _ = self._ask(link, "Connection: close\r\n")
                if status != 200:
                    self._failed(f"new: status {status}")
            except (OSError, ClosedBetween, ValueError) as error:
                self._failed(f"new: {error!r}")
            self._took(began)
            self._stop.wait(self._pause)

    def _keeping(self) -> None:
        link: ssl.SSLSocket | None = None
        while not self._stop.is_set():
            began = time.monotonic()
            with self._lock:
                self.kept += 1
            try:
                link = self._once(link)
            except (OSError, ClosedBetween, ValueError) as error:
                self._failed(f"kept: {error!r}")
                if link is not None:
                    link.close()
                link = None
            self._took(began)
            self._stop.wait(self._pause)
        if link is not None:
            link.close()

    def _once(self, link: ssl.SSLSocket | None) -> ssl.SSLSocket | None:
        """One request on a kept connection (none: a new one that is kept); what to use for the next."""
        used = link is not None
        link = link or self._connect()
        try:
            status, last = self._ask(link, "")
        except ClosedBetween:
            link.close()
            if not used:
                raise
            with self._lock:
                self.resent += 1
            link = self._connect()
            status, last = self._ask(link, "")
        if status != 200:
            self._failed(f"kept: status {status}")
        if last:
            link.close()
            return None
        return link

    def _ask(self, link: ssl.SSLSocket, headers: str) -> tuple[int, bool]:
        """Status, and whether the server says that it closes; the whole body is read.

        Raises:
            ClosedBetween: it ended before the first byte.
            OSError, ValueError: it ended after it, or is no answer.
        """
        try:
            link.sendall((self._request + headers + "\r\n").encode())
            raw = link.recv(65536)
        except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            raise ClosedBetween from error
        if not raw:
            raise ClosedBetween
        while b"\r\n\r\n" not in raw:
            raw += self._more(link, raw)
        head, _, body = raw.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        while len(body) < int(fields.get("content-length", "no length")):
            body += self._more(link, body)
        return int(status.split()[1]), fields.get("connection", "").lower() == "close"

    @staticmethod
    def _more(link: ssl.SSLSocket, so_far: bytes) -> bytes:
        more = link.recv(65536)
        if not more:
            raise ConnectionResetError(f"cut after {len(so_far)} bytes: {so_far[:60]!r}")
        return more


def trusting(root: str) -> ssl.SSLContext:
    """What checks chain and name against a root certificate (PEM); none given: nothing is checked."""
    if root:
        return ssl.create_default_context(cadata=root)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
