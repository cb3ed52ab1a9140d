"""A certificate that the server signs itself: with the real openssl, and on a server in memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from hostwright.remote.resources import self_signed
from hostwright.remote.resources.base import Context, Failed, diff
from hostwright.remote.resources.self_signed import SelfSigned
from hostwright.remote.system import System
from hostwright.remote.tls import x509
from hostwright.testing import FakeSystem
from tests.unit.tls.certificates import NOW, make, name

HERE = "/etc/hostwright/tls/shop"


def pem(*names: str, left: float = 300, **how: Any) -> str:
    found = make(names, begin=NOW - timedelta(days=397 - left), end=NOW + timedelta(days=left), **how)
    return found.public_bytes(serialization.Encoding.PEM).decode()


def system(certificate: str, mode: int = 0o600) -> FakeSystem:
    files = {f"{HERE}/fullchain.pem": certificate, f"{HERE}/privkey.pem": {"content": "KEY", "mode": mode}}
    return FakeSystem(files, now=NOW.timestamp())


def changes(wanted: SelfSigned, server: FakeSystem) -> dict[str, Any]:
    return {c.attribute: (c.before, c.after) for c in diff(wanted.desired(server), wanted.read(server))}


@pytest.mark.parametrize(
    ("certificate", "mode", "wanted"),
    [
        (pem("shop.test"), 0o600, {}),
        (pem("shop.test", left=31), 0o600, {}),
        (pem("shop.test", left=29), 0o600, {"validity": ("due", "good")}),
        (pem("shop.test", left=-1), 0o600, {"validity": ("expired", "good")}),
        (pem("old.test"), 0o600, {"names": (["old.test"], ["shop.test"])}),
        (pem("shop.test"), 0o644, {"mode": ("0644", "0600")}),
        (pem("shop.test", issuer=name("CA"), signer="ecdsa"), 0o600, {"key": ("another's", "ecdsa")}),
        (pem("shop.test", key="rsa"), 0o600, {"key": ("rsa", "ecdsa")}),
        (
            "rubbish",
            0o600,
            {"names": (None, ["shop.test"]), "key": (None, "ecdsa"), "validity": (None, "good")},
        ),
    ],
)
def test_what_differs(certificate: str, mode: int, wanted: dict[str, Any]) -> None:
    assert changes(SelfSigned(name=HERE, domains=["shop.test"]), system(certificate, mode)) == wanted


def test_only_where_it_is_needed() -> None:
    server = FakeSystem({"/flag": ""})
    assert changes(SelfSigned(name=HERE, domains=[], when="!path:/flag"), server) == {}
    wanted = changes(SelfSigned(name=HERE, domains=[], when="path:/flag"), server)
    assert wanted["names"] == (None, ["nobody.invalid"])


def test_no_openssl() -> None:
    server = FakeSystem(
        {"/run/hostwright": None}, commands={"openssl ...": {"exit": 127, "err": "openssl: No such file"}}
    )
    with pytest.raises(Failed) as error:
        SelfSigned(name=HERE, domains=["shop.test"]).apply(server, [], Context(print, {}))
    assert error.value.message == "openssl cannot make a certificate"
    assert error.value.hint == "Is the package openssl installed?"
    assert server.listdir("/run/hostwright") == []
    assert not server.exists(HERE)


def test_it_is_pretended_in_a_check() -> None:
    server = FakeSystem()
    SelfSigned(name=HERE, domains=["shop.test"], addresses=["192.0.2.1"]).pretend(server)
    assert server.has(f"covers:{HERE}/fullchain.pem:192.0.2.1")


@pytest.mark.skipif(os.geteuid() != 0, reason="files are owned by root")
@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on this machine")
def test_the_real_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_signed, "RUNTIME", str(tmp_path / "run"))
    server, folder = System(), tmp_path / "tls"
    names, addresses = ["shop.test", "*.shop.test", "a" * 60 + ".shop.test"], ["192.0.2.1", "2001:db8::1"]
    wanted = SelfSigned(name=str(folder), domains=names, addresses=addresses)
    wanted.apply(server, [], Context(print, {}))
    assert not diff(wanted.desired(server), wanted.read(server))
    found = x509.read(server, str(folder / "fullchain.pem"))
    assert found is not None
    assert 396 * 86400 < found.not_after - time.time() <= 397 * 86400
    assert (folder / "privkey.pem").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "run").iterdir()) == []
    text = subprocess.run(
        ("openssl", "x509", "-noout", "-text", "-in", str(folder / "fullchain.pem")),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "CA:FALSE" in text
    assert "TLS Web Server Authentication" in text
    assert "ecdsa-with-SHA256" in text
