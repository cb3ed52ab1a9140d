"""What the peers are given in files: the same end state for all, and the facts of the work as JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from benchmarks.peers.peer import Work

HERE = Path(__file__).parent
UV = "0.13.8"  # Hostwright's
PACKAGES = (
    "ca-certificates",
    "curl",
    "fail2ban",
    "git",
    "nftables",
    "nginx",
    "python3-systemd",  # fail2ban reads the journal with it
    "python3-venv",
    "unattended-upgrades",
)


def facts(work: Work) -> dict[str, Any]:
    """The work as data, for those whose files are programs or templates."""
    return {
        "packages": PACKAGES,
        "remote": work.remote,
        "admin": work.admin,
        "admin_key": work.admin_key,
        "uv": UV,
        "apps": [
            {"name": app, "domain": work.domain(app), "greeting": work.greeting(app)} for app in work.apps
        ],
        "hosts": [
            {
                "name": server.name,
                "address": server.address,
                "identity_file": str(server.identity_file),
                "known_hosts": str(server.known_hosts),
            }
            for server in work.servers
        ],
    }


def lay_out(work: Work, folder: str) -> dict[str, Any]:
    """Copy what a peer's experts wrote into the work's folder, with `files/`, the certificate and `site.json`.

    Args:
        work: the work.
        folder: of the peer, beside this file.
    """
    shutil.copytree(
        HERE / folder, work.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
    )
    files = work.folder / "files"
    shutil.copytree(HERE / "files", files, dirs_exist_ok=True)
    shutil.copy(work.certificate, files / "fullchain.pem")
    shutil.copy(work.key, files / "privkey.pem")
    site = facts(work)
    (work.folder / "site.json").write_text(json.dumps(site, indent=2))
    return site


def render(work: Work, site: dict[str, Any]) -> None:
    """Fill in the templates, for those who have no template language: they hold names between braces alone.

    `files/env.j2` becomes `files/APP.env`, `files/sudoers.j2` becomes `files/sudoers`.
    """
    host = {"admin": work.admin}
    for template in sorted((work.folder / "files").glob("*.j2")):
        text = template.read_text()
        if "{{ app." not in text:
            template.with_suffix("").write_text(filled(text, host))
            continue
        for app in site["apps"]:
            values = {f"app.{name}": value for name, value in app.items()}
            template.with_name(f"{app['name']}.{template.stem}").write_text(filled(text, values))


def filled(text: str, values: dict[str, str]) -> str:
    """A template with names between braces, filled in."""
    for name, value in values.items():
        text = text.replace("{{ " + name + " }}", value)
    return text


def ssh_config(work: Work) -> str:
    """An ssh_config(5) that knows the servers by name."""
    return "\n".join(
        f"Host {server.name}\n"
        f"  HostName {server.address}\n"
        f"  User {server.users[0]}\n"
        f"  IdentityFile {server.identity_file}\n"
        f"  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {server.known_hosts}\n"
        f"  GlobalKnownHostsFile none\n"
        f"  StrictHostKeyChecking yes\n"
        f"  BatchMode yes\n"
        for server in work.servers
    )
