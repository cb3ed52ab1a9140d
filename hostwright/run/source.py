"""The commit of a checkout on this machine: which one, can it be deployed, and its pack for a server."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hostwright.errors import SourceError
from hostwright.inventory import App
from hostwright.remote.release.inspect import inspect
from hostwright.remote.release.requirements import Problem

CHUNK = 256 * 1024
SHOWN = 10


@dataclass(frozen=True)
class LocalSource:
    """A commit of a repository on this machine.

    Attributes:
        root: the top of the checkout.
        prefix: where `source` is in it, `.` for the top.
        commit: full id; of a temporary commit when changes that are not committed go along.
        subject: first line of its message.
        along: files that go along although nobody committed them.
    """

    root: Path
    prefix: str
    commit: str
    subject: str
    along: tuple[str, ...] = ()

    def ahead(self, commit: str) -> int | None:
        """How many commits this one has that `commit` has not; None when that one is not known here."""
        result = _git(self.root, "rev-list", "--count", f"{commit}..{self.commit}", check=False)
        return int(result.stdout) if result.returncode == 0 else None

    def read(self, path: str) -> bytes | None:
        """A file of the commit, by its path in the repository."""
        result = _git(self.root, "cat-file", "blob", f"{self.commit}:{path}", check=False)
        return result.stdout if result.returncode == 0 else None


def resolve(app: App, ref: str | None = None, *, allow_dirty: bool = False) -> LocalSource:
    """The commit to deploy.

    Args:
        app: with a `source` that is a path.
        ref: instead of the app's; a branch, a tag or a commit. Neither: what is checked out.
        allow_dirty: what is not committed goes along, in a commit that no branch has.

    Raises:
        SourceError: there is no such commit, changes are not committed, or it holds what cannot be deployed.
    """
    folder = Path(app.source)
    root = _root(folder)
    prefix = Path(os.path.relpath(folder.resolve(), root.resolve())).as_posix()
    commit = _commit(root, ref or app.ref)
    head = (
        _git(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}", check=False).stdout.decode().strip()
    )
    along: tuple[str, ...] = ()
    # another commit than the checked out one has nothing to do with what lies around here
    if commit == head:
        along = _uncommitted(root)
        if along and not allow_dirty:
            changes = "1 uncommitted change" if len(along) == 1 else f"{len(along)} uncommitted changes"
            more = [f"and {len(along) - SHOWN} more"] if len(along) > SHOWN else []
            raise SourceError(
                f"{changes} in {root}",
                evidence=[*along[:SHOWN], *more],
                hint="Commit, or deploy as it is: --allow-dirty",
            )
        if along:
            commit = _temporary_commit(root, head)
    source = LocalSource(root, prefix, commit, _subject(root, commit), along)
    check(source, app)
    return source


def check(source: LocalSource, app: App) -> None:
    """Can this commit be deployed?

    Raises:
        SourceError: what we do not carry, by name.
    """
    listing = _git(source.root, "ls-tree", "-r", "-z", "--full-tree", source.commit).stdout
    modes = {}
    for line in listing.decode("utf-8", "surrogateescape").split("\0"):
        head, _, path = line.partition("\t")
        if path:
            modes[path] = head.split()[0]

    def inside(path: str) -> str:
        return Path(os.path.normpath(Path(source.prefix) / path)).as_posix()

    try:
        inspect(
            modes,
            source.read,
            directory=inside(app.directory),
            module=app.module,
            requirements=inside(app.requirements),
        )
    except Problem as error:
        raise SourceError(
            f"{source.commit[:7]} cannot be deployed: {error.message}", hint=error.hint
        ) from error


def pack(source: LocalSource, have: Sequence[str]) -> Iterator[bytes]:
    """The commit without its history, as a git pack in chunks.

    Args:
        have: commits that the server has; what they hold is not sent again.

    Raises:
        SourceError: git failed.
    """
    known = _known(source.root, have)
    lines = [f"--shallow {source.commit}", source.commit]
    if known:
        lines += ["--not", *known]
    argv = ("git", "-C", str(source.root), "pack-objects", "--revs", "--thin", "--shallow", "--stdout", "-q")
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, env=_environment()
        )
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write("".join(line + "\n" for line in lines).encode())
            process.stdin.close()
            while chunk := process.stdout.read(CHUNK):
                yield chunk
            if process.wait() != 0:
                said.seek(0)
                raise _failed("git could not pack the commit", said.read())
        finally:
            process.stdout.close()
            if process.poll() is None:
                process.kill()
                process.wait()


def _known(root: Path, commits: Sequence[str]) -> list[str]:
    """Those of the server's commits that are here too: a pack can be made against no other."""
    if not commits:
        return []
    question = "".join(commit + "\n" for commit in commits).encode()
    out = _git(root, "cat-file", "--batch-check=%(objectname) %(objecttype)", input=question).stdout.decode()
    return [line.split()[0] for line in out.splitlines() if line.endswith(" commit")]


# -- which commit ------------------------------------------------------------------------------------------


def _root(folder: Path) -> Path:
    if shutil.which("git") is None:
        raise SourceError("git is not installed on this machine", hint="sudo apt install git")
    if not folder.is_dir():
        raise SourceError(f"there is no directory {folder}", hint="See `source:` in the inventory.")
    found = _git(folder, "rev-parse", "--show-toplevel", check=False)
    if found.returncode != 0:
        said = found.stderr.decode("utf-8", "replace")
        if "not a git repository" in said:
            raise SourceError(
                f"{folder} is not in a git repository", hint="git init; git add -A; git commit -m 'First'"
            )
        if "must be run in a work tree" in said:
            raise SourceError(
                f"{folder} is a bare repository", hint="`source:` names a checkout or a git URL."
            )
        raise _failed(f"git cannot read {folder}", found.stderr)
    return Path(found.stdout.decode().rstrip("\n"))


def _commit(root: Path, ref: str | None) -> str:
    found = _git(root, "rev-parse", "--verify", "--quiet", f"{ref or 'HEAD'}^{{commit}}", check=False)
    if found.returncode == 0:
        return found.stdout.decode().strip()
    if ref is None:
        raise SourceError(f"{root} has no commit yet", hint="git add -A; git commit -m 'First'")
    remote = (
        _git(root, "for-each-ref", "--format=%(refname:short)", f"refs/remotes/*/{ref}")
        .stdout.decode()
        .split()
    )
    hint = (
        f"Only the remote has it here: --ref {remote[0]}"
        if remote
        else "git fetch, or see `ref:` in the inventory."
    )
    raise SourceError(f"there is no {ref} in {root}", hint=hint)


def _uncommitted(root: Path) -> tuple[str, ...]:
    """Changed, deleted and new files, not those that git ignores."""
    raw = _git(root, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames").stdout
    return tuple(item[3:] for item in raw.decode("utf-8", "replace").split("\0") if item)


def _temporary_commit(root: Path, head: str) -> str:
    """A commit of the working tree that no branch has. The same files give the same commit; HEAD and index stay."""
    index = Path(_git(root, "rev-parse", "--git-path", "index").stdout.decode().rstrip("\n"))
    shown = (
        _git(root, "show", "-s", "--format=%cI%x00%s", head).stdout.decode("utf-8", "replace").rstrip("\n")
    )
    date, _, subject = shown.partition("\0")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "index"
        if (root / index).exists():
            shutil.copyfile(root / index, copy)
        env = {"GIT_INDEX_FILE": str(copy)}
        for role in ("AUTHOR", "COMMITTER"):
            env |= {
                f"GIT_{role}_NAME": "hostwright",
                f"GIT_{role}_EMAIL": "hostwright@localhost",
                f"GIT_{role}_DATE": date,
            }
        _git(root, "add", "--all", env=env)
        tree = _git(root, "write-tree", env=env).stdout.decode().strip()
        message = f"{subject} (with uncommitted changes)"
        return _git(root, "commit-tree", tree, "-p", head, "-m", message, env=env).stdout.decode().strip()


def _subject(root: Path, commit: str) -> str:
    shown = _git(root, "show", "-s", "--format=%s", commit).stdout.decode("utf-8", "replace")
    return " ".join(shown.split())[:200]


# -- git ---------------------------------------------------------------------------------------------------


def _environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours without what a git hook sets for its own repository; messages in English, so that we understand them."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY")
    }
    return {
        **kept,
        "LC_ALL": "C.UTF-8",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        **(more or {}),
    }


def _git(
    folder: Path,
    *args: str,
    check: bool = True,
    input: bytes | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    result = subprocess.run(
        ("git", "-C", str(folder), *args),
        capture_output=True,
        input=input,
        env=_environment(env),
        check=False,
    )
    if check and result.returncode != 0:
        raise _failed(f"git {args[0]} failed (exit code {result.returncode})", result.stderr)
    return result


def _failed(message: str, said: bytes) -> SourceError:
    return SourceError(message, evidence=said.decode("utf-8", "replace").strip().splitlines()[-SHOWN:])
