"""As much of HTTP/1.1 (RFC 9112) and of WebSockets (RFC 6455) as a visitor of our app needs. No redirect, no retry."""

from __future__ import annotations

import asyncio
import base64
import os
from dataclasses import dataclass

LIMIT = 8 << 20  # bytes of a body


class Broken(Exception):
    """The other side did not keep to the protocol."""


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether the server says that it ends the connection."""
        return self.headers.get("connection", "").lower() == "close"


def request(method: str, path: str, host: str, body: bytes = b"", headers: tuple[str, ...] = ()) -> bytes:
    """A request with a body of a known length."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
    if method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, "", "")).encode() + body


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """Read one answer with a Content-Length; a 101 has none.

    Raises:
        Broken: no such answer.
        EOFError, OSError: the connection ended before the answer did.
    """
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    words = head[0].split(None, 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
        raise Broken(f"not an answer: {head[0][:60]!r}")
    pairs = (line.partition(":") for line in head[1:] if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    status = int(words[1])
    if status == 101:
        return Answer(status, headers, b"")
    length = headers.get("content-length", "")
    if not length.isdigit() or int(length) > LIMIT:
        raise Broken(f"answer {status} without a usable length: {length!r}")
    return Answer(status, headers, await reader.readexactly(int(length)))


# -- WebSockets ----------------------------------------------------------------------------------------------

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def upgrade(path: str, host: str) -> bytes:
    """The request that opens a WebSocket."""
    key = base64.b64encode(os.urandom(16)).decode()
    wanted = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
    return request("GET", path, host, headers=(*wanted, f"Sec-WebSocket-Key: {key}"))


def frame(opcode: int, payload: bytes) -> bytes:
    """A masked frame of up to 125 bytes, RFC 6455 section 5.2."""
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return bytes((0x80 | opcode, 0x80 | len(payload))) + mask + masked


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Opcode and payload of the next frame of up to 125 bytes.

    Raises:
        EOFError, OSError: the connection is gone.
    """
    first, length = await reader.readexactly(2)
    if length > 125:
        raise Broken(f"a frame of {length} bytes")
    return first & 0x0F, await reader.readexactly(length)
