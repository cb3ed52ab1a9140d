"""Get the commit onto the server: the controller sends it, or the server fetches it. Before the worker starts."""

from __future__ import annotations

import os

from .. import events, lock
from ..run import StepError
from . import fetch
from .dependencies import known_lock
from .git import Repository
from .guard import require
from .inspect import inspect
from .layout import UV, Layout
from .question import Question
from .requirements import Problem
from .shelf import Shelf
from .venv import platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Optional

    from ..conversation import Conversation
    from ..system import System

# commits the controller may send the difference to
HAVE = 20


def prepare(request: dict[str, Any], system: System, conversation: Conversation) -> dict[str, Any]:
    """Acquire and check the commit, agree with the controller on the release's identity.

    A branch of a git URL may move while several hosts fetch it: then the controller answers with the commit that
    all get, and this one is fetched too.

    Args:
        request: `app`, `source` (kind push: commit; kind git: url, ref, forward_agent), `directory`, `module`,
            `requirements`, `runtime`, `share` (packages are found once, for several hosts).

    Returns:
        The request for the worker: with `commit`, `subject`, the controller's `release`, `given` (what the
        packages are found by, where other hosts wait for what this one finds), and `lock`, what another host
        found, or None.

    Raises:
        StepError, RunCancelled, Gone
    """
    layout = Layout(request["app"])
    check_provisioned(system, layout)
    repository = Repository(system, layout.repository)
    source = dict(request["source"])
    while True:
        commit, subject = _acquire(request, source, repository, system, layout, conversation)
        lock = _lock(repository, commit, request, system, layout) if request.get("share") else None
        conversation.emit(events.SourceReady(commit, subject, current(system, layout), lock))
        answer = conversation.receive()
        if answer.get("commit", commit) == commit:
            break
        conversation.emit(
            events.Noticed("the branch moved meanwhile: all hosts get %s" % answer["commit"][:7])
        )
        source["ref"] = answer["commit"]
    return {
        **request,
        "commit": commit,
        "subject": subject,
        "release": answer["release"],
        "lock": answer.get("lock"),
        "given": lock["given"] if lock and answer.get("leads") else "",
    }


def _acquire(
    request: Mapping[str, Any],
    source: Mapping[str, Any],
    repository: Repository,
    system: System,
    layout: Layout,
    conversation: Conversation,
) -> tuple[str, str]:
    """(commit, first line of its message), once it is whole here and can be deployed."""
    with Exclusive(request["paths"]["runtime"], layout.app, system):
        require(system, layout.root, 0, 100)
        repository.create()
        if repository.mend(source.get("commit", "")):
            conversation.emit(
                events.Noticed("the app's repository on the server was damaged; it was made anew")
            )
        if source["kind"] == "push":
            commit = str(source["commit"])
            _receive(repository, commit, conversation)
        else:
            commit = fetch.fetch(repository, system, layout, source, request["paths"]["state"])
        check(repository, commit, request)
        return commit, repository.subject(commit)


def _lock(
    repository: Repository, commit: str, request: Mapping[str, Any], system: System, layout: Layout
) -> Optional[dict[str, str]]:
    """See SourceReady."""
    try:
        question = Question(
            lambda path: repository.read(commit, path),
            request["requirements"],
            request["runtime"],
            "%s %s" % platform(),
        )
    except Problem as error:
        raise StepError(error.message, hint=error.hint) from error
    if question.complete:
        return None
    found = known_lock(system, layout, Shelf(system, layout), question.given)
    # a secret in it would not get past the redaction of the run's journal: then each host finds its own
    text = found.text if found and not any(value in found.text for value in request["secrets"]) else ""
    return {"given": question.given, "text": text}


def check_provisioned(system: System, layout: Layout) -> None:
    """Is the server ready for this app?

    Raises:
        StepError: it was not provisioned for it.
    """
    user = system.user(layout.app)
    parts = (layout.releases, layout.template, UV + "/bin/uv")
    if user is None or not all(system.exists(path) for path in parts):
        raise StepError(
            "this server is not provisioned for the app %s" % layout.app,
            hint="First: inv provision --host HOST",
        )


def current(system: System, layout: Layout) -> Optional[dict[str, Any]]:
    """What is live: id, commit, subject; None before the first deploy."""
    shelf = Shelf(system, layout)
    release = shelf.current()
    if not release:
        return None
    about = shelf.about(release)
    return {"id": release, "commit": about.get("commit", ""), "subject": about.get("subject", "")}


def check(repository: Repository, commit: str, request: Mapping[str, Any]) -> None:
    """Can this commit be deployed?

    Raises:
        StepError: no; what we do not carry, by name.
    """
    modes = {path: mode for path, (mode, _) in repository.listing(commit).items()}
    try:
        inspect(
            modes,
            lambda path: repository.read(commit, path),
            directory=request["directory"],
            module=request["module"],
            requirements=request["requirements"],
        )
    except Problem as error:
        raise StepError(error.message, hint=error.hint) from error


def _receive(repository: Repository, commit: str, conversation: Conversation) -> None:
    if repository.has(commit):
        return
    conversation.emit(events.SourceNeeded(commit, repository.commits()[:HAVE]))
    repository.receive(commit, conversation.receive_stream())


class Exclusive:
    """One run at a time writes into an app's repository; the others wait."""

    def __init__(self, runtime: str, app: str, system: System) -> None:
        self._path = os.path.join(runtime, "source-%s.lock" % app)
        self._system = system
        self._handle: Optional[int] = None

    def __enter__(self) -> None:
        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        end = self._system.monotonic() + 600
        while True:
            self._handle = lock.hold(self._path)
            if self._handle is not None:
                return
            if self._system.monotonic() > end:
                raise StepError("another run is fetching this app's source for 10 minutes already")
            self._system.sleep(0.1)

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            os.close(self._handle)
