"""A new commit."""

from __future__ import annotations

from pyinfra import config, host
from release import pull, restart

config.SUDO = True

for app in host.data.apps:
    code = pull(app["name"])
    restart(app["name"], code.did_change)
