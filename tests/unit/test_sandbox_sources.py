"""The machine's apt sources, read, narrowed down to the distribution's own, and turned to another release."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostwright.errors import SandboxError
from hostwright.sandbox import sources
from hostwright.sandbox.sources import Source

DEB822 = """\
Types: deb deb-src
# a comment in the middle
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
Architectures: amd64

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: https://third.example/node
Suites: nodistro
Components: main
Signed-By: /usr/share/keyrings/third.gpg

Types: deb
URIs: https://embedded.example/linux/debian
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
"""
KEY = "/usr/share/keyrings/debian-archive-keyring.gpg"


def test_deb822_is_read_and_third_parties_are_left_out() -> None:
    found = sources.archive(sources.parse("debian.sources", DEB822), "bookworm")
    assert found == [
        Source(("http://mirror.example/debian",), ("bookworm", "bookworm-updates"), ("main",), KEY),
        Source(
            ("http://mirror.example/debian-security",),
            ("bookworm-security",),
            ("main", "contrib"),
            KEY,
            (("Architectures", "amd64"),),
        ),
    ]


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("deb http://m.example/ubuntu noble main universe", True),
        ("deb [arch=amd64 trusted=yes] http://m.example/ubuntu noble-updates main # why", True),
        (
            "deb [signed-by=/usr/share/keyrings/ubuntu-archive-keyring.gpg] http://m.example/u noble main",
            True,
        ),
        ("deb http://m.example/debian stable main", True),
        ("deb-src http://m.example/ubuntu noble main", False),
        ("# deb http://m.example/ubuntu noble main", False),
        ("deb https://d.example/linux/ubuntu noble stable", False),
        ("deb https://p.example/apt noble-pgdg main", False),
        ("deb [signed-by=/etc/apt/keyrings/h.gpg] https://h.example noble main", False),
        ("deb http://m.example/ubuntu noble-backports main", False),
        ("deb http://m.example/ubuntu noble", False),
        ("", False),
    ],
)
def test_one_line_style(line: str, kept: bool) -> None:
    assert bool(sources.archive(sources.parse("sources.list", line), "noble")) is kept


def test_options_of_a_line_become_fields() -> None:
    [source] = sources.parse("x.list", "deb [ arch=amd64,i386 trusted=yes ] http://m.example/d noble main")
    assert source.options == (("Architectures", "amd64 i386"), ("Trusted", "yes"))


def test_another_release_comes_from_the_same_mirror() -> None:
    found = sources.archive(sources.parse("debian.sources", DEB822), "bookworm")
    text = sources.render(sources.retarget(found, "trixie"))
    assert "bookworm" not in text
    assert "Suites: trixie trixie-updates\n" in text
    assert "Suites: trixie-security\n" in text
    assert sources.parse("x.sources", text) == sources.retarget(found, "trixie")


def test_an_alias_becomes_the_code_name() -> None:
    found = sources.parse("x.list", "deb http://m.example/debian stable-updates main")
    assert sources.retarget(found, "trixie")[0].suites == ("trixie-updates",)


def test_keyrings_are_the_files_that_are_named() -> None:
    assert sources.keyrings(sources.parse("debian.sources", DEB822)) == [
        Path(KEY),
        Path("/usr/share/keyrings/third.gpg"),
    ]


def test_a_machine_without_sources_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(SandboxError) as caught:
        sources.read_machine("bookworm", tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} names no package source for bookworm\n"
        "  A sandbox server is built from the machine's own sources. See sources.list(5)."
    )


def test_both_styles_are_found_on_a_machine_and_disabled_files_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    (tmp_path / "sources.list").write_text("deb http://one.example/debian bookworm main\n")
    (folder / "debian.sources").write_text(DEB822)
    (folder / "more.list.disabled").write_text("deb http://two.example/debian bookworm main\n")
    found = sources.read_machine("bookworm", tmp_path)
    assert [source.uris[0] for source in found] == [
        "http://one.example/debian",
        "http://mirror.example/debian",
        "http://mirror.example/debian-security",
    ]
