"""fujin, for what it is made for: deploys. One app and one host a command.

Its `server bootstrap` fetches Caddy and uv from sites that cannot be reached everywhere, and so does its Python. The
script of `bash` prepares the host instead, with nginx before the app; from there on it is fujin alone.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from benchmarks.peers.bash import Bash
from benchmarks.peers.peer import VENV, Done, Failed, Work, measured, tool
from benchmarks.peers.site import facts, filled

HERE = Path(__file__).with_name("fujin_")


class Fujin(Bash):
    """`fujin deploy`, `fujin rollback`."""

    name = "fujin"
    app_script = HERE / "app.sh"

    def prepare(self, work: Work) -> None:
        """The host's script; fujin.toml, pyproject.toml and the unit in the repository, where its users have them."""
        if len(work.apps) != 1 or len(work.servers) != 1:
            raise Failed("fujin deploys one app to one host")
        super().prepare(work)
        site = facts(work)
        values = {f"app.{name}": value for name, value in site["apps"][0].items()}
        values |= {f"host.{name}": value for name, value in site["hosts"][0].items()}
        for name in ("fujin.toml", "pyproject.toml"):
            (work.repository / name).write_text(filled((HERE / f"{name}.j2").read_text(), values))
        units = work.repository / ".fujin" / "systemd"
        units.mkdir(parents=True, exist_ok=True)
        workers = str((os.cpu_count() or 1) + 1)
        (units / "web.service").write_text((HERE / "web.service").read_text().replace("WORKERS", workers))
        (work.repository / ".gitignore").write_text("dist/\n")

    def provision(self, work: Work) -> Done:
        """The host by a script, and a deploy."""
        return super().provision(work) + self.deploy(work)

    def deploy(self, work: Work) -> Done:
        """What is checked out, as a wheel."""
        return self._fujin(work, "deploy", "--no-input")

    def rollback(self, work: Work) -> Done:
        """Uninstall this version, install the one before."""
        return self._fujin(work, "rollback", "--previous")

    @staticmethod
    def _fujin(work: Work, *argv: str) -> Done:
        env = work.environ(PATH=f"{VENV / 'bin'}:{os.environ['PATH']}")
        return measured((tool("fujin"), *argv), replace(work, folder=work.repository), env)
