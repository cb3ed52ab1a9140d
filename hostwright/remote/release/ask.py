"""One HTTP request over a unix socket, as nginx would send it. The asker can look at something else meanwhile."""

from __future__ import annotations

import select
import socket
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Mapping, Optional

POLL = 0.2
# of an answer that never ends nothing more is read
MOST = 1 << 20


class Reply:
    """What came back: the HTTP status, or why there is none. `seconds` from the connect to the end."""

    def __init__(self, status: int, seconds: float, problem: str = "") -> None:
        self.status = status
        self.seconds = seconds
        self.problem = problem

    def __str__(self) -> str:
        return self.problem or str(self.status)


def ask(
    path: str,
    target: str,
    headers: Mapping[str, str],
    timeout: float,
    meanwhile: Optional[Callable[[], None]] = None,
) -> Reply:
    """GET `target` from the server that listens at `path`.

    Args:
        headers: added to Connection: close.
        timeout: seconds for all of it.
        meanwhile: called now and then while waiting; it may raise.
    """
    start = time.monotonic()
    lines = [
        "GET %s HTTP/1.1" % target,
        *("%s: %s" % item for item in headers.items()),
        "Connection: close",
        "",
        "",
    ]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.setblocking(False)
        try:
            link.connect(path)
            link.sendall("\r\n".join(lines).encode("latin-1", "replace"))
            raw = _read(link, start + timeout, meanwhile)
        except OSError as error:
            return Reply(0, time.monotonic() - start, error.strerror or str(error))
    seconds = time.monotonic() - start
    words = raw.split(b"\r\n", 1)[0].split(None, 2)
    if len(words) >= 2 and words[0].startswith(b"HTTP/") and words[1].isdigit():
        return Reply(int(words[1]), seconds)
    if raw:
        return Reply(0, seconds, "no HTTP answer")
    if seconds >= timeout:
        return Reply(0, seconds, "no answer within %g s" % timeout)
    return Reply(0, seconds, "the connection was closed without an answer")


def _read(link: socket.socket, end: float, meanwhile: Optional[Callable[[], None]]) -> bytes:
    """All that comes until the other side closes, or the deadline."""
    raw = bytearray()
    while len(raw) < MOST:
        left = end - time.monotonic()
        if left <= 0:
            break
        ready, _, _ = select.select([link], [], [], min(left, POLL))
        if ready:
            chunk = link.recv(65536)
            if not chunk:
                break
            raw += chunk
        elif meanwhile:
            meanwhile()
    return bytes(raw)
