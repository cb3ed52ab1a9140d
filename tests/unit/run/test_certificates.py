"""`inv cert.status` as people and as monitoring read it."""

from __future__ import annotations

import base64
import copy
from datetime import timedelta
from typing import Any

import pytest

from hostwright.errors import HostUnreachable
from hostwright.remote.tls import status
from hostwright.report import Look
from hostwright.run.certificate_chain import issuer_of, label, problem_of
from hostwright.run.certificate_health import View, ends_soon, span, told, troubles
from hostwright.run.certificate_table import certificate_table
from hostwright.testing.system import FakeSystem
from tests.unit.tls.certificates import KEYS, NOW, der, make, name, pem

now = NOW.timestamp()
DAY = 86400
ROOT = make(subject=name("ISRG Root X1", "ISRG"), key="rsa", ca=True)
E7 = make(subject=name("E7", "Let's Encrypt"), issuer=ROOT.subject, key="ecdsa-384", signer="rsa", ca=True)
LACKS = "the certificate of its issuer, Let's Encrypt E7, is missing: browsers may not trust it"
UNSIGNED = "the certificate of Let's Encrypt E7 did not sign that of example.com before it"
NO_SITE = "nginx has no site with HTTPS for this name"
NAMES = ("example.com", "www.example.com")
ASKED = {
    "name": "hello", "kind": "acme", "certificate": "/etc/letsencrypt/live/hello/fullchain.pem",
    "names": NAMES, "addresses": (),
}  # fmt: skip
RENEWAL = {
    "there": True, "active": True, "next": now + 5 * 3600, "running": False, "result": "success", "status": 0,
    "last": now - 7 * 3600,
}  # fmt: skip


def leaf(days: float = 64, *, life: float = 90, names: Any = NAMES, issuer: Any = E7, **more: Any) -> Any:
    end = NOW + timedelta(days=days)
    more = {"signer": "ecdsa-384", **more}
    return make(
        names, subject=name(), issuer=issuer.subject, begin=end - timedelta(days=life), end=end, **more
    )


def answer(
    certificate: Any = None, *others: Any, asked: Any = None, alone: bool = False, **more: Any
) -> dict[str, Any]:
    """What a server answers about one app; all is well unless `more` says otherwise."""
    asked = asked or ASKED
    certificate = leaf() if certificate is None else certificate
    chain = (certificate, *(() if alone else others or (E7,)))
    system = FakeSystem({asked["certificate"]: pem(*chain)})
    about = status.about(status.x509.parse(der(certificate)))
    found = {
        "path": asked["certificate"], "file": about, "readable": True,
        "chain": [base64.b64encode(der(one)).decode() for one in chain],
        "missing": [n for n in asked["names"] if not status.x509.read(system, asked["certificate"]).covers(n)],
        "served": [served(n) for n in asked["names"]] or [served("")], "sent": None,
        "failures": [], "retry_after": None,
        **more,
    }  # fmt: skip
    return {"apps": {asked["name"]: found}, "nginx": True, "renewal": dict(RENEWAL), "now": now}


def served(which: str, *, problem: str = "", other: Any = None) -> dict[str, Any]:
    about = status.about(status.x509.parse(der(other))) if other else None
    return {
        "name": which, "problem": problem, "version": "" if problem else "TLSv1.3", "fingerprint": "",
        "same": not problem and not other, "certificate": about,
    }  # fmt: skip


def said(
    found: dict[str, Any], *, days: int = 14, asked: Any = None, flags: str = ""
) -> list[tuple[str, str]]:
    view = View("web1", found, now, days, flags, app_flag=bool(flags))
    return [
        (f"{one.app}: {one.what}" if one.app else one.what, one.todo)
        for one in troubles(view, [asked or ASKED])
    ]


def with_renewal(**more: Any) -> dict[str, Any]:
    found = answer()
    found["renewal"].update(more)
    return found


def missing(**more: Any) -> dict[str, Any]:
    return answer(
        file=None,
        chain=[],
        served=[served(n, problem=NO_SITE) for n in NAMES],
        **more,
    )


STOPPED = {**answer(), "nginx": False}
OWN = {**ASKED, "kind": "files"}
SELF = {**ASKED, "kind": "selfsigned"}
FAILURE = {"at": now - 7200, "names": ["example.com"], "reason": "example.com: the CA got 403"}


def test_all_is_well() -> None:
    assert said(answer()) == []
    assert said(answer(leaf(1.5, life=6.6))) == []
    assert said(answer(make(NAMES, subject=name("x")), asked=SELF, alone=True), asked=SELF) == []


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (answer(leaf(5.5)), [("hello: it expires in 5 d, on 2026-11-27", "inv cert.renew")]),
        (answer(leaf(0.5, life=6.6)), [("hello: it expires in 12 h, on 2026-11-22", "inv cert.renew")]),
        (answer(leaf(-3)), [("hello: it expired 3 d ago, on 2026-11-18", "inv cert.renew")]),
        (
            answer(leaf(95)),
            [("hello: it is not valid before 2026-11-26: is the clock right?", "timedatectl")],
        ),
        (
            answer(leaf(names=["example.com"])),
            [("hello: the certificate is not for www.example.com", "inv provision asks for one with all names.")],
        ),
        (missing(), [("hello: there is no certificate yet", "inv provision")]),
        (
            missing(failures=[FAILURE], retry_after=now + 2400),
            [
                (
                    "hello: there is no certificate yet; the last attempt failed 2 h ago: example.com: the CA got 403 "
                    "(the CA may be asked again in 40 min)",
                    "inv provision",
                )
            ],
        ),
        (
            missing(readable=False),
            [("hello: /etc/letsencrypt/live/hello/fullchain.pem cannot be read", "inv provision")],
        ),
        (
            answer(failures=[FAILURE]),
            [
                (
                    "hello: the last attempt failed 2 h ago: example.com: the CA got 403",
                    "Put right what it says, then: inv provision",
                )
            ],
        ),
        (answer(leaf(89.99), failures=[FAILURE]), []),
        (STOPPED, [("nginx does not run: nothing is served", "inv provision starts it.")]),
        (
            answer(served=[served("example.com"), served("www.example.com", problem=NO_SITE)]),
            [
                (
                    "hello: it is not served for www.example.com: nginx has no site with HTTPS for this name",
                    "inv provision",
                )
            ],
        ),
        (
            answer(served=[served(n, other=leaf(2)) for n in NAMES]),
            [
                (
                    "hello: nginx does not serve the file's certificate for example.com, www.example.com, but an "
                    "older one of E7 until 2026-11-23",
                    "inv cert.renew",
                )
            ],
        ),
        (
            with_renewal(active=False),
            [("nothing renews the certificates: hostwright-certbot.timer is not active", "inv provision")],
        ),
        (
            with_renewal(active=False, there=False),
            [("nothing renews the certificates: hostwright-certbot.timer is not there", "inv provision")],
        ),
        (
            with_renewal(result="exit-code", status=1),
            [("the last renewal failed 7 h ago (exit code 1)", "inv cert.renew tries again and says why.")],
        ),
        (
            with_renewal(result="timeout"),
            [("the last renewal failed 7 h ago (timeout)", "inv cert.renew tries again and says why.")],
        ),
        (with_renewal(result="exit-code", status=1, running=True), []),
        (with_renewal(result="exit-code", status=1, last=now - 80 * DAY), []),
    ],
)  # fmt: skip
def test_what_needs_attention(found: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert said(found) == expected


def test_a_broken_chain() -> None:
    alone = answer()
    alone["apps"]["hello"]["chain"] = alone["apps"]["hello"]["chain"][:1]
    what = f"hello: the chain is not complete: {LACKS}"
    assert said(alone) == [(what, "inv cert.renew --force")]
    damaged = answer()
    damaged["apps"]["hello"]["chain"].append("")
    assert said(damaged) == [
        (
            "hello: the chain is not complete: it holds a certificate that cannot be read",
            "inv cert.renew --force",
        )
    ]


def test_what_is_sent_counts_more_than_what_lies_there() -> None:
    found = answer()
    found["apps"]["hello"]["sent"] = found["apps"]["hello"]["chain"][:1]
    assert "is missing: browsers may not trust it" in said(found)[0][0]


def test_a_certificate_of_the_staging() -> None:
    staging = make(subject=name("(STAGING) Counterfeit Cashew R10"), ca=True, key="ecdsa-384")
    found = answer(leaf(issuer=staging), staging)
    assert said(found) == [("hello: it is from the CA's staging: no browser trusts it", "inv provision")]


@pytest.mark.parametrize(
    ("asked", "todo"),
    [
        (OWN, "Put a new one where the inventory says, then: inv provision --host web1"),
        (SELF, "inv provision --host web1"),
        (ASKED, "inv cert.renew --host web1 --app hello"),
    ],
)
def test_who_can_make_a_new_one(asked: Any, todo: str) -> None:
    assert said(answer(leaf(3)), asked=asked, flags=" --host web1") == [
        ("hello: it expires in 3 d, on 2026-11-24", todo)
    ]


def test_what_nobody_renews_needs_no_timer() -> None:
    found = with_renewal(active=False, there=False)
    assert said(found, asked=OWN) == []


@pytest.mark.parametrize(
    ("left", "life", "days", "soon"),
    [
        (13.9, 90, 14, True), (14.1, 90, 14, False), (29, 90, 30, True), (44, 90, 45, True),
        (14.1, 45, 14, False), (13.9, 45, 14, True), (0.6, 6.6, 14, True), (0.7, 6.6, 14, False),
        (13, 20, 14, False), (1.9, 20, 14, True), (0.1, 90, 0, False), (-1, 90, 0, True),
    ],
)  # fmt: skip
def test_how_soon_is_soon(left: float, life: float, days: int, soon: bool) -> None:
    end = now + left * DAY
    assert ends_soon({"not_after": end, "not_before": end - life * DAY}, now, days) is soon


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (64.9 * DAY, "64 d"),
        (2 * DAY, "2 d"),
        (47.9 * 3600, "47 h"),
        (7199, "119 min"),
        (30, "30 s"),
        (-5, "0 s"),
    ],
)
def test_spans_are_never_longer_than_they_are(seconds: float, text: str) -> None:
    assert span(seconds) == text


# -- the table -------------------------------------------------------------------------------------------------

APPS = {"web1": [ASKED], "web2": [ASKED]}


def shown(look: Look, *, errors: Any = None, plain: Any = None, **answers: Any) -> str:
    views = [View(host, found, now, 14, f" --host {host}") for host, found in answers.items()]
    found = [one for view in views for one in troubles(view, APPS[view.host])]
    return certificate_table(views, APPS, plain or {}, found, errors or {}, look)


RIGHT = """\
host  app               expires  served     chain  renewal  issuer            names
web1  hello   64 d (2027-01-24)  yes        ok     in 5 h   Let's Encrypt E7  example.com www.example.com
web1  intern                  -  HTTP only  -      -        -                 -

Nothing needs attention."""


def test_a_table_without_a_word_below() -> None:
    assert shown(Look(), web1=answer(), plain={"web1": ["intern"]}) == RIGHT


WRONG = """\
host  app    expires  served  chain  renewal  names
web1  hello      5 d  yes     ok     in 5 h   example.com www.example.com
web2  hello     none  no      -      -        example.com www.example.com
web3  -            -  -       -      -        not reached

web1  hello: it expires in 5 d, on 2026-11-26
    inv cert.renew --host web1
web2  hello: there is no certificate yet; the last attempt failed 2 h ago:
    example.com: the CA got 403
    inv provision --host web2
web3  timed out after 5 s"""


def test_a_table_in_eighty_columns() -> None:
    errors = {"web3": HostUnreachable("timed out after 5 s")}
    text = shown(Look(width=80), web1=answer(leaf(5)), web2=missing(failures=[FAILURE]), errors=errors)
    assert text == WRONG
    assert max(map(len, text.splitlines())) <= 80


def test_forty_columns_do_not_break() -> None:
    text = shown(Look(width=40), web1=answer(leaf(5)))
    assert "expires  5 d" in text
    assert max(map(len, text.splitlines())) <= 40


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (answer(served=[served("a"), served("b", problem="x")]), "1 of 2"),
        (answer(served=[served("a", problem="x")]), "no"),
        (answer(served=[served("a"), served("b", other=leaf(2))]), "OLD"),
        (with_renewal(active=False), "OFF"),
        (with_renewal(running=True), "now"),
        (with_renewal(next=None), "waits"),
        (with_renewal(result="exit-code"), "in 5 h, FAILED"),
        (answer(leaf(-1)), "EXPIRED (2026-11-20)"),
        (answer(leaf(), leaf()), "BROKEN"),
    ],
)
def test_words_of_the_table(found: Any, words: str) -> None:
    assert words in shown(Look(), web1=found).splitlines()[1]


def test_names_are_counted() -> None:
    asked = {**ASKED, "names": [f"n{at}.example.com" for at in range(40)]}
    found = answer(leaf(names=asked["names"]), asked=asked)
    text = certificate_table([View("web1", found, now, 14)], {"web1": [asked]}, {}, [], {}, Look())
    assert text.splitlines()[1].endswith(
        "n0.example.com n1.example.com n2.example.com n3.example.com and 36 more"
    )


def test_nobody_has_a_certificate() -> None:
    empty = {"apps": {}, "nginx": True, "renewal": RENEWAL, "now": now}
    text = certificate_table(
        [View("web1", empty, now, 14)], {"web1": []}, {"web1": ["hello"]}, [], {}, Look()
    )
    assert text.splitlines()[1].split() == ["web1", "hello", "-", "HTTP", "only", "-", "-", "-", "-"]
    assert text.endswith("\nNo app has a certificate.")


def test_nothing_a_server_says_moves_the_cursor() -> None:
    evil = {**FAILURE, "reason": "\x1b[2J\nrm"}
    assert "\x1b" not in shown(Look(width=80), web1=missing(failures=[evil]))


def test_programs_get_no_certificates() -> None:
    found = told(answer())
    assert found["apps"]["hello"]["chain"] == {"length": 2, "ok": True, "problem": ""}
    assert set(found["apps"]["hello"]) == {
        "path", "file", "chain", "missing", "served", "failures", "retry_after",
    }  # fmt: skip
    assert found["renewal"] == RENEWAL
    copy.deepcopy(found)


# -- chains ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chain", "problem"),
    [
        ([leaf(), E7], ""),
        ([leaf(), E7, ROOT], ""),
        ([make(NAMES)], ""),
        ([make(NAMES, subject=name("x"), issuer=ROOT.subject, signer="rsa"), ROOT], ""),
        ([leaf()], LACKS),
        ([leaf(), ROOT], "the certificate of ISRG Root X1 did not sign that of example.com before it"),
        ([E7, leaf()], "the certificate of example.com did not sign that of Let's Encrypt E7 before it"),
        ([leaf(private=KEYS["rsa"], signer="ecdsa"), E7], UNSIGNED),
    ],
)  # fmt: skip
def test_chains(chain: list[Any], problem: str) -> None:
    assert problem_of([der(one) for one in chain]) == problem


def test_a_chain_of_noise() -> None:
    assert problem_of([b"noise"]).startswith("it holds a certificate that cannot be read: ")
    assert issuer_of(b"noise") == ""


@pytest.mark.parametrize(
    ("common", "organization", "shown"),
    [
        ("E7", "Let's Encrypt", "Let's Encrypt E7"), ("ISRG Root X1", "ISRG", "ISRG Root X1"), ("", "ACME", "ACME"),
        ("Pebble Intermediate CA 1a2b", "", "Pebble Intermediate CA 1a2b"), ("", "", "nobody"),
    ],
)  # fmt: skip
def test_labels(common: str, organization: str, shown: str) -> None:
    assert label(name(common, organization)) == shown
