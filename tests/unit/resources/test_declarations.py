"""What cannot be declared, and what is one per host."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from hostwright.remote import digest, dpkg
from hostwright.remote.resources import from_wire
from hostwright.testing import FakeSystem

GIT: dict[str, Any] = {"kind": "git_checkout", "name": "/srv/x", "url": "https://git.test/x", "ref": "main"}


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"kind": "packages", "name": "x", "packages": ["nginx-"]}, "'nginx-' is not the name of a package"),
        ({"kind": "packages", "name": "x", "packages": ["-y"]}, "'-y' is not the name of a package"),
        ({"kind": "packages", "name": "x", "packages": ["a b"]}, "'a b' is not the name of a package"),
        (
            {"kind": "packages", "name": "x", "packages": ["./a.deb"]},
            "'./a.deb' is not the name of a package",
        ),
        ({"kind": "unit", "name": "nginx"}, "'nginx' is not the full name of a unit"),
        ({"kind": "unit", "name": "app@.service"}, "'app@.service' is not the full name of a unit"),
        ({"kind": "command", "name": "x", "argv": ["do"]}, "the command 'x' needs one guard"),
        (
            {"kind": "command", "name": "x", "argv": ["do"], "creates": "/a", "unless": ["b"]},
            "needs one guard",
        ),
        ({**GIT, "url": "--upload-pack=x"}, "not a git URL or ref: '--upload-pack=x'"),
        ({**GIT, "ref": "-x"}, "not a git URL or ref: '-x'"),
        ({"kind": "file", "name": "/a", "contents": "x"}, "unexpected keyword argument 'contents'"),
        ({"kind": "fiel", "name": "/a"}, "unknown kind of resource: 'fiel'"),
    ],
)
def test_what_cannot_be_declared(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem.replace("(", r"\(")) as caught:
        from_wire(fields)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "names"), [("timezone", ("Etc/UTC", "Asia/Tokyo")), ("locale", ("C", "C.UTF-8"))]
)
def test_a_host_has_one(kind: str, names: tuple[str, str]) -> None:
    ids = {from_wire({"kind": kind, "name": name}).id for name in names}
    assert ids == {f"{kind}:host"}


def test_sha256_is_the_one_of_hashlib() -> None:
    for content in (b"", b"hostwright", bytes(100_000)):
        assert digest.sha256(content) == hashlib.sha256(content).hexdigest()


def paragraph(name: str, status: str = "install ok installed") -> str:
    return f"Package: {name}\nStatus: {status}\nArchitecture: amd64\nDescription: x\n y\n\n"


def test_a_name_inside_another_is_another() -> None:
    system = FakeSystem({dpkg.STATUS: paragraph("git-man") + paragraph("libgit")})
    assert dpkg.states(system, ["git", "libgit"]) == {"git": None, "libgit": "installed"}


def test_the_last_paragraph_may_lack_its_end() -> None:
    system = FakeSystem({dpkg.STATUS: paragraph("a") + paragraph("b").rstrip()})
    assert dpkg.states(system, ["a", "b"]) == {"a": "installed", "b": "installed"}


@pytest.mark.parametrize("state", dpkg.UNFINISHED)
def test_unfinished_states(state: str) -> None:
    assert dpkg.interrupted(FakeSystem({dpkg.STATUS: paragraph("a") + paragraph("b", f"install ok {state}")}))


@pytest.mark.parametrize("status", ["install ok installed", "deinstall ok config-files", "hold ok installed"])
def test_finished_states(status: str) -> None:
    assert not dpkg.interrupted(FakeSystem({dpkg.STATUS: paragraph("a", status)}))
