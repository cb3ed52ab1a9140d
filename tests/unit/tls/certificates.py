"""Certificates made for tests: any key, any names, chains of any length."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=timezone.utc)
# making an RSA key takes longer than all the rest
KEYS: dict[str, Any] = {
    "ecdsa": ec.generate_private_key(ec.SECP256R1()),
    "ecdsa-384": ec.generate_private_key(ec.SECP384R1()),
    "rsa": rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "ed448": ed448.Ed448PrivateKey.generate(),
}


def name(common: str = "", organization: str = "") -> x509.Name:
    """A Name of these two; without any, an empty one."""
    parts = ((NameOID.ORGANIZATION_NAME, organization), (NameOID.COMMON_NAME, common))
    return x509.Name([x509.NameAttribute(which, value) for which, value in parts if value])


def make(
    names: Sequence[str] = (),
    *,
    key: str = "ecdsa",
    subject: x509.Name | None = None,
    issuer: x509.Name | None = None,
    signer: str = "",
    begin: datetime = NOW - timedelta(days=30),
    end: datetime = NOW + timedelta(days=60),
    ca: bool = False,
    serial: int = 0,
    private: Any = None,
    signing: Any = None,
) -> x509.Certificate:
    """A certificate for domains and IP addresses; self-signed unless `issuer` and `signer` say otherwise."""
    private = private or KEYS[key]
    signing = signing or (KEYS[signer] if signer else private)
    subject = name("test") if subject is None else subject
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer)
        .public_key(private.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general(n) for n in names]), critical=False
        )
    plain = isinstance(signing, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey))
    return builder.sign(signing, None if plain else hashes.SHA256())


def _general(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def der(certificate: x509.Certificate) -> bytes:
    """Its bytes."""
    return certificate.public_bytes(serialization.Encoding.DER)


def pem(*certificates: x509.Certificate) -> str:
    """A PEM file of these, in this order."""
    return "".join(one.public_bytes(serialization.Encoding.PEM).decode() for one in certificates)
