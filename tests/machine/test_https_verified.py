"""`inv verify` sees HTTPS as visitors do: all is well, and each thing that somebody's hand spoils is found."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hostwright.sandbox import Sandbox

from .acme import Bed
from .conftest import SUITES
from .secure import NAME, WWW, Secure

SITE = "/etc/nginx/sites-enabled/hostwright-tiny.tls.conf"
MAIN = "/etc/nginx/nginx.conf"


@pytest.fixture(scope="module", params=SUITES)
def site(
    sandbox: Sandbox, acme: Bed, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Secure]:
    name = f"verified-{os.getpid()}-{request.param}"
    server = sandbox.up(name, suite=request.param, ephemeral=True, say=print)[0]
    found = Secure(tmp_path_factory.mktemp("verified"), server, sandbox, acme)
    found.up()
    yield found
    sandbox.down(name)


@contextmanager
def spoiled(site: Secure, path: str, *edits: str) -> Iterator[None]:
    """A file of nginx's with edits of sed(1), in use during the block."""
    site.sh(f"cp -a {path} /tmp/kept")
    words = " ".join(f"-e '{edit}'" for edit in edits)
    try:
        site.sh(f"sed -i {words} {path}; nginx -t -q; systemctl reset-failed nginx; systemctl restart nginx")
        yield
    finally:
        site.sh(f"cp -a /tmp/kept {path}; systemctl reset-failed nginx; systemctl restart nginx")


def test_all_is_well(site: Secure) -> None:
    done = site.inv("verify")
    assert "0 do not" in done.out, done
    assert "ok     web1         tiny: every name is served with tls 1 3" in done.out, done
    assert "tiny: unknown names are refused" in done.out, done


@pytest.mark.parametrize(
    ("path", "edits", "found"),
    [
        (
            MAIN,
            [
                "s/ssl_protocols .*/ssl_protocols TLSv1 TLSv1.1 TLSv1.2;/",
                "s/ssl_ciphers .*/ssl_ciphers ALL:@SECLEVEL=0;/",
            ],
            {
                "tls 1 0 and 1 1 are refused": "it agrees to TLS 1.",
                "ciphers in cbc mode are refused": "it agrees to the cipher 0xc0",
                "broken ciphers are refused": "(IANA's number)",
                "every name is served with tls 1 3": f"{NAME}: the handshake failed",
            },
        ),
        (
            SITE,
            ["s/.*add_header Strict-Transport-Security.*/&\\n&/", "s/ssl_certificate_key.*/&\\nserver_tokens on;/"],
            {
                "hsts is sent once and as the inventory says": f"{NAME}: max-age=63072000, max-age=63072000",
                "server header tells no version": f"{NAME}: Server: nginx/1.",
            },
        ),
        (
            SITE,
            [f"s/return 308 .*/return 302 https:\\/\\/{WWW};/"],
            {"other names redirect to the canonical one": f"https://{WWW}/some/page?a=1 answers 302 instead of 308"},
        ),
    ],
    ids=["old protocols", "headers", "redirects"],
)  # fmt: skip
def test_what_is_spoiled_is_found(site: Secure, path: str, edits: list[str], found: dict[str, str]) -> None:
    with spoiled(site, path, *edits):
        done = site.inv("verify", code=1)
    for assertion, seen in found.items():
        assert f"FAILED web1         tiny: {assertion}" in done.out, done
        assert seen in done.out, done
    failed = [line for line in done.out.splitlines() if line.lstrip().startswith("FAILED")]
    assert len(failed) == len(found), done


def test_another_certificate_than_the_file_s(site: Secure) -> None:
    """Somebody renewed by hand and did not reload."""
    live = "/etc/letsencrypt/live/tiny/fullchain.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -days 9 -subj /CN=other 2>/dev/null"
    site.sh(f"cp {live} /tmp/kept.pem; {make} > /tmp/other.pem; cp /tmp/other.pem $(readlink -f {live})")
    try:
        done = site.inv("verify", code=1)
        assert f"another one is served for {NAME}, {WWW}" in done.out, done
        status = site.inv("cert.status", code=1)
        assert "nginx does not serve the file's certificate" in status.out, status
    finally:
        site.sh(f"cp /tmp/kept.pem $(readlink -f {live})")
    site.inv("cert.status")
