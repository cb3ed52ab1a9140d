"""`inv audit`: a security report of servers, read-only."""

from __future__ import annotations

import json as json_module
import os
import sys
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.tasks import task

from hostwright.tasks.frame import end, flags
from hostwright.tasks.session import Session

if TYPE_CHECKING:
    from hostwright.run.audit_finding import View
    from hostwright.run.query import Answers


@task(
    auto_shortflags=False,
    iterable=["host"],
    help=flags(
        "host", "inventory", "identity", "debug",
        json="Print one JSON object: for each host `findings`, `counts` and all the `facts`.",
    ),
)  # fmt: skip
def audit(
    c: Context,
    host: Any = None,
    inventory: str | None = None,
    identity: str | None = None,
    json: bool = False,
    debug: bool = False,
) -> None:
    """A security report of servers, with what to do. Changes nothing; they need not be provisioned.

    Exit codes: 0 nothing to do; 1 findings of medium severity or worse; 3 a server cannot be reached.
    """
    with Session(c, inventory=inventory, identity=identity, as_json=json, debug=debug) as session:
        from hostwright.run.audit import asked, findings, needs_work, view
        from hostwright.tasks.operate import ask_each

        hosts = session.hosts(host, purpose="any", app=None)
        answers, report = ask_each(session, hosts, "audit", lambda one: asked(session.inventory, one))
        several = len(session.inventory.hosts) > 1 or not session.inventory.hosts
        views = [
            view(session.inventory, one, answers.data[one.name], f" --host {one.name}" if several else "")
            for one in hosts
            if one.name in answers.data
        ]
        show(session, answers, views)
        bad = any(needs_work(findings(one)) for one in views)
        end(1 if bad and report.exit_code in (0, 3) else report.exit_code)


def show(session: Session, answers: Answers, views: list[View]) -> None:
    """Print the report, or the object for programs."""
    if session.as_json:
        from hostwright.run.audit import findings, told

        shown: dict[str, Any] = {one.host.name: told(one, findings(one)) for one in views}
        for name, error in answers.errors.items():
            shown[name] = {"error": error.message, "exit_code": error.exit_code}
        print(json_module.dumps(shown))
        return
    from hostwright.report import Look
    from hostwright.run.audit_table import audit_table

    print(audit_table(views, answers.errors, Look.of(sys.stdout, os.environ)))
