"""Which host keys of a git server are taken, and which key of ours it is shown."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hostwright.remote.release.git_ssh import command, server_of
from hostwright.remote.release.layout import Layout
from hostwright.run.git_server import PUBLISHED, published_host_keys
from hostwright.testing import FakeSystem

from .test_git import Plain

LAYOUT = Layout("hello")


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("git@github.com:ann/shop.git", "github.com"),
        ("github.com:ann/shop.git", "github.com"),
        ("git@GitHub.com:shop", "github.com"),
        ("ssh://git@git.example.com/ann/shop", "git.example.com"),
        ("ssh://git@git.example.com:22/shop", "git.example.com"),
        ("ssh://git.example.com:2222/shop", "[git.example.com]:2222"),
        ("ssh://git@[2001:db8::1]:2222/shop", "[2001:db8::1]:2222"),
        ("git@[2001:db8::1]:shop", "2001:db8::1"),
        ("https://github.com/ann/shop", ""),
        ("file:///srv/git/shop", ""),
        ("/srv/git/shop:x", ""),
    ],
)
def test_the_server_of_a_url(url: str, server: str) -> None:
    assert server_of(url) == server


def test_what_hosters_publish() -> None:
    """These are the fingerprints of their documentation."""
    said = subprocess.run(
        ("ssh-keygen", "-l", "-f", str(PUBLISHED)), capture_output=True, text=True, check=True
    ).stdout
    assert {line.split()[1].removeprefix("SHA256:") for line in said.splitlines()} == {
        "+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU",
        "p2QAMXNIC1TJYWeIOttrVc98/R1BUFWu3/LiyKgUfQM",
        "uNiVztksCsDhcc0u9e8BujQXVUpKZIDTMczCvj3tD2s",
        "eUXGGm1YGsMAS7vkcx6JOJdOGHPem5gQp4taiCfCLB8",
        "HbW3g8zUjNSksFbqTiUWPWg2Bq1x8xdGUrliXFzSnUw",
        "ROQFvPThGrW4RuWLoL9tq9I9zJ42fK4XywyRtbOz/EQ",
        "ybgmFkzwOSotHTHLJgHO0QN8L0xErw6vd0VhFA9m3SM",
        "FC73VB6C4OQLSCrjEayhMp9UMxS97caD/Yyi2bhW/J0",
        "46OSHA1Rmj8E8ERTC6xkNcmGOw9oFxYr0WF6zWW8l1E",
    }
    assert len(published_host_keys("git@github.com:ann/shop.git")) == 3
    assert len(published_host_keys("ssh://git@ssh.github.com:443/ann/shop.git")) == 3
    assert published_host_keys("git@github.com.example.com:ann/shop.git") == []
    assert published_host_keys("https://github.com/ann/shop.git") == []


def test_only_published_keys_where_they_are() -> None:
    system = FakeSystem({"/k/version": "1"})
    said = command(system, LAYOUT, "git@github.com:a/b", ["github.com ssh-ed25519 AAAA"], "/k", agent=False)
    assert "StrictHostKeyChecking=yes -o UserKnownHostsFile=/k/git_published_hosts" in said
    assert system.read("/k/git_published_hosts") == b"github.com ssh-ed25519 AAAA\n"


def test_a_first_contact_is_recorded_and_from_then_on_only_that_key(tmp_path: Path) -> None:
    """A key of another type is not new then, but somebody else's."""

    def said(host: str) -> str:
        return command(Plain(), LAYOUT, f"git@{host}:a/b", [], str(tmp_path), agent=False)

    options = f"-o UserKnownHostsFile={tmp_path}/git_known_hosts"
    assert f"StrictHostKeyChecking=accept-new {options}" in said("git.invalid")
    key = published_host_keys("git@github.com:a/b")[0].split(" ", 1)[1]
    (tmp_path / "git_known_hosts").write_text(f"git.invalid {key}\n")
    assert f"StrictHostKeyChecking=yes {options}" in said("git.invalid")
    assert f"StrictHostKeyChecking=accept-new {options}" in said("other.invalid")


def test_a_deploy_key_is_the_only_key_that_is_shown() -> None:
    with_key = FakeSystem({LAYOUT.deploy_key: "key", "/k/version": "1"})
    keys = ["git.invalid ssh-ed25519 AAAA"]
    said = command(with_key, LAYOUT, "git@git.invalid:a/b", keys, "/k", agent=False)
    assert f"-i {LAYOUT.deploy_key} -o IdentitiesOnly=yes" in said
    assert "IdentitiesOnly" not in command(with_key, LAYOUT, "git@git.invalid:a/b", keys, "/k", agent=True)
