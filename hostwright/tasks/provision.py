"""`inv provision` and `inv cancel`."""

from __future__ import annotations

import json as json_module
from typing import Any

from invoke.context import Context
from invoke.tasks import task

from hostwright.tasks.frame import end, flags
from hostwright.tasks.session import Session

FLAGS = flags(
    *("host", "inventory", "identity", "check", "diff", "json", "wait", "debug"),
    adopt="At first contact: go on where something of the server's own is in the way; it is kept.",
)


@task(auto_shortflags=False, iterable=["host"], help=FLAGS)
def provision(
    c: Context,
    host: Any = None,
    inventory: str | None = None,
    identity: str | None = None,
    check: bool = False,
    diff: bool = False,
    adopt: bool = False,
    json: bool = False,
    wait: str = "60",
    debug: bool = False,
) -> None:
    """Make a server what the inventory says: packages, users, nginx, units. Repeatable."""
    with Session(c, inventory=inventory, identity=identity, as_json=json, debug=debug) as session:
        from hostwright.run.provision import provision as run

        hosts = session.hosts(host, purpose="provision", app=None)
        check = check or session.dry
        session.begin(hosts, "provision")
        report = run(
            session.inventory,
            hosts,
            session.logins,
            session.output,
            apply=not check,
            diff=diff,
            wait=session.wait(wait),
            adopt=adopt,
        )
        if not check and report.exit_code == 0:
            session.remember(hosts)
        session.finish(report, then="Ready. Next: inv deploy" if not check else "")


@task(auto_shortflags=False, iterable=["host"], help=flags("host", "inventory", "identity", "json", "debug"))
def cancel(
    c: Context,
    host: Any = None,
    inventory: str | None = None,
    identity: str | None = None,
    json: bool = False,
    debug: bool = False,
) -> None:
    """Ask the run that holds a server to stop at its next safe point."""
    with Session(c, inventory=inventory, identity=identity, as_json=json, debug=debug) as session:
        from hostwright.tasks.operate import ask

        hosts = session.hosts(host, purpose="any", app=None)
        _, report = ask(session, hosts, "cancel")
        for name, found in report.hosts.items():
            if json:
                said = found.error.message if found.error else found.message
                answer = {"host": name, "exit_code": found.exit_code, "message": said}
                print(json_module.dumps(answer))
            elif found.error is None:
                print(f"{name}  {found.message}")
        end(report.exit_code)
