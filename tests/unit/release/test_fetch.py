"""The server fetches from a git URL: real git over file://, and what is said when a git server refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostwright.remote.release import fetch as module
from hostwright.remote.release.fetch import fetch
from hostwright.remote.release.git import Repository
from hostwright.remote.release.layout import Layout
from hostwright.remote.run import StepError
from hostwright.testing import FakeSystem

from .repositories import ENVIRONMENT, Work, git
from .test_git import Plain


@pytest.fixture
def remote(tmp_path: Path) -> Work:
    return Work(tmp_path / "remote")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    found = Repository(Plain(), str(tmp_path / "repo.git"))
    found.create()
    return found


def get(repository: Repository, remote: Work, ref: str = "") -> str:
    source = {"kind": "git", "url": f"file://{remote.folder}", "ref": ref}
    return fetch(repository, Plain(), Layout("hello"), source, "/var/lib/hostwright")


def test_branch_tag_commit_and_default(remote: Work, repository: Repository, tmp_path: Path) -> None:
    first = remote.commit("first")
    git(remote.folder, "tag", "-a", "v1", "-m", "one")
    second = remote.commit("second")
    assert get(repository, remote) == second
    assert get(repository, remote, "main") == second
    assert get(repository, remote, "v1") == first, "an annotated tag means its commit"
    assert get(repository, remote, first) == first
    assert git(tmp_path / "repo.git", "rev-list", "--count", second) == "1", "no history"
    refs = git(tmp_path / "repo.git", "for-each-ref", "--format=%(refname)").split()
    assert sorted(refs) == sorted([f"refs/hostwright/{first}", f"refs/hostwright/{second}"])


def test_a_commit_that_the_server_hands_out_only_with_its_branch(
    remote: Work, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, middle = remote.commit("first"), remote.commit("middle")
    git(remote.folder, "tag", "v1")
    last = remote.commit("last")
    # protocol 0, as over ssh without GIT_PROTOCOL: "Server does not allow request for unadvertised object"
    monkeypatch.setitem(ENVIRONMENT, "GIT_PROTOCOL", "version=0")
    git(tmp_path / "repo.git", "config", "protocol.version", "0")
    assert get(repository, remote) == last
    assert get(repository, remote, first) == first
    assert get(repository, remote, middle) == middle
    with pytest.raises(StepError, match="there is no ffffffff"):
        get(repository, remote, "f" * 40)
    refs = git(tmp_path / "repo.git", "for-each-ref", "--format=%(refname)").split()
    assert sorted(refs) == sorted(f"refs/hostwright/{commit}" for commit in (first, middle, last))


def test_a_branch_that_was_rewritten(remote: Work, repository: Repository) -> None:
    remote.commit("first")
    get(repository, remote, "main")
    git(remote.folder, "commit", "--quiet", "--amend", "-m", "other")
    assert get(repository, remote, "main") == git(remote.folder, "rev-parse", "HEAD")


def test_a_commit_that_is_here_needs_no_network(remote: Work, repository: Repository) -> None:
    commit = remote.commit()
    get(repository, remote)
    git(remote.folder, "checkout", "--quiet", "--orphan", "empty")
    (remote.folder / ".git").rename(remote.folder / "gone")
    assert get(repository, remote, commit) == commit


def test_an_abbreviated_commit_that_is_here(remote: Work, repository: Repository) -> None:
    commit = remote.commit()
    get(repository, remote)
    assert get(repository, remote, commit[:8]) == commit


@pytest.mark.parametrize(
    ("ref", "hint"),
    [
        ("nothing", "See `ref:` in the inventory, or --ref."),
        ("abcdef12", "A commit must be written in full, 40 digits"),
    ],
)
def test_unknown_ref(remote: Work, repository: Repository, ref: str, hint: str) -> None:
    remote.commit()
    with pytest.raises(StepError) as error:
        get(repository, remote, ref)
    assert error.value.message == f"there is no {ref} in file://{remote.folder}"
    assert error.value.hint.startswith(hint)
    assert error.value.tail


# -- what git says over ssh and https --------------------------------------------------------------------------

SSH, HTTPS = "git@git.invalid:ann/shop.git", "https://git.invalid/ann/shop.git"
SAID = [
    (SSH, "git@git.invalid: Permission denied (publickey).", "does not let this server read", "as a deploy key"),
    (SSH, "ERROR: Repository not found.", "does not let this server read", "as a deploy key"),
    (HTTPS, "fatal: could not read Username for 'https://git.invalid': terminal prompts disabled",
     "does not let this server read", "git@HOST:PATH"),
    (HTTPS, "fatal: unable to access 'https://git.invalid/': Could not resolve host: git.invalid",
     "cannot be reached from this server", "Is the address right?"),
    (SSH, "ssh: connect to host git.invalid port 22: Connection timed out", "cannot be reached", "address"),
    (SSH, "@@@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @@@\nHost key verification failed.",
     "the host key of the git server has changed", "-R 'git.invalid' -f /var/lib/hostwright/git_known_hosts"),
    (SSH, "fatal: 'shop.git' does not appear to be a git repository", "there is no repository git@", "path right?"),
    (HTTPS, "fatal: repository 'https://git.invalid/ann/shop.git/' not found", "there is no repository", "path right?"),
    (SSH, "fatal: no matching remote head", "there is no main in git@", "`ref:`"),
    (SSH, "fatal: something new", "git could not fetch main", ""),
]  # fmt: skip


def asked(url: str, said: str, key: bool = True, **source: object) -> tuple[StepError, FakeSystem]:
    files = {
        "/etc/hostwright/keys/hello": "PRIVATE",
        "/etc/hostwright/keys/hello.pub": "ssh-ed25519 AAAA deploy hello\n",
    }
    system = FakeSystem(
        files={"/var/lib/hostwright/version": "1", **(files if key else {})},
        commands={
            "ssh-keygen -F git.invalid -f /var/lib/hostwright/git_known_hosts": {"exit": 1},
            "git --git-dir=/srv/hello/repo.git -c core.hooksPath=/dev/null fetch ...": {
                "exit": 128,
                "err": said,
            },
            "git --git-dir=/srv/hello/repo.git -c core.hooksPath=/dev/null for-each-ref ...": "",
        },
    )
    repository = Repository(system, "/srv/hello/repo.git")
    with pytest.raises(StepError) as error:
        fetch(
            repository, system, Layout("hello"), {"url": url, "ref": "main", **source}, "/var/lib/hostwright"
        )
    return error.value, system


def told(system: FakeSystem) -> dict[str, str]:
    """The environment of git fetch."""
    return next(env for env in system.environments if "GIT_SSH_COMMAND" in env)


@pytest.mark.parametrize(("url", "said", "message", "hint"), SAID)
def test_refusals_are_explained(url: str, said: str, message: str, hint: str) -> None:
    error, _ = asked(url, said)
    assert message in error.message
    assert url in error.message
    assert said.splitlines()[-1] in error.tail
    assert hint in error.hint


def test_a_path_on_the_server_and_an_empty_repository(remote: Work, repository: Repository) -> None:
    system = FakeSystem()
    layout, state = Layout("hello"), "/var/lib/hostwright"
    with pytest.raises(StepError) as error:
        fetch(repository, system, layout, {"url": f"file://{remote.folder}/nothing"}, state)
    assert error.value.message == f"there is no repository file://{remote.folder}/nothing"
    assert error.value.hint == "That is a path on the server. Your checkout here is `source: .`"
    with pytest.raises(StepError) as error:
        fetch(repository, system, layout, {"url": f"file://{remote.folder}"}, state)
    assert error.value.message == f"file://{remote.folder} is empty, or has no default branch"


def test_the_deploy_key_is_shown_where_it_is_what_is_missing() -> None:
    error, system = asked(SSH, "Permission denied (publickey).")
    assert error.tail[-1] == "ssh-ed25519 AAAA deploy hello"
    assert "PRIVATE" not in str(error.tail)
    command = told(system)["GIT_SSH_COMMAND"]
    assert "-i /etc/hostwright/keys/hello" in command
    assert "BatchMode=yes" in command
    assert "StrictHostKeyChecking=accept-new" in command
    assert told(system)["GIT_TERMINAL_PROMPT"] == "0"
    error, system = asked(SSH, "Permission denied (publickey).", key=False)
    assert error.hint == "inv provision makes a deploy key and shows it."
    assert " -i " not in told(system)["GIT_SSH_COMMAND"]


def test_agent_forwarding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "agent_socket", lambda: "/tmp/agent.1")
    error, system = asked(SSH, "Permission denied (publickey).", forward_agent=True)
    assert error.hint == "Does an agent run here, and hold a key that may read it? ssh-add -l"
    assert told(system)["SSH_AUTH_SOCK"] == "/tmp/agent.1"
    monkeypatch.setattr(module, "agent_socket", lambda: "")
    error, system = asked(SSH, "never asked", forward_agent=True)
    assert error.message.startswith("your ssh agent did not arrive")
    assert system.ran == []


def test_nothing_but_https_ssh_and_files(remote: Work, repository: Repository, tmp_path: Path) -> None:
    """Whatever a redirect or root's own git configuration says."""
    remote.commit()
    canary = tmp_path / "canary"
    other = str(tmp_path / "repo.git")
    git(tmp_path / "repo.git", "config", f"url.ext::sh -c touch% {canary}.insteadOf", "https://git.invalid/")
    git(tmp_path / "repo.git", "config", "protocol.ext.allow", "always")
    source = {"kind": "git", "url": "https://git.invalid/x", "ref": "main"}
    with pytest.raises(StepError) as error:
        fetch(Repository(Plain(), other), Plain(), Layout("hello"), source, "/var/lib/hostwright")
    assert any("transport 'ext' not allowed" in line for line in error.value.tail)
    assert not canary.exists()


def test_a_hoster_that_publishes_its_keys_shows_another() -> None:
    said = "No ED25519 host key is known for github.com and you have requested strict checking.\n"
    error, system = asked(
        SSH, said + "Host key verification failed.", host_keys=["github.com ssh-ed25519 AAAA"]
    )
    assert error.message == f"{SSH} did not show a host key that its hoster publishes"
    assert error.tail[-1] == "Host key verification failed."
    assert "/etc/ssh/ssh_known_hosts" in error.hint
    assert "StrictHostKeyChecking=yes" in told(system)["GIT_SSH_COMMAND"]
