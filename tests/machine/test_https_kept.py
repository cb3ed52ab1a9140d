"""With a certificate: what goes wrong at a renewal or with a new name leaves the old one serving, and is said."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hostwright.sandbox import Sandbox

from .acme import Authority, Bed
from .conftest import SUITES
from .project import until
from .secure import NAME, WWW, Secure, flat, names_in

NEW = "new.sandbox.test"
TIMER = "hostwright-certbot.service"
MEMORY = "/var/lib/hostwright/certificates/tiny.json"


@pytest.fixture(scope="module")
def server(sandbox: Sandbox, acme: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """An app over HTTPS."""
    name = f"kept-{os.getpid()}"
    found = sandbox.up(name, suite=SUITES[1], ephemeral=True, say=print)[0]
    site = Secure(tmp_path_factory.mktemp("kept"), found, sandbox, acme)
    site.up()
    yield site
    sandbox.down(name)


@pytest.fixture
def site(server: Secure, acme: Bed) -> Secure:
    """With a certificate of `acme.ca` for the two names; nothing is remembered of earlier tries."""
    server.sh(f"rm -f {MEMORY}")
    domains = server.settings["domains"] == [NAME, WWW] and names_in(server.certificate()) == {NAME, WWW}
    if server.ca is not acme.ca or not domains:
        use(server, acme.ca)
        server.domains(NAME, WWW)
        server.inv("provision")
    server.both()
    return server


@contextmanager
def broken_nginx(site: Secure) -> Iterator[None]:
    """Somebody has saved half a configuration."""
    path = "/etc/nginx/sites-enabled/zz-by-hand.conf"
    site.sh(f"echo 'server {{ listen 81; proxy_pas http://127.0.0.1; }}' > {path}")
    try:
        yield
    finally:
        site.sh(f"rm -f {path}")


def serial(site: Secure) -> int:
    return site.certificate().serial_number


def in_file(site: Secure) -> int:
    """The serial number of the newest certificate on the server's disk."""
    return int(
        site.sh("openssl x509 -in /etc/letsencrypt/live/tiny/cert.pem -noout -serial").split("=")[1], 16
    )


def due(site: Secure) -> None:
    """The timer is to renew the certificate in its next run."""
    conf = "/etc/letsencrypt/renewal/tiny.conf"
    site.sh(f"sed -i '/renew_before_expiry/d' {conf}; sed -i '1i renew_before_expiry = 100 days' {conf}")


def not_due(site: Secure) -> None:
    site.sh("sed -i '/renew_before_expiry/d' /etc/letsencrypt/renewal/tiny.conf")


def test_a_configuration_that_nginx_refuses(site: Secure) -> None:
    """`inv cert.renew` gets a certificate, and says that nginx does not serve it."""
    before = serial(site)
    with broken_nginx(site):
        done = site.inv("cert.renew", "--force", code=1)
        said = flat(done.out)
        assert "nginx refuses its configuration" in said, done
        assert "proxy_pas" in said, done
        assert "the old certificate is served" in said, done
        assert serial(site) == before
        assert in_file(site) != before
        site.both()
        status = site.inv("cert.status", code=1)
        assert NAME in status.out, status
    site.inv("cert.renew")
    assert serial(site) == in_file(site) != before
    site.inv("cert.status")


def test_the_timer_s_hook_fails(site: Secure) -> None:
    """certbot's exit code is 0 then: the service fails all the same, and tries again in its next run."""
    before = serial(site)
    due(site)
    try:
        with broken_nginx(site):
            site.sh(f"systemctl start {TIMER} 2>/dev/null || true", timeout=120)
            assert site.sh(f"systemctl is-failed {TIMER}") == "failed"
            journal = site.sh(f"journalctl -o cat --no-pager -u {TIMER}")
            assert "nginx does not use the new certificate" in journal, journal
            assert "proxy_pas" in journal, journal
            assert serial(site) == before
            assert in_file(site) != before
            site.both()
            assert NAME in site.inv("cert.status", code=1).out
    finally:
        not_due(site)
    site.sh(f"systemctl start {TIMER}", timeout=120)
    until(lambda: serial(site) == in_file(site), 10, "nginx has read it")
    assert serial(site) != before
    site.both()


def test_nginx_is_stopped(site: Secure) -> None:
    """The CA finds nobody; a renewal says so, and provision starts nginx before it asks for anything."""
    before = serial(site)
    site.sh("systemctl stop nginx")
    done = site.inv("cert.renew", "--force", code=1)
    said = flat(done.out)
    assert "nobody answers on port 80: the connection was refused" in said, done
    assert "Is nginx running" in said, done
    site.sh(f"rm -f {MEMORY}")
    site.domains(NAME, WWW, NEW)
    site.inv("provision")
    assert names_in(site.certificate()) == {NAME, WWW, NEW}
    assert serial(site) != before
    site.both()


def test_a_new_name_that_leads_elsewhere(site: Secure, acme: Bed) -> None:
    """The names that the certificate holds keep HTTPS, the new one is served over HTTP."""
    before = serial(site)
    site.domains(NAME, WWW, NEW)
    acme.points(NEW, acme.address)
    done = site.inv("provision", code=1)
    said = flat(done.out)
    assert f"{NEW} leads to {acme.address}, and this server does not answer there" in said, done
    assert serial(site) == before
    site.both()
    answer = site.http(NEW)
    assert answer.status in (200, 308), answer
    if answer.status == 308:
        assert answer.headers["location"] == f"https://{NAME}/version", answer
    assert site.https(NEW).status == 0, "with a certificate for other names"
    acme.points(NEW, site.server.address)
    site.inv("provision")
    assert names_in(site.certificate(NEW)) == {NAME, WWW, NEW}


def test_another_ca_and_then_it_is_away(site: Secure, acme: Bed) -> None:
    """Another one gives another certificate, once. While it is away: a run that asks nothing does not notice."""
    before = serial(site)
    use(site, acme.another())
    site.inv("provision")
    after = serial(site)
    assert after != before
    site.both()
    assert "0 changed" in site.inv("provision").out
    assert site.sh("ls /etc/letsencrypt/live") == "README\ntiny", "another lineage"
    site.ca.stop()
    assert "0 changed" in site.inv("provision").out
    done = site.inv("cert.renew", "--force", code=1)
    assert "cannot be reached: the connection was refused" in flat(done.out), done
    site.sh(f"systemctl start {TIMER}")
    assert serial(site) == after == in_file(site)
    assert site.http().status == 308
    assert site.get(f"https://{NAME}/version", "--insecure").status == 200


def use(site: Secure, ca: Authority) -> None:
    """Certificates are to come from a CA."""
    site.ca = ca
    site.tls_settings["issuer"] = ca.directory
    site.write()
