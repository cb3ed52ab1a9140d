"""Would the CA find this server? Tables of what was seen, and what is said about it."""

from __future__ import annotations

from typing import Any

import pytest

from hostwright.remote.tls.finding import judge_caa, judge_clock
from hostwright.remote.tls.judge import Seen, judge, private

OURS, OTHER, SIX, OTHER_SIX = "8.8.4.4", "9.9.9.9", "2a00::1", "2a00::bad"
OK = {"ok": True, "error": ""}


def no(error: str, **more: Any) -> dict[str, Any]:
    return {"ok": False, "error": error, **more}


def http(status: int = 404, server: str = "Apache", body: str = "") -> dict[str, Any]:
    url = "http://shop.test/.well-known/acme-challenge/x"
    return no("http", status=status, server=server, body=body, url=url)


def saw(error: str = "", **fetches: Any) -> dict[str, Any]:
    addresses = {"ours": OURS, "other": OTHER, "six": SIX, "other_six": OTHER_SIX, "hidden": "10.1.1.1"}
    found = {addresses[name]: fetch for name, fetch in fetches.items()}
    return {"addresses": list(found), "error": error, "fetches": found}


NOTHING = saw("nxdomain")
SILENT = saw("silent")
LEADS = "shop.test leads to 9.9.9.9, and this server does not answer there"
FIX = "Change the record at your DNS provider:  shop.test  A  now: 9.9.9.9  wanted: 8.8.4.4."
OUTSIDE = "port 80 of this server cannot be reached from outside (shop.test at 8.8.4.4: "
WALL = "Open port 80/tcp to everybody"

# what: (from here, from there, [(fatal, message, hint), ...])
CASES: dict[str, tuple[Any, Any, list[tuple[bool, str, str]]]] = {
    "all is well": (saw(ours=OK), saw(ours=OK), []),
    "behind a CDN: whose address it is does not matter": (saw(other=no("timeout")), saw(other=OK), []),
    "the server cannot reach itself through the NAT": (saw(ours=no("timeout")), saw(ours=OK), []),
    "two servers, both answer": (saw(ours=OK, other=OK), saw(ours=OK, other=OK), []),
    "one of two does not": (
        saw(ours=OK, other=no("timeout")),
        saw(ours=OK, other=no("timeout")),
        [
            (
                False,
                "shop.test leads to 9.9.9.9 too, and that does not answer as this server does: no answer",
                FIX[:38],
            )
        ],
    ),
    "no record": (
        NOTHING,
        NOTHING,
        [(True, "shop.test has no address in the DNS", "A  now: none  wanted: 8.8.4.4")],
    ),
    "in the hosts file of the server only": (
        saw(ours=OK),
        NOTHING,
        [(True, "shop.test has no address in the DNS", "A  now: none  wanted: 8.8.4.4")],
    ),
    "a firewall: the server alone gets through": (
        saw(ours=OK),
        saw(ours=no("timeout")),
        [(True, OUTSIDE + "no answer)", WALL)],
    ),
    "a firewall that refuses": (
        saw(ours=OK),
        saw(ours=no("refused")),
        [(True, OUTSIDE + "the connection is refused)", WALL)],
    ),
    "nginx does not run": (
        saw(ours=no("refused")),
        saw(ours=no("refused")),
        [(True, "nobody listens on port 80 of this server (shop.test)", "systemctl status nginx.service")],
    ),
    "another site holds the name": (
        saw(ours=http()),
        saw(ours=http()),
        [
            (
                True,
                "shop.test leads to this server, but something else answers on port 80: "
                "http://shop.test is answered 404 by Apache",
                "sudo nginx -T",
            )
        ],
    ),
    "a site that closes the connection": (
        saw(ours=no("reset")),
        saw(ours=no("reset")),
        [
            (
                True,
                "something else answers on port 80: the connection is closed without an answer",
                "sudo nginx -T",
            )
        ],
    ),
    "the record of the server before": (
        saw(other=http(200, "Caddy", "Hello")),
        saw(other=http(200, "Caddy", "Hello")),
        [(True, LEADS + ': http://shop.test is answered 200 by Caddy with "Hello"', FIX)],
    ),
    "a wrong record, nobody there": (
        saw(other=no("timeout")),
        saw(other=no("timeout")),
        [(True, LEADS + ": no answer", FIX)],
    ),
    "an old AAAA record of another server that answers": (
        saw(ours=OK, other_six=http()),
        saw(ours=OK, other_six=http()),
        [
            (
                True,
                "shop.test leads to 2a00::bad too, and that does not answer as this server",
                "AAAA  now: 2a00::bad",
            )
        ],
    ),
    "an AAAA record where nobody is": (
        saw(ours=OK, other_six=no("timeout")),
        saw(ours=OK, other_six=no("timeout")),
        [(False, "shop.test leads to 2a00::bad too", "AAAA  now: 2a00::bad  wanted: none")],
    ),
    "no IPv6 at the controller, the server itself answers": (
        saw(ours=OK, six=OK),
        saw(ours=OK, six=no("local")),
        [],
    ),
    "no IPv6 anywhere, and the record is ours": (
        saw(ours=OK, six=no("local")),
        saw(ours=OK, six=no("local")),
        [],
    ),
    "no IPv6 anywhere, and the record is not ours": (
        saw(ours=OK, other_six=no("local")),
        saw(ours=OK, other_six=no("local")),
        [
            (
                False,
                "shop.test has an AAAA record for 2a00::bad, which is not known to be this server's",
                "IPv6 first",
            )
        ],
    ),
    "nobody at the controller": (saw(ours=OK), None, []),
    "the controller's DNS is down": (saw(ours=OK), SILENT, []),
    "nobody at the controller, no way out of the NAT": (
        saw(ours=no("timeout")),
        None,
        [(False, "shop.test could not be looked at from outside; the CA will tell", WALL)],
    ),
    "nobody at the controller, another server": (saw(other=http()), None, [(True, LEADS, FIX)]),
    "no DNS anywhere": (
        SILENT,
        SILENT,
        [(True, "shop.test cannot be resolved: the name servers do not answer", "dig")],
    ),
    "broken name servers": (
        saw("servfail"),
        saw("servfail"),
        [(True, "shop.test cannot be resolved: the name servers fail (SERVFAIL)", "/etc/resolv.conf")],
    ),
    "a name that is none": (
        saw("label too long"),
        None,
        [(True, "cannot be resolved: label too long", "spelt")],
    ),
}


@pytest.mark.parametrize("what", CASES)
def test_what_is_said(what: str) -> None:
    here, there, wanted = CASES[what]
    found = judge(Seen("shop.test", here, there, [OURS, SIX], [OURS], public=True))
    assert [one.fatal for one in found] == [fatal for fatal, _, _ in wanted]
    for one, (_, message, hint) in zip(found, wanted, strict=True):
        assert message in one.message
        assert hint in one.hint


PRIVATE = {
    "a private DNS: the server's view counts": (saw(hidden=OK), NOTHING, []),
    "a private network behind a gateway": (saw(hidden=OK), saw(hidden=no("timeout")), []),
    "and there it is another server": (
        saw(hidden=http()),
        NOTHING,
        [(True, "shop.test leads to this server, but something else answers")],
    ),
}


@pytest.mark.parametrize("what", PRIVATE)
def test_a_ca_of_ones_own_may_live_where_the_controller_does_not(what: str) -> None:
    here, there, wanted = PRIVATE[what]
    found = judge(Seen("shop.test", here, there, ["10.1.1.1"], ["10.1.1.1"], public=False))
    assert [(one.fatal, message in one.message) for one, (_, message) in zip(found, wanted, strict=True)] == [
        (fatal, True) for fatal, _ in wanted
    ]


def test_a_server_behind_a_nat_does_not_know_its_address() -> None:
    seen = Seen("shop.test", saw(other=no("timeout")), None, ["10.1.1.1"], ["10.1.1.1"], public=True)
    (found,) = judge(seen)
    assert not found.fatal
    assert found.message == "shop.test leads to 9.9.9.9: whether that is this server cannot be seen from it"


def test_the_evidence_names_the_view_and_the_address() -> None:
    seen = Seen("shop.test", saw(ours=OK), saw(ours=no("timeout")), [OURS], [OURS], public=True)
    (found,) = judge(seen)
    assert found.tail == (
        "from this machine: shop.test at 8.8.4.4: no answer",
        "from the server: shop.test at 8.8.4.4: answers as it should",
    )


def test_an_address_has_no_record() -> None:
    seen = Seen(OTHER, saw(other=no("timeout")), saw(other=no("timeout")), [OURS], [OURS], public=True)
    (found,) = judge(seen)
    assert found.hint == "Does 9.9.9.9 belong to this server?"


# -- CAA, clock ------------------------------------------------------------------------------------------------------


def caa(*records: tuple[int, str, str], at: str = "shop.test", error: str = "") -> dict[str, Any]:
    return {"at": at, "records": [list(record) for record in records], "error": error}


LE = ("letsencrypt.org",)


@pytest.mark.parametrize(
    ("name", "found", "identities", "challenge", "fine"),
    [
        ("a.shop.test", None, LE, "http-01", True),
        ("a.shop.test", caa(at=""), LE, "http-01", True),
        ("a.shop.test", caa(error="silent"), LE, "http-01", True),
        ("a.shop.test", caa((0, "issue", "letsencrypt.org")), LE, "http-01", True),
        ("a.shop.test", caa((0, "issue", "LetsEncrypt.org ")), LE, "http-01", True),
        (
            "a.shop.test",
            caa((0, "issue", "digicert.com"), (0, "issue", "letsencrypt.org")),
            LE,
            "http-01",
            True,
        ),
        ("a.shop.test", caa((0, "iodef", "mailto:a@b")), LE, "http-01", True),
        ("a.shop.test", caa((0, "issue", "digicert.com")), (), "http-01", True),
        ("a.shop.test", caa((0, "issue", "letsencrypt.org; validationmethods=http-01")), LE, "http-01", True),
        ("a.shop.test", caa((0, "issue", "letsencrypt.org; accounturi=https://x")), LE, "http-01", True),
        ("a.shop.test", caa((0, "issuewild", ";"), (0, "issue", "letsencrypt.org")), LE, "http-01", True),
        ("*.shop.test", caa((0, "issuewild", "letsencrypt.org"), (0, "issue", ";")), LE, "dns-01", True),
        ("*.shop.test", caa((0, "issue", "letsencrypt.org")), LE, "dns-01", True),
        ("a.shop.test", caa((0, "issue", "digicert.com")), LE, "http-01", False),
        ("a.shop.test", caa((0, "issue", ";")), (), "http-01", False),
        ("a.shop.test", caa((0, "issue", "")), LE, "http-01", False),
        ("a.shop.test", caa((0, "issue", "letsencrypt.org; validationmethods=dns-01")), LE, "http-01", False),
        ("*.shop.test", caa((0, "issuewild", ";"), (0, "issue", "letsencrypt.org")), LE, "dns-01", False),
        ("a.shop.test", caa((128, "tbs", "unknown")), LE, "http-01", False),
        ("a.shop.test", caa(error="servfail"), LE, "http-01", False),
    ],
)
def test_caa(name: str, found: Any, identities: tuple[str, ...], challenge: str, fine: bool) -> None:
    said = judge_caa(name, found, identities, challenge)
    assert (said is None) == fine
    assert said is None or said.fatal


def test_caa_names_the_record_to_add() -> None:
    said = judge_caa("*.shop.test", caa((0, "issuewild", "digicert.com")), LE, "dns-01")
    assert said is not None
    assert said.message == "CAA records of shop.test forbid this CA to issue for *.shop.test"
    assert said.hint == 'Add the record:  shop.test  CAA  0 issuewild "letsencrypt.org"'
    assert said.tail == ('shop.test  CAA  0 issuewild "digicert.com"',)


@pytest.mark.parametrize(
    ("ahead", "fatal", "message"),
    [
        (None, None, ""),
        (0.0, None, ""),
        (-299.0, None, ""),
        (400.0, False, "the server's clock is 6 min ahead of that of this machine"),
        (-3700.0, True, "the server's clock is 61 min behind that of this machine"),
        (-90000.0, True, "the server's clock is 25 h behind that of this machine"),
    ],
)
def test_clocks(ahead: float | None, fatal: bool | None, message: str) -> None:
    said = judge_clock(ahead)
    assert (said.fatal if said else None) == fatal
    assert (said.message if said else "") == message
    assert said is None or "timedatectl" in said.hint


@pytest.mark.parametrize(
    ("address", "hidden"), [("10.0.0.1", True), ("8.8.8.8", False), ("fe80::1%eth0", True), ("web1", False)]
)
def test_private_addresses(address: str, hidden: bool) -> None:
    assert private(address) == hidden
