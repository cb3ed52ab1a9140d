"""~/.ssh/config completes the inventory, and never overrules it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hostwright.errors import UsageError
from hostwright.inventory import Host
from hostwright.transport.ssh_config import Target, resolve


def host(address: str = "web", **settings: object) -> Host:
    return Host(**{"name": "web1", "address": address, "apps": (), **settings})  # type: ignore[arg-type]


@pytest.fixture
def config(home: Path) -> Path:
    return home / ".ssh" / "config"


# with Include, ssh itself is asked, and the answer must be the same
@pytest.fixture(params=["paramiko", "ssh -G"])
def write(request: pytest.FixtureRequest, config: Path, home: Path) -> object:
    def both(text: str) -> None:
        if request.param == "paramiko":
            config.write_text(text)
        else:
            (home / "included").write_text(text)
            config.write_text(f"Include {home}/included\n")

    return both


def test_without_a_file_the_inventory_and_its_defaults_hold(config: Path) -> None:
    target = resolve(host("203.0.113.10"))
    assert target == Target(name="web1", address="203.0.113.10", port=22, user="ubuntu", timeout=10.0)
    assert target.label == "ubuntu@203.0.113.10:22"
    assert resolve(host("2001:db8::1", port=2222)).label == "ubuntu@[2001:db8::1]:2222"


def test_an_alias(write, home: Path) -> None:  # type: ignore[no-untyped-def]
    write(
        f"Host web\n HostName 203.0.113.10\n User deploy\n Port 2222\n IdentityFile {home}/k1\n IdentityFile ~/k2\n"
    )
    target = resolve(host())
    assert target.label == "deploy@203.0.113.10:2222"
    assert target.identity_files[0] == home / "k1"
    assert target.identity_files[1].name == "k2"
    assert target.identity_files[1].is_absolute()
    assert not target.identity_strict


def test_the_inventory_wins_where_it_says_something(write, home: Path) -> None:  # type: ignore[no-untyped-def]
    write(
        f"Host web\n HostName 203.0.113.10\n User deploy\n Port 2222\n IdentityFile {home}/k1\n ProxyJump b\n"
    )
    target = resolve(host(user="ubuntu", port=22, identity_file=home / "mine", jump="a@198.51.100.1:23"))
    assert target.label == "ubuntu@203.0.113.10:22"
    assert (target.identity_files, target.identity_strict) == ((home / "mine",), True)
    assert target.via
    assert target.via.label == "a@198.51.100.1:23"


def test_other_hosts_are_not_concerned(write) -> None:  # type: ignore[no-untyped-def]
    write("Host other\n User deploy\n Port 2222\n IdentityFile ~/k1\n ProxyJump b\n")
    assert resolve(host("203.0.113.10")).label == "ubuntu@203.0.113.10:22"
    assert resolve(host("203.0.113.10")).identity_files == ()
    assert resolve(host("203.0.113.10")).via is None


def test_wildcards(write) -> None:  # type: ignore[no-untyped-def]
    write("Host *.example.com\n User deploy\nHost *\n Port 2200\n User other\n")
    assert resolve(host("a.example.com")).label == "deploy@a.example.com:2200"


def test_host_key_alias_and_agent(write, home: Path) -> None:  # type: ignore[no-untyped-def]
    write(f"Host web\n HostKeyAlias pool\n IdentityAgent {home}/agent.sock\n IdentitiesOnly yes\n")
    target = resolve(host())
    assert (target.host_key_alias, target.identity_agent, target.identities_only) == (
        "pool",
        f"{home}/agent.sock",
        True,
    )


def test_no_agent_at_all(write) -> None:  # type: ignore[no-untyped-def]
    write("Host web\n IdentityAgent none\n")
    assert resolve(host()).identity_agent == "none"


def test_proxy_command(write) -> None:  # type: ignore[no-untyped-def]
    write(
        "Host web\n HostName 203.0.113.10\n User deploy\n Port 2222\n ProxyCommand nc -x p %h %p %r 100%%\n"
    )
    assert resolve(host()).proxy_command == "nc -x p 203.0.113.10 2222 deploy 100%"


@pytest.mark.parametrize("keyword", ["ProxyJump", "ProxyCommand"])
def test_none_means_none(keyword: str, write) -> None:  # type: ignore[no-untyped-def]
    write(f"Host web\n {keyword} none\n")
    assert resolve(host()).via is None
    assert resolve(host()).proxy_command is None


def way(target: Target | None) -> list[str]:
    """Labels from here to there."""
    return [*way(target.via), target.label] if target else []


def test_jumps_have_their_own_options(write, home: Path) -> None:  # type: ignore[no-untyped-def]
    write(
        f"Host web\n HostName 203.0.113.10\n ProxyJump one,eve@two:2200\n"
        f"Host one\n HostName 198.51.100.1\n User ada\n IdentityFile {home}/one\n"
    )
    target = resolve(host(identity_file=home / "mine"))
    assert way(target) == ["ada@198.51.100.1:22", "eve@two:2200", "ubuntu@203.0.113.10:22"]
    assert target.via
    assert target.via.via
    assert target.via.identity_files == (home / "mine",)
    assert target.via.via.identity_files == (home / "one",)
    assert target.via.jump
    assert not target.jump


def test_a_jump_has_a_jump_of_its_own(write) -> None:  # type: ignore[no-untyped-def]
    write("Host web\n ProxyJump one\nHost one\n ProxyJump two\n")
    assert way(resolve(host())) == ["ubuntu@two:22", "ubuntu@one:22", "ubuntu@web:22"]


def test_jumps_in_a_circle(write) -> None:  # type: ignore[no-untyped-def]
    write("Host *\n ProxyJump one\n")
    with pytest.raises(
        UsageError, match=r"web1: the jump hosts go round in a circle: one|jumphost loop via one"
    ):
        resolve(host())


def test_the_jump_of_the_inventory_may_be_a_host_of_it(home: Path) -> None:
    bastion = host("198.51.100.1", user="ada", port=2222, host_key="SHA256:" + "a" * 43)
    target = resolve(host("203.0.113.10", jump="bastion", identity_file=home / "mine"), jump=bastion)
    assert way(target) == ["ada@198.51.100.1:2222", "ubuntu@203.0.113.10:22"]
    assert target.via
    assert target.via.pin == "SHA256:" + "a" * 43
    assert target.via.identity_files == (home / "mine",)


def test_match_is_for_ssh(config: Path) -> None:
    config.write_text("Match host web exec true\n User matched\n")
    assert resolve(host()).user == "matched"


def test_defaults_that_ssh_prints_are_no_settings(config: Path) -> None:
    config.write_text("Match host elsewhere\n User matched\n")
    target = resolve(host())
    assert (target.user, target.identity_files) == ("ubuntu", ())


def test_a_file_that_ssh_does_not_accept(config: Path) -> None:
    config.write_text("Include /nonexistent\nNonsense yes\n")
    with pytest.raises(UsageError) as caught:
        resolve(host())
    assert caught.value.message == f"{config}: ssh does not accept it"
    assert "Bad configuration option: nonsense" in "\n".join(caught.value.evidence)
    assert caught.value.exit_code == 2


def test_without_ssh_includes_cannot_be_followed(
    config: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text("Include more\n")
    monkeypatch.setenv("PATH", str(home))
    with pytest.raises(UsageError, match="uses Include or Match, which only ssh understands") as caught:
        resolve(host())
    assert caught.value.hint == "Install the OpenSSH client, or write the options into inventory.yaml."


def test_a_plain_file_needs_no_ssh(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text("Host web\n User deploy\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("ssh was run"))
    assert resolve(host()).user == "deploy"
