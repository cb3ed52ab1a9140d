"""Throw-away servers on this machine: real systemd, sshd and apt, up in seconds, gone without a trace.

What `inv sandbox.*`, the demo and the machine tests run on. Each server is a systemd-nspawn container on an
overlay of a base system made by mmdebstrap, with an address on a bridge of its own checkout.

    from pathlib import Path
    from hostwright.sandbox import Sandbox
    [server] = Sandbox(Path.cwd()).up("web1", suite="bookworm")
    subprocess.run(server.ssh_argv("hostname"), check=True)

Needs root on Linux; `ensure` says what else, and installs it.
"""

from .delay import DelayedPath, delayed_path
from .model import Server
from .preflight import ensure
from .sandbox import Sandbox

__all__ = ["DelayedPath", "Sandbox", "Server", "delayed_path", "ensure"]
