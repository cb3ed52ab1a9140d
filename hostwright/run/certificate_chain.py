"""Is a chain of certificates one: each signed by the next, and none missing that clients would have to fetch?"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, Name


def problem_of(chain: Sequence[bytes]) -> str:
    """What is wrong with a chain as a server sends it, in words; empty when nothing is.

    Args:
        chain: DER, the server's own certificate first (RFC 8446, 4.4.2). Whether somebody trusts its end is
            another question.
    """
    try:
        return _problem([_load(der) for der in chain])
    except ValueError as error:
        return f"it holds a certificate that cannot be read: {error}"


def _load(der: bytes) -> Certificate:
    """Read a certificate.

    Raises:
        ValueError: it is none.
    """
    import warnings

    from cryptography import x509

    with warnings.catch_warnings():  # of serial numbers that old CAs chose; nobody here can change them
        warnings.simplefilter("ignore")
        return x509.load_der_x509_certificate(der)


def _problem(chain: Sequence[Certificate]) -> str:
    for lower, upper in itertools.pairwise(chain):
        if not _signed_by(lower, upper):
            return f"the certificate of {_who(upper)} did not sign that of {_who(lower)} before it"
    last = chain[-1]
    if last.issuer == last.subject or _is_authority(last) or last.issuer.public_bytes() in _trusted_names():
        return ""
    return f"the certificate of its issuer, {label(last.issuer)}, is missing: browsers may not trust it"


def _who(certificate: Certificate) -> str:
    """Whose it is; a server's may have no subject (RFC 5280, 4.1.2.6), but names."""
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [str(one.value) for one in found]
    except (x509.ExtensionNotFound, ValueError):
        names = []
    return label(certificate.subject) if list(certificate.subject) or not names else names[0]


def _signed_by(lower: Certificate, upper: Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        lower.verify_directly_issued_by(upper)
    except UnsupportedAlgorithm:  # nobody here can tell; the names fit, or it had been a ValueError
        return True
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _is_authority(certificate: Certificate) -> bool:
    """An intermediate: above it is a root, which nobody has to send."""
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


@functools.cache
def _trusted_names() -> frozenset[bytes]:
    """The names of the CAs that this machine trusts: few sign servers' certificates themselves, but some do."""
    import ssl

    found = set()
    for der in ssl.create_default_context().get_ca_certs(binary_form=True):
        try:
            found.add(_load(der).subject.public_bytes())
        except ValueError:
            continue
    return frozenset(found)


def issuer_of(der: bytes) -> str:
    """Who issued it, as people know it: `Let's Encrypt E7`; empty when it cannot be read."""
    try:
        return label(_load(der).issuer)
    except ValueError:
        return ""


def label(name: Name) -> str:
    """Organization and common name, without saying a word twice."""
    from cryptography.x509.oid import NameOID

    def first(which: object) -> str:
        return next((str(part.value) for part in name if part.oid == which), "")

    organization, common = first(NameOID.ORGANIZATION_NAME), first(NameOID.COMMON_NAME)
    if organization and common and not common.lower().startswith(organization.lower()):
        return f"{organization} {common}"
    return common or organization or "nobody"
