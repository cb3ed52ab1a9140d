"""Which keys are tried, in which order, and what is said of those that cannot be used."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostwright.errors import AuthenticationFailed
from hostwright.transport.agent import Agent
from hostwright.transport.keyfile import KeyFileProblem, inspect
from hostwright.transport.keys import Keys, Passphrases

from .conftest import write_key


def nobody_to_ask() -> Passphrases:
    return Passphrases(tty=lambda: False)


@pytest.fixture
def agent_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A running ssh-agent, found through SSH_AUTH_SOCK."""
    socket = tmp_path / "agent"
    with subprocess.Popen(("ssh-agent", "-D", "-a", str(socket)), stdout=subprocess.DEVNULL) as process:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        for _ in range(500):
            if socket.exists():
                break
            subprocess.run(("sleep", "0.01"), check=True)
        yield socket
        process.terminate()


def add(path: Path) -> None:
    subprocess.run(("ssh-add", "-q", str(path)), check=True, capture_output=True)


def listed(keys: Keys) -> list[str]:
    return [candidate.source for candidate in keys]


def closing(agent: Agent, keys: Keys) -> list[str]:
    try:
        return listed(keys)
    finally:
        agent.close()


def test_the_usual_files_in_order(home: Path) -> None:
    for name, kind in (("id_rsa", "rsa"), ("id_ed25519", "ed25519"), ("id_ecdsa", "ecdsa")):
        write_key(home / ".ssh" / name, kind)
    (home / ".ssh" / "id_other").write_text("not looked at")
    keys = Keys((), Agent(), nobody_to_ask())
    assert [Path(source).name for source in listed(keys)] == ["id_ed25519", "id_ecdsa", "id_rsa"]
    assert keys.notes == []


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_kinds(kind: str, home: Path) -> None:
    key = write_key(home / "key", kind)
    (candidate,) = Keys((home / "key",), Agent(), nobody_to_ask(), strict=True)
    assert candidate.key.asbytes() == key.asbytes()
    assert str(candidate) == f"{home}/key  {key.fingerprint}"


def test_an_old_pem_key_works(home: Path) -> None:
    write_key(home / "key", "rsa", pem=True)
    assert listed(Keys((home / "key",), Agent(), nobody_to_ask(), strict=True)) == [f"{home}/key"]


def test_named_files_leave_the_usual_ones_out(home: Path) -> None:
    write_key(home / ".ssh" / "id_ed25519")
    write_key(home / "key")
    assert listed(Keys((home / "key",), Agent(), nobody_to_ask())) == [f"{home}/key"]


def test_the_agents_keys_come_after_the_files_and_none_twice(home: Path, agent_socket: Path) -> None:
    for name in ("one", "two"):
        write_key(home / name)
        add(home / name)
    agent = Agent()
    keys = Keys((home / "two",), agent, nobody_to_ask())
    assert closing(agent, keys) == [f"{home}/two", f"ssh agent: {home}/one"]


def test_identities_only_leaves_the_agent_out(home: Path, agent_socket: Path) -> None:
    write_key(home / "one")
    add(home / "one")
    write_key(home / "two")
    agent = Agent()
    assert closing(agent, Keys((home / "two",), agent, nobody_to_ask(), agent_too=False)) == [f"{home}/two"]


@pytest.mark.parametrize("pem", [False, True])
def test_an_encrypted_key_is_taken_from_the_agent(pem: bool, home: Path, agent_socket: Path) -> None:
    kind = "rsa" if pem else "ed25519"
    write_key(home / "key", kind)
    add(home / "key")
    secret = subprocess.run(
        (
            "ssh-keygen",
            "-q",
            "-p",
            "-N",
            "long words",
            "-f",
            str(home / "key"),
            *(["-m", "PEM"] if pem else []),
        ),
        check=True,
        capture_output=True,
    )
    assert secret.returncode == 0
    assert inspect(home / "key").encrypted
    agent = Agent()
    keys = Keys((home / "key",), agent, nobody_to_ask(), strict=True)
    assert closing(agent, keys) == [f"{home}/key (held by the ssh agent)"]


def test_a_public_key_stands_for_the_agents_half(home: Path, agent_socket: Path) -> None:
    write_key(home / "key")
    add(home / "key")
    (home / "key").unlink()
    agent = Agent()
    keys = Keys((home / "key.pub",), agent, nobody_to_ask(), strict=True)
    assert closing(agent, keys) == [f"{home}/key.pub (held by the ssh agent)"]


def test_an_encrypted_key_without_agent_and_terminal(home: Path) -> None:
    write_key(home / "key", passphrase="long words")
    with pytest.raises(AuthenticationFailed) as caught:
        list(Keys((home / "key",), Agent(), nobody_to_ask(), strict=True))
    assert str(caught.value) == (
        f"{home}/key has a passphrase, and no ssh agent is running\n  Unlock it first: ssh-add {home}/key"
    )


def test_an_encrypted_key_that_the_agent_does_not_hold(home: Path, agent_socket: Path) -> None:
    write_key(home / "key", passphrase="long words")
    agent = Agent()
    with pytest.raises(AuthenticationFailed, match="has a passphrase, and the ssh agent does not hold it"):
        closing(agent, Keys((home / "key",), agent, nobody_to_ask(), strict=True))


def test_a_passphrase_is_asked_for_once_for_all_hosts(home: Path) -> None:
    key = write_key(home / "key", passphrase="long words")
    prompts: list[str] = []
    answers = iter(["wrong", "long words"])

    def ask(prompt: str) -> str:
        prompts.append(prompt)
        return next(answers)

    passphrase = Passphrases(ask, tty=lambda: True)
    for _ in range(2):
        (candidate,) = Keys((home / "key",), Agent(), passphrase, strict=True)
        assert candidate.key.asbytes() == key.asbytes()
    assert prompts == [f"Passphrase for {home}/key: "] * 2
    assert "long words" not in repr(vars(passphrase))


def test_three_wrong_passphrases_are_enough(home: Path) -> None:
    write_key(home / "key", passphrase="long words")
    asked: list[str] = []
    passphrase = Passphrases(lambda prompt: asked.append(prompt) or "wrong", tty=lambda: True)
    with pytest.raises(AuthenticationFailed, match="has a passphrase"):
        list(Keys((home / "key",), Agent(), passphrase, strict=True))
    assert len(asked) == 3


def test_no_passphrase_is_asked_for_while_another_key_may_do(home: Path) -> None:
    write_key(home / "one")
    write_key(home / "two", passphrase="long words")
    passphrase = Passphrases(lambda prompt: pytest.fail("asked"), tty=lambda: True)
    assert next(iter(Keys((home / "one", home / "two"), Agent(), passphrase))).source == f"{home}/one"


def problem(path: Path) -> str:
    with pytest.raises(KeyFileProblem) as caught:
        inspect(path)
    return f"{caught.value.message}. {caught.value.hint}".strip()


def test_problems_are_named(home: Path) -> None:
    key = home / "key"
    assert problem(key) == f"the identity file {key} does not exist."
    assert problem(home) == f"the identity file {home} cannot be read: Is a directory."
    key.write_text("hello\n")
    assert problem(key) == f"{key} is not a private key."
    key.write_text("PuTTY-User-Key-File-3: ssh-ed25519\n")
    assert problem(key) == (
        f"{key} is a PuTTY key. Convert it: puttygen {key} -O private-openssh -o {key}.openssh"
    )
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n")
    key.chmod(0o600)
    assert problem(key) == f"{key} is damaged: not a whole OpenSSH private key."


def test_a_key_that_others_can_read_is_refused(home: Path) -> None:
    write_key(home / "key")
    (home / "key").chmod(0o644)
    assert problem(home / "key") == (
        f"the private key {home}/key can be read by others (mode 0644). chmod 600 {home}/key"
    )


def test_a_public_key_without_agent(home: Path) -> None:
    write_key(home / "key")
    with pytest.raises(AuthenticationFailed, match=r"key\.pub is a public key, and the ssh agent") as caught:
        list(Keys((home / "key.pub",), Agent(), nobody_to_ask(), strict=True))
    assert caught.value.hint == f"Name the private key instead, most likely {home}/key"


def test_the_public_half_beside_belongs_to_another_key(home: Path) -> None:
    write_key(home / "key")
    write_key(home / "other")
    (home / "key.pub").write_bytes((home / "other.pub").read_bytes())
    keys = Keys((home / "key",), Agent(), nobody_to_ask())
    assert listed(keys) == [f"{home}/key"]
    assert keys.notes == [f"{home}/key.pub belongs to another key"]


def test_what_ssh_config_names_is_noted_and_passed_over(home: Path) -> None:
    write_key(home / "key")
    keys = Keys((home / "missing", home / "key"), Agent(), nobody_to_ask())
    assert listed(keys) == [f"{home}/key"]
    assert keys.notes == [f"the identity file {home}/missing does not exist"]


def test_a_pkcs8_key_says_how_to_rewrite_it(home: Path) -> None:
    subprocess.run(
        ("ssh-keygen", "-q", "-t", "rsa", "-m", "PKCS8", "-N", "", "-f", str(home / "key")), check=True
    )
    with pytest.raises(AuthenticationFailed, match="cannot be read as a private key") as caught:
        list(Keys((home / "key",), Agent(), nobody_to_ask(), strict=True))
    assert caught.value.hint == f"Rewrite it in OpenSSH's format: ssh-keygen -p -f {home}/key"


def test_a_stale_agent_socket_is_no_agent(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "gone"))
    agent = Agent()
    assert not agent.present
    assert agent.keys == ()
