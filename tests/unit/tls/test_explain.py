"""What certbot 5.8 said in real runs with pebble 2.6 (tests/cases/certbot/said.json), and Boulder's words."""

from __future__ import annotations

import calendar
import json
from pathlib import Path
from typing import Any

import pytest

from hostwright.remote.system import Result
from hostwright.remote.tls import certbot
from hostwright.remote.tls.explain import Refusal, understand, utc

SAID: dict[str, dict[str, str]] = json.loads(
    (Path(__file__).parents[2] / "cases/certbot/said.json").read_text()
)
ARGV = ("/opt/certbot/bin/certbot", "certonly", "--server", "https://ca.test:14000/dir", "--domain", "x")


def heard(out: str, err: str, *names: str) -> Refusal:
    return understand(Result(ARGV, 1, out, err), names)


@pytest.mark.parametrize(
    ("said", "kind", "message", "hint"),
    [
        (
            "refused",
            "validation",
            "the CA could not verify rf.example.test: nobody answers on port 80",
            "nginx running",
        ),
        (
            "closed",
            "validation",
            "cl.example.test: who answers on port 80 closed the connection",
            "sudo nginx -T",
        ),
        ("unreachable", "validation", "ur.example.test: its address cannot be reached", "A or AAAA record"),
        (
            "forbidden",
            "validation",
            "fb.example.test: the challenge may not be read (403)",
            "namei -l /var/www",
        ),
        (
            "notfound",
            "validation",
            "nf.example.test, nf2.example.test: somebody else answered on port 80",
            "A and AAAA",
        ),
        (
            "wrongcontent",
            "validation",
            "wc.example.test: somebody else answered on port 80",
            "A and AAAA records",
        ),
        (
            "badredirect",
            "validation",
            "br.example.test: the redirect to HTTPS could not be followed",
            "redirects the CA",
        ),
        ("nxdomain", "validation", "nx.example.test: it has no address in the DNS", "Make an A record"),
        ("servfail", "validation", "sf.example.test: it has no address in the DNS", "Make an A record"),
        ("policy", "refused", "the CA does not issue certificates for this name", "Take the name out"),
        ("malformed", "refused", "the CA cannot make a certificate of these names", "below"),
        ("wildcard", "challenge", "the CA does not accept this way to prove the names", "DNS-01"),
        ("noeab", "account", "it wants an external account binding", "tls: {eab: {kid: "),
        ("wrongeab", "account", "the CA does not accept the external account binding (tls.eab)", "hmac_key"),
        ("account", "account", "the CA does not know the account", "accounts/ca.test:14000 /root/"),
        ("accountlocal", "account", "the CA does not know the account", "sudo mv"),
        (
            "down",
            "unreachable",
            "the ACME server ca.test:14000 cannot be reached: the connection was refused",
            "curl -v",
        ),
        (
            "nodns",
            "unreachable",
            "the ACME server ca.test:14000 cannot be reached: its name cannot be resolved",
            "URL",
        ),
        ("untrusted", "untrusted", "issued by a CA that this server does not know", "tls: {ca: FILE}"),
        ("busy", "busy", "another certbot has been running on this server", "pgrep -af certbot"),
        ("full", "disk", "the server's disk is full", "df -h"),
        ("badnonce", "server", "the CA could not serve the request", "run the command again"),
        ("hook", "hook", "the DNS program failed", "as root"),
    ],
)
def test_what_certbot_said(said: str, kind: str, message: str, hint: str) -> None:
    refusal = heard(SAID[said]["out"], SAID[said]["err"], "nf.example.test", "nf2.example.test")
    assert refusal.kind == kind
    assert message in refusal.message
    assert hint in refusal.hint
    assert "Ask for help" not in "\n".join((refusal.message, refusal.hint, *refusal.tail))
    assert refusal.counts == (kind in ("validation", "hook"))
    assert refusal.passing == (kind == "server")


# Boulder's words, as certbot prints them (letsencrypt/boulder: va/, ra/, wfe2/, core/errors)
FETCHING = "203.0.113.9: Fetching http://x.test/.well-known/acme-challenge/T: "
ANSWERED = "203.0.113.9: Invalid response from http://x.test/.well-known/acme-challenge/T: 404"
BROKEN = "the domain's nameservers may be malfunctioning"
DETAILS = [
    ("dns", "DNS problem: NXDOMAIN looking up A for x.test - check that a DNS record exists", "no address"),
    ("dns", "no valid A records found for x.test; no valid AAAA records found for x.test", "no address"),
    ("dns", f"DNS problem: SERVFAIL looking up A for x.test - {BROKEN}", "do not answer as they should"),
    (
        "dns",
        f"DNS problem: SERVFAIL looking up TXT for _acme-challenge.x.test - {BROKEN}",
        "do not answer as they",
    ),
    ("dns", f"DNS problem: SERVFAIL looking up CAA for x.test - {BROKEN}", "CAA records"),
    ("caa", "CAA record for x.test prevents issuance", "forbids this CA"),
    ("connection", FETCHING + "Timeout during connect (likely firewall problem)", "a firewall, most likely"),
    ("connection", FETCHING + "Connection refused", "was refused"),
    ("connection", FETCHING + "Connection reset by peer", "closed the connection"),
    ("unauthorized", ANSWERED, "somebody else"),
    ("unauthorized", "During secondary validation: " + ANSWERED, "somebody else"),
    ("unauthorized", 'Incorrect TXT record "old" found at _acme-challenge.x.test', "TXT record"),
    ("unauthorized", "No TXT record found at _acme-challenge.x.test", "TXT record"),
    (
        "dns",
        "DNS problem: NXDOMAIN looking up TXT for _acme-challenge.x.test - check that it exists",
        "TXT record",
    ),
    ("tls", "203.0.113.9: remote error: tls: handshake failure", "redirect to HTTPS"),
    ("strange", "something new", "what it saw is below"),
]


@pytest.mark.parametrize(("kind", "detail", "meaning"), DETAILS)
def test_what_boulder_says_of_a_name(kind: str, detail: str, meaning: str) -> None:
    out = f"  Identifier: x.test\n  Type:   {kind}\n  Detail: {detail}\n"
    refusal = heard(out, "Some challenges have failed.\n", "x.test")
    assert meaning in refusal.message
    assert refusal.tail == (f"x.test: {detail}",)
    assert refusal.names == ("x.test",)
    assert refusal.counts


RATE = (
    "An unexpected error occurred:\ntoo many certificates (5) already issued for this exact set of identifiers in the "
    "last 168h0m0s, retry after 2026-12-01 10:20:30 UTC: see https://letsencrypt.org/docs/rate-limits/\n"
)
FAILED = (
    'An unexpected error occurred:\ntoo many failed authorizations (5) for "x.test" in the last 1h0m0s, retry after '
    "2026-12-01 10:20:30 UTC: see https://letsencrypt.org/docs/rate-limits/\n"
)


@pytest.mark.parametrize("text", [RATE, FAILED])
def test_a_rate_limit_says_until_when(text: str) -> None:
    refusal = heard("", text, "x.test")
    assert refusal.kind == "rate_limited"
    assert refusal.message == "the CA takes no more requests for this until 2026-12-01 10:21 UTC"
    assert refusal.retry_after == calendar.timegm((2026, 12, 1, 10, 20, 30))
    assert not refusal.counts


def test_a_rate_limit_without_a_time() -> None:
    refusal = heard("", "An unexpected error occurred:\nThere were too many requests of a given type\n", "x")
    assert (refusal.kind, refusal.retry_after) == ("rate_limited", None)


@pytest.mark.parametrize(
    ("text", "kind", "passing"),
    [
        ("The service is down for maintenance or had an internal error.", "server", True),
        ("requests.exceptions.HTTPError: 503 Server Error: Service Unavailable", "server", True),
        (
            "requests.exceptions.ConnectionError: ('Connection aborted.', RemoteDisconnected('x'))",
            "unreachable",
            True,
        ),
        (
            "requests.exceptions.ReadTimeout: HTTPSConnectionPool(host='h', port=443): timed out",
            "unreachable",
            False,
        ),
        ("ConnectionError: NameResolutionError: Temporary failure in name resolution", "unreachable", False),
        ("SSLError: CERTIFICATE_VERIFY_FAILED: certificate is not yet valid", "untrusted", False),
        ("SSLError: CERTIFICATE_VERIFY_FAILED: IP address mismatch", "untrusted", False),
        ('profile "nope" not recognized', "profile", False),
        ("Error, something new", "unknown", False),
    ],
)
def test_other_words(text: str, kind: str, passing: bool) -> None:
    refusal = heard(
        "", f"Saving debug log to x\nAn unexpected error occurred:\n{text}\nAsk for help or search\n"
    )
    assert (refusal.kind, refusal.passing) == (kind, passing)
    assert refusal.tail == (text,)
    if kind == "unknown":
        assert refusal.message == text
        assert "letsencrypt.log" in refusal.hint


def test_no_certbot_at_all() -> None:
    refusal = understand(Result(ARGV, 127, "", "/opt/certbot/bin/certbot: No such file or directory"), ())
    assert refusal.kind == "missing"
    assert "inv provision" in refusal.hint


def test_nothing_was_said() -> None:
    assert heard("", "").message == "certbot failed and did not say why"


def test_many_names_of_more_than_one_kind() -> None:
    def block(name: str, detail: str) -> str:
        return f"  Domain: {name}\n  Type:   connection\n  Detail: {detail}\n\n"

    names = [f"{letter}.test" for letter in "abcde"]
    out = "".join(block(name, "Connection refused") for name in names[:4]) + block(
        "e.test", "Timeout during connect"
    )
    refusal = heard(out, "", *names)
    assert refusal.message == (
        "the CA could not verify a.test, b.test and 2 more: nobody answers on port 80: the connection was refused"
        " (and 1 more of another kind)"
    )


def test_as_an_error_of_a_resource() -> None:
    failed: Any = certbot.explain(
        Result(ARGV, 1, SAID["refused"]["out"], SAID["refused"]["err"]), ["rf.example.test"]
    )
    assert failed.reason == "validation"
    assert failed.argv == ARGV
    assert failed.exit_code == 1
    assert failed.tail[0].startswith('rf.example.test: Get "http://rf.example.test:80/')


def test_a_time_is_never_told_too_early() -> None:
    assert utc(calendar.timegm((2026, 12, 1, 10, 20, 0))) == "2026-12-01 10:20 UTC"
    assert utc(calendar.timegm((2026, 12, 1, 10, 20, 1))) == "2026-12-01 10:21 UTC"


def test_a_ca_that_python_3_13_finds_wanting() -> None:
    said = "CA cert does not include key usage extension"
    refusal = heard(
        "", f"SSLError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {said} (_ssl.c:1029)\n"
    )
    assert refusal.message.endswith(f"is not trusted: its certificates break RFC 5280: {said}")
    assert "Python 3.13" in refusal.hint
