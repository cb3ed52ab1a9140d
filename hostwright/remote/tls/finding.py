"""What was found before the CA is asked, and what needs no look at an address: CAA records and clocks."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Optional, Sequence

    Look = Mapping[str, Any]

# seconds between the server's clock and the controller's: worth a word; no TLS works any more
CLOCK_ODD, CLOCK_WRONG = 300.0, 3600.0
# tags of CAA records that say something about certificates for web servers, or nothing to any CA (RFC 8659, 9495)
CAA_TAGS = ("issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone")


class Finding:
    """Something that was found. `fatal`: the CA would refuse."""

    def __init__(self, fatal: bool, message: str, hint: str = "", tail: Sequence[str] = ()) -> None:
        self.fatal = fatal
        self.message = message
        self.hint = hint
        self.tail = tuple(tail)


def judge_caa(
    name: str, found: Optional[Look], identities: Sequence[str], challenge: str
) -> Optional[Finding]:
    """May this CA issue for a domain? RFC 8659 (records), RFC 8657 (validationmethods).

    Args:
        name: a domain, or `*.domain`.
        found: see run/outside.py `caa`; None: nobody could look.
        identities: what the CA calls itself in such records; empty: not known.
        challenge: http-01 or dns-01.
    """
    if not found or found["error"] == "silent":
        return None
    if found["error"] == "servfail":
        return Finding(
            True,
            "the name servers of %s fail when they are asked for CAA records" % found["at"],
            "An answer without records would do, a failure does not: ask their operator.",
        )
    records = found["records"]
    shown = ['%s  CAA  %d %s "%s"' % (found["at"], *record) for record in records]
    strange = [tag for flags, tag, _ in records if flags & 128 and tag not in CAA_TAGS]
    if strange:
        message = "a CAA record of %s has a critical tag that no CA knows: %s" % (found["at"], strange[0])
        return Finding(True, message, "Take that record away.", shown)
    wild = [value for _, tag, value in records if tag == "issuewild"] if name.startswith("*.") else []
    allowed = wild or [value for _, tag, value in records if tag == "issue"]
    if not allowed or any(_allows(value, identities, challenge) for value in allowed):
        return None
    tag = "issuewild" if wild else "issue"
    who = identities[0] if identities else "the CA's name"
    message = "CAA records of %s forbid this CA to issue for %s" % (found["at"], name)
    return Finding(True, message, 'Add the record:  %s  CAA  0 %s "%s"' % (found["at"], tag, who), shown)


def _allows(value: str, identities: Sequence[str], challenge: str) -> bool:
    issuer, _, rest = value.partition(";")
    issuer = issuer.strip().lower()
    if not issuer or (identities and issuer not in [identity.lower() for identity in identities]):
        return False
    for parameter in rest.split(";"):
        key, _, methods = parameter.strip().partition("=")
        if key.strip().lower() == "validationmethods":
            return challenge in [method.strip().lower() for method in methods.split(",")]
    return True


def judge_clock(ahead: Optional[float]) -> Optional[Finding]:
    """Is the server's clock right?

    Args:
        ahead: seconds by which it is ahead of the controller's; None: nobody compared.
    """
    if ahead is None or abs(ahead) < CLOCK_ODD:
        return None
    size = abs(ahead)
    span = "%d min" % (size // 60) if size < 7200 else "%d h" % (size // 3600)
    message = "the server's clock is %s %s that of this machine" % (
        span,
        "ahead of" if ahead > 0 else "behind",
    )
    hint = "Which one is right? timedatectl shows; sudo timedatectl set-ntp true sets it."
    return Finding(size >= CLOCK_WRONG, message, hint)
