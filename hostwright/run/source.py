"""The local checkout as a source: which commit, may it go, and the pack of what the server lacks."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hostwright.errors import SourceError
from hostwright.inventory import App
from hostwright.remote.release.inspect import inspect
from hostwright.remote.release.requirements import Problem

TIMEOUT = 120.0
CHUNK = 1 << 20
COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?\Z")


@dataclass(frozen=True)
class Commit:
    """What is deployed.

    Attributes:
        id: full hash.
        subject: first line of its message.
        ref: the name it was asked for by, for people.
        dirty: paths that are not committed and go along, with `--allow-dirty`.
    """

    id: str
    subject: str
    ref: str
    dirty: tuple[str, ...] = ()

    @property
    def short(self) -> str:
        """Seven characters, as people write it."""
        return self.id[:7]


class Checkout:
    """A git checkout on this machine.

    Args:
        path: a folder in it.

    Raises:
        SourceError: it is none, or git is missing.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise SourceError(f"there is no folder {path}", hint="See `source:` in the inventory.")
        self.path = path
        top = self._git("rev-parse", "--show-toplevel", check=False)
        if not top:
            raise SourceError(
                f"{path} is not in a git repository",
                hint="Deploys are made of commits: git init && git add --all && git commit -m 'First'",
            )
        self.path = Path(top)

    def resolve(self, ref: str | None, *, allow_dirty: bool = False) -> Commit:
        """The commit to deploy.

        Args:
            ref: branch, tag or commit; None: what is checked out.
            allow_dirty: take what is not committed along (only for what is checked out).

        Raises:
            SourceError: no such commit, or uncommitted changes that would stay behind.
        """
        id = self._git(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref or 'HEAD'}^{{commit}}", check=False
        )
        if not id and ref:
            raise self._unknown(ref)
        if not id:
            raise SourceError(
                f"{self.path} has no commits yet", hint="git add --all && git commit -m 'First'"
            )
        branch = self._git("symbolic-ref", "--quiet", "--short", "HEAD", check=False)
        name = ref or branch or id[:7]
        dirty = self._dirty() if self._is_checked_out(id) else ()
        if dirty and not allow_dirty:
            raise SourceError(
                f"{len(dirty)} uncommitted {'change' if len(dirty) == 1 else 'changes'} would not be deployed",
                evidence=some(dirty),
                hint="Commit them first; or --allow-dirty deploys them as they are.",
            )
        if dirty:
            return self._with_changes(id, name, dirty)
        return Commit(id, self._git("log", "-1", "--format=%s", id), name)

    def check(self, commit: Commit, app: App) -> None:
        """Can the server run this commit?

        Raises:
            SourceError: what is missing, or what we do not carry.
        """
        listing = self._git("ls-tree", "-r", "-z", commit.id)
        modes = {}
        for entry in listing.split("\0"):
            head, found, path = entry.partition("\t")
            if found:
                modes[path] = head.split()[0]

        def read(path: str) -> bytes | None:
            if path not in modes:
                return None
            return self._run("cat-file", "blob", f"{commit.id}:{path}").stdout

        try:
            inspect(modes, read, directory=app.directory, module=app.module, requirements=app.requirements)
        except Problem as problem:
            message = f"{commit.short} cannot be deployed: {problem.message}"
            raise SourceError(message, hint=problem.hint or None) from problem

    def pack(self, commit: str, have: Sequence[str]) -> Iterator[bytes]:
        """The objects of one commit that the server lacks, without its history.

        `--shallow` in the input of git-pack-objects(1) cuts the parents off, as upload-pack does for a shallow
        clone; so this works from a shallow clone, too.

        Args:
            commit: full hash.
            have: commits the server has; those we do not know are passed over.

        Raises:
            SourceError: git failed.
        """
        known = [id for id in have if COMMIT.match(id) and self._has(id)]
        wanted = "".join(f"{line}\n" for line in (f"--shallow {commit}", commit, "--not", *known))
        argv = ("git", "pack-objects", "--revs", "--thin", "--stdout", "--quiet", "--delta-base-offset")
        with tempfile.TemporaryFile() as feed, tempfile.TemporaryFile() as errors:
            feed.write(wanted.encode())
            feed.seek(0)
            process = subprocess.Popen(
                argv, cwd=self.path, stdin=feed, stdout=subprocess.PIPE, stderr=errors, env=environment()
            )
            assert process.stdout
            try:
                while chunk := process.stdout.read(CHUNK):
                    yield chunk
                if process.wait(TIMEOUT):
                    errors.seek(0)
                    raise SourceError("git pack-objects failed", evidence=tail(errors.read()))
            finally:
                process.stdout.close()
                if process.poll() is None:
                    process.kill()
                    process.wait()

    def newer(self, old: str, new: str) -> int | None:
        """How many commits `new` is ahead of `old`; None when that cannot be told."""
        if not COMMIT.match(old) or not self._has(old):
            return None
        count = self._git("rev-list", "--count", f"{old}..{new}", check=False)
        return int(count) if count.isdecimal() else None

    # -- git -----------------------------------------------------------------------------------------------

    def _dirty(self) -> tuple[str, ...]:
        """What `git status` calls changed or untracked, not what is ignored."""
        listing = self._git(
            "status", "--porcelain=v1", "-z", "--untracked-files=all", "--ignore-submodules=none"
        )
        return tuple(entry[3:] for entry in listing.split("\0") if len(entry) > 3 and entry[2] == " ")

    def _is_checked_out(self, id: str) -> bool:
        return self._git("rev-parse", "--verify", "--quiet", "HEAD", check=False) == id

    def _with_changes(self, id: str, name: str, dirty: tuple[str, ...]) -> Commit:
        """A commit of the files as they lie there, made beside the branch and the index."""
        subject = self._git("log", "-1", "--format=%s", id)
        with tempfile.TemporaryDirectory() as folder:
            extra = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            self._git("read-tree", id, extra=extra)
            self._git("add", "--all", extra=extra)
            tree = self._git("write-tree", extra=extra)
        who = {
            f"GIT_{role}_{what}": value
            for role in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "hostwright"), ("EMAIL", "hostwright@localhost"))
        }
        message = f"{subject} (with uncommitted changes)"
        made = self._git("commit-tree", tree, "-p", id, "-m", message, extra=who)
        return Commit(made, message, name, dirty)

    def _unknown(self, ref: str) -> SourceError:
        from hostwright.inventory.nearest import did_you_mean

        names = self._git(
            "for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags", check=False
        ).split()
        return SourceError(
            f'there is no branch, tag or commit "{ref}" in {self.path}.{did_you_mean(ref, names)}',
            hint="git fetch brings what others have pushed.",
        )

    def _has(self, id: str) -> bool:
        return self._run("cat-file", "-e", f"{id}^{{commit}}", check=False).returncode == 0

    def _git(self, *argv: str, check: bool = True, extra: Mapping[str, str] | None = None) -> str:
        done = self._run(*argv, check=check, extra=extra)
        return done.stdout.decode("utf-8", "surrogateescape").strip("\n") if done.returncode == 0 else ""

    def _run(
        self, *argv: str, check: bool = True, extra: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        env = environment(extra)
        try:
            done = subprocess.run(
                ("git", *argv), cwd=self.path, capture_output=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT,
                check=False, env=env,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise SourceError("git is not installed on this machine", hint="apt-get install git") from error
        except subprocess.TimeoutExpired as error:
            raise SourceError(f"git {argv[0]} took more than {TIMEOUT:g} s in {self.path}") from error
        if check and done.returncode:
            raise SourceError(f"git {argv[0]} failed in {self.path}", evidence=tail(done.stderr))
        return done


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """For git: no prompts, English, and none of a hook's GIT_DIR and GIT_INDEX_FILE."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8", **(extra or {})}


def tail(output: bytes) -> list[str]:
    """The last lines of what git said."""
    return output.decode("utf-8", "replace").strip().splitlines()[-10:]


def some(paths: Sequence[str], most: int = 10) -> list[str]:
    """The first of many paths."""
    more = [f"and {len(paths) - most} more"] if len(paths) > most else []
    return [*paths[:most], *more]
