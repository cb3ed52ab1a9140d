"""Visits to a host's web server: from here, as its users do, or from the server itself where that is not possible."""

from __future__ import annotations

import base64
import inspect
import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hostwright.errors import HostwrightError
from hostwright.inventory import Host
from hostwright.transport.ssh_config import resolve
from hostwright.verify import visit

HTTP, HTTPS = 80, 443
PATIENCE = 5.0
TLS_1_0, TLS_1_1, TLS_1_2 = 0x0301, 0x0302, 0x0303
# IANA's numbers (TLS Cipher Suites). Forward secrecy and authenticated encryption: what Mozilla's intermediate allows
GOOD = (0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0x009E, 0x009F, 0xCCAA)
STATIC_RSA = (
    0x009C,
    0x009D,
    0xC09C,
    0xC09D,
    0xC0A0,
    0xC0A1,
    0x002F,
    0x0035,
    0x003C,
    0x003D,
    0x0041,
    0x0084,
    0x0096,
)
CBC = (
    *(0x002F, 0x0035, 0x003C, 0x003D, 0x0033, 0x0039, 0x0067, 0x006B, 0x0032, 0x0038, 0x0040, 0x006A),
    *(0xC009, 0xC00A, 0xC023, 0xC024, 0xC013, 0xC014, 0xC027, 0xC028, 0x0041, 0x0084, 0x0045, 0x0088),
    *(0xC072, 0xC073, 0xC076, 0xC077, 0xC004, 0xC005, 0xC00E, 0xC00F, 0x0007, 0x0096, 0x009A),
)
# 3DES and DES, RC4, without encryption, without a certificate, for export
BROKEN = (
    *(0x000A, 0x0016, 0x0013, 0xC008, 0xC012, 0xC003, 0xC00D, 0x0009, 0x0015, 0x0012),
    *(0x0004, 0x0005, 0xC007, 0xC011, 0xC002, 0xC00C),
    *(0x0001, 0x0002, 0x003B, 0xC006, 0xC010, 0xC001, 0xC00B),
    *(0x0018, 0x001B, 0x0034, 0x003A, 0x006C, 0x006D, 0x00A6, 0x00A7, 0xC015, 0xC016, 0xC017, 0xC018, 0xC019),
    *(0x0003, 0x0006, 0x0008, 0x000B, 0x000E, 0x0011, 0x0014, 0x0017, 0x0019),
)


@dataclass(frozen=True)
class Seen:
    """What a visit saw.

    Args:
        problem: why there is nothing to see; empty when all went well.
        version: of TLS: a name of OpenSSL's, or a number after a handshake by hand.
        cipher: its number, after a handshake by hand.
        chain: DER of the certificates that were shown.
        status: of HTTP.
        headers: (name, value) of the answer.
    """

    problem: str
    version: Any
    cipher: Any
    chain: tuple[bytes, ...]
    status: int
    headers: tuple[tuple[str, str], ...]

    def values(self, header: str) -> list[str]:
        """All values of a header."""
        return [value for name, value in self.headers if name.lower() == header.lower()]


class Visitor:
    """Visits one host.

    Args:
        host: testinfra's, to run the visit on the server.
        server: the inventory's.

    Attributes:
        outside: visits come from here.
        why: why not.
    """

    def __init__(self, host: Any, server: Host) -> None:
        self._host = host
        self._jump = server.jump
        self.why = ""
        self._address = server.address
        try:
            self._address = resolve(server.model_copy(update={"jump": None})).address
            socket.create_connection((self._address, HTTPS), timeout=PATIENCE).close()
        except HostwrightError as error:
            self.why = error.message
        except OSError as error:
            self.why = f"{self._address} port {HTTPS}: {error.strerror or error}"
        self.outside = not self.why

    @property
    def behind_jump(self) -> bool:
        """It is not meant to be reached from here."""
        return self._jump is not None

    def hello(self, name: str, version: int, ciphers: Sequence[int]) -> Seen:
        """Offer a version, the ones below it and some ciphers, by hand; see what the server chooses."""
        return self._visit("hello", HTTPS, name, version=version, ciphers=list(ciphers))

    def connect(self, name: str, *, highest: str = "", trust: str = "") -> Seen:
        """A whole handshake.

        Args:
            name: of the server, or its address; empty: none is sent, and nothing is checked.
            highest: the one version to speak: TLSv1_2 or TLSv1_3; empty: any.
            trust: "system", or PEM of what is trusted besides; empty: nothing is checked.
        """
        return self._visit("ask", HTTPS, name, tls=True, highest=highest, trust=trust)

    def get(self, url_path: str, host: str, *, tls: bool, name: str = "") -> Seen:
        """GET a path with a Host header.

        Args:
            url_path: with its query.
            host: for the header.
            tls: over HTTPS.
            name: of the server, for TLS.
        """
        lines = (
            f"GET {url_path} HTTP/1.1",
            f"Host: {host}",
            "User-Agent: hostwright-verify",
            "Connection: close",
        )
        request = "\r\n".join([*lines, "", ""])
        return self._visit("ask", HTTPS if tls else HTTP, name, tls=tls, request=request)

    def _visit(self, what: str, port: int, name: str, **more: Any) -> Seen:
        address = self._address if self.outside else "127.0.0.1"
        wanted = {"do": what, "address": address, "port": port, "name": name, **more}
        found = visit.visit(wanted) if self.outside else self._from_the_server(wanted)
        return Seen(
            found["problem"], found["version"], found["cipher"], tuple(map(base64.b64decode, found["chain"])),
            found["status"], tuple((header, value) for header, value in found["headers"]),
        )  # fmt: skip

    def _from_the_server(self, wanted: dict[str, Any]) -> dict[str, Any]:
        done = self._host.run("python3 -I -S -B -c %s %s", inspect.getsource(visit), json.dumps(wanted))
        assert done.succeeded, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer
