"""A project whose deploy takes a second or two: one file, no dependencies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from hostwright.sandbox import Sandbox, Server

from .project import Project, sh, until

# /slow?seconds=N takes that long, /echo gives a body back, anything else is the release
CODE = """\
import os
import time


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/slow":
        time.sleep(float(environ["QUERY_STRING"].partition("=")[2]))
    size = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(size) if path == "/echo" else os.environ["HOSTWRIGHT_RELEASE"].encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
INVENTORY = """\
project: tiny
defaults: {{user: ubuntu, identity_file: {identity}, hardening: off}}
apps:
  tiny:
    module: served:app
    interface: wsgi
    workers: 2
    requirements: requirements.txt
    build_command: "true"
    release_command: "true"
    drain: 10
    health: {{window: 0.2, timeout: 20}}
hosts:
  web1: {{address: {address}}}
"""
ACTIVE = "systemctl list-units --plain --no-legend --state=active 'tiny@*.service' | cut -d' ' -f1"


class Tiny(Project):
    """The project, and what is live of it.

    Args:
        folder: an empty one, for the project and its HOME.
    """

    def __init__(self, folder: Path, server: Server, sandbox: Sandbox) -> None:
        super().__init__(folder, server, name="tiny", app="tiny")
        self.sandbox = sandbox
        shutil.rmtree(self.folder / "app")
        inventory = INVENTORY.format(identity=server.identity_file, address=server.address)
        (self.folder / "inventory.yaml").write_text(inventory)
        (self.folder / "requirements.txt").write_text("")
        self.change("first")

    def change(self, message: str = "a change") -> str:
        """Commit another version; returns its short id, which the release's id ends with."""
        (self.folder / "served.py").write_text(f"{CODE}\n# {message}\n")
        return self.commit(message)

    def live(self) -> str:
        """The release that answers."""
        status, body = self.curl("/version")
        assert status == 200, body
        return body

    def current(self) -> str:
        """The release that `current` names."""
        return sh(self.sandbox, self.server, "basename $(readlink /srv/tiny/current)")

    def one_serves(self) -> str:
        """Exactly one release runs, answers and is current, for systemd, nginx and `inv releases`; which it is."""
        current = self.current()
        # the one before may still be ending in its own time
        until(
            lambda: sh(self.sandbox, self.server, ACTIVE).split() == [f"tiny@{current}.service"],
            15,
            f"only {current} runs",
        )
        assert self.live() == current
        states = {row["id"]: row["state"] for row in self.releases()}
        assert [name for name, state in states.items() if state == "current"] == [current], states
        return current

    def releases(self) -> list[dict[str, str]]:
        """What `inv releases` tells."""
        found: list[dict[str, str]] = json.loads(self.inv("releases", "--json").out)["web1"]["releases"]
        return found

    def nothing_is_left(self) -> None:
        """Of what an interrupted run was building."""
        script = (
            "cd /srv/tiny; ls -A trees venvs releases | grep -e tmp -e index || true; ls -d build || true"
        )
        assert sh(self.sandbox, self.server, script) == ""
