"""Certificates of all kinds: wildcards through DNS, bound accounts, IP addresses, self-signed, one's own; many apps."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hostwright.sandbox import Sandbox, Server

from .acme import Bed
from .conftest import SUITES
from .secure import NAME, WWW, Secure, names_in

RAW = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
KEY = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
# certbot's manual hooks for the DNS of the test CA; the URL is a secret of theirs
AUTH = """\
#!/bin/sh
set -eu
data="{\\"host\\": \\"_acme-challenge.$CERTBOT_DOMAIN.\\", \\"value\\": \\"$CERTBOT_VALIDATION\\"}"
curl -sSf -d "$data" "$DNS_API/set-txt"
"""
CLEANUP = """\
#!/bin/sh
set -eu
curl -sSf -d "{\\"host\\": \\"_acme-challenge.$CERTBOT_DOMAIN.\\"}" "$DNS_API/clear-txt"
echo cleaned >> /tmp/cleaned
"""


@pytest.fixture(scope="module")
def servers(sandbox: Sandbox) -> Iterator[list[Server]]:
    """Two, one for each release of the distribution."""
    made = [sandbox.up(f"kinds-{os.getpid()}-{suite}", suite=suite, ephemeral=True)[0] for suite in SUITES]
    yield made
    sandbox.down(*(server.name for server in made))


@pytest.fixture(scope="module")
def server(
    sandbox: Sandbox, acme: Bed, servers: list[Server], tmp_path_factory: pytest.TempPathFactory
) -> Secure:
    """The first of them with a release of the app, without TLS."""
    site = Secure(tmp_path_factory.mktemp("kinds"), servers[0], sandbox, acme)
    site.data["defaults"]["tls"] = "off"
    site.write()
    site.up()
    return site


@pytest.fixture
def site(server: Secure, acme: Bed) -> Secure:
    """Both names lead to it; its certificates are asked from the test CA."""
    server.ca = acme.ca
    server.data["apps"] = {"tiny": server.app_settings([NAME, WWW])}
    server.data["defaults"]["tls"] = server.tls()
    server.domains(NAME, WWW)
    return server


def settled(site: Secure) -> None:
    """Another run changes nothing and asks nobody."""
    before = site.ca.calls()
    again = site.inv("provision")
    assert "0 changed" in again.out, again
    assert site.ca.calls() == before


def test_off_is_http(site: Secure) -> None:
    site.data["defaults"]["tls"] = "off"
    site.write()
    site.inv("provision")
    site.only_http()
    settled(site)


def test_a_self_signed_one(site: Secure) -> None:
    """For tests and internal use: no HSTS, which would lock visitors out; the same one in the next run."""
    site.settings["tls"] = "selfsigned"
    site.write()
    site.inv("provision")
    own = site.certificate()
    assert names_in(own) == {NAME, WWW}
    assert own.issuer == own.subject
    answer = site.https(root=pem(own))
    assert answer.status == 200, answer
    assert "strict-transport-security" not in answer.headers
    settled(site)
    assert site.certificate() == own
    assert site.sh("stat -c '%a %U' /etc/hostwright/tls/tiny/privkey.pem") == "600 root"


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def make_own(site: Secure, *names: str) -> str:
    """fullchain.pem and key.pem in the project, signed by a CA of its own; its certificate, PEM."""
    folder = site.folder
    script = """\
new() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "$@" 2>/dev/null; }
new -x509 -keyout own-ca.key -out own-ca.pem -days 30 -subj '/CN=Our own CA'
new -keyout key.pem -out own.csr -subj /CN=own
openssl x509 -req -in own.csr -CA own-ca.pem -CAkey own-ca.key -CAcreateserial -days 90 -out own.pem \
  -extfile own.ext 2>/dev/null
cat own.pem own-ca.pem > fullchain.pem
chmod 600 key.pem
"""
    (folder / "own.ext").write_text("subjectAltName=" + ",".join(f"DNS:{name}" for name in names) + "\n")
    subprocess.run(("sh", "-ec", script), cwd=folder, check=True)
    return (folder / "own-ca.pem").read_text()


def test_ones_own_files(site: Secure) -> None:
    root = make_own(site, NAME, WWW)
    site.settings["tls"] = {"certificate": "fullchain.pem", "key": "key.pem"}
    site.write()
    done = site.inv("provision")
    assert "PRIVATE KEY" not in done.out
    answer = site.https(root=root)
    assert answer.status == 200, answer
    assert site.sh("stat -c '%a %U' /etc/hostwright/tls/tiny/privkey.pem") == "600 root"
    settled(site)
    first = site.certificate()
    # another one of the same names takes its place
    root = make_own(site, NAME, WWW)
    site.commit("a new certificate")
    site.inv("provision")
    assert site.certificate() != first
    assert site.https(root=root).status == 200


def test_files_that_do_not_fit_are_refused_before_anything_is_contacted(site: Secure) -> None:
    make_own(site, NAME)
    site.settings["tls"] = {"certificate": "fullchain.pem", "key": "key.pem"}
    site.write()
    said = site.inv("provision", code=2)
    assert WWW in said.out, said
    assert "nothing was contacted" in said.out, said


def hooks(site: Secure) -> dict[str, object]:
    """`dns:` with programs of the project."""
    for name, text in (("auth.sh", AUTH), ("cleanup.sh", CLEANUP)):
        path = site.folder / name
        path.write_text(text)
        path.chmod(0o755)
    return {"auth": "auth.sh", "cleanup": "cleanup.sh", "env": {"DNS_API": site.bed.management}}


def test_a_wildcard_through_dns(site: Secure, acme: Bed) -> None:
    """Port 80 need not be seen by the CA. The timer uses the same programs."""
    names = ("wild.sandbox.test", "*.wild.sandbox.test")
    site.settings["domains"] = list(names)
    site.settings["nginx"] = {}
    site.point("wild.sandbox.test", "any.wild.sandbox.test")
    site.tls_settings["dns"] = hooks(site)
    site.write()
    with acme.walled_off(site.server.address):
        done = site.inv("provision")
        assert names_in(site.certificate("any.wild.sandbox.test")) == set(names), done
        assert site.https("any.wild.sandbox.test").status == 200
        assert site.https("wild.sandbox.test").status == 200
        assert site.https("a.b.wild.sandbox.test").status == 0, "a wildcard is for one label"
        assert site.sh("cat /tmp/cleaned"), "the record was not removed"
        before = site.certificate("wild.sandbox.test").serial_number
        site.inv("cert.renew", "--force")
        assert site.certificate("wild.sandbox.test").serial_number != before
    assert site.sh("find /etc/hostwright/dns -type f -perm /077") == "", "others can read it"
    settled(site)


def test_a_hook_that_fails_says_so(site: Secure) -> None:
    site.tls_settings["dns"] = hooks(site)
    (site.folder / "auth.sh").write_text("#!/bin/sh\necho the zone is locked >&2\nexit 3\n")
    site.domains("zone.sandbox.test")
    site.settings["nginx"] = {}
    site.write()
    said = site.inv("provision", code=1)
    assert "the zone is locked" in said.out, said
    assert site.http("zone.sandbox.test").status == 200


def test_an_account_that_the_ca_knows(site: Secure, acme: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    """External account binding; the key is in no output and in no file that others can read."""
    monkeypatch.setenv("EAB_KEY", KEY)
    site.ca = acme.another(accounts={"kid-1": KEY})
    site.data["defaults"]["tls"] = site.tls(eab={"kid": "kid-1", "hmac_key": {"from_env": "EAB_KEY"}})
    site.write()
    done = site.inv("provision")
    assert KEY not in done.out
    site.both()
    assert site.sh(f"grep -rlF {KEY} /etc /var/lib/hostwright /var/log || true") == "", "the key was kept"
    settled(site)


def test_an_ip_address(site: Secure) -> None:
    """No domains: the certificate is for the address, and that is what visitors type."""
    site.settings.update(domains=[], nginx={})
    address = site.server.address
    site.write()
    site.inv("provision")
    assert names_in(site.certificate(address)) == {address}
    answer = site.https(address)
    assert answer.status == 200, answer
    settled(site)


def test_several_apps_on_a_host(site: Secure) -> None:
    """Each with a certificate of its own kind; a name that nobody has is turned away at the door."""
    one, two = "one.sandbox.test", "two.sandbox.test"
    site.data["apps"]["one"] = site.app_settings([one])
    site.data["apps"]["two"] = site.app_settings([two], tls="selfsigned")
    site.point(NAME, WWW, one, two)
    site.write()
    site.inv("provision")
    assert names_in(site.certificate(one)) == {one}
    assert names_in(site.certificate(two)) == {two}
    assert site.https(one).status in (502, 503), "no release yet"
    site.both()
    assert site.get("https://stranger.sandbox.test/", "--insecure").status == 0
    assert site.get(f"https://{site.server.address}/", "--insecure").status == 0
    assert site.http("stranger.sandbox.test").status == 0
    settled(site)


def test_two_servers_behind_one_name(
    site: Secure, acme: Bed, sandbox: Sandbox, servers: list[Server]
) -> None:
    """The CA asks whichever it likes for a challenge; each server gets a certificate of its own."""
    pair = "pair.sandbox.test"
    first, second = servers
    site.settings.update(domains=[pair], nginx={})
    site.data["hosts"]["web2"] = {"address": second.address}
    site.write()
    acme.points(pair, first.address, second.address)
    try:
        site.inv("provision", "--host", "all")
        site.inv("deploy")
        keys = set()
        for server in servers:
            certificate = site.certificate(pair, server)
            assert names_in(certificate) == {pair}
            keys.add(certificate.public_key().public_bytes(*RAW))
            assert site.get(f"https://{pair}/version", server=server).status == 200
        assert len(keys) == 2, "they share a key"
        before = {site.certificate(pair, server).serial_number for server in servers}
        # the CA is led to the other one each time, which knows nothing of the challenge
        for host, other in (("web1", second), ("web2", first)):
            acme.points(pair, other.address)
            site.inv("cert.renew", "--force", "--host", host)
        after = {site.certificate(pair, server).serial_number for server in servers}
        assert len(before | after) == 4, (before, after)
    finally:
        del site.data["hosts"]["web2"]
        site.write()
