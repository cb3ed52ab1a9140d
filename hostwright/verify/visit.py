"""One visit to a web server, as JSON: a handshake of any version with any ciphers, or a request over HTTP or TLS.

Standard library alone, Python 3.9: where the server cannot be reached from here, its own Python runs this file. What
OpenSSL would not offer any more (old versions, 3DES, RC4) is asked for with a ClientHello written by hand.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

PATIENCE = 10.0
# RFC 8446, 5.1 and 4: types of records and of handshake messages
ALERT, HANDSHAKE = 21, 22
SERVER_HELLO, CERTIFICATE, SERVER_HELLO_DONE = 2, 11, 14
# RFC 8446, 4.2.7 and 4.2.3
GROUPS = (0x001D, 0x0017, 0x0018, 0x0019)
SIGNATURES = (0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0807, 0x0203, 0x0201)
# a server that answers with more than this before its handshake is done is none
MOST = 1 << 20
# of an answer's head
HEAD = 1 << 16


def visit(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Do what is wanted; what goes wrong is the `problem` of the answer.

    Args:
        wanted: address, port, name (of the server; empty: none is sent), and for `do`:
            hello: version (number of the highest), ciphers (numbers); the answer has version, cipher and chain.
            ask: tls (bool), highest (a name of ssl.TLSVersion, or nothing), trust (PEM, "system", or nothing), request
            (text, or nothing); the answer has version, chain (of the certificate alone), status and headers.
    """
    found: dict[str, Any] = {
        "problem": "",
        "version": "",
        "cipher": "",
        "chain": [],
        "status": 0,
        "headers": [],
    }
    try:
        with socket.create_connection((wanted["address"], wanted["port"]), timeout=PATIENCE) as link:
            if wanted["do"] == "hello":
                found.update(_hello(link, wanted))
            else:
                found.update(_ask(link, wanted))
    except ssl.SSLCertVerificationError as error:
        found["problem"] = f"not trusted: {error.verify_message}"
    except ssl.SSLError as error:
        found["problem"] = f"the handshake failed: {error.reason or error}"
    except socket.timeout:  # noqa: UP041 - before Python 3.10 no TimeoutError
        found["problem"] = f"no answer within {PATIENCE:g} s"
    except (OSError, ValueError) as error:
        found["problem"] = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return found


# -- a handshake by hand -------------------------------------------------------------------------------------------


def _hello(link: socket.socket, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What the server chooses of what is offered (RFC 5246, 7.4), and the certificates it shows."""
    link.sendall(client_hello(wanted["name"], wanted["version"], wanted["ciphers"]))
    found: dict[str, Any] = {"problem": "it closed the connection without a word"}
    pending, raw = b"", b""
    while len(pending) + len(raw) < MOST:
        chunk = link.recv(65536)
        if not chunk:
            return found
        raw += chunk
        while len(raw) >= 5 and len(raw) >= 5 + int.from_bytes(raw[3:5], "big"):
            kind, size = raw[0], int.from_bytes(raw[3:5], "big")
            body, raw = raw[5 : 5 + size], raw[5 + size :]
            if kind == ALERT and len(body) >= 2:
                return {**found, "problem": "" if found.get("cipher") else f"refused, alert {body[1]}"}
            if kind != HANDSHAKE:
                return {**found, "problem": "" if found.get("cipher") else "it does not speak TLS"}
            pending += body
        while len(pending) >= 4 and len(pending) >= 4 + int.from_bytes(pending[1:4], "big"):
            kind, size = pending[0], int.from_bytes(pending[1:4], "big")
            message, pending = pending[4 : 4 + size], pending[4 + size :]
            if kind == SERVER_HELLO:
                found = {"problem": "", **_chosen(message)}
            elif kind == CERTIFICATE:
                found["chain"] = _certificates(message)
            if kind in (CERTIFICATE, SERVER_HELLO_DONE):
                return found
    return found


def _chosen(message: bytes) -> dict[str, Any]:
    session = message[34]
    return {
        "version": int.from_bytes(message[:2], "big"),
        "cipher": int.from_bytes(message[35 + session : 37 + session], "big"),
    }


def _certificates(message: bytes) -> list[str]:
    found, at = [], 3
    while at + 3 <= len(message):
        size = int.from_bytes(message[at : at + 3], "big")
        found.append(base64.b64encode(message[at + 3 : at + 3 + size]).decode())
        at += 3 + size
    return found


def client_hello(name: str, version: int, ciphers: Sequence[int]) -> bytes:
    """The first record of a client that knows nothing newer than `version`, and these ciphers (RFC 5246, 7.4.1.2)."""
    extensions = b""
    if name:
        host = name.encode("idna")
        extensions += _extension(0, _vector(2, b"\0" + _vector(2, host)))
    extensions += _extension(10, _vector(2, _numbers(GROUPS)))
    extensions += _extension(11, _vector(1, b"\0"))
    if version >= 0x0303:
        extensions += _extension(13, _vector(2, _numbers(SIGNATURES)))
    # the last of the ciphers says that renegotiation is safe (RFC 5746): or strict servers hang up
    body = struct.pack(">H", version) + os.urandom(32) + b"\0" + _vector(2, _numbers((*ciphers, 0x00FF)))
    body += _vector(1, b"\0") + _vector(2, extensions)
    return b"\x16" + struct.pack(">H", min(version, 0x0301)) + _vector(2, b"\x01" + _vector(3, body))


def _vector(length: int, value: bytes) -> bytes:
    return len(value).to_bytes(length, "big") + value


def _extension(number: int, value: bytes) -> bytes:
    return struct.pack(">H", number) + _vector(2, value)


def _numbers(values: Sequence[int]) -> bytes:
    return b"".join(struct.pack(">H", value) for value in values)


# -- a request -----------------------------------------------------------------------------------------------------


def _ask(link: socket.socket, wanted: Mapping[str, Any]) -> dict[str, Any]:
    if not wanted["tls"]:
        return _answer(link, wanted["request"])
    context = _context(wanted.get("highest"), wanted.get("trust"))
    # checked against the name even where it is an address, for which no name is sent
    name = wanted["name"] or None
    with context.wrap_socket(link, server_hostname=name) as secure:
        own = secure.getpeercert(binary_form=True)
        found: dict[str, Any] = {
            "version": secure.version() or "",
            "chain": [base64.b64encode(own).decode()] if own else [],
        }
        if wanted.get("request"):
            found.update(_answer(secure, wanted["request"]))
        return found


def _context(highest: str | None, trust: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if highest:
        context.minimum_version = context.maximum_version = ssl.TLSVersion[highest]
    if not trust:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context
    context.load_default_certs()
    if trust != "system":
        context.load_verify_locations(cadata=trust)
    return context


def _answer(link: Any, request: str) -> dict[str, Any]:
    """Status and headers of the answer to one request."""
    link.sendall(request.encode("ascii"))
    raw = b""
    while b"\r\n\r\n" not in raw and len(raw) < HEAD:
        chunk = link.recv(65536)
        if not chunk:
            break
        raw += chunk
    first, *lines = raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    words = first.split()
    if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdigit():
        return {
            "problem": "it closed the connection without an answer" if not raw else "it does not speak HTTP"
        }
    headers = [[part.strip() for part in line.split(":", 1)] for line in lines if ":" in line]
    return {"status": int(words[1]), "headers": headers}


if __name__ == "__main__":
    print(json.dumps(visit(json.loads(sys.argv[1]))))
