"""What a server gets so that it reaches package registries from where the machine stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostwright.sandbox import surroundings
from hostwright.sandbox.surroundings import Surroundings

DUMP = """\
APT::Architecture "amd64";
Acquire::http::Proxy "http://proxy.example:3128";
Acquire::https::Verify-Peer "true";
Acquire::http::Proxy::local.example "DIRECT";
Acquire::https::Proxy "http://127.0.0.1:3142";
Acquire::Check-Date "false";
Acquire::Languages "none";
Acquire::http "";
Dir::Cache "var/cache/apt";
"""


def test_of_apts_configuration_only_how_to_reach_a_mirror_is_kept() -> None:
    assert surroundings.kept_apt_lines(DUMP) == (
        'Acquire::http::Proxy "http://proxy.example:3128";',
        'Acquire::https::Verify-Peer "true";',
        'Acquire::http::Proxy::local.example "DIRECT";',
        'Acquire::Check-Date "false";',
    )


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, ()),
        ({"no_proxy": "example.com"}, ()),
        (
            {"HTTPS_PROXY": "http://p:1", "no_proxy": "x"},
            (("https_proxy", "http://p:1"), ("no_proxy", "x")),
        ),
        ({"http_proxy": "http://localhost:3128"}, ()),
        ({"http_proxy": "http://user:pw@127.0.0.1:3128"}, ()),
        ({"http_proxy": "http://localhost.example:1"}, (("http_proxy", "http://localhost.example:1"),)),
    ],
)
def test_proxies(environ: dict[str, str], found: tuple[tuple[str, str], ...]) -> None:
    assert surroundings.proxies(environ) == found


@pytest.mark.parametrize(
    ("configs", "environ", "found"),
    [
        ([], {}, ()),
        (["[global]\nfind-links = /wheels\nextra-index-url = file:///x https://e/\n"], {}, ()),
        (
            ["[global]\nindex-url = https://a/\nextra-index-url = https://b/\n https://c/"],
            {},
            ("https://a/", "https://b/", "https://c/"),
        ),
        (
            ["[global]\nindex-url = https://a/"],
            {"PIP_INDEX_URL": "https://p/", "UV_DEFAULT_INDEX": "https://u/"},
            ("https://u/",),
        ),
        ([], {"PIP_INDEX_URL": "http://127.0.0.1:3141/simple"}, ()),
    ],
)
def test_indexes(configs: list[str], environ: dict[str, str], found: tuple[str, ...]) -> None:
    assert surroundings.indexes(configs, environ) == found


def test_a_machine_with_nothing_special_makes_bare_servers() -> None:
    assert Surroundings().files() == {}


def test_certificates_proxies_and_indexes_reach_pip_uv_and_apt() -> None:
    files = Surroundings(
        certificates=(("own.crt", "PEM"),),
        apt=('Acquire::https::Proxy "DIRECT";',),
        proxies=(("http_proxy", "http://p:1"), ("https_proxy", "http://p:2")),
        indexes=("https://a/", "https://b/"),
    ).files()
    assert files == {
        "/etc/apt/apt.conf.d/80machine": 'Acquire::https::Proxy "DIRECT";\nAcquire::http::Proxy "http://p:1";\n',
        "/etc/environment": 'http_proxy="http://p:1"\nhttps_proxy="http://p:2"\n',
        "/etc/pip.conf": (
            "[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n"
            "index-url = https://a/\nextra-index-url = https://b/\n"
        ),
        "/etc/uv/uv.toml": (
            'system-certs = true\n\n[[index]]\nurl = "https://a/"\ndefault = true\n\n'
            '[[index]]\nurl = "https://b/"\n'
        ),
    }


@pytest.mark.parametrize(
    ("first", "second", "chosen"),
    [
        ("nameserver 192.0.2.53\n", None, "nameserver 192.0.2.53\n"),
        ("nameserver 127.0.0.53\n", "nameserver 192.0.2.1\nsearch x\n", "nameserver 192.0.2.1\nsearch x\n"),
        ("nameserver ::1\nnameserver 192.0.2.1\n", None, "nameserver 192.0.2.1\n"),
        ("nameserver 127.0.0.1\n", None, "nameserver 127.0.0.1\n"),
    ],
)
def test_name_servers_on_loopback_are_no_use_to_a_server(
    tmp_path: Path, first: str, second: str | None, chosen: str
) -> None:
    places = [tmp_path / "first", tmp_path / "second"]
    for place, text in zip(places, (first, second), strict=True):
        if text is not None:
            place.write_text(text)
    assert surroundings.name_servers(places) == chosen
