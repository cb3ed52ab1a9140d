"""The app's bare repository on the server: shallow commits, each held by a ref of its own."""

from __future__ import annotations

import os

from ..run import StepError
from ..system import CommandFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Mapping, Optional, Sequence

    from ..system import Result, System

REFS = "refs/hostwright/"
QUICK, SLOW = 60.0, 900.0
# how many packs may lie there before they are put into one, and how many commits that no release is made of
PACKS, COMMITS = 30, 50
# nothing may ask a question: nobody would answer
ENVIRONMENT = {"GIT_TERMINAL_PROMPT": "0", "GIT_ADVICE": "0"}


class Repository:
    """git in /srv/APP/repo.git.

    Args:
        path: of the bare repository.
    """

    def __init__(self, system: System, path: str) -> None:
        self._system = system
        self.path = path

    def git(
        self, *args: str, timeout: float = QUICK, check: bool = True, env: Optional[Mapping[str, str]] = None
    ) -> Result:
        """Run git there; it may be cut short when the user cancels.

        Raises:
            CommandFailed, RunCancelled
        """
        argv = ("git", "--git-dir=" + self.path, "-c", "core.hooksPath=/dev/null", *args)
        return self._system.run(
            argv, timeout=timeout, check=check, env={**ENVIRONMENT, **(env or {})}, cwd="/", cancellable=True
        )

    def create(self) -> None:
        """Make the repository when it is not there; one whose making was interrupted is made again."""
        if self._system.exists(self.path + "/hostwright"):
            return
        self._system.remove_tree(self.path)
        self._system.run(
            ("git", "init", "-q", "--bare", "--template=", self.path), timeout=QUICK, env=ENVIRONMENT
        )
        self._system.chmod(self.path, 0o700)
        self._system.write_atomic(self.path + "/hostwright", b"complete\n", mode=0o644)

    def mend(self, commit: str) -> bool:
        """Make it anew when git cannot read it: all that it holds can be sent or fetched again.

        Args:
            commit: one that must be whole if it is here at all; may be empty.

        Returns:
            Whether it had to be.
        """
        # a ref that a power cut emptied is only worth a warning to git, and cannot be written again
        refs = self.git("for-each-ref", "--sort=creatordate", "--format=%(objectname)", REFS, check=False)
        sound = refs.ok and not refs.err.strip()
        if sound and commit and self.has(commit):
            sound = self.git("rev-list", "--objects", "--quiet", commit, timeout=SLOW, check=False).ok
        if not sound:
            self._system.unlink(self.path + "/hostwright")
            self.create()
        return not sound

    # -- commits -------------------------------------------------------------------------------------------

    def commits(self) -> list[str]:
        """The commits that are whole here, the newest first."""
        return self.git("for-each-ref", "--sort=-creatordate", "--format=%(objectname)", REFS).out.split()

    def has(self, commit: str) -> bool:
        """Is this commit whole here? Its ref is made last."""
        return self.git("rev-parse", "--verify", "--quiet", REFS + commit, check=False).ok

    def resolve(self, name: str) -> str:
        """The commit of a name, annotated tags peeled; an empty string when there is none."""
        found = self.git("rev-parse", "--verify", "--quiet", name + "^{commit}", check=False)
        return found.out.strip() if found.ok else ""

    def keep(self, commit: str) -> None:
        """Make the ref that says a commit is whole, and keeps it."""
        self.git("update-ref", REFS + commit, commit)

    def receive(self, commit: str, chunks: Iterable[bytes]) -> None:
        """Take in the pack of a commit without its parents.

        Args:
            commit: its full id.
            chunks: a pack; deltas may be against what is here.

        Raises:
            StepError: the pack is damaged, or does not hold the commit.
        """
        argv = ("git", "--git-dir=" + self.path, "index-pack", "--stdin", "--fix-thin")
        result = self._system.feed(argv, chunks)
        if not result.ok:
            raise StepError("git refused what was sent (exit code %d)" % result.exit_code, result.tail())
        self._add_shallow(commit)
        try:
            self.git("rev-list", "--objects", "--quiet", commit, timeout=SLOW)
        except CommandFailed as error:
            raise StepError(
                "the commit that was sent is not whole", error.tail, "Look here: git fsck"
            ) from error
        self.keep(commit)

    def _add_shallow(self, commit: str) -> None:
        """Its parents are not here, and git must not miss them: gitformat-repository-layout(5), "shallow"."""
        path = self.path + "/shallow"
        known = (self._system.read(path) or b"").decode("ascii", "replace").split()
        if commit not in known:
            self._system.write_atomic(path, "".join(c + "\n" for c in (*known, commit)).encode(), mode=0o644)

    def subject(self, commit: str) -> str:
        """The first line of a commit's message, on one line."""
        return " ".join(self.git("show", "-s", "--format=%s", commit).out.split())[:200]

    def tree(self, commit: str) -> str:
        """The id of a commit's tree."""
        return self.git("rev-parse", "--verify", commit + "^{tree}").out.strip()

    # -- files ---------------------------------------------------------------------------------------------

    def _whole(self, *args: str) -> Optional[bytes]:
        code, out, _ = self._system.capture(
            ("git", "--git-dir=" + self.path, *args), timeout=SLOW, env=ENVIRONMENT
        )
        return out if code == 0 else None

    def listing(self, commit: str) -> dict[str, tuple[str, int]]:
        """path -> (mode, bytes) of every file; a submodule has no size."""
        files = {}
        raw = self._whole("ls-tree", "-r", "-l", "-z", "--full-tree", commit) or b""
        for line in raw.decode("utf-8", "surrogateescape").split("\0"):
            head, _, path = line.partition("\t")
            if path:
                mode, _, _, size = head.split()
                files[path] = (mode, int(size) if size.isdigit() else 0)
        return files

    def read(self, commit: str, path: str) -> Optional[bytes]:
        """A file of a commit, or None."""
        return self._whole("cat-file", "blob", "%s:%s" % (commit, path))

    def export(self, tree: str, folder: str) -> None:
        """Write a tree's files into an empty folder."""
        index = folder + ".index"
        env = {"GIT_INDEX_FILE": index}
        try:
            self.git("read-tree", tree, timeout=SLOW, env=env)
            self.git("--work-tree=" + folder, "checkout-index", "--all", "--quiet", timeout=SLOW, env=env)
        finally:
            self._system.unlink(index)
            self._system.unlink(index + ".lock")

    # -- keeping it small ------------------------------------------------------------------------------------

    def prune(self, keep: Sequence[str]) -> None:
        """Forget what has become too much: the oldest commits but these, and what only those needed.

        What is younger than an hour stays: another deploy may just be sending it.
        """
        commits = self.commits()
        for commit in commits[COMMITS:]:
            if commit not in keep:
                self.git("update-ref", "-d", REFS + commit)
        packs = [name for name in self._system.listdir(self.path + "/objects/pack") if name.endswith(".pack")]
        if len(packs) > PACKS:
            self.git("gc", "--quiet", "--prune=1.hour.ago", timeout=SLOW)


def proxies(system: System) -> dict[str, str]:
    """The proxies of /etc/environment, where Debian has the variables of all sessions; services do not see it."""
    found = {}
    for line in (system.read("/etc/environment") or b"").decode("utf-8", "replace").splitlines():
        name, _, value = line.strip().partition("=")
        if name.lower() in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            found[name] = value.strip("\"'")
    return found


def agent_socket() -> str:
    """The socket of the ssh agent that the controller forwards, or an empty string."""
    return os.environ.get("SSH_AUTH_SOCK", "")
