"""What makes a server harder to break into, apart from who gets in: docs/hardening.md has what each part costs.

SSH, users and the firewall decide who gets in: they are guarded, and come last (recipes/provision.py).
"""

from __future__ import annotations

from hostwright.inventory import Host, Inventory
from hostwright.recipes import fail2ban as bans
from hostwright.recipes import updates as upgrades
from hostwright.recipes.render import Render
from hostwright.remote.catalog import Handler
from hostwright.remote.resources.base import Resource
from hostwright.remote.resources.file import File
from hostwright.remote.resources.hostname import Hostname
from hostwright.remote.resources.swap import Swap
from hostwright.remote.resources.sysctl import Sysctl
from hostwright.remote.resources.tightened import Tightened
from hostwright.remote.resources.unit import Unit

SYSCTL = "/etc/sysctl.d/90-hostwright.conf"
SWAP = "/var/lib/hostwright/swap"
JOURNALD = Handler(name="restart systemd-journald", argv=("systemctl", "restart", "systemd-journald.service"))

TIMESYNCD = "systemd-timesyncd"
# what else keeps a clock right: each of them conflicts with systemd-timesyncd
CLOCKS = ("chrony", "ntp", "ntpsec", "openntpd")
# a container has the clock of its machine
KEEPS_CLOCK = f"!path:/run/systemd/container path:/usr/lib/systemd/{TIMESYNCD}|path:/lib/systemd/{TIMESYNCD}"

# what only root has to read: jobs tell where secrets and scripts lie
CLOSED = {
    "/etc/crontab": 0o600,
    **{f"/etc/cron.{when}": 0o700 for when in ("d", "hourly", "daily", "weekly", "monthly")},
    "/etc/ssh/sshd_config": 0o600,
    "/etc/sudoers.d": 0o750,
    "/boot/grub/grub.cfg": 0o600,
}
# login.defs(5). No PASS_MAX_DAYS: a password that has expired stops logins with keys too
LOGIN = {
    "UMASK": "027",
    "PASS_MIN_DAYS": "1",
    "SHA_CRYPT_MIN_ROUNDS": "65536",
    "SHA_CRYPT_MAX_ROUNDS": "65536",
}


def packages(host: Host) -> list[str]:
    """Debian packages that the switched-on parts need: installed with all others, in one transaction."""
    on = host.hardening
    return [
        *(("nftables",) if on.firewall else ()),
        *(bans.PACKAGES if on.fail2ban else ()),
        *(upgrades.PACKAGES if on.updates else ()),
        *(("logrotate",) if on.journald else ()),
        *((TIMESYNCD,) if on.timesync else ()),
    ]


def handlers(host: Host) -> list[Handler]:
    """What reads these files again: also when they go, because they are switched off."""
    return [bans.restart(host), JOURNALD]


def hardening(inventory: Inventory, host: Host, render: Render) -> list[Resource]:
    """Everything that is switched on, and the server's name.

    Raises:
        RenderError
    """
    return [
        *_hostname(host),
        *upgrades.updates(host, render),
        *_sysctl(host, render),
        *_journald(host, render),
        *_limits(host, render),
        *_timesync(host),
        *([Swap(name=SWAP, size=host.hardening.swap)] if host.hardening.swap else []),
        *bans.fail2ban(inventory, host, render),
    ]


def _hostname(host: Host) -> list[Resource]:
    if not host.hostname:
        return []
    # cloud-init would give the server its old name back at the next boot
    keep = "# Managed by Hostwright.\npreserve_hostname: true\nmanage_etc_hosts: false\n"
    folder = "/etc/cloud/cloud.cfg.d"
    return [
        File(name=f"{folder}/99-hostwright-hostname.cfg", content=keep, when=f"path:{folder}"),
        Hostname(name=host.hostname),
    ]


def _sysctl(host: Host, render: Render) -> list[Resource]:
    if not host.hardening.sysctl:
        return []
    content = render("sysctl/hostwright.conf.j2")
    return [File(name=SYSCTL, content=content, conditional=True), Sysctl(name=SYSCTL)]


def _journald(host: Host, render: Render) -> list[Resource]:
    if not host.hardening.journald:
        return []
    path = "/etc/systemd/journald.conf.d/hostwright.conf"
    return [
        File(name=path, content=render("journald/hostwright.conf.j2"), notify=(JOURNALD.name,)),
        # minimal images have no logrotate: nginx's logs would grow without end
        Unit(name="logrotate.timer", enabled=True, running=True, provided_by="the package logrotate"),
    ]


def _limits(host: Host, render: Render) -> list[Resource]:
    if not host.hardening.limits:
        return []
    home = "/root" if host.user == "root" else f"/home/{host.user}"
    return [
        File(name="/etc/security/limits.d/hostwright.conf", content=render("limits/limits.conf.j2")),
        File(name="/etc/profile.d/hostwright.sh", content=render("limits/profile.sh.j2")),
        File(name="/etc/systemd/coredump.conf.d/hostwright.conf", content=render("limits/coredump.conf.j2")),
        File(name="/etc/modprobe.d/hostwright.conf", content=render("limits/modprobe.conf.j2")),
        # a site of somebody else's on this server may have its files there
        Tightened(
            name="host",
            modes={**CLOSED, home: 0o750},
            settings={"/etc/login.defs": LOGIN},
            unless={home: f"nginx-names:{home}"},
        ),
    ]


def _timesync(host: Host) -> list[Resource]:
    if not host.hardening.timesync:
        return []
    return [Unit(name=f"{TIMESYNCD}.service", enabled=True, running=True, when=KEEPS_CLOCK)]
