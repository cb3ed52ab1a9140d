"""Fabric as its tutorials teach: a command a step."""

from __future__ import annotations

from benchmarks.peers.peer import Done, Work, measured, tool
from benchmarks.peers.site import lay_out, render


class Fabric:
    """`fab provision`, `fab deploy`, `fab rollback`."""

    name = "fabric"

    def prepare(self, work: Work) -> None:
        """Its fabfile, which reads `site.json`, and files that need no template language."""
        site = lay_out(work, "fabric_")
        render(work, site)
        (work.folder / "files" / "authorized_keys").write_text(work.admin_key + "\n")

    def provision(self, work: Work) -> Done:
        """The site."""
        return self._run(work, "provision")

    def deploy(self, work: Work) -> Done:
        """Pull, install, restart."""
        return self._run(work, "deploy")

    def rollback(self, work: Work) -> Done:
        """What main was before."""
        return self._run(work, "rollback")

    @staticmethod
    def _run(work: Work, task: str) -> Done:
        return measured((tool("fab"), task), work)
