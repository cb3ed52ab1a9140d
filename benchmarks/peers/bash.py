"""A tutorial as a script: `ssh HOST 'sudo bash -s' < setup.sh`, on all hosts at once."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from benchmarks.peers.peer import Done, Work, measured
from benchmarks.peers.site import lay_out, render, ssh_config

EVERYWHERE = """\
for host in "$@"; do
    ssh -F ssh_config "$host" 'sudo -n bash -s' < "$0" &
    running="${running:-} $!"
done
for job in $running; do wait "$job" || failed=1; done
exit ${failed:-0}
"""


class Bash:
    """`setup.sh`, `deploy.sh`, `rollback.sh`."""

    name = "bash"
    app_script = Path(__file__).with_name("bash") / "app.sh"  # once for each app, at the end of setup.sh

    def prepare(self, work: Work) -> None:
        """Scripts that need nothing but themselves, as a tutorial's do: files are written into them."""
        site = lay_out(work, "bash")
        render(work, site)
        (work.folder / "files" / "authorized_keys").write_text(work.admin_key + "\n")
        (work.folder / "ssh_config").write_text(ssh_config(work))
        settings = {
            "APPS": " ".join(work.apps),
            "PACKAGES": " ".join(site["packages"]),
            "ADMIN": work.admin,
            "REMOTE": work.remote,
            "UV": site["uv"],
        }
        head = "".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items())
        app = self.app_script.read_text()
        tails = {"setup": "".join(app.replace("APP", name) for name in work.apps)}
        for name in ("setup", "deploy", "rollback"):
            script = work.folder / f"{name}.sh"
            text = script.read_text() + tails.get(name, "")
            script.write_text(
                head + re.sub(r"< (files/\S+)$", lambda found: self._here(work, found), text, flags=re.M)
            )

    def provision(self, work: Work) -> Done:
        """The site, again and again: it reports nothing, and restarts what may have changed."""
        return self._run(work, "setup.sh")

    def deploy(self, work: Work) -> Done:
        """Pull, install, restart."""
        return self._run(work, "deploy.sh")

    def rollback(self, work: Work) -> Done:
        """What main was before."""
        return self._run(work, "rollback.sh")

    @staticmethod
    def _here(work: Work, found: re.Match[str]) -> str:
        return f"<<'END'\n{(work.folder / found[1]).read_text()}END"

    @staticmethod
    def _run(work: Work, script: str) -> Done:
        hosts = (server.name for server in work.servers)
        return measured(("sh", "-c", EVERYWHERE, script, *hosts), work)
