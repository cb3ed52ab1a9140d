"""A certificate from a CA, on a server in memory: what is read, what certbot is asked, what is left when it fails."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from hostwright.remote.resources import from_wire
from hostwright.remote.resources.base import Context, Failed, diff
from hostwright.remote.resources.certificate import Certificate
from hostwright.remote.system import CommandFailed, RunCancelled
from hostwright.remote.tls import attempts, certbot, preflight
from hostwright.testing import FakeSystem
from tests.unit.tls.certificates import NOW, make
from tests.unit.tls.test_explain import SAID

CA, STAGING = "https://ca.test/dir", "https://staging.test/dir"
LE = "/etc/letsencrypt"
CERTBOT = "/opt/certbot/bin/certbot"
FIXED = (
    "certonly --non-interactive --agree-tos --no-directory-hooks --cert-name shop --server %s --key-type ecdsa "
    "--register-unsafely-without-email"
)
HTTP = "--webroot --webroot-path /var/www/hostwright/acme"


def pem(*names: str, key: str = "ecdsa", left: float = 60.0) -> str:
    found = make(names, key=key, begin=NOW - timedelta(days=90 - left), end=NOW + timedelta(days=left))
    return found.public_bytes(serialization.Encoding.PEM).decode()


def conf(server: str = CA, authenticator: str = "webroot", **more: str) -> str:
    lines = "".join(f"{key} = {value}\n" for key, value in more.items())
    head = f"version = 5.8.0\n[renewalparams]\naccount = abc\nserver = {server}\n"
    return f"{head}authenticator = {authenticator}\n{lines}"


def lineage(*names: str, number: int = 1, renewal: str = "", **how: Any) -> dict[str, Any]:
    """certbot's files for `shop`."""
    found: dict[str, Any] = {f"{LE}/renewal/shop.conf": renewal or conf()}
    for name in ("cert", "chain", "fullchain", "privkey"):
        found[f"{LE}/archive/shop/{name}{number}.pem"] = pem(*names, **how) if name == "fullchain" else name
        found[f"{LE}/live/shop/{name}.pem"] = {"link": f"../../archive/shop/{name}{number}.pem"}
    return found


def server(files: Mapping[str, Any] | None = None, answers: Sequence[Any] = ()) -> FakeSystem:
    return FakeSystem(
        {"/run/hostwright": None, **(files or {})},
        commands={f"{CERTBOT} ...": list(answers)},
        now=NOW.timestamp(),
    )


def certificate(*domains: str, **fields: Any) -> Certificate:
    fields = {"directory": CA, "preflight": False, **fields}
    return Certificate(name="shop", domains=domains or ("shop.test",), **fields)


def changes(wanted: Certificate, system: FakeSystem) -> dict[str, Any]:
    return {c.attribute: (c.before, c.after) for c in diff(wanted.desired(system), wanted.read(system))}


def apply(wanted: Certificate, system: FakeSystem, said: list[str] | None = None) -> Context:
    said = [] if said is None else said
    context = Context(said.append, {}, said.append)
    wanted.apply(system, diff(wanted.desired(system), wanted.read(system)), context)
    return context


def words(system: FakeSystem) -> list[str]:
    return [" ".join(argv[1:]) for argv in system.ran if argv[0] == CERTBOT]


def failed(wanted: Certificate, system: FakeSystem) -> Failed:
    with pytest.raises(Failed) as error:
        apply(wanted, system)
    return error.value


def no(said: str) -> dict[str, Any]:
    return {"exit": 1, **SAID[said]}


# -- what is read ----------------------------------------------------------------------------------------------------


def test_nothing_to_do_starts_no_process() -> None:
    system = server(lineage("shop.test", "www.shop.test"))
    assert changes(certificate("www.shop.test", "shop.test"), system) == {}
    assert system.ran == []


def test_nothing_is_there() -> None:
    assert changes(certificate(), server()) == {
        "names": (None, ["shop.test"]),
        "directory": (None, CA),
        "profile": (None, ""),
        "key": (None, "ecdsa"),
        "challenge": (None, "http-01"),
        "validity": (None, "good"),
    }


@pytest.mark.parametrize(
    ("files", "fields", "wanted"),
    [
        (lineage("shop.test", "b.test"), {}, {"names": (["b.test", "shop.test"], ["shop.test"])}),
        (
            lineage("shop.test", renewal=conf("https://old.test/dir")),
            {},
            {"directory": ("https://old.test/dir", CA)},
        ),
        (lineage("shop.test"), {"profile": "shortlived"}, {"profile": ("", "shortlived")}),
        (
            lineage("shop.test", renewal=conf(preferred_profile="shortlived")),
            {},
            {"profile": ("shortlived", "")},
        ),
        (lineage("shop.test", renewal=conf(preferred_profile="x")), {"profile": "x"}, {}),
        (lineage("shop.test"), {"key_type": "rsa"}, {"key": ("ecdsa", "rsa")}),
        (lineage("shop.test", key="rsa"), {"key_type": "rsa"}, {}),
        (lineage("shop.test"), {"dns_auth": "/h"}, {"challenge": ("http-01", "dns-01")}),
        (lineage("shop.test", renewal=conf(authenticator="nginx")), {}, {"challenge": ("nginx", "http-01")}),
        (lineage("shop.test", left=29), {}, {}),
        (lineage("shop.test", left=22), {}, {"validity": ("due", "good")}),
        (lineage("shop.test", left=-1), {}, {"validity": ("expired", "good")}),
    ],
)
def test_what_differs(files: dict[str, Any], fields: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert changes(certificate(**fields), server(files)) == wanted


@pytest.mark.parametrize("missing", ["live/shop/privkey.pem", "archive/shop/fullchain1.pem"])
def test_without_its_key_or_its_chain_it_is_none(missing: str) -> None:
    files = lineage("shop.test")
    del files[f"{LE}/{missing}"]
    assert changes(certificate(), server(files))["names"] == (None, ["shop.test"])


def test_addresses_are_names_too() -> None:
    system = server(lineage("192.0.2.1", renewal=conf(preferred_profile="shortlived")))
    wanted = Certificate(
        name="shop", domains=(), addresses=("192.0.2.1",), directory=CA, profile="shortlived"
    )
    assert changes(wanted, system) == {}


def test_it_travels_and_is_pretended_in_a_check() -> None:
    wanted = certificate("shop.test", addresses=("192.0.2.1",), eab_kid="k", eab_hmac="h")
    assert from_wire(json.loads(json.dumps(wanted.to_wire()))).to_wire() == wanted.to_wire()
    assert (wanted.settles, wanted.isolated) == (True, True)
    system = server()
    wanted.pretend(system)
    path = f"{LE}/live/shop/fullchain.pem"
    assert system.has(f"certificate:{path} covers:{path}:shop.test covers:{path}:192.0.2.1")


# -- what certbot is asked --------------------------------------------------------------------------------------------


def test_the_first_one_after_a_dry_try() -> None:
    system = server(answers=[{}, {"files": lineage("shop.test", "b.test")}])
    said: list[str] = []
    context = apply(certificate("shop.test", "b.test", staging=STAGING), system, said)
    names = "--domain shop.test --domain b.test"
    assert words(system) == [
        f"{FIXED % STAGING} {HTTP} {names} --dry-run",
        f"{FIXED % CA} {HTTP} {names} --keep-until-expiring",
    ]
    assert said == [f"a dry try at {STAGING} first"]
    assert context.note == "issued by test"


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"email": "a@b.test"}, "--email a@b.test --no-eff-email"),
        ({"profile": "short"}, "--preferred-profile short"),
        ({"key_type": "rsa"}, "--key-type rsa"),
        ({"addresses": ("192.0.2.1",)}, "--ip-address 192.0.2.1"),
        (
            {"dns_auth": "/h/auth", "dns_cleanup": "/h/cleanup"},
            "--manual --preferred-challenges dns --manual-auth-hook /h/auth --manual-cleanup-hook /h/cleanup --domain",
        ),
        ({"dns_auth": "/h/auth"}, "--manual-auth-hook /h/auth --domain"),
    ],
)
def test_how_it_is_asked(fields: dict[str, Any], part: str) -> None:
    names = ("shop.test", *fields.get("addresses", ()))
    how = conf(authenticator="manual" if "dns_auth" in fields else "webroot")
    key = fields.get("key_type", "ecdsa")
    system = server(answers=[{"files": lineage(*names, renewal=how, key=key)}])
    apply(certificate(**fields), system)
    (asked,) = words(system)
    assert part in asked
    assert ("--webroot" in asked) == ("dns_auth" not in fields)


@pytest.mark.parametrize(
    ("fields", "before", "force"),
    [
        ({}, lineage("shop.test", "old.test"), False),
        ({"directory": "https://new.test/dir"}, lineage("shop.test"), True),
        ({"profile": "x"}, lineage("shop.test"), True),
        ({}, lineage("shop.test", left=5), True),
    ],
)
def test_only_what_certbot_does_not_see_is_forced(
    fields: dict[str, Any], before: dict[str, Any], force: bool
) -> None:
    how = conf(fields.get("directory", CA), **({"preferred_profile": "x"} if "profile" in fields else {}))
    system = server(before, [{"files": lineage("shop.test", number=2, renewal=how)}])
    apply(certificate(**fields), system)
    (asked,) = words(system)
    assert ("--force-renewal" in asked) == force
    assert ("--keep-until-expiring" in asked) != force
    assert changes(certificate(**fields), system) == {}


def test_a_renewal_needs_no_dry_try() -> None:
    system = server(lineage("shop.test", left=5), [{"files": lineage("shop.test", number=2)}])
    apply(certificate(staging=STAGING), system)
    assert len(words(system)) == 1


def test_the_account_of_several_is_the_certificates_own() -> None:
    folder = f"{LE}/accounts/ca.test/dir"
    files = {**lineage("shop.test", "b.test"), f"{folder}/aaa": None, f"{folder}/abc": None}
    system = server(files, [{"files": lineage("shop.test", number=2)}])
    apply(certificate(), system)
    assert "--account abc" in words(system)[0]


def test_the_account_binding_is_a_secret() -> None:
    seen: list[Any] = []
    system = server(answers=[{"files": lineage("shop.test")}])
    run = system.run

    def spy(argv: Sequence[str], **how: Any) -> Any:
        path = argv[argv.index("--config") + 1]
        seen.append((system.read(path), system.nodes[path]["mode"]))
        return run(argv, **how)

    system.run = spy  # type: ignore[method-assign]
    apply(certificate(eab_kid="kid-1", eab_hmac="s3cret"), system)
    assert seen == [(b"eab-kid = kid-1\neab-hmac-key = s3cret\n", 0o600)]
    assert "s3cret" not in words(system)[0]
    assert system.listdir("/run/hostwright") == []


def test_a_ca_of_ones_own_is_trusted_beside_the_systems() -> None:
    files = {
        "/etc/hostwright/acme/x.pem": "OWN",
        "/etc/hostwright/acme/note": "no",
        certbot.SYSTEM_BUNDLE: "ALL",
    }
    system = server(files, [{"files": lineage("shop.test")}])
    trusted: list[Any] = []
    run = system.run

    def spy(argv: Sequence[str], **how: Any) -> Any:
        trusted.append(system.read(how["env"]["REQUESTS_CA_BUNDLE"]))
        return run(argv, **how)

    system.run = spy  # type: ignore[method-assign]
    apply(certificate(), system)
    assert trusted == [b"ALL\nOWN"]
    assert system.listdir("/run/hostwright") == []


def test_another_certbot_is_waited_for() -> None:
    system = server(answers=[no("busy"), {"files": lineage("shop.test")}])
    system.locks[certbot.LOCK] = (7, "certbot renew", 30.0)
    said: list[str] = []
    apply(certificate(), system, said)
    assert said == ["waiting for another certbot: process 7, certbot renew"]
    assert 30 <= system.slept <= 33


def test_another_certbot_is_not_waited_for_for_ever() -> None:
    system = server(answers=[no("busy")])
    system.locks[certbot.LOCK] = (7, "certbot renew", 9e9)
    error = failed(certificate(), system)
    assert error.reason == "busy"
    assert system.slept <= certbot.PATIENCE + 1


# -- what is left when it fails ----------------------------------------------------------------------------------------


def test_a_failure_is_told_and_remembered() -> None:
    system = server(answers=[no("refused")])
    error = failed(certificate("rf.example.test"), system)
    assert error.message.startswith("the CA could not verify rf.example.test: nobody answers on port 80")
    assert error.reason == "validation"
    kept = json.loads(system.read(f"{attempts.FOLDER}/shop.json") or b"")
    assert [(f["names"], f["counts"]) for f in kept["failures"]] == [(["rf.example.test"], True)]


def test_three_failures_and_the_ca_is_left_alone() -> None:
    system = server(answers=[no("refused")] * 3)
    for _ in range(3):
        failed(certificate("rf.example.test"), system)
    assert failed(certificate("rf.example.test"), system).reason == "rate_limited"
    assert len(words(system)) == 3


def test_a_dry_try_that_fails_is_not_counted_and_the_ca_not_asked() -> None:
    system = server(answers=[no("refused")] * 4)
    for _ in range(4):
        error = failed(certificate("rf.example.test", staging=STAGING), system)
        assert error.message.startswith("a dry try failed: the CA could not verify rf.example.test")
    assert all("--dry-run" in asked for asked in words(system))


@pytest.mark.parametrize("said", ["down", "untrusted"])
def test_trouble_with_staging_is_none_of_the_real_ca(said: str) -> None:
    system = server(answers=[no(said), {"files": lineage("shop.test")}])
    told: list[str] = []
    apply(certificate(staging=STAGING), system, told)
    assert any(line.startswith("the dry try was left out: the ACME server") for line in told)


def test_what_passes_is_tried_once_more_and_no_more() -> None:
    system = server(answers=[no("badnonce"), {"files": lineage("shop.test")}])
    apply(certificate(), system)
    assert len(words(system)) == 2
    system = server(answers=[no("badnonce")] * 2)
    assert failed(certificate(), system).reason == "server"


def test_what_the_ca_has_looked_at_is_not_tried_again() -> None:
    system = server(answers=[no("notfound")])
    failed(certificate("nf.example.test"), system)
    assert len(words(system)) == 1


def test_half_a_certificate_of_a_failed_attempt_goes() -> None:
    """certbot 5.8 keeps files where it chokes on what it got (an address as the CN), or the disk was full."""
    half = {path: value for path, value in lineage("shop.test").items() if "renewal" not in path}
    system = server({f"{LE}/live/README": "x"}, [{**no("full"), "files": half}])
    assert failed(certificate(), system).reason == "disk"
    assert [path for path in system.nodes if "shop" in path and path.startswith(LE)] == []
    assert system.exists(f"{LE}/live/README")


def test_a_certificate_that_was_there_is_put_back() -> None:
    before = lineage("shop.test")
    system = server(before, [{**no("full"), "files": lineage("x.test", number=2, renewal="rubbish")}])
    failed(certificate("shop.test", "b.test"), system)
    assert system.readlink(f"{LE}/live/shop/fullchain.pem") == "../../archive/shop/fullchain1.pem"
    assert (system.read(f"{LE}/renewal/shop.conf") or b"").decode() == conf()
    assert system.listdir(f"{LE}/archive/shop") == [
        "cert1.pem",
        "chain1.pem",
        "fullchain1.pem",
        "privkey1.pem",
    ]
    assert changes(certificate(), system) == {}


def test_half_a_certificate_of_an_attempt_that_was_cut_short_goes() -> None:
    half = {f"{LE}/live/shop/cert.pem": {"link": "../../archive/shop/cert1.pem"}, f"{LE}/archive/shop": None}
    begun = {f"{attempts.FOLDER}/shop.json": json.dumps({"begun": True})}
    system = server({**half, **begun}, [{"files": lineage("shop.test")}])
    apply(certificate(), system)
    assert changes(certificate(), system) == {}


def test_secrets_of_a_run_that_was_killed_go() -> None:
    left = {
        "/run/hostwright/account-0.ini": "s3cret",
        "/run/hostwright/trusted-0.pem": "",
        "/run/hostwright/lock": "",
    }
    system = server(left, [{"files": lineage("shop.test")}])
    apply(certificate(), system)
    assert system.listdir("/run/hostwright") == ["lock"]


def test_half_a_certificate_of_somebody_else_is_an_error() -> None:
    system = server({f"{LE}/live/shop/fullchain.pem": pem("shop.test")})
    error = failed(certificate(), system)
    assert error.message.startswith(
        "certbot's files for shop are not whole: one of /etc/letsencrypt/live/shop, "
    )
    assert "Move all three away" in error.hint
    assert words(system) == []


@pytest.mark.parametrize(
    ("raised", "caught"),
    [
        (CommandFailed((CERTBOT,), -9, ("waiting",), "deadline"), Failed),
        (RunCancelled("stopped"), RunCancelled),
    ],
)
def test_a_certbot_that_is_ended_leaves_nothing(raised: Exception, caught: type[Exception]) -> None:
    system = server()

    def run(argv: Sequence[str], **how: Any) -> Any:
        for path, value in lineage("shop.test").items():
            system.put(path, value)
        raise raised

    system.run = run  # type: ignore[method-assign]
    with pytest.raises(caught) as error:
        apply(certificate(), system)
    if isinstance(error.value, Failed):
        assert error.value.message == "certbot was ended: it took longer than 15 min"
        assert error.value.tail == ("waiting",)
    assert not system.exists(f"{LE}/live/shop")


def test_certbots_word_is_not_enough() -> None:
    assert "is no certificate" in failed(certificate(), server(answers=[{}])).message
    system = server(answers=[{"files": lineage("shop.test")}])
    error = failed(certificate("shop.test", "b.test"), system)
    assert error.message == "the CA's certificate is not for b.test"
    assert error.hint.startswith("It is for shop.test.")


def test_a_certbot_that_cannot_write_its_log_is_not_heard_for_ever() -> None:
    system = server(
        answers=[{"files": lineage("shop.test"), "out": "OSError: No space left on device\n" * 500}]
    )
    said: list[str] = []
    apply(certificate(), system, said)
    assert len(said) == 100


def test_the_look_before_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(*_: object) -> None:
        raise Failed("shop.test leads nowhere", reason="preflight")

    monkeypatch.setattr(preflight, "check", look)
    system = server()
    assert failed(certificate(preflight=True), system).reason == "preflight"
    assert words(system) == []
    assert system.read(f"{attempts.FOLDER}/shop.json") is None, "nothing was asked of the CA"
