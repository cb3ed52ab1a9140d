"""The server's repository, with real git: packs in, files out."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostwright.remote.release.git import PACKS, Repository, proxies
from hostwright.remote.release.tree import Store, ensure_tree
from hostwright.remote.run import StepError
from hostwright.remote.system import System
from hostwright.testing import FakeSystem

from .repositories import ENVIRONMENT, Work, git


class Plain(System):
    """The real system for a user who is not root: owners stay."""

    def chown(self, path: str, uid: int, gid: int) -> None:
        """Only root can."""

    def write_atomic(self, path: str, content: bytes, *, mode: int, uid: int = 0, gid: int = 0) -> None:
        """Not atomic."""
        Path(path).write_bytes(content)


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path / "work")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    found = Repository(Plain(), str(tmp_path / "repo.git"))
    found.create()
    return found


def pack(work: Work, commit: str, *have: str) -> bytes:
    lines = [f"--shallow {commit}", commit, *(["--not", *have] if have else [])]
    argv = ("git", "-C", str(work.folder), "pack-objects", "--revs", "--thin", "--shallow", "--stdout", "-q")
    done = subprocess.run(
        argv, input="\n".join(lines).encode() + b"\n", capture_output=True, env=ENVIRONMENT, check=True
    )
    return done.stdout


def chunks(raw: bytes) -> Iterator[bytes]:
    for start in range(0, len(raw), 100):
        yield raw[start : start + 100]


def test_a_commit_without_its_history(work: Work, repository: Repository, tmp_path: Path) -> None:
    work.commit("first")
    commit = work.commit("second line\n\nmore")
    assert not repository.has(commit)
    repository.receive(commit, chunks(pack(work, commit)))
    assert repository.has(commit)
    assert repository.commits() == [commit]
    assert repository.subject(commit) == "second line"
    assert git(tmp_path / "repo.git", "rev-list", "--count", commit) == "1"
    assert git(tmp_path / "repo.git", "fsck", "--full") in (
        "",
        "notice: HEAD points to an unborn branch (master)",
    )


def test_the_next_commit_is_sent_as_a_difference(work: Work, repository: Repository) -> None:
    work.write("data.txt", "".join(f"line {n} of a large file\n" for n in range(20000)))
    first = work.commit("first")
    whole = pack(work, first)
    repository.receive(first, [whole])
    work.write("data.txt", (work.folder / "data.txt").read_text() + "one more\n")
    second = work.commit("second")
    thin = pack(work, second, first)
    assert len(thin) < len(whole) / 50
    repository.receive(second, [thin])
    assert repository.read(second, "data.txt") == (work.folder / "data.txt").read_bytes()
    assert sorted(repository.commits()) == sorted([first, second])


def test_a_torn_pack_is_refused(work: Work, repository: Repository) -> None:
    commit = work.commit()
    with pytest.raises(StepError, match="git refused what was sent"):
        repository.receive(commit, [pack(work, commit)[:-30]])
    assert not repository.has(commit)


def test_a_pack_of_another_commit_is_refused(work: Work, repository: Repository) -> None:
    other = work.commit()
    work.write("more.py", "")
    commit = work.commit("second")
    with pytest.raises(StepError, match="the commit that was sent is not whole"):
        repository.receive(commit, [pack(work, other)])
    assert not repository.has(commit)


def test_whoever_makes_the_chunks_may_give_up(work: Work, repository: Repository) -> None:
    commit = work.commit()

    def cut() -> Iterator[bytes]:
        yield pack(work, commit)[:50]
        raise ConnectionError("the controller is gone")

    with pytest.raises(ConnectionError):
        repository.receive(commit, cut())
    assert not repository.has(commit)
    repository.receive(commit, [pack(work, commit)])


def test_listing_and_reading(work: Work, repository: Repository) -> None:
    work.write("with space/ü.txt", "x")
    (work.folder / "run.sh").write_text("#!/bin/sh\n")
    (work.folder / "run.sh").chmod(0o755)
    (work.folder / "link").symlink_to("run.sh")
    (work.folder / "bytes").write_bytes(b"\xff\x00\xfe")
    commit = work.commit()
    repository.receive(commit, [pack(work, commit)])
    listing = repository.listing(commit)
    assert listing["with space/ü.txt"] == ("100644", 1)
    assert listing["run.sh"] == ("100755", 10)
    assert listing["link"] == ("120000", 6)
    assert repository.read(commit, "bytes") == b"\xff\x00\xfe"
    assert repository.read(commit, "nothing") is None


def test_a_tree_is_exported_once_compiled_and_marked(
    work: Work, repository: Repository, tmp_path: Path
) -> None:
    work.write("broken.py", "def (:\n")
    (work.folder / "link").symlink_to("app/main.py")
    commit = work.commit()
    repository.receive(commit, [pack(work, commit)])
    (tmp_path / "trees").mkdir()
    system = Plain()
    store = Store(system, str(tmp_path / "trees"))
    tree = repository.tree(commit)
    made = ensure_tree(system, repository, store, tree)
    key = made.name
    assert not made.reused
    assert key.startswith(tree + "-cpython-")
    folder = tmp_path / "trees" / key
    assert (folder / "app" / "main.py").read_text() == "app = 1\n"
    assert list((folder / "app" / "__pycache__").glob("main.*.pyc"))
    assert (folder / "link").is_symlink()
    assert not (folder / ".git").exists()
    assert sorted(path.name for path in (tmp_path / "trees").iterdir()) == [key, f"{key}.ok"]
    again = ensure_tree(system, repository, store, tree)
    assert (again.name, again.reused) == (key, True)
    # a folder without its mark was never finished
    (tmp_path / "trees" / f"{key}.ok").unlink()
    (folder / "app" / "main.py").write_text("")
    assert store.clean() == [key]
    again = ensure_tree(system, repository, store, tree)
    assert (again.name, again.reused) == (key, False)
    assert (folder / "app" / "main.py").read_text() == "app = 1\n"


def test_a_tree_that_somebody_changed_is_made_anew_beside_it(
    work: Work, repository: Repository, tmp_path: Path
) -> None:
    commit = work.commit()
    repository.receive(commit, [pack(work, commit)])
    (tmp_path / "trees").mkdir()
    system, tree = Plain(), repository.tree(commit)
    store = Store(system, str(tmp_path / "trees"))
    key = ensure_tree(system, repository, store, tree).name
    (tmp_path / "trees" / key / "app" / "main.py").write_text("app = 'by hand'\n")
    again = ensure_tree(system, repository, store, tree)
    assert (again.name, again.reused) == (f"{key}-r1", False)
    assert again.detail("3 files") == "rebuilt, 1 file was missing or changed: app/main.py"
    assert (tmp_path / "trees" / key / "app" / "main.py").read_text() == "app = 'by hand'\n", "it may run"
    assert (tmp_path / "trees" / f"{key}-r1" / "app" / "main.py").read_text() == "app = 1\n"
    assert ensure_tree(system, repository, store, tree).name == f"{key}-r1"


def test_an_interrupted_making_is_repeated(tmp_path: Path) -> None:
    (tmp_path / "repo.git" / "objects").mkdir(parents=True)
    repository = Repository(Plain(), str(tmp_path / "repo.git"))
    repository.create()
    assert repository.commits() == []


@pytest.mark.parametrize("damage", ["objects", "a blob", "HEAD"])
def test_a_damaged_repository_is_made_anew(work: Work, repository: Repository, damage: str) -> None:
    """A power cut or a bad disk must not end all deploys."""
    commit = work.commit("one")
    repository.receive(commit, chunks(pack(work, commit)))
    assert not repository.mend(commit)
    folder = Path(repository.path)
    if damage == "objects":
        for path in (folder / "objects" / "pack").iterdir():
            path.unlink()
    elif damage == "a blob":
        (pack_file,) = (folder / "objects" / "pack").glob("*.pack")
        raw = pack_file.read_bytes()
        for path in (folder / "objects" / "pack").iterdir():
            path.unlink()
        subprocess.run(("git", "-C", str(folder), "unpack-objects", "-q"), input=raw, check=True)
        blob = git(folder, "rev-parse", f"{commit}:app/main.py")
        (folder / "objects" / blob[:2] / blob[2:]).unlink()
    else:
        (folder / "HEAD").write_text("")
    assert repository.mend(commit)
    assert not repository.has(commit)
    repository.receive(commit, chunks(pack(work, commit)))
    assert repository.commits() == [commit]
    assert not repository.mend("")


def test_a_ref_that_a_power_cut_emptied(work: Work, repository: Repository) -> None:
    commit = work.commit("one")
    repository.receive(commit, chunks(pack(work, commit)))
    (Path(repository.path) / "refs" / "hostwright" / commit).write_text("")
    assert repository.mend(commit)
    repository.receive(commit, chunks(pack(work, commit)))
    assert repository.commits() == [commit]


def test_old_commits_are_forgotten_but_not_those_of_releases(
    work: Work, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hostwright.remote.release.git.COMMITS", 2)
    commits = []
    for number in range(5):
        work.write("n", str(number))
        monkeypatch.setitem(ENVIRONMENT, "GIT_COMMITTER_DATE", f"2026-11-21T12:00:0{number}Z")
        commits.append(work.commit(f"commit {number}"))
        repository.receive(commits[-1], [pack(work, commits[-1])])
    repository.prune([commits[0]])
    assert sorted(repository.commits()) == sorted([commits[0], commits[3], commits[4]])


def test_many_packs_become_one(work: Work, repository: Repository, tmp_path: Path) -> None:
    for number in range(PACKS + 1):
        work.write("n", str(number))
        commit = work.commit(f"commit {number}")
        repository.receive(commit, [pack(work, commit)])
    repository.prune([commit])
    assert len(list((tmp_path / "repo.git/objects/pack").glob("*.pack"))) < PACKS
    assert repository.read(commit, "n") == str(PACKS).encode()


def test_proxies_come_from_where_debian_has_them() -> None:
    text = 'PATH="/usr/bin"\nhttps_proxy="http://proxy.invalid:3128"\n# no\nNO_PROXY=localhost\n'
    assert proxies(FakeSystem(files={"/etc/environment": text})) == {
        "https_proxy": "http://proxy.invalid:3128",
        "NO_PROXY": "localhost",
    }
    assert proxies(FakeSystem()) == {}
