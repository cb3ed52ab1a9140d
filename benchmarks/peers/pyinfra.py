"""pyinfra as its documentation teaches: an inventory, operations, conditions on what has changed."""

from __future__ import annotations

from benchmarks.peers.peer import Done, Work, measured, tool
from benchmarks.peers.site import lay_out


class Pyinfra:
    """`pyinfra -y inventory.py provision.py`, `deploy.py`, `rollback.py`."""

    name = "pyinfra"

    def prepare(self, work: Work) -> None:
        """Its files; the inventory reads `site.json`."""
        lay_out(work, "pyinfra_")

    def provision(self, work: Work) -> Done:
        """The site."""
        return self._run(work, "provision.py")

    def deploy(self, work: Work) -> Done:
        """The code and what it needs."""
        return self._run(work, "deploy.py")

    def rollback(self, work: Work) -> Done:
        """What main was before."""
        return self._run(work, "rollback.py")

    @staticmethod
    def _run(work: Work, deploy: str) -> Done:
        return measured((tool("pyinfra"), "-y", "inventory.py", deploy), work)
