"""Hostwright as its users run it: a folder with tasks.py and inventory.yaml, everything on by default."""

from __future__ import annotations

import json
import sys
from typing import Any

from benchmarks.peers.peer import ROOT, Done, Work, measured

TASKS = "from hostwright.tasks import ns\n"


class Hostwright:
    """`inv provision`, `inv deploy`, `inv rollback`.

    Code is a command of its own: the first `provision` of a work goes on with `inv deploy`, later ones do not.
    """

    name = "hostwright"

    def prepare(self, work: Work) -> None:
        """tasks.py and inventory.yaml, which is YAML as JSON is."""
        (work.folder / "tasks.py").write_text(TASKS)
        (work.folder / "inventory.yaml").write_text(json.dumps(inventory(work), indent=2))

    def provision(self, work: Work) -> Done:
        """All hosts; the first time the apps go live too."""
        done = self.run(work, "provision", "--host", "all")
        deployed = work.folder / ".deployed"
        if not deployed.exists():
            done = done + self.deploy(work)
            deployed.touch()
        return done

    def deploy(self, work: Work) -> Done:
        """All apps, one after the other."""
        return self._each(work, "deploy")

    def rollback(self, work: Work) -> Done:
        """All apps, one after the other."""
        return self._each(work, "rollback")

    def _each(self, work: Work, command: str) -> Done:
        first, *others = (self.run(work, command, "--host", "all", "--app", app) for app in work.apps)
        return sum(others, first)

    @staticmethod
    def run(work: Work, *argv: str) -> Done:
        """One command of a user."""
        env = work.environ(PYTHONPATH=str(ROOT))
        return measured((sys.executable, "-m", "invoke", *argv), work, env)


def inventory(work: Work) -> dict[str, Any]:
    """What it should be: defaults, but for what the work names."""
    app = {
        "source": str(work.repository),
        "module": "app.main:app",
        "requirements": "app/requirements.txt",
        "health": {"path": "/health"},
    }
    return {
        "project": "bench",
        "defaults": {
            "user": "ubuntu",
            "identity_file": str(work.servers[0].identity_file),
            "tls": {"certificate": str(work.certificate), "key": str(work.key)},
            "users": {work.admin: {"keys": [work.admin_key], "sudo": True}},
        },
        "apps": {
            name: {**app, "domains": [work.domain(name)], "env": {"HELLO_GREETING": work.greeting(name)}}
            for name in work.apps
        },
        "hosts": {server.name: {"address": server.address} for server in work.servers},
    }
