"""known_hosts: who is trusted, what is recorded, what is refused and with which words."""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import stat
import threading
from pathlib import Path

import pytest

from hostwright.errors import HostKeyMismatch
from hostwright.transport.hostkeys import HostKey, HostKeys, WrongKeyType, known_as, parse

ED = HostKey("ssh-ed25519", b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + b"a" * 32)
ED2 = HostKey("ssh-ed25519", b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + b"b" * 32)
ECDSA = HostKey("ecdsa-sha2-nistp256", b"\0\0\0\x13ecdsa-sha2-nistp256" + b"c" * 70)


@pytest.fixture
def file(home: Path) -> Path:
    return home / ".ssh" / "known_hosts"


@pytest.fixture
def said() -> list[str]:
    return []


def keys(said: list[str], host: str = "example.com", port: int = 22, **options: object) -> HostKeys:
    return HostKeys(host, port, say=said.append, label="web1", **{"system": Path("/nonexistent"), **options})  # type: ignore[arg-type]


def hashed(name: str) -> str:
    salt = b"0123456789abcdefghij"
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return "|1|" + "|".join(base64.b64encode(part).decode() for part in (salt, digest))


def test_a_first_contact_is_recorded_and_said(file: Path, said: list[str]) -> None:
    keys(said).check(ED)
    assert said == [f"first contact: host key {ED.fingerprint} recorded in ~/.ssh/known_hosts"]
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    assert file.read_text() == f"example.com {ED} first seen by hostwright on {today}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    keys(said).check(ED)
    assert len(said) == 1


def test_who_is_new(file: Path, said: list[str]) -> None:
    assert keys(said).new
    assert not keys(said, pin=str(ED)).new, "pinned, and never recorded"
    keys(said).check(ED)
    assert not keys(said).new


def test_the_fingerprint_is_that_of_ssh_keygen() -> None:
    blob = base64.b64decode("AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl")
    assert HostKey("ssh-ed25519", blob).fingerprint == "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"


def test_a_file_without_final_newline_stays_whole(file: Path, said: list[str]) -> None:
    file.write_text(f"other.example {ED}")
    keys(said).check(ED2)
    assert [entry.patterns for entry in parse(file, file.read_text())] == [
        ("other.example",),
        ("example.com",),
    ]


def test_a_changed_key_is_refused(file: Path, said: list[str]) -> None:
    file.write_text(f"# old\nexample.com {ED} first seen by hostwright on 2026-03-01\n")
    with pytest.raises(HostKeyMismatch) as caught:
        keys(said).check(ED2)
    assert str(caught.value) == (
        f"web1  the host key changed. Known: {ED.fingerprint} (since 2026-03-01). Now: {ED2.fingerprint}.\n"
        "  | ~/.ssh/known_hosts:2 knows example.com by its ssh-ed25519 key; this is a ssh-ed25519 key\n"
        "  Either the server was reinstalled, or someone is in between. If it was you:\n"
        "  ssh-keygen -R example.com"
    )
    assert caught.value.exit_code == 3
    assert said == []
    assert "first seen" in file.read_text()
    assert len(file.read_text().splitlines()) == 2


def test_a_key_of_another_type_only_is_refused_too(file: Path, said: list[str]) -> None:
    """Otherwise whoever is in between only has to offer a type that we have not seen."""
    file.write_text(f"example.com {ECDSA} root@somewhere\n")
    with pytest.raises(HostKeyMismatch, match=r"the host key changed. Known: SHA256:\S+\. Now") as caught:
        keys(said).check(ED)
    assert "by its ecdsa-sha2-nistp256 key; this is a ssh-ed25519 key" in str(caught.value)


@pytest.mark.parametrize(
    ("port", "remove"),
    [(22, "ssh-keygen -R example.com"), (2222, "ssh-keygen -R '[example.com]:2222'")],
)
def test_the_command_to_forget_a_key(port: int, remove: str, file: Path, said: list[str]) -> None:
    keys(said, port=port).check(ED)
    with pytest.raises(HostKeyMismatch) as caught:
        keys(said, port=port).check(ED2)
    assert str(caught.value).endswith("\n  " + remove)


def test_another_file_is_named_in_the_command(tmp_path: Path, said: list[str]) -> None:
    file = tmp_path / "hosts"
    keys(said, file=file).check(ED)
    with pytest.raises(HostKeyMismatch, match=f"ssh-keygen -f {file} -R example.com"):
        keys(said, file=file).check(ED2)


def test_the_machines_own_file_counts(tmp_path: Path, said: list[str], file: Path) -> None:
    system = tmp_path / "ssh_known_hosts"
    system.write_text(f"*.com {ED}\n")
    keys(said, system=system).check(ED)
    assert said == []
    assert not file.exists()
    with pytest.raises(HostKeyMismatch, match=f"{system}:1"):
        keys(said, system=system).check(ED2)


@pytest.mark.parametrize(
    ("line", "known"),
    [
        ("example.com", True),
        ("EXAMPLE.com", True),
        ("10.0.0.1,example.com", True),
        ("*.com", True),
        ("e?ample.com", True),
        ("*.com,!example.com", False),
        ("!example.com,*.com", False),
        ("other.com", False),
        ("example.community", False),
        (hashed("example.com"), True),
        (hashed("other.com"), False),
        ("|1|broken", False),
        ("[example.com]:2222", False),
    ],
)
def test_patterns(line: str, known: bool, file: Path, said: list[str]) -> None:
    file.write_text(f"{line} {ED}\n")
    keys(said).check(ED)
    assert bool(said) is not known


def test_brackets_are_no_wildcards(file: Path, said: list[str]) -> None:
    file.write_text(f"[example.com]:2222 {ED}\n")
    keys(said, port=2222).check(ED)
    assert said == []


@pytest.mark.parametrize(
    "line", ["", "# example.com x y", "example.com", "example.com ssh-ed25519", "example.com ssh-ed25519 %%%"]
)
def test_lines_that_are_not_understood_are_passed_over(line: str, file: Path, said: list[str]) -> None:
    file.write_text(f"{line}\n\xff\n")
    keys(said).check(ED)
    assert len(said) == 1


def test_a_revoked_key_is_refused(file: Path, said: list[str]) -> None:
    file.write_text(f"example.com {ED}\n@revoked * {ED}\n")
    with pytest.raises(HostKeyMismatch, match=r"SHA256:\S+ is revoked \(~/.ssh/known_hosts:2\)"):
        keys(said).check(ED)


def test_a_revoked_key_is_refused_even_when_pinned(file: Path, said: list[str]) -> None:
    file.write_text(f"@revoked * {ED}\n")
    with pytest.raises(HostKeyMismatch, match="is revoked"):
        keys(said, pin=ED.fingerprint).check(ED)


def test_certificate_authorities_are_passed_over(file: Path, said: list[str]) -> None:
    file.write_text(f"@cert-authority * {ED}\n")
    keys(said).check(ED2)
    assert "first contact" in said[0]


def test_sshd_that_moved_to_another_port_is_known(file: Path, said: list[str]) -> None:
    file.write_text(f"example.com {ED}\n")
    keys(said, port=2222).check(ED)
    assert said == [
        f"known machine at another port: host key {ED.fingerprint} recorded in ~/.ssh/known_hosts"
    ]
    assert f"[example.com]:2222 {ED}" in file.read_text()


def test_another_sshd_behind_the_same_address_is_a_first_contact(file: Path, said: list[str]) -> None:
    file.write_text(f"example.com {ED}\n")
    keys(said, port=2222).check(ED2)
    assert said[0].startswith("first contact")


@pytest.mark.parametrize("pin", [str(ED), ED.fingerprint])
def test_a_pinned_key_needs_no_record(pin: str, file: Path, said: list[str]) -> None:
    file.write_text(f"example.com {ED2}\n")
    keys(said, pin=pin).check(ED)
    assert said == []
    assert file.read_text() == f"example.com {ED2}\n"


def test_any_other_key_than_the_pinned_one_is_refused(file: Path, said: list[str]) -> None:
    file.write_text(f"example.com {ED2}\n")
    with pytest.raises(HostKeyMismatch) as caught:
        keys(said, pin=str(ED)).check(ED2)
    assert str(caught.value) == (
        f"web1  the host key is not the pinned one. Pinned: {ED.fingerprint}. Now: {ED2.fingerprint}.\n"
        "  Either the server was reinstalled, or someone is in between. If it was you, change host_key in the "
        "inventory."
    )


def test_a_pinned_fingerprint_may_be_one_of_another_type(said: list[str]) -> None:
    with pytest.raises(WrongKeyType) as caught:
        keys(said, pin=ECDSA.fingerprint).check(ED)
    assert caught.value.key == ED
    assert "not the pinned one" in str(caught.value.error)


def test_types_on_record_are_asked_for_first(file: Path, said: list[str]) -> None:
    assert keys(said).types[0] == "ssh-ed25519"
    file.write_text(f"example.com {ECDSA}\n")
    assert keys(said).types[:2] == ("ecdsa-sha2-nistp256", "ssh-ed25519")
    assert keys(said, port=2222).types[0] == "ecdsa-sha2-nistp256"
    assert keys(said, pin=str(ED)).types[0] == "ssh-ed25519"
    assert len(keys(said).types) == len(set(keys(said).types)) == 5


def test_two_at_once_record_one_line(file: Path, said: list[str]) -> None:
    parties = [keys(said) for _ in range(8)]  # all have read the file before any writes it
    threads = [threading.Thread(target=party.check, args=(ED,)) for party in parties]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(file.read_text().splitlines()) == 1
    assert len(said) == 1


def test_of_two_different_keys_at_once_the_second_is_refused(file: Path, said: list[str]) -> None:
    first, second = keys(said), keys(said)
    first.check(ED)
    with pytest.raises(HostKeyMismatch, match="the host key changed"):
        second.check(ED2)


def test_a_file_that_cannot_be_written_is_said_and_no_obstacle(home: Path, said: list[str]) -> None:
    (home / "known").mkdir()
    keys(said, file=home / "known").check(ED)
    assert said == [
        f"first contact: host key {ED.fingerprint}; it cannot be recorded in ~/known: Is a directory"
    ]


def test_names_of_ports() -> None:
    assert known_as("Example.com", 22) == "example.com"
    assert known_as("2001:db8::1", 22) == "2001:db8::1"
    assert known_as("2001:db8::1", 2222) == "[2001:db8::1]:2222"
