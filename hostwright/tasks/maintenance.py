"""`inv maintenance.on` and `inv maintenance.off`."""

from __future__ import annotations

import json as json_module
from typing import Any

from invoke.context import Context
from invoke.tasks import task

from hostwright.tasks.deploy import refuse_dry
from hostwright.tasks.frame import end, flags
from hostwright.tasks.session import Session

FLAGS = flags(
    *("host", "app", "inventory", "identity", "debug"),
    json="Print one JSON object: for each host on, changed, since (Unix seconds) and by, or error and exit_code.",
)


@task(auto_shortflags=False, iterable=["host"], help=FLAGS)
def on(
    c: Context,
    host: Any = None,
    app: str | None = None,
    inventory: str | None = None,
    identity: str | None = None,
    json: bool = False,
    debug: bool = False,
) -> None:
    """Give visitors the maintenance page (503) instead of the app, at once; deploys go on working meanwhile.

    It stays until `inv maintenance.off`, through deploys and reboots.
    """
    with Session(c, inventory=inventory, identity=identity, as_json=json, debug=debug) as session:
        _switch(session, host, app, to=True)


@task(auto_shortflags=False, iterable=["host"], help=FLAGS)
def off(
    c: Context,
    host: Any = None,
    app: str | None = None,
    inventory: str | None = None,
    identity: str | None = None,
    json: bool = False,
    debug: bool = False,
) -> None:
    """Give visitors the app again, at once."""
    with Session(c, inventory=inventory, identity=identity, as_json=json, debug=debug) as session:
        _switch(session, host, app, to=False)


def _switch(session: Session, host: Any, app: str | None, *, to: bool) -> None:
    from hostwright.run.maintenance import as_json, told
    from hostwright.tasks.operate import ask

    refuse_dry(session, "maintenance")
    chosen = session.app(app)
    hosts = session.hosts(host, purpose="deploy", app=chosen.name)
    answers, report = ask(session, hosts, "maintenance", app=chosen.name, on=to)
    if session.as_json:
        print(json_module.dumps(as_json(answers.data, report)))
    else:
        for name, answer in answers.data.items():
            print(f"{name}  {told(answer)}")
    end(report.exit_code)
