"""A certificate and key of one's own: do they fit each other, the names and the time?"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hostwright.errors import UsageError
from hostwright.inventory.trusted import display_name, read_trusted

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


def problems_of(
    certificate: Path, key: Path, domains: Sequence[str], environ: Mapping[str, str]
) -> Iterator[str]:
    """What is wrong with a certificate and its key, in words; nothing when they can be used.

    Args:
        certificate: PEM file: the server's certificate first, then those up to the CA's (RFC 8446, 4.4.2).
        key: PEM file of its private key, without a passphrase.
        domains: names it has to hold.
        environ: for `read_trusted`.
    """
    try:
        chain_text, key_text = read_trusted(certificate, environ), read_trusted(key, environ)
    except UsageError as error:
        yield error.message + (f". {error.hint}" if error.hint else "")
        return
    chain = _chain(chain_text)
    shown = display_name(certificate)
    if not chain:
        yield f"{shown} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)"
        return
    yield from _readable_by_others(key)
    yield from _key(chain[0], key_text, display_name(key), shown)
    yield from _times(chain[0], shown)
    yield from _names(chain[0], domains, shown)
    yield from _order(chain, shown)


def _chain(text: str) -> list[Certificate]:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        return []


def _readable_by_others(key: Path) -> Iterator[str]:
    mode = key.stat().st_mode
    if mode & 0o077:
        yield f"{display_name(key)} can be read by others (mode {mode & 0o777:04o}): chmod 600 {display_name(key)}"


def _key(leaf: Certificate, text: str, shown: str, of: str) -> Iterator[str]:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    try:
        key = load_pem_private_key(text.encode(), None)
    except TypeError:
        yield f"{shown} is protected by a passphrase, which nginx could not ask for: openssl pkey -in {shown} -out NEW"
        return
    except ValueError:
        yield f"{shown} holds no private key in PEM form"
        return
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != leaf.public_key().public_bytes(*form):
        yield f"{shown} is not the key of {of}: the public keys differ"


def _times(leaf: Certificate, shown: str) -> Iterator[str]:
    now = datetime.datetime.now(datetime.timezone.utc)
    if leaf.not_valid_after_utc <= now:
        yield f"{shown} expired on {leaf.not_valid_after_utc:%Y-%m-%d}"
    elif leaf.not_valid_before_utc > now:
        yield f"{shown} is not valid before {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"


def _names(leaf: Certificate, domains: Sequence[str], shown: str) -> Iterator[str]:
    from cryptography import x509

    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        held = {name.lower() for name in extension.get_values_for_type(x509.DNSName)}
    except (x509.ExtensionNotFound, ValueError):
        held = set()
    missing = [name for name in domains if not {name, f"*.{name.partition('.')[2]}"} & held]
    if missing:
        yield f"{shown} is not for {', '.join(missing)}; it is for {', '.join(sorted(held)) or 'no name'}"


def _order(chain: Sequence[Certificate], shown: str) -> Iterator[str]:
    """Each is signed by the next, and none is missing that browsers would have to fetch."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    for lower, upper in itertools.pairwise(chain):
        try:
            lower.verify_directly_issued_by(upper)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            yield (
                f"{shown}: the certificate of {_name(upper)} did not sign that of {_name(lower)} before it; "
                "put the server's first, then each one's issuer"
            )
            return
    last = chain[-1]
    if last.issuer != last.subject and _points_at_issuer(last) and len(chain) == 1:
        issuer = last.issuer.rfc4514_string()
        yield f"{shown} lacks the certificate of its issuer ({issuer}): append it, or browsers will not trust it"


def _points_at_issuer(certificate: Certificate) -> bool:
    """Does it say where its issuer's certificate is to be had? Those that a root signed directly do not."""
    from cryptography import x509
    from cryptography.x509.oid import AuthorityInformationAccessOID

    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return any(item.access_method == AuthorityInformationAccessOID.CA_ISSUERS for item in access)


def _name(certificate: Certificate) -> str:
    return certificate.subject.rfc4514_string() or "a certificate without a subject"
