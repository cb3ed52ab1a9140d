"""A git working tree at a branch, tag or commit. Local changes are never overwritten: git refuses."""

from __future__ import annotations

from .base import Failed, Resource, Unknown, names_to_ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Sequence

    from ..system import Result, System
    from .base import Change, Context, State

LOOK_TIMEOUT, FETCH_TIMEOUT = 60.0, 900.0
HEX = frozenset("0123456789abcdef")


class GitCheckout(Resource):
    """`name` is the absolute path of the working tree.

    Args:
        url: where it comes from, as git(1) takes it.
        ref: branch, tag, or full commit. Only a commit can be compared without asking the network.
        owner: whose files they are; git runs as this user, so that the repository's own configuration and
            hooks have no more rights than it.
        ssh_key: path of a private key that `owner` can read; empty: as ssh is configured.

    HEAD is detached at the commit. Submodules come along.
    """

    kind = "git_checkout"
    exclusive = True

    def __init__(
        self,
        *,
        name: str,
        url: str,
        ref: str,
        owner: str = "root",
        ssh_key: str = "",
        app: str = "",
        notify: Sequence[str] = (),
    ) -> None:
        super().__init__(name=name, app=app, notify=notify)
        for word in (url, ref):
            if not word or word.startswith("-"):
                raise ValueError("%s: not a git URL or ref: %r" % (name, word))
        self.url = url
        self.ref = ref
        self.owner = owner
        self.ssh_key = ssh_key

    def desired(self, system: System) -> State:
        return {"url": self.url, "ref": self.ref}

    def read(self, system: System) -> State:
        found = system.stat(self.name)
        if found is None:
            return {"url": None, "ref": None}
        if found.kind != "directory" or (system.listdir(self.name) and not system.stat(self.name + "/.git")):
            raise Failed(
                "%s is there and is no git checkout" % self.name, "Move it away: ls -la %s" % self.name
            )
        head = self._head(system)
        url = origin((system.read(self.name + "/.git/config") or b"").decode("utf-8", "replace"))
        if head is None:
            return {"url": url, "ref": None}
        wanted = self.ref if is_commit(self.ref) else self._remote_commit(system)
        return {"url": url, "ref": self.ref if head == wanted else head[:12]}

    def _head(self, system: System) -> Optional[str]:
        """The commit that is checked out, from git's own files."""
        git = self.name + "/.git/"
        head = (system.read(git + "HEAD") or b"").decode("ascii", "replace").strip()
        if not head.startswith("ref: "):
            return head or None
        branch = head[5:]
        loose = system.read(git + branch)
        if loose is not None:
            return loose.decode("ascii", "replace").strip()
        for line in (system.read(git + "packed-refs") or b"").decode("utf-8", "replace").splitlines():
            commit, _, name = line.partition(" ")
            if name == branch:
                return commit
        return None

    def _remote_commit(self, system: System) -> str:
        """The commit that a tag or branch names at `url` now; a tag goes before a branch, as in git."""
        if system.which("git") is None:
            raise Unknown("git is installed")
        names = ["refs/tags/%s^{}" % self.ref, "refs/tags/%s" % self.ref, "refs/heads/%s" % self.ref]
        result = self._run(
            system, "git", "ls-remote", "--", self.url, *names, timeout=LOOK_TIMEOUT, read_only=True
        )
        found = {}
        for line in result.out.splitlines():
            commit, _, name = line.partition("\t")
            found[name] = commit
        for name in names:
            if name in found:
                return found[name]
        raise Failed(
            "%s has no branch or tag %r" % (self.url, self.ref), "List them: git ls-remote %s" % self.url
        )

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        if system.which("git") is None:
            raise Failed("git is not installed", "Add git to the packages of the host.")
        uid, gid = self._ids(system)
        if system.stat(self.name) is None:
            system.mkdir(self.name, uid=uid, gid=gid)
        if system.stat(self.name + "/.git") is None:
            self._git(system, "init", "--quiet")
        self._git(system, "config", "remote.origin.url", self.url)
        self._git(system, "config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
        fetch = self._git(
            system, "fetch", "--tags", "--force", "--prune", "origin", timeout=FETCH_TIMEOUT, check=False
        )
        if not fetch.ok:
            raise self._failed(
                "%s cannot be fetched" % self.url, "Does the server have access? Try it there.", fetch
            )
        checkout = self._git(
            system, "checkout", "--quiet", "--detach", self._fetched_commit(system), check=False
        )
        if not checkout.ok:
            hint = "Local changes in %s? They were left as they are." % self.name
            raise self._failed("git could not check out %s" % self.ref, hint, checkout)
        if system.exists(self.name + "/.gitmodules"):
            self._git(system, "submodule", "update", "--init", "--recursive", timeout=FETCH_TIMEOUT)

    def _fetched_commit(self, system: System) -> str:
        refs = (
            [self.ref]
            if is_commit(self.ref)
            else ["refs/tags/" + self.ref, "refs/remotes/origin/" + self.ref]
        )
        for ref in refs:
            found = self._git(system, "rev-parse", "--verify", "--quiet", ref + "^{commit}", check=False)
            if found.ok:
                return found.out.strip()
        raise Failed("%s has no branch, tag or commit %r" % (self.url, self.ref))

    # -- running git -------------------------------------------------------------------------------------

    def _ids(self, system: System) -> tuple[int, int]:
        user = system.user(self.owner)
        return names_to_ids(system, self.owner, system.group_name(user[1]) if user else "root")

    def _git(self, system: System, *words: str, timeout: float = LOOK_TIMEOUT, check: bool = True) -> Result:
        return self._run(system, "git", "-C", self.name, *words, timeout=timeout, check=check)

    def _run(
        self, system: System, *argv: str, timeout: float, check: bool = True, read_only: bool = False
    ) -> Result:
        env = {"GIT_TERMINAL_PROMPT": "0"}
        if self.ssh_key:
            from shlex import quote

            # git gives this to a shell
            env["GIT_SSH_COMMAND"] = "ssh -o BatchMode=yes -o IdentitiesOnly=yes -i %s" % quote(self.ssh_key)
        if self.owner != "root":
            user = system.user(self.owner)
            if user is None:
                raise Unknown("the user %s exists" % self.owner)
            env["HOME"] = user[2]
            argv = ("runuser", "--user", self.owner, "--", *argv)
        return system.run(argv, timeout=timeout, check=check, env=env, read_only=read_only, cancellable=True)

    def _failed(self, message: str, hint: str, result: Result) -> Failed:
        return Failed(message, hint, tail=result.tail(), argv=result.argv, exit_code=result.exit_code)


def is_commit(ref: str) -> bool:
    """A full object name: SHA-1 or SHA-256."""
    return len(ref) in (40, 64) and not set(ref) - HEX


def origin(config: str) -> Optional[str]:
    """The URL of `origin` in a git config file."""
    inside = False
    for line in config.splitlines():
        text = line.strip()
        if text.startswith("["):
            inside = text == '[remote "origin"]'
        elif inside and text.replace(" ", "").startswith("url="):
            return text.partition("=")[2].strip()
    return None
