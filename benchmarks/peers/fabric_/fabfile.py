"""The site, a command a step, on all hosts at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fabric import Connection, ThreadingGroup, task

site = json.loads(Path("site.json").read_text())
web = ThreadingGroup.from_connections(
    [
        Connection(
            host["address"],
            user="ubuntu",
            connect_timeout=20,
            connect_kwargs={
                "key_filename": host["identity_file"],
                "look_for_keys": False,
                "allow_agent": False,
            },
        )
        for host in site["hosts"]
    ]
)


def install(source: str, destination: str, mode: str = "644") -> None:
    """Put a file where only root may write."""
    web.put(f"files/{source}", f"/tmp/{source}")
    web.sudo(f"install -m {mode} /tmp/{source} {destination}")
    web.sudo(f"rm /tmp/{source}")


@task
def provision(_: Any) -> None:
    """The site."""
    web.sudo("apt-get -q update")
    packages = " ".join(site["packages"])
    web.sudo(f"DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends {packages}")
    admin()
    host()
    for app in site["apps"]:
        application(app["name"])
    nginx()


def admin() -> None:
    """Who may log in and become root."""
    name = site["admin"]
    home = f"/home/{name}"
    web.sudo(f"sh -c 'id {name} || useradd --create-home --shell /bin/bash --groups sudo {name}'")
    web.sudo(f"install -d -m 700 -o {name} -g {name} {home}/.ssh")
    install("authorized_keys", f"{home}/.ssh/authorized_keys", "600")
    web.sudo(f"chown {name}: {home}/.ssh/authorized_keys")
    install("sudoers", f"/etc/sudoers.d/90-{name}", "440")
    web.sudo("visudo -c -q")


def host() -> None:
    """What does not depend on the apps."""
    install("sshd.conf", "/etc/ssh/sshd_config.d/00-site.conf")
    web.sudo("sshd -t")
    web.sudo("systemctl reload ssh")
    install("nftables.conf", "/etc/nftables.conf", "755")
    web.sudo("systemctl enable nftables")
    web.sudo("systemctl restart nftables")
    install("jail.local", "/etc/fail2ban/jail.d/sshd.local")
    web.sudo("systemctl enable fail2ban")
    web.sudo("systemctl restart fail2ban")
    install("upgrades.conf", "/etc/apt/apt.conf.d/20auto-upgrades")
    install("sysctl.conf", "/etc/sysctl.d/90-site.conf")
    web.sudo("systemctl restart systemd-sysctl")
    web.sudo("mkdir -p /etc/systemd/journald.conf.d")
    install("journald.conf", "/etc/systemd/journald.conf.d/site.conf")
    web.sudo("systemctl restart systemd-journald")


def application(name: str) -> None:
    """User, code, environment, settings, unit."""
    home = f"/opt/{name}"
    web.sudo(f"sh -c 'id {name} || useradd --system --shell /usr/sbin/nologin {name}'")
    web.sudo(f"mkdir -p {home}")
    web.sudo(f"sh -c 'test -e {home}/code || git clone --quiet {site['remote']} {home}/code'")
    web.sudo(f"sh -c 'test -e {home}/venv || python3 -m venv {home}/venv'")
    install(f"{name}.env", f"{home}/env", "600")
    install(f"{name}.gunicorn.conf.py", f"{home}/gunicorn.conf.py")
    install(f"{name}.app.service", f"/etc/systemd/system/{name}.service")
    web.sudo("systemctl daemon-reload")
    web.sudo(f"systemctl enable {name}")
    release(name)


def nginx() -> None:
    """What stands before the apps."""
    web.sudo("mkdir -p /etc/ssl/site")
    install("fullchain.pem", "/etc/ssl/site/fullchain.pem")
    install("privkey.pem", "/etc/ssl/site/privkey.pem", "600")
    web.sudo("rm -f /etc/nginx/sites-enabled/default")
    install("nginx.conf", "/etc/nginx/conf.d/00-site.conf")
    for app in site["apps"]:
        install(f"{app['name']}.site.conf", f"/etc/nginx/conf.d/{app['name']}.conf")
    web.sudo("nginx -t")
    web.sudo("systemctl reload nginx")


def release(name: str) -> None:
    """Pull, install, restart."""
    home = f"/opt/{name}"
    web.sudo(f"git -C {home}/code pull --quiet")
    web.sudo(f"{home}/venv/bin/pip install --quiet -r {home}/code/app/requirements.txt")
    web.sudo(f"systemctl restart {name}")


@task
def deploy(_: Any) -> None:
    """A new commit."""
    for app in site["apps"]:
        release(app["name"])


@task
def rollback(_: Any) -> None:
    """What main was before."""
    for app in site["apps"]:
        web.sudo(f"git -C /opt/{app['name']}/code reset --quiet --hard 'main@{{1}}'")
        web.sudo(f"systemctl restart {app['name']}")
