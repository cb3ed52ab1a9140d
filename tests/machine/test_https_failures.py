"""No certificate: each time HTTP goes on serving, the rest of the run is done, and the error says what to put right."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hostwright.sandbox import Sandbox

from .acme import WALL, Authority, Bed, knows
from .project import Done, until
from .secure import NAME, WWW, Secure, flat, names_in

MEMORY = "/var/lib/hostwright/certificates/tiny.json"


@pytest.fixture(scope="module")
def server(sandbox: Sandbox, acme: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """An app that is served over HTTP, on a server that never had a certificate."""
    name = f"refused-{os.getpid()}"
    found = sandbox.up(name, ephemeral=True, say=print)[0]
    site = Secure(tmp_path_factory.mktemp("refused"), found, sandbox, acme)
    site.tls_settings["preflight"] = False
    site.write()
    with acme.walled_off(found.address):
        site.inv("provision", code=1)
    site.inv("deploy")
    site.only_http()
    yield site
    sandbox.down(name)


@pytest.fixture
def site(server: Secure, acme: Bed) -> Secure:
    """Asks `acme.ca` for both names, which lead to it; nothing is remembered of earlier tries."""
    server.ca = acme.ca
    server.data["defaults"]["tls"] = server.tls()
    server.domains(NAME, WWW)
    server.sh(f"rm -f {MEMORY}")
    return server


def refused(site: Secure, *argv: str) -> str:
    """Provision fails with exit code 1, the app is served over HTTP as before; what was said, unwrapped."""
    done: Done = site.inv(*(argv or ("provision",)), code=1)
    assert "Traceback" not in done.out, done
    site.only_http()
    print(done)
    return flat(done.out)


def ask(site: Secure, ca: Authority) -> None:
    """Another CA, and no questions of our own before."""
    site.ca = ca
    site.tls_settings.update(issuer=ca.directory, preflight=False)
    site.write()


# -- the CA ------------------------------------------------------------------------------------------------------


def test_a_ca_that_does_not_answer(site: Secure, acme: Bed) -> None:
    gone = acme.another()
    gone.stop()
    ask(site, gone)
    said = refused(site)
    where = gone.directory.removeprefix("https://").removesuffix("/dir")
    assert f"the ACME server {where} cannot be reached: the connection was refused" in said, said


def test_a_ca_that_is_not_trusted(site: Secure) -> None:
    del site.tls_settings["ca"]
    site.write()
    site.sh("rm -f /etc/hostwright/acme/*.pem")  # a run takes away what is no longer wanted at its end
    said = refused(site)
    assert "is not trusted: its certificate was issued by a CA that this server does not know" in said, said
    assert "tls: {ca: FILE}" in said, said


def test_a_ca_that_wants_a_customer(site: Secure, acme: Bed) -> None:
    """External account binding is missing."""
    strict = acme.another(
        accounts={"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}
    )
    ask(site, strict)
    said = refused(site)
    assert "the CA only serves its customers: it wants an external account binding" in said, said
    assert "tls: {eab: {kid: " in said, said


def test_a_ca_that_refuses_the_name(site: Secure, acme: Bed) -> None:
    """By policy."""
    picky = acme.another(blocked=(NAME,))
    ask(site, picky)
    said = refused(site)
    assert "the CA does not issue certificates for this name" in said, said
    assert NAME in said


def test_a_caa_record_that_forbids(site: Secure, acme: Bed) -> None:
    """Seen before the CA is asked."""
    acme.caa(NAME, ";")
    before = acme.ca.orders()
    try:
        said = refused(site)
    finally:
        acme.caa(NAME)
    assert f"CAA records of {NAME} forbid this CA to issue for {NAME}" in said, said
    assert f'{NAME} CAA 0 issue ";"' in said, said
    assert acme.ca.orders() == before, "the CA was asked"


# -- names -------------------------------------------------------------------------------------------------------


def test_a_name_without_an_address(site: Secure, acme: Bed) -> None:
    acme.points(WWW)
    knows(site.sandbox, site.server, {NAME: site.server.address})
    said = refused(site)
    assert f"{WWW} has no address in the DNS" in said, said
    assert f"{WWW} A now: none wanted: {site.server.address}" in said, said


def test_a_name_that_leads_elsewhere(site: Secure, acme: Bed) -> None:
    acme.points(NAME, acme.address)
    said = refused(site)
    assert f"{NAME} leads to {acme.address}, and this server does not answer there" in said, said
    assert f"{NAME} A now: {acme.address} wanted: {site.server.address}" in said, said


def test_an_aaaa_record_of_the_last_provider(site: Secure, acme: Bed) -> None:
    """CAs try IPv6 first."""
    elsewhere = "2001:db8::17"
    acme.points(NAME, site.server.address, elsewhere)
    done = site.inv("provision", code=None)
    print(done)
    said = flat(done.out)
    assert f"{NAME} leads to {elsewhere} too, and that does not answer as this server does" in said, said
    assert f"{NAME} AAAA now: {elsewhere}" in said, said


def test_the_ca_sees_another_server(site: Secure, acme: Bed) -> None:
    """Without the pre-flight: the CA's own words are passed on."""
    acme.points(NAME, acme.address)
    ask(site, acme.ca)
    said = refused(site)
    assert f"the CA could not verify {NAME}: nobody answers on port 80: the connection was refused" in said, (
        said
    )
    assert "does port 80 of this name's address lead to this server?" in said, said
    assert "Ask for help" not in said, "certbot's last lines say nothing"


# -- ways --------------------------------------------------------------------------------------------------------


@contextmanager
def closed_port(site: Secure) -> Iterator[None]:
    """The server drops what comes to its port 80 from outside."""
    site.sh(
        "command -v nft >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq nftables >/dev/null 2>&1"
    )
    table = WALL.format(name="closed", hook="input", rule="iif != lo tcp dport 80 drop")
    site.sh(f"nft -f - <<'END'\n{table}END")
    try:
        yield
    finally:
        site.sh("nft delete table inet closed")


def test_a_firewall_on_the_server(site: Secure) -> None:
    """The server finds its port open, and private addresses cannot be judged from outside: the CA has the word."""
    with closed_port(site):
        done = site.inv("provision", code=1)
    said = flat(done.out)
    print(done)
    site.only_http()

    assert f"the CA could not verify {NAME}, {WWW}: port 80 does not answer: a firewall, most likely" in said
    assert "Open port 80/tcp to everybody, in the firewall of the server and in that of its provider" in said


def test_another_program_answers_for_the_name(site: Secure, acme: Bed) -> None:
    """The name leads to a server that knows nothing of the token."""
    acme.run("mkdir -p /srv/web; systemd-run -q --unit=web python3 -m http.server 80 -d /srv/web")
    try:
        acme.points(NAME, acme.address)
        ask(site, acme.ca)
        said = refused(site)
    finally:
        acme.run("systemctl stop web")
    assert f"the CA could not verify {NAME}: somebody else answered on port 80" in said, said
    assert "404" in said, said


# -- and then ----------------------------------------------------------------------------------------------------


def test_three_failures_in_an_hour_are_enough(site: Secure, acme: Bed) -> None:
    """Let's Encrypt locks a name out after five: the fourth try is not made, and the next time is named."""
    ask(site, acme.ca)
    acme.points(NAME, acme.address)
    for _ in range(3):
        refused(site)
    acme.points(NAME, site.server.address)
    before = acme.ca.calls()
    said = refused(site)
    assert acme.ca.calls() == before, "the CA was asked"
    assert "the CA was not asked again: too many attempts for these names have failed" in said, said
    assert re.search(r"From \d{4}-\d\d-\d\d \d\d:\d\d UTC on it may be asked again", said), said
    assert "nobody answers on port 80" in said, "what went wrong last"


def test_the_rest_of_a_failed_run_is_done(site: Secure, acme: Bed) -> None:
    """A second app without TLS is set up in a run whose certificate fails."""
    acme.points(NAME, acme.address)
    other = "other.sandbox.test"
    site.data["apps"]["other"] = site.app_settings([other], tls="off")
    site.point(other)
    site.write()
    try:
        site.inv("provision", code=1)
        site.only_http()
        assert site.http(other).status in (502, 503), "its site is there, no release yet"
        assert site.http("stranger.sandbox.test").status == 0
    finally:
        del site.data["apps"]["other"]
        site.write()


def test_the_power_goes_while_the_first_is_asked_for(site: Secure, acme: Bed) -> None:
    """certbot has half a lineage by then, and with half of one every later run of certbot would fail."""
    ask(site, acme.ca)
    asked = acme.ca.calls()
    with acme.walled_off(site.server.address), site.started("provision"):
        # directory, nonce, account or order, and then it waits for the answer
        until(lambda: acme.ca.calls() >= asked + 5, 60, "the CA is asked")
        site.sandbox.crash(site.server.name)
    site.sandbox.start(site.server.name)
    until(lambda: site.http().status == 200, 20, "HTTP after the boot")
    site.only_http()


def test_then_the_next_run_goes_on(site: Secure, acme: Bed) -> None:
    """Last in this file: nothing that failed is in its way."""
    site.inv("provision")
    assert names_in(site.certificate()) == {NAME, WWW}
    site.both()
    before = acme.ca.calls()
    assert "0 changed" in site.inv("provision").out
    assert acme.ca.calls() == before
