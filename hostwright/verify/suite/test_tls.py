"""What is true of HTTPS for every name of an app, as its visitors see it."""

from __future__ import annotations

import time

import pytest

from hostwright.inventory.tls import LETSENCRYPT, tls_of
from hostwright.remote.tls import served, x509
from hostwright.run.certificate_chain import issuer_of, problem_of
from hostwright.run.certificate_health import SOON, day, ends_soon
from hostwright.verify import visitor as ways

PAGE = "/some/page?a=1"


@pytest.fixture(scope="session")
def targets(https):
    """The names and addresses that the certificate is for; an empty name for whoever asks without one."""
    return served.targets(https.names, https.addresses)


@pytest.fixture(scope="session")
def shown(visitor, targets):
    """target -> the certificate that its visitors get."""
    found = {}
    for target in targets:
        seen = visitor.connect(served.server_name(target))
        assert not seen.problem, f"{target}: {seen.problem}"
        found[target] = x509.parse(seen.chain[0])
    return found


def spoken(name: str) -> str:
    """The name as a visitor types it: any below a wildcard."""
    return name.replace("*.", served.ANY, 1)


def test_https_is_reached_from_here(visitor, https):
    if visitor.behind_jump and not visitor.outside:
        pytest.skip("behind a jump host: everything else is asked on the server itself")
    assert visitor.outside, f"not reached: {visitor.why}; everything else is asked on the server itself"


def serves(visitor: ways.Visitor, targets: list[str], version: str) -> None:
    for target in targets:
        seen = visitor.connect(served.server_name(target), highest=version.replace(".", "_"))
        assert not seen.problem, f"{target}: {seen.problem}"
        assert seen.version == version


def test_every_name_is_served_with_tls_1_2(visitor, targets):
    serves(visitor, targets, "TLSv1.2")


def test_every_name_is_served_with_tls_1_3(visitor, targets):
    serves(visitor, targets, "TLSv1.3")


def test_tls_1_0_and_1_1_are_refused(visitor, targets):
    every = (*ways.GOOD, *ways.CBC, *ways.STATIC_RSA)
    for target in targets:
        for version in (ways.TLS_1_0, ways.TLS_1_1):
            seen = visitor.hello(served.server_name(target), version, every)
            assert seen.problem, (
                f"{target}: it agrees to TLS {'1.0' if seen.version == ways.TLS_1_0 else '1.1'}"
            )


def refuses(visitor: ways.Visitor, targets: list[str], ciphers: tuple[int, ...]) -> None:
    for target in targets:
        seen = visitor.hello(served.server_name(target), ways.TLS_1_2, ciphers)
        assert seen.problem, f"{target}: it agrees to the cipher {seen.cipher:#06x} (IANA's number)"


def test_ciphers_without_forward_secrecy_are_refused(visitor, targets):
    refuses(visitor, targets, ways.STATIC_RSA)


def test_ciphers_in_cbc_mode_are_refused(visitor, targets):
    refuses(visitor, targets, ways.CBC)


def test_broken_ciphers_are_refused(visitor, targets):
    """3DES, DES, RC4, those for export, and those without encryption or without a certificate."""
    refuses(visitor, targets, ways.BROKEN)


def test_certificate_covers_every_name(shown):
    wrong = [name for name, found in shown.items() if name and not (found and found.covers(name))]
    assert not wrong, f"it is not for {', '.join(wrong)}"


def test_certificate_is_not_about_to_expire(shown):
    now = time.time()
    for name, found in shown.items():
        life = {"not_before": found.not_before, "not_after": found.not_after}
        assert found.not_before <= now, f"{name}: not valid before {day(found.not_before)}"
        assert not ends_soon(life, now, SOON), (
            f"{name}: it ends on {day(found.not_after)}; inv cert.status says more"
        )


def test_chain_is_complete_and_in_order(visitor, targets):
    for target in targets:
        seen = visitor.hello(served.server_name(target), ways.TLS_1_2, ways.GOOD)
        assert seen.chain, f"{target}: {seen.problem or 'no certificate was shown'}"
        assert problem_of(seen.chain) == "", target


def test_certificate_is_trusted(visitor, app, server, shown):
    tls = tls_of(app, server)
    if tls.issuer == "selfsigned":
        pytest.skip("self-signed: browsers warn")
    ours = tls.ca.read_text(encoding="ascii") if tls.ca else "system"
    for target, found in shown.items():
        seen = visitor.connect(spoken(target), trust=ours)
        if seen.problem and tls.directory != LETSENCRYPT:
            pytest.skip(
                f"issued by {issuer_of(found.der) or 'nobody'}, whom this machine does not know: {seen.problem}"
            )
        assert not seen.problem, f"{target}: {seen.problem}"


def test_served_certificate_is_the_one_in_the_file(host, https, shown):
    file = host.file(https.certificate)
    lies = x509.first(file.content) if file.exists else None
    assert lies, f"{https.certificate} holds no certificate"
    old = [name or "any name" for name, found in shown.items() if found.der != lies.der]
    assert not old, f"another one is served for {', '.join(old)}: inv cert.renew puts the file's into use"


def redirects(seen: ways.Seen, begin: str, end: str) -> None:
    assert not seen.problem, f"{begin}: {seen.problem}"
    assert seen.status == 308, f"{begin}{PAGE} answers {seen.status} instead of 308 to {end}{PAGE}"
    assert seen.values("Location") == [f"{end}{PAGE}"]


def test_http_redirects_to_https(visitor, app, https, targets, server):
    for target in targets:
        name = spoken(target) or server.address
        host = f"[{name}]" if ":" in name else name
        seen = visitor.get(PAGE, host, tls=False)
        redirects(seen, f"http://{host}", f"https://{app.nginx.canonical or host}")


def test_other_names_redirect_to_the_canonical_one(visitor, app, https):
    others = [name for name in https.names if app.nginx.canonical and name != app.nginx.canonical]
    if not others:
        pytest.skip("each name is served as it is")
    for name in map(spoken, others):
        seen = visitor.get(PAGE, name, tls=True, name=name)
        redirects(seen, f"https://{name}", f"https://{app.nginx.canonical}")


def test_hsts_is_sent_once_and_as_the_inventory_says(visitor, app, https, targets):
    for target in targets:
        seen = visitor.get(
            app.health.path, spoken(target) or "localhost", tls=True, name=served.server_name(target)
        )
        assert not seen.problem, f"{target}: {seen.problem}"
        sent = seen.values("Strict-Transport-Security")
        assert sent == ([https.hsts] if https.hsts else []), f"{target}: {', '.join(sent) or 'none is sent'}"


def test_hsts_is_not_sent_over_http(visitor, https, targets):
    for target in targets:
        seen = visitor.get("/", spoken(target) or "localhost", tls=False)
        assert seen.values("Strict-Transport-Security") == [], target


def test_unknown_names_are_refused(visitor, inventory, server, https):
    if any(not inventory.apps[name].domains for name in server.apps):
        pytest.skip("an app of this host answers to every name")
    # without ssl_reject_handshake (nginx before 1.19.4) the connection is closed after the handshake
    seen = visitor.get("/", "unknown.invalid", tls=True, name="unknown.invalid")
    assert seen.problem, f"it answers {seen.status}"


def test_server_header_tells_no_version(visitor, https, targets, app):
    for target in targets:
        name = spoken(target) or "localhost"
        for tls in (False, True):
            seen = visitor.get(app.health.path, name, tls=tls, name=served.server_name(target) if tls else "")
            told = [value for value in seen.values("Server") if any(char.isdigit() for char in value)]
            assert not told, f"{name}: Server: {told[0]}"
