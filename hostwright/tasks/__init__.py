"""The Invoke tasks. A project's tasks.py is `from hostwright.tasks import ns`."""

from __future__ import annotations

from invoke.collection import Collection

from hostwright.tasks import deploy, operate, project, provision, sandbox

__all__ = ["ns"]

ns = Collection(
    provision.provision,
    deploy.deploy,
    deploy.rollback,
    operate.releases,
    operate.status,
    operate.logs,
    operate.run,
    operate.verify,
    provision.cancel,
    project.init,
)
ns.add_collection(Collection("inventory", project.schema))
ns.add_collection(
    Collection(
        "sandbox",
        sandbox.up,
        sandbox.list_,
        sandbox.ssh,
        sandbox.exec_,
        sandbox.crash,
        sandbox.start,
        sandbox.down,
    )
)
