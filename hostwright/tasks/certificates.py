"""`inv cert.status` and `inv cert.renew`."""

from __future__ import annotations

import json as json_module
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.tasks import task

from hostwright.tasks.deploy import refuse_dry
from hostwright.tasks.frame import end, flags, number
from hostwright.tasks.session import Session

if TYPE_CHECKING:
    from hostwright.inventory import Host
    from hostwright.run.certificate_health import Trouble, View
    from hostwright.run.query import Answers


@task(
    auto_shortflags=False,
    iterable=["host"],
    help=flags(
        "host", "app", "inventory", "identity", "debug",
        json="Print one JSON object: for each host what is known, and `attention`.",
        days="A certificate that ends within so many days needs attention (default 14); one that lives less than "
        "twice as long does within a tenth of its life.",
    ),
)  # fmt: skip
def status(
    c: Context,
    host: Any = None,
    app: str | None = None,
    days: str = "14",
    inventory: str | None = None,
    identity: str | None = None,
    json: bool = False,
    debug: bool = False,
) -> None:
    """Certificates: when they end, whether nginx serves them, what renews them. For monitoring too.

    Exit codes: 0 all is well; 1 something needs attention: it ends soon or has ended, is not served or another one
    is, lacks a name, its chain is broken, its renewal failed; 3 a server cannot be reached.
    """
    with Session(c, inventory=inventory, identity=identity, as_json=json, debug=debug) as session:
        from hostwright.run.certificates import plain, wanted
        from hostwright.tasks.operate import ask_each

        limit = number(days, "days", 0, 3650)
        chosen = session.app(app).name if app else None
        hosts = session.hosts(host, purpose="deploy" if chosen else "any", app=chosen)
        asked = {one.name: wanted(session.inventory, one, chosen) for one in hosts}
        http_only = {one.name: plain(session.inventory, one, chosen) for one in hosts}
        answers, report = ask_each(session, hosts, "certificates", lambda one: {"apps": asked[one.name]})
        views, found = judge(session, hosts, answers, asked, limit)
        show(session, answers, views, asked, http_only, found)
        end(1 if found and report.exit_code in (0, 3) else report.exit_code)


def judge(
    session: Session, hosts: list[Host], answers: Answers, asked: dict[str, list[dict[str, Any]]], days: int
) -> tuple[list[View], list[Trouble]]:
    """How each answer is looked at, and what needs attention."""
    from hostwright.run.certificate_health import View, troubles

    several, apps = (
        len(session.inventory.hosts) > 1 or not session.inventory.hosts,
        len(session.inventory.apps) > 1,
    )
    views = [
        View(name, data, time.time(), days, f" --host {name}" if several else "", apps)
        for name, data in answers.data.items()
    ]
    return views, [trouble for view in views for trouble in troubles(view, asked[view.host])]


def show(
    session: Session,
    answers: Answers,
    views: list[View],
    asked: dict[str, list[dict[str, Any]]],
    http_only: dict[str, list[str]],
    found: list[Trouble],
) -> None:
    """Print the table, or the object for programs."""
    from hostwright.run.certificate_health import told

    if session.as_json:
        shown: dict[str, Any] = {
            view.host: {
                **told(view.answer),
                "attention": [
                    {"app": one.app, "what": one.what, "todo": one.todo}
                    for one in found
                    if one.host == view.host
                ],
            }
            for view in views
        }
        for name, error in answers.errors.items():
            shown[name] = {"error": error.message, "exit_code": error.exit_code}
        print(json_module.dumps(shown))
        return
    from hostwright.report import Look
    from hostwright.run.certificate_table import certificate_table

    reached = {view.host for view in views}
    without = {name: apps for name, apps in http_only.items() if name in reached}
    print(certificate_table(views, asked, without, found, answers.errors, Look.of(sys.stdout, os.environ)))


@task(
    auto_shortflags=False,
    iterable=["host"],
    help=flags(
        "host", "app", "inventory", "identity", "json", "wait", "debug",
        force="Also what is not due. CAs limit how often: Let's Encrypt gives 5 of the same names a week.",
        staging="A dry try: at Let's Encrypt's staging, elsewhere at the same CA. Nothing is kept.",
    ),
)  # fmt: skip
def renew(
    c: Context,
    host: Any = None,
    app: str | None = None,
    force: bool = False,
    staging: bool = False,
    inventory: str | None = None,
    identity: str | None = None,
    json: bool = False,
    wait: str = "60",
    debug: bool = False,
) -> None:
    """Renew certificates that are due, reload nginx, and prove that it serves them. The timer does it by itself."""
    with Session(c, inventory=inventory, identity=identity, as_json=json, debug=debug) as session:
        from hostwright.run.renew import Renewal
        from hostwright.run.renew import renew as run

        refuse_dry(session)
        chosen = session.app(app).name if app else None
        hosts = session.hosts(host, purpose="deploy", app=chosen)
        what = Renewal(session.inventory, chosen, force, staging, session.wait(wait))
        hosts, notes = what.prepare(hosts)
        session.begin(hosts, "renew")
        for note in notes:
            session.say(note)
        session.finish(run(what, hosts, session.logins, session.output))
