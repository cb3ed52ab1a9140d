"""Wheels for servers without a package index: which ones, by hash, and that they arrive whole."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hostwright.errors import HostwrightError
from hostwright.inventory import load
from hostwright.remote import events, store
from hostwright.remote.run import StepError
from hostwright.run import wheels
from hostwright.run.wheels import Kind, download, for_python, kind_of
from hostwright.testing import FakeSystem

INVENTORY = """\
project: p
defaults: {user: ubuntu}
apps:
  shop: {module: "web:app", requirements: requirements.txt, domains: [shop.org], tls: %s}
hosts:
  web1: {address: 192.0.2.1}
"""


def kind(tmp_path: Path, tls: str, python: str) -> Kind:
    path = tmp_path / "inventory.yaml"
    path.write_text(INVENTORY % tls)
    (tmp_path / "requirements.txt").write_text("flask\n")
    inventory = load(path, {})
    (host,) = inventory.hosts.values()
    return kind_of(inventory, host, {"machine": "aarch64", "python": python})


@pytest.mark.parametrize(
    ("tls", "python", "wanted"),
    [
        ("letsencrypt", "3.11.2", Kind("aarch64", "3.11", True)),
        ("letsencrypt", "3.14.0rc1", Kind("aarch64", "3.14", True)),
        # certbot does not run there: its recipe says so
        ("letsencrypt", "3.9.2", Kind("aarch64", "3.9", False)),
        ("selfsigned", "3.11.2", Kind("aarch64", "3.11", False)),
    ],
)
def test_what_a_host_needs(tmp_path: Path, tls: str, python: str, wanted: Kind) -> None:
    assert kind(tmp_path, tls, python) == wanted
    assert list(wanted.requirements) == ["uv", "certbot"][: 1 + wanted.certbot]


def test_markers_are_those_of_the_servers_python() -> None:
    text = 'a==1 ; python_version < "3.13" --hash=sha256:00 --hash=sha256:01\nb==2 --hash=sha256:02\n'
    assert for_python(text, "3.12") == "a==1 --hash=sha256:00 --hash=sha256:01\nb==2 --hash=sha256:02\n"
    assert for_python(text, "3.13") == "b==2 --hash=sha256:02\n"


class Pip:
    """pip, as far as it is called."""

    def __init__(self, code: int = 0) -> None:
        self.code = code
        self.ran: list[Sequence[str]] = []

    def __call__(self, argv: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
        self.ran.append(argv)
        folder = Path(argv[argv.index("--dest") + 1])
        (folder / f"{Path(argv[-1]).stem}-1-py3-none-any.whl").write_text("wheel")
        return subprocess.CompletedProcess(argv, self.code, "", "line 1\nERROR: no index\n")


def test_what_pip_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip = Pip()
    monkeypatch.setattr(subprocess, "run", pip)
    found = download(Kind("aarch64", "3.10", True), tmp_path)
    assert [path.name for path in found] == ["certbot-1-py3-none-any.whl", "uv-1-py3-none-any.whl"]
    for argv in pip.ran:
        assert {
            "--require-hashes",
            "--only-binary=:all:",
            "--no-deps",
            "--python-version=3.10",
            "--abi=cp310",
        } <= set(argv)
        assert "--platform=manylinux_2_17_aarch64" in argv
    assert "certbot==" in (tmp_path / "certbot.txt").read_text()


def test_this_machine_has_no_index_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", Pip(code=1))
    with pytest.raises(HostwrightError) as error:
        download(Kind("x86_64", "3.11", False), tmp_path)
    assert error.value.message == (
        "neither the server nor this machine can get uv for Python 3.11 on x86_64 from a package index"
    )
    assert error.value.evidence == ("line 1", "ERROR: no index")


class Conversation:
    """A controller that sends these contents, one for each question."""

    def __init__(self, *contents: bytes) -> None:
        self.contents = list(contents)
        self.asked: list[str] = []

    def emit(self, event: events.Event) -> None:
        assert isinstance(event, events.SourceNeeded)
        self.asked.append(event.commit)

    def receive_stream(self) -> list[bytes]:
        return [self.contents.pop(0)]


def receive(system: FakeSystem, *files: tuple[str, bytes, bytes]) -> Conversation:
    conversation = Conversation(*(sent for _, _, sent in files))
    wanted = [{"name": name, "sha256": hashlib.sha256(content).hexdigest()} for name, content, _ in files]
    store.query({"files": wanted}, system, conversation)  # type: ignore[arg-type]
    return conversation


def test_files_arrive_in_turn() -> None:
    system = FakeSystem()
    conversation = receive(system, ("a.whl", b"A", b"A"), ("b.whl", b"B", b"B"))
    assert conversation.asked == ["a.whl", "b.whl"]
    assert system.read(f"{store.WHEELS}/b.whl") == b"B"


@pytest.mark.parametrize(
    ("name", "sent", "message"),
    [
        ("a.whl", b"x", "a.whl arrived damaged"),
        ("../a.whl", b"A", "not the name of"),
        ("a.sh", b"A", "not the name"),
    ],
)
def test_what_is_not_kept(name: str, sent: bytes, message: str) -> None:
    system = FakeSystem()
    with pytest.raises(StepError, match=message):
        receive(system, (name, b"A", sent))
    assert not system.exists(store.WHEELS)


def test_the_word_that_makes_them_travel() -> None:
    from hostwright.remote.resources import virtual_environment

    assert wheels.REASON in Path(virtual_environment.__file__).read_text()
