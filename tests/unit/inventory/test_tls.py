"""Which certificate an app gets on a host, and what is refused before anything is contacted."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostwright.errors import InventoryError
from hostwright.inventory.tls import LETSENCRYPT, LETSENCRYPT_STAGING, is_public, tls_of
from hostwright.inventory.tls_checks import check_tls
from hostwright.inventory.tls_material import materials
from tests.unit.inventory.authority import Authority
from tests.unit.inventory.conftest import Loader

FILE = """\
apps:
  hello: {{module: "a:b", domains: [{domains}]{app}}}
hosts:
  web1: {{address: {address}{host}}}
"""


def text(domains: str = "", app: str = "", host: str = "", address: str = "203.0.113.1") -> str:
    return FILE.format(
        domains=domains,
        app=f", tls: {app}" if app else "",
        host=f", tls: {host}" if host else "",
        address=address,
    )


@pytest.mark.parametrize(
    ("domains", "app", "host", "issuer"),
    [
        ("hello.de", "", "", "letsencrypt"),
        ("hello.de, www.hello.de", "", "", "letsencrypt"),
        ("", "", "", "off"),
        ("hello.example.com", "", "", "off"),
        ("hello.test, hello.de", "", "", "off"),
        ("'*.hello.de'", "", "", "off"),  # a wildcard needs a program of the user's
        ("hello.de", "", "off", "off"),
        ("hello.de", "", "no", "off"),
        ("hello.de", "", "{issuer: off}", "off"),
        ("hello.de", "selfsigned", "off", "selfsigned"),
        ("hello.de", "", "https://ca.hello.de/dir", "https://ca.hello.de/dir"),
        ("hello.de", "{certificate: a, key: b}", "", "files"),
        ("", "letsencrypt", "", "letsencrypt"),
    ],
)
def test_the_more_particular_word_wins(
    inventory_of: Loader, domains: str, app: str, host: str, issuer: str
) -> None:
    found = inventory_of(text(domains, app, host))
    assert tls_of(found.apps["hello"], found.hosts["web1"]).issuer == issuer


def test_lets_encrypt_has_a_directory_for_dry_tries(inventory_of: Loader) -> None:
    found = inventory_of(text("hello.de"))
    tls = tls_of(found.apps["hello"], found.hosts["web1"])
    assert (tls.directory, tls.dry_directory) == (LETSENCRYPT, LETSENCRYPT_STAGING)
    found = inventory_of(text("hello.de", app="{staging: false}"))
    assert tls_of(found.apps["hello"], found.hosts["web1"]).dry_directory == ""


@pytest.mark.parametrize(
    ("hsts", "header"),
    [
        ("{issuer: letsencrypt}", "max-age=63072000"),
        ("{hsts: true}", "max-age=63072000"),
        ("{hsts: false}", "max-age=0"),  # browsers that have heard of it forget it
        (
            "{hsts: {max_age: 31536000, include_subdomains: true, preload: true}}",
            "max-age=31536000; includeSubDomains; preload",
        ),
        ("selfsigned", ""),
        ("{issuer: selfsigned, hsts: {max_age: 60}}", "max-age=60"),
    ],
)
def test_hsts(inventory_of: Loader, hsts: str, header: str) -> None:
    found = inventory_of(text("hello.de", app=hsts))
    assert tls_of(found.apps["hello"], found.hosts["web1"]).hsts_header == header


@pytest.mark.parametrize(
    ("name", "public"),
    [
        ("hello.de", True), ("*.hello.de", True), ("localhost", False), ("db", False), ("a.lan", False),
        ("example.com", False), ("myexample.com", True), ("a.home.arpa", False), ("test.de", True),
    ],
)  # fmt: skip
def test_public_names(name: str, public: bool) -> None:
    assert is_public(name) is public


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            text("hello.test", "letsencrypt"),
            'apps.hello.tls: hello.test is no public name, so Let\'s Encrypt cannot certify it; say "tls: selfsigned" '
            'or "tls: off"',
        ),
        (
            text("'*.hello.de'", host="letsencrypt"),
            "apps.hello on web1: *.hello.de: a wildcard can only be proved through DNS; give `tls` a "
            "`dns: {auth: PROGRAM}`",
        ),
        (
            text("", "letsencrypt", address="10.0.0.1"),
            'apps.hello.tls: Let\'s Encrypt cannot certify 10.0.0.1, no public address; say "tls: selfsigned" or '
            '"tls: off"',
        ),
        (
            text("", "letsencrypt", address="web.hello.de"),
            "apps.hello.tls: an app without domains gets a certificate for the server's IP address, and web1 has the "
            "address web.hello.de; give the app `domains:`",
        ),
        (
            text("hello.de", "{dns: {auth: hook.sh, env: {A: {from_env: DNS_TOKEN}}}}"),
            "apps.hello.tls.dns.env.A: the environment variable DNS_TOKEN is not set here",
        ),
        (
            text("hello.de", "{eab: {kid: a, hmac_key: {from_env: EAB}}}"),
            "apps.hello.tls.eab.hmac_key: the environment variable EAB is not set here",
        ),
        (text("hello.de", "{ca: ca.pem, issuer: 'https://ca/'}"), "apps.hello.tls: ca.pem does not exist"),
        (text("hello.de", "{certificate: a, key: b}"), "apps.hello.tls: a does not exist"),
    ],
)
def test_what_no_ca_could_certify(inventory_of: Loader, content: str, problem: str) -> None:
    found = inventory_of(content)
    Path("hook.sh").write_text("#!/bin/sh\n")
    with pytest.raises(InventoryError) as caught:
        check_tls(found, list(found.hosts.values()), {})
    assert caught.value.problems == (problem,)


@pytest.mark.parametrize(
    "content",
    [
        text("hello.de"),
        text("", "letsencrypt", address="46.4.0.1"),
        text("", "https://ca.test/dir", address="10.0.0.1"),
        text("hello.test", "https://ca.test/dir"),
        text("hello.test", "selfsigned"),
        text(""),
    ],
)
def test_what_is_fine(inventory_of: Loader, content: str) -> None:
    found = inventory_of(content)
    check_tls(found, list(found.hosts.values()), {})


# -- a certificate of one's own ------------------------------------------------------------------------------

OWN = text("hello.de, www.hello.de", "{certificate: cert.pem, key: key.pem}")


def problems(inventory_of: Loader, certificate: str, key: str, mode: int = 0o600) -> tuple[str, ...]:
    found = inventory_of(OWN)
    Path("cert.pem").write_text(certificate)
    Path("key.pem").write_text(key)
    Path("key.pem").chmod(mode)
    try:
        check_tls(found, list(found.hosts.values()), {})
    except InventoryError as error:
        return tuple(problem.removeprefix("apps.hello.tls: ") for problem in error.problems)
    return ()


NAMES = ("hello.de", "www.hello.de")


def test_a_good_certificate(inventory_of: Loader) -> None:
    root = Authority()
    middle = Authority("Middle", root)
    leaf, key = middle.issue(NAMES, fetchable=True)
    assert problems(inventory_of, leaf + middle.pem, key) == ()
    assert problems(inventory_of, leaf + middle.pem + root.pem, key) == ()
    wildcard, key = root.issue(("hello.de", "*.hello.de"))
    assert problems(inventory_of, wildcard, key) == (), "signed by a private root, which visitors have"
    found = inventory_of(OWN)
    material = materials(found, found.hosts["web1"], {})["hello"]
    assert material.chain == wildcard
    assert material.secrets == [key]
    assert key not in repr(material)


def test_what_is_wrong_with_a_certificate(inventory_of: Loader) -> None:
    root = Authority()
    middle = Authority("Middle", root)
    leaf, key = middle.issue(NAMES, fetchable=True)
    _, other = middle.issue(NAMES)
    chain = leaf + middle.pem
    assert problems(inventory_of, chain, other) == (
        "key.pem is not the key of cert.pem: the public keys differ",
    )
    assert problems(inventory_of, chain, key, 0o644) == (
        "key.pem can be read by others (mode 0644): chmod 600 key.pem",
    )
    assert problems(inventory_of, chain, "nonsense") == ("key.pem holds no private key in PEM form",)
    assert problems(inventory_of, key, key) == (
        "cert.pem holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)",
    )
    assert problems(inventory_of, leaf, key) == (
        "cert.pem lacks the certificate of its issuer (CN=Middle): append it, or browsers will not trust it",
    )
    assert problems(inventory_of, leaf + root.pem, key) == (
        "cert.pem: the certificate of CN=Test CA did not sign that of CN=hello.de before it; put the server's first, "
        "then each one's issuer",
    )


def test_names_and_times_of_a_certificate(inventory_of: Loader) -> None:
    root = Authority()
    leaf, key = root.issue(("hello.de",))
    assert problems(inventory_of, leaf, key) == ("cert.pem is not for www.hello.de; it is for hello.de",)
    (old,) = problems(inventory_of, *root.issue(NAMES, begins=-9, ends=-1))
    assert old.startswith("cert.pem expired on 2")
    (early,) = problems(inventory_of, *root.issue(NAMES, begins=1))
    assert early.startswith("cert.pem is not valid before 2")


def test_a_key_with_a_passphrase(inventory_of: Loader) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    locked = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        *form, serialization.BestAvailableEncryption(b"hunter2")
    )
    leaf, _ = Authority().issue(NAMES)
    assert problems(inventory_of, leaf, locked.decode()) == (
        "key.pem is protected by a passphrase, which nginx could not ask for: openssl pkey -in key.pem -out NEW",
    )
