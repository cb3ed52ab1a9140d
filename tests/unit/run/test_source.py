"""The commit of a checkout on this machine, with real git."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from hostwright.errors import SourceError
from hostwright.inventory import App
from hostwright.run.source import LocalSource, pack, resolve
from tests.unit.release.repositories import Work, git


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    # nothing of the developer's own configuration
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return Work(tmp_path / "shop")


def app(folder: Path, **fields: object) -> App:
    return App.model_validate({"name": "hello", "source": str(folder), "module": "app.main:app", **fields})


def refused(*args: object, **kwargs: object) -> SourceError:
    with pytest.raises(SourceError) as error:
        resolve(*args, **kwargs)  # type: ignore[arg-type]
    assert error.value.exit_code == 1
    return error.value


def test_what_is_checked_out(work: Work) -> None:
    commit = work.commit("Fix totals\n\nand more")
    assert resolve(app(work.folder)) == LocalSource(work.folder, ".", commit, "Fix totals", ())


def test_branch_tag_and_abbreviated_commit(work: Work) -> None:
    first = work.commit("first")
    git(work.folder, "tag", "v1")
    git(work.folder, "branch", "old")
    second = work.commit("second")
    for ref in ("v1", "old", first, first[:7]):
        assert resolve(app(work.folder), ref).commit == first
    assert resolve(app(work.folder, ref="v1")).commit == first, "the inventory's"
    assert resolve(app(work.folder, ref="v1"), "main").commit == second, "the command line wins"


def test_in_a_folder_of_a_repository(work: Work) -> None:
    work.write("sites/shop/wsgi.py", "")
    work.write("sites/shop/requirements.txt", "")
    work.commit()
    source = resolve(app(work.folder / "sites" / "shop", module="wsgi:app"))
    assert (source.root, source.prefix) == (work.folder, "sites/shop")


# -- what is not committed -------------------------------------------------------------------------------------------


def test_uncommitted_changes_are_refused_by_name(work: Work) -> None:
    work.commit()
    work.write("app/main.py", "app = 2\n")
    work.write("app/new.py", "")
    (work.folder / "requirements.txt").unlink()
    error = refused(app(work.folder))
    assert error.message == f"3 uncommitted changes in {work.folder}"
    assert error.evidence == ("app/main.py", "requirements.txt", "app/new.py")
    assert error.hint == "Commit, or deploy as it is: --allow-dirty"


def test_many_changes_are_counted(work: Work) -> None:
    work.commit()
    for number in range(15):
        work.write(f"new{number:02}.py", "")
    assert refused(app(work.folder)).evidence[-1] == "and 5 more"


def test_ignored_files_do_not_matter(work: Work) -> None:
    work.write(".gitignore", ".env\n__pycache__/\n")
    commit = work.commit()
    work.write(".env", "TOKEN=s3cret\n")
    work.write("app/__pycache__/main.pyc", "")
    assert resolve(app(work.folder)).commit == commit


def test_changes_here_do_not_matter_to_another_commit(work: Work) -> None:
    first = work.commit("first")
    work.commit("second")
    work.write("app/main.py", "app = 2\n")
    assert resolve(app(work.folder), first).commit == first


def test_allow_dirty_takes_along_what_git_does_not_ignore(work: Work) -> None:
    work.write(".gitignore", "secret\n")
    head = work.commit("first")
    work.write("app/main.py", "app = 2\n")
    git(work.folder, "add", "app/main.py")
    work.write("app/main.py", "app = 3\n")
    work.write("new.py", "n\n")
    work.write("secret", "s3cret\n")
    (work.folder / "requirements.txt").write_text("flask\nclick\n")
    before = (git(work.folder, "status", "--porcelain"), (work.folder / ".git/index").read_bytes())
    source = resolve(app(work.folder), allow_dirty=True)
    assert source.along == ("app/main.py", "requirements.txt", "new.py")
    assert source.subject == "first (with uncommitted changes)"
    assert git(work.folder, "show", f"{source.commit}:app/main.py") == "app = 3"
    assert git(work.folder, "show", f"{source.commit}:new.py") == "n"
    assert "secret" not in git(work.folder, "ls-tree", "-r", "--name-only", source.commit).split()
    assert git(work.folder, "rev-parse", f"{source.commit}^") == head
    # the user's own state is as it was
    assert git(work.folder, "rev-parse", "HEAD") == head
    assert (git(work.folder, "status", "--porcelain"), (work.folder / ".git/index").read_bytes()) == before
    assert resolve(app(work.folder), allow_dirty=True).commit == source.commit, (
        "the same files, the same commit"
    )
    assert resolve(app(work.folder), allow_dirty=True).ahead(head) == 1


def test_allow_dirty_without_changes_is_the_commit_itself(work: Work) -> None:
    commit = work.commit()
    assert resolve(app(work.folder), allow_dirty=True).commit == commit


# -- refused ---------------------------------------------------------------------------------------------------------


def test_no_repository(tmp_path: Path) -> None:
    error = refused(app(tmp_path))
    assert error.message == f"{tmp_path} is not in a git repository"
    assert "git init" in str(error.hint)


def test_no_directory(tmp_path: Path) -> None:
    assert refused(app(tmp_path / "nothing")).message == f"there is no directory {tmp_path / 'nothing'}"


def test_bare_repository(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "x.git")
    assert refused(app(tmp_path / "x.git")).message.endswith("is a bare repository")


def test_no_commit(work: Work) -> None:
    error = refused(app(work.folder))
    assert error.message == f"{work.folder} has no commit yet"


def test_unknown_ref(work: Work) -> None:
    work.commit()
    error = refused(app(work.folder), "nothing")
    assert (error.message, error.hint) == (
        f"there is no nothing in {work.folder}", "git fetch, or see `ref:` in the inventory."
    )  # fmt: skip
    git(work.folder, "update-ref", "refs/remotes/origin/feature", "HEAD")
    assert refused(app(work.folder), "feature").hint == "Only the remote has it here: --ref origin/feature"


def test_no_git(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert refused(app(work.folder)).message == "git is not installed on this machine"


def test_what_we_do_not_carry(work: Work, tmp_path: Path) -> None:
    work.write("requirements.txt", "flask\n-e ./lib\n")
    commit = work.commit()
    error = refused(app(work.folder))
    assert error.message == (
        f"{commit[:7]} cannot be deployed: requirements.txt:2: a dependency that is a path is not carried: -e ./lib"
    )
    work.write("requirements.txt", "flask\n")
    work.commit()
    other = Work(tmp_path / "other")
    other.commit()
    git(
        work.folder,
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        str(other.folder),
        "libs/other",
    )
    work.commit("with a submodule")
    assert "submodules are not carried to the server: libs/other" in refused(app(work.folder)).message


def test_missing_module(work: Work) -> None:
    work.commit()
    error = refused(app(work.folder, module="shop.main:app"))
    assert "there is no shop/main.py in this commit" in error.message
    assert "The commit has app/main.py." in str(error.hint)


# -- the pack ----------------------------------------------------------------------------------------------------------


def unpacked(tmp_path: Path, raw: bytes, commit: str, name: str = "server.git") -> Path:
    """What a server makes of a pack."""
    server = tmp_path / name
    if not server.exists():
        git(tmp_path, "init", "--quiet", "--bare", name)
    git(server, "index-pack", "--stdin", "--fix-thin", input=raw)
    with (server / "shallow").open("a") as file:
        file.write(commit + "\n")
    git(server, "update-ref", f"refs/hostwright/{commit}", commit)
    return server


def test_a_pack_is_the_commit_without_its_history(work: Work, tmp_path: Path) -> None:
    work.commit("first")
    work.write("app/more.py", "x\n")
    source = resolve(app(work.folder), work.commit("second"))
    server = unpacked(tmp_path, b"".join(pack(source, [])), source.commit)
    assert git(server, "rev-list", "--count", source.commit) == "1"
    assert git(server, "show", f"{source.commit}:app/more.py") == "x"


def test_only_what_is_missing_is_sent(work: Work, tmp_path: Path) -> None:
    work.write("data.txt", "".join(f"{n} {os.urandom(20).hex()}\n" for n in range(5000)))
    first = resolve(app(work.folder), work.commit("first"))
    whole = b"".join(pack(first, []))
    unpacked(tmp_path, whole, first.commit)
    work.write("app/main.py", "app = 2\n")
    second = resolve(app(work.folder), work.commit("second"))
    unknown = "f" * 40
    thin = b"".join(pack(second, [unknown, first.commit]))
    assert len(thin) < 1000 < len(whole)
    server = unpacked(tmp_path, thin, second.commit)
    assert git(server, "show", f"{second.commit}:app/main.py") == "app = 2"
    assert (
        git(server, "fsck", "--full", "--no-dangling").replace(
            "notice: HEAD points to an unborn branch (master)", ""
        )
        == ""
    )


def test_from_a_shallow_clone_as_ci_makes_it(work: Work, tmp_path: Path) -> None:
    first = work.commit("first")
    work.write("n", "2")
    work.commit("second")
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{work.folder}", "ci")
    source = resolve(app(tmp_path / "ci"))
    server = unpacked(tmp_path, b"".join(pack(source, [first])), source.commit)
    assert git(server, "show", f"{source.commit}:n") == "2"


def test_a_pack_that_nobody_wants_any_more_leaves_no_process(work: Work) -> None:
    work.write("data.txt", os.urandom(3_000_000).hex())
    source = resolve(app(work.folder), work.commit())
    chunks = pack(source, [])
    next(chunks)
    assert isinstance(chunks, Generator)
    chunks.close()


def test_a_pack_that_fails(work: Work) -> None:
    commit = work.commit()
    source = LocalSource(work.folder, ".", "f" * 40, "")
    with pytest.raises(SourceError, match="git could not pack the commit") as error:
        list(pack(source, [commit]))
    assert error.value.evidence
