"""Looking after what runs: releases, status, logs, run, verify."""

from __future__ import annotations

import json as json_module
import os
import shlex
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.tasks import task

from hostwright.errors import UsageError
from hostwright.tasks.frame import end, flags, number, required
from hostwright.tasks.session import Session

if TYPE_CHECKING:
    from hostwright.inventory import Host
    from hostwright.report import Report
    from hostwright.run.query import Answers

# actions whose errors have a place in a table
TABLES = ("releases", "status", "certificates", "audit")
COMMON = ("host", "app", "inventory", "identity", "json", "debug")


@task(auto_shortflags=False, iterable=["host"], help=flags(*COMMON))
def releases(
    c: Context,
    host: Any = None,
    app: str | None = None,
    inventory: str | None = None,
    identity: str | None = None,
    json: bool = False,
    debug: bool = False,
) -> None:
    """The releases on the servers: current, previous, good, bad and why."""
    with Session(c, inventory=inventory, identity=identity, as_json=json, debug=debug) as session:
        from hostwright.run.tables import releases_table

        chosen = session.app(app)
        hosts = session.hosts(host, purpose="deploy", app=chosen.name)
        answers, report = ask(session, hosts, "releases", app=chosen.name)
        show(session, answers, report, releases_table)


@task(auto_shortflags=False, iterable=["host"], help=flags(*COMMON))
def status(
    c: Context,
    host: Any = None,
    app: str | None = None,
    inventory: str | None = None,
    identity: str | None = None,
    json: bool = False,
    debug: bool = False,
) -> None:
    """Release, health, certificate and load of every host."""
    with Session(c, inventory=inventory, identity=identity, as_json=json, debug=debug) as session:
        from hostwright.run.certificates import wanted
        from hostwright.run.tables import status_table

        hosts = session.hosts(host, purpose="deploy" if app else "any", app=app)

        def apps(host: Host) -> dict[str, Any]:
            paths = {one["name"]: one["certificate"] for one in wanted(session.inventory, host, app)}
            return {"apps": [name for name in host.apps if app in (None, name)], "certificates": paths}

        answers, report = ask_each(session, hosts, "status", apps)
        show(session, answers, report, status_table)


@task(
    auto_shortflags=False,
    iterable=["host"],
    help=flags(
        *COMMON,
        follow="Go on until Ctrl-C.",
        lines="How many of the last lines (default 100; with --since or --release all).",
        since='As journalctl takes it: "10 min ago", "2026-11-21 14:00".',
        grep="Only lines that match this regular expression.",
        release="Of this one instead of the live one: an id or a commit, or the begin of one.",
        process="Of this process, or this timer's job, instead of the web server; through all releases.",
    ),
)  # fmt: skip
def logs(
    c: Context,
    host: Any = None,
    app: str | None = None,
    follow: bool = False,
    lines: str = "",
    since: str = "",
    grep: str = "",
    release: str = "",
    process: str = "",
    inventory: str | None = None,
    identity: str | None = None,
    json: bool = False,
    debug: bool = False,
) -> None:
    """The app's log."""
    with Session(c, inventory=inventory, identity=identity, as_json=json, debug=debug) as session:
        chosen = session.app(app)
        hosts = session.hosts(host, purpose="deploy", app=chosen.name)
        # a release that was refused may have said what matters before it crashed a hundred times
        whole = since or (release and not follow)
        count = number(lines or ("0" if whole else "100"), "lines", 0, 100_000)
        wanted = {"follow": follow, "lines": count, "since": since, "grep": grep, "release": release}
        _, report = ask(session, hosts, "logs", app=chosen.name, process=process, **wanted)
        end(report.exit_code)


@task(
    auto_shortflags=False,
    iterable=["host"],
    positional=["command"],
    help=flags(*COMMON, command='A command line, split as a shell would: "alembic current".'),
)
def run(
    c: Context,
    command: str | None = None,
    host: Any = None,
    app: str | None = None,
    inventory: str | None = None,
    identity: str | None = None,
    json: bool = False,
    debug: bool = False,
) -> None:
    """Run a command in the current release, with its environment, as its user."""
    with Session(c, inventory=inventory, identity=identity, as_json=json, debug=debug) as session:
        try:
            argv = shlex.split(required(command, 'inv run "COMMAND" [--app NAME] [--host HOST]'))
        except ValueError as error:
            raise UsageError(f"the command does not split into words: {error}") from error
        if not argv:
            raise UsageError("the command is empty", hint='e.g. inv run "python --version"')
        chosen = session.app(app)
        hosts = session.hosts(host, purpose="deploy", app=chosen.name)
        _, report = ask(session, hosts, "run", app=chosen.name, argv=argv)
        codes = [int(found.data.get("exit_code", 0)) for found in report.hosts.values()]
        end(report.exit_code or max(codes, default=0))


@task(auto_shortflags=False, iterable=["host"], help=flags("host", "inventory", "identity", "json", "debug"))
def verify(
    c: Context,
    host: Any = None,
    inventory: str | None = None,
    identity: str | None = None,
    json: bool = False,
    debug: bool = False,
) -> None:
    """Assert with testinfra that a server is what it should be; also your own tests in tests/server/."""
    with Session(c, inventory=inventory, identity=identity, as_json=json, debug=debug) as session:
        from hostwright.verify import verify as assert_all

        hosts = session.hosts(host, purpose="any", app=None)
        end(assert_all(session.inventory, hosts, session.logins.connect, as_json=json))


# -- asking and showing --------------------------------------------------------------------------------------


def ask(session: Session, hosts: list[Host], action: str, **fields: Any) -> tuple[Answers, Report]:
    """Ask each host; its lines are printed as they come, with its name when there are several."""
    return ask_each(session, hosts, action, lambda _: fields)


def ask_each(
    session: Session, hosts: list[Host], action: str, fields: Callable[[Host], dict[str, Any]]
) -> tuple[Answers, Report]:
    """Ask each host something of its own."""
    from hostwright.run.query import Answers, query

    def on_line(host: str, line: str) -> None:
        if session.as_json:
            print(json_module.dumps({"host": host, "line": line}), flush=True)
        else:
            print(f"{host}  {line}" if len(hosts) > 1 else line, flush=True)

    answers = Answers(on_line, session.say)
    report = query(action, session.inventory.project, hosts, session.logins, answers, fields)
    if action not in TABLES:
        for name, error in answers.errors.items():
            session.say(str(error) if error.host else f"{name}  {error}")
    return answers, report


def show(session: Session, answers: Answers, report: Report, table: Any) -> None:
    """Print a table, or one JSON object in one line; what could not be reached is said as well."""
    if session.as_json:
        found: dict[str, Mapping[str, Any]] = {name: dict(data) for name, data in answers.data.items()}
        for name, error in answers.errors.items():
            found[name] = {"error": error.message, "exit_code": error.exit_code}
        print(json_module.dumps(found))
    else:
        print(table(answers.data, answers.errors, os.environ))
    end(report.exit_code)
