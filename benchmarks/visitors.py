"""Who asks while a peer works: visitors who must notice nothing, and one who waits for the new code."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.peers.peer import Work
from tests.machine.load_tls import TlsLoad, trusting

PAUSE, DEADLINE = 0.02, 20.0  # seconds
SETTLED = 2.0  # seconds that visitors stay after a command: a restart's last failures come after it
END = 60.0  # seconds after a command until what it brought must be seen


@dataclass
class Seen:
    """What one visitor on new connections saw, in order.

    Attributes:
        first: mark of the app's code -> when its first answer was there, `time.monotonic`.
        failed: how many requests got no answer, or another than 200.
    """

    first: dict[str, float] = field(default_factory=dict)
    failed: int = 0


class Watch:
    """Asks for the app's `/version` again and again while a block runs, each time on a new connection.

    Attributes:
        seen: what came.
    """

    def __init__(self, work: Work, app: str) -> None:
        self.seen = Seen()
        self._address = work.servers[0].address
        self._name = work.domain(app)
        self._context = trusting("")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(DEADLINE + 10)

    def wait(self, mark: str, since: float, seconds: float = END) -> float:
        """Seconds from `since` to the first answer of a mark that came after it.

        Raises:
            RuntimeError: none came in time.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.seen.first.get(mark, 0.0) > since:
                return self.seen.first[mark] - since
            time.sleep(PAUSE)
        raise RuntimeError(f"{self._name} does not serve {mark}; it served {list(self.seen.first)}")

    def forget(self) -> None:
        """A mark that answered before counts as new when it comes again."""
        self.seen.first.clear()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                mark = self._ask()
            except (OSError, ValueError, KeyError):
                self.seen.failed += 1
            else:
                self.seen.first.setdefault(mark, time.monotonic())
            self._stop.wait(PAUSE)

    def _ask(self) -> str:
        request = f"GET /version HTTP/1.1\r\nHost: {self._name}\r\nConnection: close\r\n\r\n"
        raw = b""
        with (
            socket.create_connection((self._address, 443), DEADLINE) as link,
            self._context.wrap_socket(link, server_hostname=self._name) as secure,
        ):
            secure.sendall(request.encode())
            while chunk := secure.recv(65536):
                raw += chunk
        head, _, body = raw.partition(b"\r\n\r\n")
        if head.split()[1:2] != [b"200"]:
            raise ValueError(head[:60])
        return str(json.loads(body)["mark"])


@dataclass(frozen=True)
class Visited:
    """A time with visitors.

    Attributes:
        load: those on new and on kept connections, and what failed of theirs.
        watch: the one who waits.
    """

    load: TlsLoad
    watch: Watch

    @property
    def asked(self) -> int:
        """Requests of the load."""
        return self.load.fresh + self.load.kept


@contextmanager
def visitors(work: Work, app: str) -> Iterator[Visited]:
    """About 100 requests a second on new and on kept connections, and a watch; a little longer than the block."""
    load = TlsLoad(work.servers[0].address, work.domain(app), fresh=2, kept=2)
    with load, Watch(work, app) as watch:
        time.sleep(1)
        yield Visited(load, watch)
        time.sleep(SETTLED)
