"""What a certificate says, read without a process and without `ssl`: a run that changes nothing reads each of them.

RFC 5280 certificates in PEM files. Nothing is verified here: no signature, no trust. What a file holds never
raises.
"""

from __future__ import annotations

from .der import INTEGER, OCTET_STRING, OID, SEQUENCE, SET, Damaged, Reader, moment, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Optional

    from ..system import System

BEGIN, END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
# the contents of object identifiers: attributes of names, extensions, keys
COMMON_NAME, ORGANIZATION = b"\x55\x04\x03", b"\x55\x04\x0a"
SUBJECT_ALT_NAME = b"\x55\x1d\x11"
KEYS = {
    b"\x2a\x86\x48\xce\x3d\x02\x01": "ecdsa",
    b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01": "rsa",
    b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a": "rsa-pss",
    b"\x2b\x65\x70": "ed25519",
    b"\x2b\x65\x71": "ed448",
    b"\x2a\x86\x48\xce\x38\x04\x01": "dsa",
}
# context tags: extensions of a certificate; dNSName and iPAddress of a GeneralName
VERSION, EXTENSIONS, DNS_NAME, IP_ADDRESS = 0xA0, 0xA3, 0x82, 0x87
LETTERS = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_.*")


class Certificate:
    """One certificate.

    Attributes:
        der: its bytes.
        names: the domains it is for, lower case, as written: `*.example.com` covers one label.
        addresses: the IP addresses it is for, as text.
        not_before, not_after: Unix seconds.
        issuer, subject: common name, else organization, else empty; for people.
        serial: hexadecimal, lower case.
        self_signed: issuer and subject are the same.
        key: ecdsa, rsa, ed25519 ...; `other` when it is none we know.
    """

    def __init__(self, der: bytes) -> None:
        """Read it.

        Raises:
            Damaged: this is no certificate.
        """
        self.der = der
        self.names: tuple[str, ...] = ()
        self.addresses: tuple[str, ...] = ()
        outside = Reader(der)
        certificate = outside.enter()
        outside.done()
        body = certificate.enter()
        certificate.whole(SEQUENCE)  # the signature's algorithm, and the signature
        certificate.value(0x03)
        certificate.done()
        if body.peek() == VERSION:
            body.value(VERSION)
        self.serial = _integer(body.value(INTEGER))
        body.whole(SEQUENCE)  # the signature's algorithm once more
        issuer = body.whole(SEQUENCE)
        validity = body.enter()
        self.not_before, self.not_after = moment(*validity.any()), moment(*validity.any())
        validity.done()
        subject = body.whole(SEQUENCE)
        self.issuer, self.subject = _name(issuer), _name(subject)
        self.self_signed = issuer == subject
        self.key = KEYS.get(body.enter().enter().value(OID), "other")
        while body.more and body.peek() != EXTENSIONS:
            body.any()
        if body.more:
            extensions = body.enter(EXTENSIONS)
            self._extensions(extensions.enter())
            extensions.done()
        body.done()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of its bytes, hexadecimal."""
        from ..digest import sha256

        return sha256(self.der)

    def covers(self, name: str) -> bool:
        """Is it for this domain, `*.domain`, or IP address? As RFC 6125: a wildcard is one whole first label."""
        name = name.lower().rstrip(".").strip("[]")
        address = _normal_address(name)
        if address:
            return address in self.addresses
        return name in self.names or "*." + name.partition(".")[2] in self.names

    def _extensions(self, extensions: Reader) -> None:
        while extensions.more:
            extension = extensions.enter()
            which = extension.value(OID)
            if extension.peek() == 0x01:  # critical
                extension.any()
            value = extension.value(OCTET_STRING)
            extension.done()
            if which == SUBJECT_ALT_NAME:
                self._alternative_names(Reader(value).enter())

    def _alternative_names(self, found: Reader) -> None:
        names, addresses = [], []
        while found.more:
            tag, value = found.any()
            if tag == DNS_NAME:
                value = value.lower().rstrip(b".")
                if value and LETTERS.issuperset(value):  # any other is nobody's name, and may hold anything
                    names.append(value.decode("ascii"))
            elif tag == IP_ADDRESS and len(value) in (4, 16):
                addresses.append(_address(value))
        self.names, self.addresses = tuple(names), tuple(addresses)


def _integer(value: bytes) -> str:
    """A serial number, hexadecimal."""
    if not value:
        raise Damaged("a number without digits")
    return "%x" % int.from_bytes(value, "big", signed=True)


def _name(whole: bytes) -> str:
    """The common name in a Name, else its organization."""
    found: dict[bytes, str] = {}
    parts = Reader(whole).enter()
    while parts.more:
        attributes = parts.enter(SET)
        while attributes.more:
            attribute = attributes.enter()
            which = attribute.value(OID)
            found.setdefault(which, text(*attribute.any()))
            attribute.done()
    return found.get(COMMON_NAME) or found.get(ORGANIZATION) or ""


def _address(value: bytes) -> str:
    if len(value) == 4:
        return "%d.%d.%d.%d" % tuple(value)
    import socket

    return socket.inet_ntop(socket.AF_INET6, value)


def _normal_address(name: str) -> str:
    """An IP address as certificates' are written here; empty when it is none."""
    parts = name.split(".")
    if len(parts) == 4 and all(part.isascii() and part.isdigit() and len(part) < 4 for part in parts):
        return ".".join(str(int(part)) for part in parts)
    if ":" not in name:
        return ""
    import socket

    try:
        return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, name))
    except (OSError, ValueError):
        return ""


def pieces(pem: bytes) -> Iterator[Optional[bytes]]:
    """The DER of each certificate in a PEM file; None for one that is no base64 or has no end."""
    import binascii

    at = pem.find(BEGIN)
    while at >= 0:
        begin = at + len(BEGIN)
        following, end = pem.find(BEGIN, begin), pem.find(END, begin)
        try:
            whole = end >= 0 and (following < 0 or end < following)
            yield binascii.a2b_base64(pem[begin:end]) if whole else None
        except ValueError:
            yield None
        at = following


def parse(der: Optional[bytes]) -> Optional[Certificate]:
    """The certificate in these bytes, or None."""
    try:
        return Certificate(der) if der else None
    except Damaged:
        return None


def first(pem: bytes) -> Optional[Certificate]:
    """The first certificate of a PEM file; None when there is none, or it cannot be read."""
    return parse(next(pieces(pem), None))


def every(pem: bytes) -> list[Optional[Certificate]]:
    """All certificates of a PEM file, in its order; None in the place of one that cannot be read."""
    return [parse(der) for der in pieces(pem)]


def read(system: System, path: str) -> Optional[Certificate]:
    """The first certificate of a PEM file: the server's own. None: missing, or it cannot be read."""
    return first(content(system, path))


def chain(system: System, path: str) -> list[Certificate]:
    """All certificates of a PEM file that can be read, in its order."""
    return [found for found in every(content(system, path)) if found]


def content(system: System, path: str) -> bytes:
    """Of a file; nothing where there is none, or a directory in its place."""
    try:
        return system.read(path) or b""
    except OSError:
        return b""
