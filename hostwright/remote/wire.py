"""The contract between controller and agent: frames up, events down. Both sides import this file.

Up (stdin of the agent): frames of 1 byte type, 4 bytes length (big endian), payload.
    J  a message: zlib-compressed JSON object
    D  raw bytes of a stream (a git pack); an empty one ends the stream
Down (stdout): JSON text sequences (RFC 7464): RS, one JSON object, newline. A line without RS is not ours:
a login banner, a shell start-up file that prints, a warning of sudo.
"""

from __future__ import annotations

import json
import struct
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Optional, Tuple, Union

    Read = Callable[[int], bytes]

PROTOCOL = 1
RS = b"\x1e"
MESSAGE, DATA = b"J", b"D"
# a frame larger than this is not ours: refuse it instead of filling the memory
MAX_FRAME = 64 * 1024 * 1024
HEADER = struct.Struct(">cI")


class WireError(Exception):
    """The other side sent something that is not a frame of ours."""


def message(value: Mapping[str, Any]) -> bytes:
    """One message frame."""
    body = zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 6)
    return HEADER.pack(MESSAGE, len(body)) + body


def data(chunk: bytes) -> bytes:
    """One frame of a raw stream; an empty chunk ends the stream."""
    return HEADER.pack(DATA, len(chunk)) + chunk


def read_exactly(read: Read, size: int) -> bytes:
    """`size` bytes from `read`, or fewer at the end of the input."""
    parts = []
    while size:
        part = read(min(size, 1 << 20))
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def read_frame(read: Read) -> Optional[Union[dict[str, Any], bytes]]:
    """The next frame: a message as a dict, a chunk of a stream as bytes, None at the end of the input.

    Raises:
        WireError: what came is not a frame.
    """
    head = read_exactly(read, HEADER.size)
    if len(head) < HEADER.size:
        return None
    kind, size = HEADER.unpack(head)
    if kind not in (MESSAGE, DATA) or size > MAX_FRAME:
        raise WireError("not a frame: %r" % head)
    body = read_exactly(read, size)
    if len(body) < size:
        return None
    if kind == DATA:
        return body
    value = json.loads(zlib.decompress(body))
    if not isinstance(value, dict):
        raise WireError("a message is an object")
    return value


def line(event: Mapping[str, Any]) -> bytes:
    """One event as it goes down the channel and into the journal."""
    return RS + json.dumps(event, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"


def parse_line(raw: bytes) -> Optional[dict[str, Any]]:
    """The event in a line, or None when the line is not ours."""
    start = raw.find(RS)
    if start < 0:
        return None
    try:
        value = json.loads(raw[start + 1 :])
    except ValueError:
        return None
    return value if isinstance(value, dict) and "event" in value else None


def split_lines(buffer: bytes) -> Tuple[list[bytes], bytes]:
    """Whole lines in a buffer and what is left after the last newline."""
    *lines, rest = buffer.split(b"\n")
    return lines, rest
