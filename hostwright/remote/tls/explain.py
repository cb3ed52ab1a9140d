"""What certbot's words mean. It ends with "Ask for help" whatever happened: the reason is in its first lines.

The texts are those of certbot 5.8 with pebble and Let's Encrypt's own (Boulder); tests/unit/tls/certbot_said.py.
"""

from __future__ import annotations

import re

from ..resources.base import Failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional, Sequence

    from ..system import Result

BUSY = "Another instance of Certbot is already running"
# what says nothing about the reason
NOISE = re.compile(
    r"\s*(Saving debug log to|Ask for help or search|Some challenges have failed|All challenges have failed"
    r"|An unexpected error occurred:?\s*$|Account registered|Requesting a certificate for|Renewing an existing"
    r"|Simulating |Hint: |Certbot failed to authenticate some domains|- - -|\s*$"
    # how it praises itself when all went well
    r"|Successfully received|Certificate is saved|Key is saved|This certificate expires|These files will be"
    r"|NEXT STEPS|- The certificate will need|If you like Certbot|\* Donating|The dry run was successful)"
)
PROBLEM = re.compile(r"^\s*(?:Identifier|Domain): (\S+)\n\s*Type:\s*(\S+)\n\s*Detail: (.*)$", re.MULTILINE)
AGAIN = re.compile(r"retry after (\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?: ?UTC|Z)")
PLACE = re.compile(r"host='([^']+)', port=(\d+)")
# seconds to wait where the CA does not say how long
AN_HOUR = 3600.0


class Refusal:
    """Why there is no certificate.

    Attributes:
        kind: one word: rate_limited, validation, server ...
        message, hint, tail: for people.
        retry_after: Unix seconds before which asking again is no use; None where the CA said nothing of that.
        counts: the CA counts it against the name, and locks out who fails often.
        passing: it is over in a moment, and nothing is wrong here.
        names: those that it is about; empty: all that were asked for.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        hint: str,
        tail: Sequence[str] = (),
        *,
        retry_after: Optional[float] = None,
        counts: bool = False,
        passing: bool = False,
    ) -> None:
        self.kind = kind
        self.message = message
        self.hint = hint
        self.tail = tuple(tail)
        self.retry_after = retry_after
        self.counts = counts
        self.passing = passing
        self.names: tuple[str, ...] = ()
        self.argv: tuple[str, ...] = ()
        self.exit_code: Optional[int] = None

    def failed(self) -> Failed:
        """As an error of a resource."""
        return Failed(
            self.message,
            self.hint,
            tail=self.tail,
            argv=self.argv,
            exit_code=self.exit_code,
            reason=self.kind,
        )


class Heard:
    """What certbot printed.

    Attributes:
        text: all of it.
        told: the lines that say something.
        server: the ACME server it asked, as host or host:port.
        match: the words that were looked for.
    """

    def __init__(self, result: Result) -> None:
        from urllib.parse import urlsplit

        self.text = result.err + "\n" + result.out
        self.told = said(self.text)
        argv = [*result.argv]
        url = argv[argv.index("--server") + 1] if "--server" in argv[:-1] else ""
        place = PLACE.search(self.text)
        self.server = urlsplit(url).netloc or ("%s:%s" % place.groups() if place else "of the CA")
        self.match = ""


def understand(result: Result, names: Sequence[str]) -> Refusal:
    """The reason in what certbot printed, for these domains and addresses."""
    from .validation import validation

    heard = Heard(result)
    problems = PROBLEM.findall(heard.text)
    refusal = _known(heard) or (validation(problems, names) if problems else None)
    if refusal is None:
        hint = "The whole story is on the server: sudo less /var/log/letsencrypt/letsencrypt.log"
        what = heard.told[0] if heard.told else "certbot failed and did not say why"
        refusal = Refusal("unknown", what, hint)
    if not refusal.tail:
        refusal.tail = tuple(heard.told[:6])
    refusal.argv, refusal.exit_code = tuple(result.argv), result.exit_code
    return refusal


def said(text: str) -> list[str]:
    """The lines that say something."""
    return [line.strip()[:500] for line in text.splitlines() if not NOISE.match(line)]


def _known(heard: Heard) -> Optional[Refusal]:
    """What certbot or the CA says in the same words each time."""
    for pattern, make in KNOWN:
        found = re.search(pattern, heard.text)
        if found:
            heard.match = found.group(0)
            return make(heard)
    return None


# -- one function for each thing that is said ------------------------------------------------------------------------


def _busy(heard: Heard) -> Refusal:
    return Refusal(
        "busy",
        "another certbot has been running on this server for more than 10 minutes",
        "Who is it? pgrep -af certbot. When it has ended, run the command again.",
    )


def _rate_limited(heard: Heard) -> Refusal:
    said_when = AGAIN.search(heard.text)
    when = _unix(said_when.group(1), said_when.group(2)) if said_when else None
    message = "the CA takes no more requests for now: it limits how many it gets"
    if when is not None:
        message = "the CA takes no more requests for this until %s" % utc(when)
    hint = "Nothing is lost: HTTP goes on, and so does a certificate that is there. Run the command again after that."
    return Refusal("rate_limited", message, hint, retry_after=when)


def _eab(heard: Heard) -> Refusal:
    message = "the CA does not accept the external account binding (tls.eab)"
    if "requires external account binding" in heard.text:
        message = "the CA only serves its customers: it wants an external account binding"
    return Refusal(
        "account",
        message,
        "Put the key identifier and the HMAC key that the CA gave you into the inventory: tls: {eab: {kid: ..., "
        "hmac_key: {from_env: NAME}}}.",
    )


def _account(heard: Heard) -> Refusal:
    return Refusal(
        "account",
        "the CA does not know the account that certbot has here for it",
        "Was the CA set up anew? Move the account away, and the next run makes one: "
        "sudo mv /etc/letsencrypt/accounts/%s /root/" % heard.server,
    )


def _untrusted(heard: Heard) -> Refusal:
    from .distrust import distrust

    why, hint = distrust(heard.text)
    return Refusal("untrusted", "the ACME server %s is not trusted: %s" % (heard.server, why), hint)


def _unreachable(heard: Heard) -> Refusal:
    reasons = (
        ("Connection refused", "the connection was refused"),
        ("NameResolutionError", "its name cannot be resolved"),
        ("Name or service not known", "its name cannot be resolved"),
        ("Temporary failure in name resolution", "the server's name servers do not answer"),
        ("timed out", "it does not answer"),
        ("Timeout", "it does not answer"),
        ("No route to host", "there is no route to it"),
        ("Network is unreachable", "there is no route to it"),
    )
    why = next((words for sign, words in reasons if sign in heard.text), "the connection broke")
    return Refusal(
        "unreachable",
        "the ACME server %s cannot be reached: %s" % (heard.server, why),
        "Is the URL right, and may this server open connections to it? curl -v URL on the server shows more.",
        # the connection was cut, which a second try may not see
        passing=why == "the connection broke",
    )


def _policy(heard: Heard) -> Refusal:
    return Refusal(
        "refused",
        "the CA does not issue certificates for this name",
        "Take the name out of `domains`, or ask another CA (tls: {issuer: URL}).",
    )


def _wildcard(heard: Heard) -> Refusal:
    return Refusal(
        "challenge",
        "the CA does not accept this way to prove the names",
        "A wildcard needs DNS-01: tls: {dns: {auth: PROGRAM}}.",
        tail=heard.told[:1],
    )


def _profile(heard: Heard) -> Refusal:
    return Refusal(
        "profile",
        "the CA has no such certificate profile",
        "Its profiles are in the directory: curl URL shows meta.profiles. Or take `profile:` out of the inventory.",
    )


def _hook(heard: Heard) -> Refusal:
    return Refusal(
        "hook",
        "the DNS program failed (%s)" % heard.match.strip(),
        "It runs on the server as root, with CERTBOT_DOMAIN, CERTBOT_VALIDATION and the `env` of tls.dns.",
        tail=heard.told[:12],
        # certbot asks the CA all the same
        counts=bool(PROBLEM.search(heard.text)),
    )


def _full(heard: Heard) -> Refusal:
    return Refusal(
        "disk", "the server's disk is full: certbot could not write", "df -h and df -i show where."
    )


def _malformed(heard: Heard) -> Refusal:
    return Refusal(
        "refused",
        "the CA cannot make a certificate of these names",
        "What it says is below.",
        tail=heard.told[:4],
    )


def _busy_server(heard: Heard) -> Refusal:
    return Refusal(
        "server", "the CA could not serve the request", "That passes: run the command again.", passing=True
    )


def _missing(heard: Heard) -> Refusal:
    return Refusal(
        "missing", "certbot is not there: /opt/certbot", "inv provision puts it there.", tail=heard.told[:3]
    )


KNOWN: Sequence[tuple[str, Callable[[Heard], Refusal]]] = (
    (re.escape(BUSY), _busy),
    (r"/opt/certbot/bin/certbot: No such file", _missing),
    (r"No space left on device|Disk quota exceeded", _full),
    (
        r"rateLimited|too many requests of a given type|[Tt]oo many (certificates|failed|new|currently)",
        _rate_limited,
    ),
    (r"[Ee]xternal account binding|externalAccountRequired", _eab),
    (r"accountDoesNotExist|Account at \S+ does not exist|[Aa]ccount .*(not found|does not exist)", _account),
    (r"CERTIFICATE_VERIFY_FAILED|SSLError", _untrusted),
    (
        r"NewConnectionError|ConnectTimeout|ReadTimeout|ConnectionError|NameResolutionError|Timeout\(",
        _unreachable,
    ),
    (r"[Hh]ook '?(--)?manual-(auth|cleanup)-hook'? .*reported error code \d+", _hook),
    (r"forbidden by policy|rejectedIdentifier|will not issue certificates|[Pp]olicy forbids", _policy),
    (r"does not support any combination of challenges", _wildcard),
    (r"profile .*(not recognized|not recognised|unknown|invalid|does not exist)|invalidProfile", _profile),
    (r"badNonce|unacceptable anti-replay nonce|invalid anti-replay nonce", _busy_server),
    (
        r"serverInternal|internal error|[Ss]ervice (is )?(busy|down|unavailable)|\b50[0234]\b Server Error",
        _busy_server,
    ),
    (r"illegal character|malformed|invalid identifier|not a valid domain", _malformed),
)


def _unix(day: str, clock: str) -> float:
    import calendar
    import time

    return float(calendar.timegm(time.strptime("%s %s" % (day, clock), "%Y-%m-%d %H:%M:%S")))


def utc(when: float) -> str:
    """A point in time for people: 2026-11-28 14:05 UTC."""
    import time

    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(when + 59))
