"""The code of an app and what it needs."""

from __future__ import annotations

from typing import Any

from pyinfra import host
from pyinfra.facts.files import File
from pyinfra.operations import git, server, systemd

UV = "/opt/uv/bin/uv"


def install_uv() -> None:
    """One for all apps."""
    if host.get_fact(File, path=UV) is None:
        server.shell(
            name="uv",
            commands=["python3 -m venv /opt/uv", f"/opt/uv/bin/pip install --quiet uv=={host.data.uv}"],
        )


def pull(name: str) -> Any:
    """Pull the code of an app; where it changed, make its environment fit."""
    home = f"/opt/{name}"
    code = git.repo(name=f"{name}: code", src=host.data.remote, dest=f"{home}/code", branch="main")
    server.shell(
        name=f"{name}: environment",
        commands=[
            f"test -e {home}/venv || {UV} --quiet venv --python /usr/bin/python3 {home}/venv",
            f"{UV} pip sync --python {home}/venv/bin/python --require-hashes --compile-bytecode "
            f"{home}/code/app/requirements.txt",
        ],
        _if=code.did_change,
    )
    return code


def restart(name: str, condition: Any) -> None:
    """Start an app, or start it again, where the condition holds."""
    systemd.service(
        name=f"{name}: restart",
        service=name,
        running=True,
        restarted=True,
        enabled=True,
        daemon_reload=True,
        _if=condition,
    )
