"""The story of `inv demo`: the commands a user would type, run one after another on a real server."""

from __future__ import annotations

import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

from hostwright.errors import HostwrightError

INVENTORY = """\
project: hostwright-demo
defaults:
  user: ubuntu
apps:
  hello:
    source: ./project
    module: app.main:app
    requirements: app/requirements.txt
    health: {{path: /health}}
    env:
      HELLO_GREETING: {greeting}
hosts:
  demo:
    address: {address}
    user: {user}
    port: {port}
    apps: [hello]
"""
AUTHOR = ("-c", "user.name=Demo", "-c", "user.email=demo@localhost")


class DemoFailed(HostwrightError):
    """A command of the demo did not end well."""


class Demo:
    """Runs the demo.

    Args:
        root: the repository.
        say: progress for people.
    """

    def __init__(self, root: Path, say: Callable[[str], None]) -> None:
        self.root = root
        self.say = say
        self.folder = root / ".sandbox" / "demo"
        self.project = self.folder / "project"
        self.inventory = self.folder / "inventory.yaml"

    def run(self, host: str | None, identity: str | None) -> int:
        """The whole story; returns the exit code.

        Raises:
            HostwrightError
        """
        address = self._server(host, identity)
        self._project()
        self._inv("provision")
        self._inv("deploy")
        self._get(address, "/version")
        self._inv("verify")
        self._change()
        self._inv("deploy")
        self._get(address, "/version")
        self._inv("rollback")
        self._get(address, "/version")
        self._inv("releases")
        inventory = self.inventory.relative_to(self.root)
        self.say(
            f"\nThe app is live: http://{address}/   (its API: http://{address}/docs)\n"
            f"Look around:     ./run status --inventory {inventory}\n"
            f"                 ./run logs --inventory {inventory}\n"
            + (
                "                 ./run sandbox.ssh demo\nThrow it away:   ./run sandbox.down --name demo"
                if not host
                else ""
            )
        )
        return 0

    def _server(self, host: str | None, identity: str | None) -> str:
        """Write the inventory of a new throw-away server, or of the one that was named."""
        from hostwright.inventory import parse_address

        extra = ""
        if host:
            where = parse_address(host)
            address, user, port = where.host, where.user or "ubuntu", where.port or 22
            extra = f"    identity_file: {Path(identity).expanduser().absolute()}\n" if identity else ""
        else:
            from hostwright.tasks.sandbox import forget, sandbox

            box = sandbox()
            if any(server.name == "demo" for server in box.servers()):
                box.down("demo")
            self.say("$ ./run sandbox.up --name demo")
            (server,) = box.up("demo", say=self.say)
            forget(server)
            address, user, port = server.address, "ubuntu", 22
            extra = (
                f"    identity_file: {server.identity_file}\n    host_key: {host_key(server.known_hosts)}\n"
            )
        # only now: the last server of a checkout takes .sandbox with it when it goes
        self.folder.mkdir(parents=True, exist_ok=True)
        text = INVENTORY.format(greeting="Hello from Hostwright", address=address, user=user, port=port)
        self.inventory.write_text(text + extra, encoding="utf-8")
        return address

    def _project(self) -> None:
        """A clone to work in, so that the demo's commit is nobody's."""
        import shutil

        shutil.rmtree(self.project, ignore_errors=True)
        self._git("clone", "--quiet", "--no-hardlinks", str(self.root), str(self.project))

    def _change(self) -> None:
        """One change, committed, as a developer would."""
        main = self.project / "app" / "main.py"
        main.write_text(main.read_text(encoding="utf-8") + "\n# changed by the demo\n", encoding="utf-8")
        self.say("\n$ git commit --all -m 'A change'")
        self._git("-C", str(self.project), *AUTHOR, "commit", "--quiet", "--all", "-m", "A change")

    def _git(self, *argv: str) -> None:
        done = subprocess.run(("git", *argv), capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            raise DemoFailed(f"git {argv[0]} failed", evidence=done.stderr.splitlines()[-5:])

    def _inv(self, *argv: str) -> None:
        """One of our own commands, as a user would type it."""
        words = [*argv, "--inventory", str(self.inventory.relative_to(self.root))]
        self.say(f"\n$ ./run {shlex.join(words)}")
        inv = [sys.executable, "-m", "invoke", "--search-root", str(self.root), *words]
        code = subprocess.run(inv, cwd=self.root, check=False).returncode
        if code:
            raise DemoFailed(f"inv {argv[0]} ended with exit code {code}")

    def _get(self, address: str, path: str) -> None:
        """Ask the app through nginx."""
        url = f"http://{address}{path}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            self.say(f"$ curl {url}\n{answer.status} {answer.read(500).decode()}")


def host_key(known_hosts: Path) -> str:
    """The server's key, so that nothing is recorded in ~/.ssh/known_hosts for a throw-away server."""
    for line in known_hosts.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if len(words) >= 3 and words[1] == "ssh-ed25519":
            return f"{words[1]} {words[2]}"
    raise DemoFailed(f"no host key in {known_hosts}")
