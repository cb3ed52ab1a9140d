"""One HTTP request over a unix socket, as nginx would send it. The asker can look at something else meanwhile."""

from __future__ import annotations

import re
import select
import socket
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Mapping, Optional

POLL = 0.2
# of an answer that never ends nothing more is read
MOST = 1 << 20
# of what it says a person gets to see so many characters
SHOWN = 200
NOT_TEXT = re.compile(rb"(?is)<(style|script|title)\b.*?</\1>|<[^>]*>")


class Reply:
    """What came back.

    Attributes:
        status: of HTTP, or 0.
        seconds: from the connect to the end.
        problem: why there is no status.
        location: where it redirects.
        said: the begin of its text.
        body: what it is without its head.
        silent: nothing came within the time.
    """

    def __init__(
        self,
        status: int,
        seconds: float,
        problem: str = "",
        location: str = "",
        said: str = "",
        silent: bool = False,
        body: bytes = b"",
    ) -> None:
        self.status = status
        self.seconds = seconds
        self.problem = problem
        self.location = location
        self.said = said
        self.silent = silent
        self.body = body

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
        except (FileNotFoundError, ConnectionRefusedError) as error:
            return Reply(0, time.monotonic() - start, "nothing listens there (%s)" % error.strerror)
        except OSError as error:
            return Reply(0, time.monotonic() - start, error.strerror or str(error))
    seconds = time.monotonic() - start
    words = raw.split(b"\r\n", 1)[0].split(None, 2)
    if len(words) >= 2 and words[0].startswith(b"HTTP/") and words[1].isdigit():
        head, _, body = raw.partition(b"\r\n\r\n")
        if re.search(rb"(?im)^transfer-encoding:.*chunked", head):
            body = _joined(body)
        redirect = re.search(rb"(?im)^location: *(.*?) *\r?$", head)
        location, said = _text(redirect.group(1) if redirect else b""), shown(body)
        return Reply(int(words[1]), seconds, location=location, said=said, body=body)
    if raw:
        return Reply(0, seconds, "no HTTP answer")
    if seconds >= timeout:
        return Reply(0, seconds, "no answer within %g s" % timeout, silent=True)
    return Reply(0, seconds, "the connection was closed without an answer")


def shown(body: bytes) -> str:
    """The begin of a text without markup, on one line."""
    return _text(NOT_TEXT.sub(b" ", body[: 100 * SHOWN]))


def _joined(body: bytes) -> bytes:
    """The chunks of a body (RFC 9112, 7.1) without their sizes."""
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        try:
            count = int(size.split(b";")[0], 16)
        except ValueError:
            break
        whole, body = whole + rest[:count], rest[count + 2 :]
    return whole


def _text(raw: bytes) -> str:
    text = " ".join(raw.decode("utf-8", "replace").split())
    text = "".join(char for char in text if char.isprintable())
    return text[:SHOWN] + ("..." if len(text) > SHOWN else "")


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
