"""What main was before."""

from __future__ import annotations

from pyinfra import config, host
from pyinfra.operations import server, systemd

config.SUDO = True

for app in host.data.apps:
    name = app["name"]
    server.shell(
        name=f"{name}: the commit before", commands=[f"git -C /opt/{name}/code reset --hard 'main@{{1}}'"]
    )
    systemd.service(name=f"{name}: restart", service=name, restarted=True)
