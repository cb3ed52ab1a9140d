"""A certificate from the first run to the last: got, kept, for more names and fewer, renewed, taken back."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cryptography import x509

from hostwright.sandbox import Sandbox

from .acme import DAY, Authority, Bed
from .conftest import SUITES
from .project import until
from .secure import LIVE, NAME, WWW, Secure, names_in

API = "api.hello.sandbox.test"


@pytest.fixture(scope="module")
def site(sandbox: Sandbox, acme: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """A server that was provisioned and deployed to, with a dry try before the first certificate."""
    name = f"issue-{os.getpid()}"
    server = sandbox.up(name, suite=SUITES[0], ephemeral=True, say=print)[0]
    found = Secure(tmp_path_factory.mktemp("issue"), server, sandbox, acme)
    found.tls_settings["staging"] = acme.staging.directory
    found.write()
    found.up()
    yield found
    sandbox.down(name)


@pytest.fixture
def settled(site: Secure) -> Secure:
    """The server with a certificate for the two names, whatever the test before left."""
    if names_in(site.certificate()) != {NAME, WWW} or site.settings["domains"] != [NAME, WWW]:
        site.domains(NAME, WWW)
        site.inv("provision")
    return site


@contextmanager
def no_call(acme: Bed) -> Iterator[None]:
    """Nobody asks a CA for anything in the block."""
    before = acme.ca.calls(), acme.staging.calls()
    yield
    assert (acme.ca.calls(), acme.staging.calls()) == before


def nothing_changes(site: Secure, acme: Bed) -> None:
    with no_call(acme):
        again = site.inv("provision")
    assert "0 changed" in again.out, again


def test_a_fresh_server_gets_one(site: Secure, acme: Bed) -> None:
    """After a dry try at staging; then HTTPS, the redirects, HSTS, and a timer that renews."""
    certificate = site.certificate()
    assert names_in(certificate) == {NAME, WWW}
    assert "Pebble Intermediate" in certificate.issuer.rfc4514_string()
    site.both()
    other = site.https(WWW)
    assert (other.status, other.headers["location"]) == (308, f"https://{NAME}/version"), other
    answer = site.https()
    assert answer.headers["strict-transport-security"] == "max-age=63072000", answer
    assert "strict-transport-security" not in site.http().headers
    assert acme.staging.calls() > 1, "no dry try"
    assert site.sh("systemctl is-active hostwright-certbot.timer") == "active"
    assert site.sh("nginx -t 2>&1 | grep -v -e 'syntax is ok' -e 'test is successful' || true") == ""


def test_a_second_run_asks_nobody(settled: Secure, acme: Bed) -> None:
    nothing_changes(settled, acme)


def test_the_check_of_a_new_name_asks_nobody(settled: Secure, acme: Bed) -> None:
    """--check says what would change, the site of the new name included."""
    settled.domains(NAME, WWW, API)
    with no_call(acme):
        said = settled.inv("provision", "--check", "--diff", code=4)
    assert API in said.out, said
    assert "certificate" in said.out, said


def test_a_name_more(settled: Secure, acme: Bed) -> None:
    """One new certificate in the same lineage; the names that were there are served all the time."""
    settled.domains(NAME, WWW, API)
    settled.inv("provision")
    assert names_in(settled.certificate(API)) == {NAME, WWW, API}
    assert settled.https(API).status == 308
    settled.both()
    assert settled.sh(f"ls {LIVE}") == "README\ntiny", "another lineage"
    nothing_changes(settled, acme)


def test_a_name_less(settled: Secure, acme: Bed) -> None:
    settled.domains(NAME)
    settled.inv("provision")
    assert names_in(settled.certificate()) == {NAME}
    settled.both()
    assert settled.https(WWW).status == 0, "a name that nobody has any more"
    nothing_changes(settled, acme)


def test_a_renewal_by_hand(settled: Secure, acme: Bed) -> None:
    before = settled.certificate().serial_number
    not_due = settled.inv("cert.renew")
    assert settled.certificate().serial_number == before, not_due
    tried = settled.inv("cert.renew", "--staging")
    assert settled.certificate().serial_number == before, tried
    done = settled.inv("cert.renew", "--force")
    after = settled.certificate()
    assert after.serial_number != before, done
    assert names_in(after) == {NAME, WWW}
    status = settled.inv("cert.status")
    assert NAME in status.out, status
    nothing_changes(settled, acme)


def test_a_certificate_that_was_taken_back(settled: Secure, acme: Bed) -> None:
    """The CA says so when it is asked (RFC 9773): the timer's next run gets another one."""
    before = settled.certificate()
    bundle = f"{LIVE}/tiny/cert.pem"
    settled.sh(
        f"REQUESTS_CA_BUNDLE=$(ls /etc/hostwright/acme/*.pem) /opt/certbot/bin/certbot revoke --non-interactive "
        f"--no-delete-after-revoke --cert-path {bundle} --server {acme.ca.directory}"
    )
    settled.both()
    # it is asked every six hours at most, and the timer runs every twelve: that time has passed
    settled.sh("sed -i '/^ari_retry_after/d' /etc/letsencrypt/renewal/tiny.conf")
    settled.sh("systemctl start hostwright-certbot.service", timeout=120)
    until(lambda: settled.certificate().serial_number != before.serial_number, 10, "another one is served")
    settled.both()
    nothing_changes(settled, acme)


def test_a_certificate_that_is_about_to_expire(settled: Secure, acme: Bed) -> None:
    """Provision gets another one, as the timer would."""
    life = 12
    short = acme.another(validity=life)
    use(settled, short)
    try:
        settled.inv("provision")
        first = settled.certificate()
        assert seconds(first) <= life + 1, "another CA is another certificate"
        left = first.not_valid_before_utc.timestamp() + life * 0.8 - time.time()
        time.sleep(max(0.0, left))
        settled.inv("provision")
        assert settled.certificate().serial_number != first.serial_number
    finally:
        use(settled, acme.ca)
    settled.inv("provision")
    assert seconds(settled.certificate()) > 80 * DAY
    settled.both()
    nothing_changes(settled, acme)


def use(site: Secure, ca: Authority) -> None:
    """Its certificates are to come from a CA."""
    site.ca = ca
    site.tls_settings["issuer"] = ca.directory
    site.write()


def seconds(certificate: x509.Certificate) -> float:
    """How long it lives."""
    return (certificate.not_valid_after_utc - certificate.not_valid_before_utc).total_seconds()


def test_the_power_goes_while_the_ca_is_asked(settled: Secure, acme: Bed) -> None:
    """Nothing is half there: the old certificate serves after the boot, and the next run gets the new one."""
    settled.domains(NAME, WWW, API)
    settled.tls_settings["staging"] = False
    settled.write()
    asked = acme.ca.calls()
    with acme.walled_off(settled.server.address), settled.started("provision"):
        # directory, nonce, account or order, and then it waits for the answer
        until(lambda: acme.ca.calls() >= asked + 5, 60, "the CA is asked")
        settled.sandbox.crash(settled.server.name)
    settled.sandbox.start(settled.server.name)
    until(lambda: settled.https().status == 200, 20, "HTTPS after the boot")
    settled.both()
    settled.inv("provision")
    assert names_in(settled.certificate(API)) == {NAME, WWW, API}
    nothing_changes(settled, acme)
