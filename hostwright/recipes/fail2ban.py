"""fail2ban: addresses that try to break in are banned for a while. It reads the journal; no rsyslog is needed."""

from __future__ import annotations

from hostwright.inventory import App, Host, Inventory
from hostwright.recipes.render import Render
from hostwright.remote.catalog import Handler
from hostwright.remote.known import FOLDER as KNOWN
from hostwright.remote.resources.base import Resource
from hostwright.remote.resources.file import File
from hostwright.remote.resources.unit import Unit

# python3-systemd reads the journal, nftables bans; fail2ban only recommends them
PACKAGES = ("fail2ban", "nftables", "python3-systemd")
JAILS = "/etc/fail2ban/jail.d"
TEST = ("fail2ban-client", "--test")
# not a reload: after one with another ban action, fail2ban 1.1 has none and bans nobody. Bans outlive a restart
RESTART = "restart fail2ban"
# without our jail it may not be able to start: Debian 12 wants a log file that only rsyslog writes
RESTART_OR_STOP = (
    "fail2ban-client --test && exec systemctl restart fail2ban.service; "
    "exec systemctl disable --now fail2ban.service"
)
# one file for each address: fail2ban's shell has `test` built in, so that no attempt starts another program
IGNORE = f"test -e {KNOWN}/<ip>"


def fail2ban(inventory: Inventory, host: Host, render: Render) -> list[Resource]:
    """A jail for SSH, and one for each app that has rate limits.

    Raises:
        RenderError
    """
    if not host.hardening.fail2ban:
        return []
    given = {"ignore": IGNORE, "trusted": host.firewall.ssh_from}
    jails = [
        _file(f"{JAILS}/hostwright.local", render("fail2ban/sshd.local.j2", ports=_ports(host), **given))
    ]
    for app in (inventory.apps[name] for name in host.apps):
        if _limited(app):
            content = render("fail2ban/app.local.j2", app=app, **given)
            jails.append(_file(f"{JAILS}/hostwright-{app.name}.local", content, app.name))
    unit = Unit(name="fail2ban.service", enabled=True, running=True, provided_by="the package fail2ban")
    return [*jails, unit]


def restart(host: Host) -> Handler:
    """What makes fail2ban read its jails again; where it is switched off, without ours."""
    if host.hardening.fail2ban:
        return Handler(name=RESTART, argv=("systemctl", "restart", "fail2ban.service"))
    return Handler(name=RESTART, argv=("sh", "-c", RESTART_OR_STOP))


def _ports(host: Host) -> list[int]:
    """Of SSH, the one that is moved away from too."""
    return sorted({host.port, getattr(host, "bootstrap_port", None) or 22})


def _limited(app: App) -> bool:
    """Are visitors turned away by nginx? Behind a proxy a ban would not stop them: their packets are the proxy's."""
    return bool(app.nginx.rate_limits) and not app.nginx.trusted_proxies


def _file(path: str, content: str, app: str = "") -> File:
    return File(name=path, content=content, app=app, notify=(RESTART,), validate=TEST, judges_all=True)
