"""The server fetches the commit from a git URL; what goes wrong is explained."""

from __future__ import annotations

import re

from ..run import StepError
from ..system import CommandFailed
from .git import SLOW, agent_socket, proxies
from .git_ssh import command, server_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Sequence

    from ..system import System
    from .git import Repository
    from .layout import Layout

INCOMING = "refs/hostwright-incoming"
# git-fetch(1) --unshallow, which refuses where nothing is shallow
EVERYTHING = "--depth=2147483647"
COMMIT = re.compile(r"[0-9a-f]{40}\Z")
ABBREVIATED = re.compile(r"[0-9a-f]{7,39}\Z")
# what ssh, git over https and the hosters say
AUTHENTICATION = (
    "Permission denied",
    "Authentication failed",
    "could not read Username",
    "could not read Password",
    "Repository not found",
    "repository not found",
    "The requested URL returned error: 403",
    "Too many authentication failures",
)
UNKNOWN_REF = (
    "couldn't find remote ref",
    "not our ref",
    "unadvertised object",
    "no such remote ref",
    "no matching remote head",
)
NO_REPOSITORY = ("does not appear to be a git repository", "' not found")
HOST_KEY = ("Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED")
UNREACHABLE = (
    "Could not resolve host",
    "Connection refused",
    "Connection timed out",
    "Network is unreachable",
    "No route to host",
    "Connection closed by",
    "Connection reset",
    "unable to access",
    "Operation too slow",
)


def fetch(
    repository: Repository, system: System, layout: Layout, source: Mapping[str, Any], state: str
) -> str:
    """Fetch one commit without its history.

    Args:
        source: `url`, `ref` (branch, tag or commit; empty: the repository's default branch), `forward_agent`,
            `host_keys` (known_hosts lines of a server that publishes them).
        state: /var/lib/hostwright: where the git servers' host keys are kept.

    Returns:
        The commit's full id.

    Raises:
        StepError: with what git said and what to do.
    """
    url, ref = source["url"], source.get("ref") or "HEAD"
    if COMMIT.match(ref) and repository.has(ref):
        return str(ref)
    published, agent = source.get("host_keys") or (), bool(source.get("forward_agent"))
    env = {
        **({"SSH_AUTH_SOCK": _agent()} if agent else {}),
        "GIT_SSH_COMMAND": command(system, layout, url, published, state, agent=agent),
        # also where a git server sends us elsewhere: never over http, and never through a helper (git(1), ext::)
        "GIT_ALLOW_PROTOCOL": "https:ssh:file",
        # a transfer that stands still for a minute will not go on
        "GIT_HTTP_LOW_SPEED_LIMIT": "1",
        "GIT_HTTP_LOW_SPEED_TIME": "60",
        **proxies(system),
    }
    try:
        commit = _fetch(repository, url, ref, env)
    except CommandFailed as error:
        raise _explained(error, system, layout, source, ref, state) from error
    if not commit:
        raise StepError("%s of %s is not a commit" % (ref, url))
    repository.keep(commit)
    return commit


def _fetch(repository: Repository, url: str, ref: str, env: Mapping[str, str]) -> str:
    """The commit of a ref, fetched; an empty string when it is none.

    Raises:
        CommandFailed
    """
    options = ("fetch", "--quiet", "--no-tags", "--force", "--no-write-fetch-head")
    try:
        repository.git(*options, "--depth=1", "--", url, "%s:%s/one" % (ref, INCOMING), timeout=SLOW, env=env)
        return repository.resolve(INCOMING + "/one")
    except CommandFailed as error:
        if not any(text in "\n".join(error.tail) for text in UNKNOWN_REF):
            raise
        if COMMIT.match(ref):
            # many servers hand out the tips of branches and tags only: it is in their history, then
            heads = ("+refs/heads/*:%s/heads/*" % INCOMING, "+refs/tags/*:%s/tags/*" % INCOMING)
            repository.git(*options, EVERYTHING, "--", url, *heads, timeout=SLOW, env=env)
            commit = repository.resolve(ref)
        else:
            commit = _abbreviated(repository, ref)
        if not commit:
            raise
        return commit
    finally:
        for name in repository.git("for-each-ref", "--format=%(refname)", INCOMING).out.split():
            repository.git("update-ref", "-d", name)


def _agent() -> str:
    socket = agent_socket()
    if not socket:
        raise StepError(
            "your ssh agent did not arrive on the server (forward_agent: true)",
            hint="Is one running here (ssh-add -l), and does the server's sshd allow AllowAgentForwarding?",
        )
    return socket


def _abbreviated(repository: Repository, ref: str) -> str:
    """A commit that is here already, by the beginning of its id."""
    if not ABBREVIATED.match(ref):
        return ""
    found = [commit for commit in repository.commits() if commit.startswith(ref)]
    return found[0] if len(found) == 1 else ""


def _explained(
    error: CommandFailed,
    system: System,
    layout: Layout,
    source: Mapping[str, Any],
    ref: str,
    state: str,
) -> StepError:
    said, url = "\n".join(error.tail), source["url"]
    if any(text in said for text in HOST_KEY):
        if source.get("host_keys"):
            message, hint = (
                "%s did not show a host key that its hoster publishes",
                (
                    "Somebody may be listening in between. If the hoster announced a new one, add it on the server to "
                    "/etc/ssh/ssh_known_hosts, or update Hostwright."
                ),
            )
        else:
            message = "the host key of the git server has changed: %s"
            hint = "If it was announced: sudo ssh-keygen -R '%s' -f %s/git_known_hosts" % (
                server_of(url),
                state,
            )
        return StepError(message % url, error.tail, hint)
    if any(text in said for text in NO_REPOSITORY):
        hint = "Is the path right?"
        if url.startswith("file:"):
            hint = "That is a path on the server. Your checkout here is `source: .`"
        return StepError("there is no repository %s" % url, error.tail, hint)
    if ref == "HEAD" and any(text in said for text in UNKNOWN_REF):
        hint = "Push something to it, or name a branch: `ref:` in the inventory, or --ref."
        return StepError("%s is empty, or has no default branch" % url, error.tail, hint)
    if any(text in said for text in UNKNOWN_REF):
        hint = "See `ref:` in the inventory, or --ref."
        if ABBREVIATED.match(ref):
            hint = "A commit must be written in full, 40 digits: a git server finds no other."
        return StepError("there is no %s in %s" % (ref, url), error.tail, hint)
    if any(text in said for text in AUTHENTICATION):
        tail, hint = _access(system, layout, source, error.tail)
        return StepError("the git server does not let this server read %s" % url, tail, hint)
    if any(text in said for text in UNREACHABLE):
        return StepError(
            "the git server of %s cannot be reached from this server" % url,
            error.tail,
            "Is the address right?",
        )
    return StepError("git could not fetch %s from %s: %s" % (ref, url, error.reason), error.tail)


def _access(
    system: System, layout: Layout, source: Mapping[str, Any], tail: Sequence[str]
) -> tuple[tuple[str, ...], str]:
    """What was said, and what lets us in."""
    url = source["url"]
    public = (system.read(layout.deploy_key + ".pub") or b"").decode("utf-8", "replace").strip()
    if url.startswith("https://"):
        return tuple(
            tail
        ), "Is it private, or misspelt? A private one is read with a deploy key: write git@HOST:PATH"
    if source.get("forward_agent"):
        return tuple(tail), "Does an agent run here, and hold a key that may read it? ssh-add -l"
    if public:
        return (
            *tail,
            public,
        ), "Add that public key to the repository as a deploy key (read access is enough)."
    return tuple(tail), "inv provision makes a deploy key and shows it."
