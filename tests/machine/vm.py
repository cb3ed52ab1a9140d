"""A site on a VM, saved while it serves: each test goes on from there on a layer of its own, in seconds."""

from __future__ import annotations

import copy
import shutil
import time
from pathlib import Path

from hostwright.errors import SandboxError
from hostwright.sandbox import Sandbox, Server

from .project import until
from .tiny import Tiny

# software emulation, on a machine that may be busy with other tests
PATIENCE = 1800.0
BOOT_ID = "/proc/sys/kernel/random/boot_id"
# /eat takes memory until there is none: 4 MiB at a time, touched; /send?ADDRESS says what becomes of a packet
MORE = """\
    if path == "/eat":
        eaten = []
        while True:
            eaten.append(b"x" * (4 << 20))
    if path == "/send":
        import socket

        try:
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (environ["QUERY_STRING"], 9))
            body = b"sent"
        except OSError as error:
            body = error.strerror.encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
"""
LIMIT = "256M"


class Site:
    """Provisioned with everything on, deployed, verified, saved.

    Attributes:
        tiny: the project; its server is down.
        seconds: of each thing done, by name.
    """

    def __init__(self, folder: Path, sandbox: Sandbox, name: str, suite: str) -> None:
        self.seconds: dict[str, float] = {}
        self._began = time.monotonic()
        self._sandbox = sandbox
        server = sandbox.up(name, suite=suite, vm=True, ephemeral=True, say=print)[0]
        self._took("boot")
        self.tiny = Tiny(folder, server, sandbox)
        self.tiny.edit_inventory(", hardening: off", "")
        self.tiny.edit_inventory("timeout: 20}", f"timeout: 120}}\n    limits: {{memory: {LIMIT}}}")
        served = self.tiny.folder / "served.py"
        served.write_text(
            served.read_text().replace('    if path == "/slow"', MORE + '    if path == "/slow"')
        )
        self.tiny.commit("an app that eats and sends")
        for command in ("provision", "deploy", "verify"):
            self.tiny.inv(command, timeout=PATIENCE)
            self._took(command)
        sandbox.save(name)
        self._took("save")
        print(", ".join(f"{what} {seconds:.1f} s" for what, seconds in self.seconds.items()))

    def _took(self, what: str) -> None:
        now = time.monotonic()
        self.seconds[what] = now - self._began
        self._began = now

    def like(self, folder: Path, name: str) -> Tiny:
        """The project on a VM of its own that goes on from what was saved.

        Args:
            folder: an empty one, for its files.
            name: of the new server.
        """
        server = self._sandbox.up(name, like=self.tiny.server.name, ephemeral=True, say=print)[0]
        twin = copy.copy(self.tiny)
        twin.folder, twin.home, twin.server = folder / "tiny", folder / "home", server
        shutil.copytree(self.tiny.folder, twin.folder)
        shutil.copytree(self.tiny.home, twin.home)
        known = twin.home / ".ssh/known_hosts"  # it has the other's host keys
        known.write_text(known.read_text().replace(self.tiny.server.address, server.address))
        twin.edit_inventory(self.tiny.server.address, server.address)
        return twin


def boot_id(sandbox: Sandbox, server: Server) -> str:
    """Another one for each boot; empty while the system does not answer."""
    try:
        return str(sandbox.exec(server.name, ("cat", BOOT_ID)).stdout).strip()
    except SandboxError:
        return ""


def boots_again(sandbox: Sandbox, server: Server, before: str) -> None:
    """Wait until it has booted since its boot id was `before`, and takes logins."""
    until(lambda: boot_id(sandbox, server) not in ("", before), PATIENCE, "another boot")
    sandbox.start(server.name)


def serves(tiny: Tiny, seconds: float = PATIENCE) -> None:
    """Wait until it answers."""
    until(lambda: tiny.curl("/version")[0] == 200, seconds, "it serves")
