"""Why the TLS certificate of an ACME directory is not trusted, in what OpenSSL says of it."""

from __future__ import annotations

import re

# of a chain that is known and not as it should be (X509_V_FLAG_X509_STRICT)
UNFIT = re.compile(
    r"verify failed: ((CA cert |Missing |Basic Constraints|Path length|(Authority|Subject) Key|Key usage)[^(]*)\("
)


def distrust(text: str) -> tuple[str, str]:
    """(why, what to do about it) for an error text of OpenSSL."""
    if "not yet valid" in text or "has expired" in text:
        return "its certificate is not valid at this time", "Is the server's clock right? timedatectl"
    if "mismatch" in text or "doesn't match" in text:
        return "its certificate is for another name", "Is the URL of the ACME directory right?"
    unfit = UNFIT.search(text)
    if unfit:
        return (
            "its certificates break RFC 5280: %s" % unfit.group(1).strip(),
            "Python 3.13 and newer insist on that. Have the CA's own certificate and the server's made anew.",
        )
    return (
        "its certificate was issued by a CA that this server does not know",
        "Name the CA's own certificate in the inventory (tls: {ca: FILE}); it is laid down in /etc/hostwright/acme.",
    )
