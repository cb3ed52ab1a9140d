"""`inv deploy` on the server: a commit becomes a release, and the release goes live if it proves to work."""

from __future__ import annotations

import shlex

from .. import events
from ..run import StepError
from ..system import CommandFailed
from . import command, environment, source
from .beside import check, check_programs
from .builder import Builder
from .code import Code
from .dependencies import Resolver, share
from .folder import write_folder
from .git import Repository
from .guard import guard
from .identity import own
from .symptoms import heard
from .transaction import Transaction
from .tree import Store, tree_of
from .venv import ensure_venv, platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Sequence

    from ..run import Run, Step
    from ..system import System
    from .tree import Kept

prepare = source.prepare

# the steps of a deploy, for progress
STEPS = (
    "guard", "tree", "venv", "build", "render", "release_command", "sync",
    "start", "health", "switch", "drain", "prune",
)  # fmt: skip


def job(request: Mapping[str, Any], system: System, run: Run) -> events.RunFinished:
    """Deploy what `prepare` acquired.

    Args:
        request: as for `prepare`, with `commit`, `subject`, `keep_releases`, `build_command`, `build_env`, `static`,
            `shared`, `runtime` (requirements of what serves the app), `modules` (what it imports),
            `release_command`, `release_command_timeout`, `health`, and `release`: id, files, properties.
    """
    return Transaction(own(request, system), system, run, "deploy").carry_out(build)


def build(deploy: Transaction) -> str:
    """Make the release: everything up to its first start. Returns its id.

    Raises:
        StepError, CommandFailed, OSError, RunCancelled
    """
    request, system, run, layout = deploy.request, deploy.system, deploy.run, deploy.layout
    repository = Repository(system, layout.repository)
    release, commit = request["release"]["id"], request["commit"]
    with run.step("guard") as step:
        check(system, layout, request["release"])
        if not repository.has(commit):
            raise StepError("the commit %s was removed meanwhile" % commit[:7], hint="Deploy it again.")
        code = Code(system, layout, repository, request)
        disk = guard(system, layout, code.size, code.files, request["paths"]["state"])
        step.detail = " and ".join(filter(None, (disk, deploy.guard_memory())))
    with run.step("tree") as step:
        _tell(step, code.fetch(), "%d files" % code.files)
    with run.step("venv") as step:
        runtime = request["paths"]["runtime"]
        builder = Builder(system, layout, request["build_env"], runtime, run.output("venv"))
        resolver = Resolver(system, layout, builder, deploy.shelf, request, code.folder)
        lock = resolver.lock(*platform())
        share(run, request, lock)
        venvs = Store(system, layout.venvs)
        like = str(deploy.shelf.about(deploy.before).get("venv", "")) if deploy.before else ""
        venv = ensure_venv(system, layout, venvs, builder, lock, request["modules"], like)
        if not venv.reused:
            deploy.later.append(builder.tidy)
        system.remove_tree(layout.build)
        _tell(step, venv, lock.note, lock=lock.note)
    if request["build_command"]:
        written = _written(request["build_command"])
        with run.step("build", written) as step:
            builder = Builder(system, layout, request["build_env"], runtime, run.output("build"))
            _tell(step, code.build(builder, venv.name), written)
    before = str(deploy.shelf.about(deploy.before).get("tree", "")) if deploy.before else ""
    runs_command = bool(request["release_command"]) and tree_of(before) != tree_of(code.kept.name)
    with run.step("render") as step:
        deploy.made = True
        assets = code.assets(lambda line: run.emit(events.Noticed(line)))
        write_folder(
            system, layout, request, code=code.path, tree=code.kept.name, venv=venv.name, assets=assets, lock=lock,
            ran=runs_command,
        )  # fmt: skip
        check_programs(system, layout, release)
        step.detail = release
    differ = environment.between(deploy.shelf, deploy.before, release)
    if deploy.before and differ:
        run.emit(events.Noticed(environment.told(differ)))
    if runs_command:
        _release_command(deploy, release)
    elif request["release_command"]:
        written = _written(request["release_command"])
        message = "the release command did not run: the code is what is live already"
        run.emit(events.Noticed(message, "If it must: inv run %s" % shlex.quote(written)))
    with run.step("sync"):
        # the rename of `current` must never be on disk before what it leads to
        system.syncfs(layout.root)
    return str(release)


def _tell(step: Step, kept: Kept, built: str, **data: str) -> None:
    step.detail = kept.detail(built)
    step.data = {"key": kept.name, "reused": kept.reused, **data}


def _written(argv: Sequence[str]) -> str:
    return " ".join(shlex.quote(word) for word in argv)


def _release_command(deploy: Transaction, release: str) -> None:
    request, run = deploy.request, deploy.run
    argv, limit = tuple(request["release_command"]), float(request["release_command_timeout"])
    written = _written(argv)
    stays = "What the command changed in a database stays changed."
    with run.step("release_command", written) as step:
        # first: what it did stays, also when it is cut short
        deploy.log.add("ran", release, command=list(argv))
        try:
            result = command.run(
                deploy.system, deploy.layout, release, "hostwright-release-%s.service" % deploy.layout.app, argv,
                timeout=limit, on_line=run.output("release_command"),
            )  # fmt: skip
        except CommandFailed as error:
            if error.argv[0] != "systemd-run":
                raise
            message = "%s was ended after %g s: `release_command_timeout` in the inventory" % (written, limit)
            raise StepError(message, error.tail, stays) from error
        if not result.ok:
            tail = tuple((result.out + result.err).splitlines()[-20:])
            told = heard(deploy.layout.app, tail, deploy.shelf.settings(release))
            hint = ("%s %s" % (told, stays)).strip()
            raise StepError("%s ended with exit code %d" % (written, result.exit_code), tail, hint)
        step.detail = written
