"""`inv audit`: updates, failed logins, settings of the kernel. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hostwright.run.audit_finding import HIGH, INFO, LOW, MEDIUM, Finding, Findings, View, many, some, span
from hostwright.run.audit_ssh import takes_passwords

UPDATES, LOGINS, KERNEL = "updates", "logins", "kernel"
DAY = 86400.0
# lists that are older know nothing of what is new
OLD = 3 * DAY
# failed connections a day that are more than the usual noise
MANY = 100


@dataclass(frozen=True)
class Setting:
    """A setting of the kernel: what it should be, in words and as a check, and what it matters."""

    wanted: str
    good: Callable[[int], bool]
    severity: str = LOW


def exactly(number: int, severity: str = LOW) -> Setting:
    """One value."""
    return Setting(str(number), lambda value: value == number, severity)


def least(number: int, severity: str = LOW) -> Setting:
    """A value or more."""
    return Setting(f"{number} or more", lambda value: value >= number, severity)


# what others on the server, or on its network, could use: man 5 proc, Documentation/admin-guide/sysctl
SYSCTL: Mapping[str, Setting] = {
    "kernel.randomize_va_space": exactly(2, MEDIUM),
    "kernel.kptr_restrict": least(1),
    "kernel.dmesg_restrict": exactly(1),
    "kernel.yama.ptrace_scope": least(1),
    "kernel.unprivileged_bpf_disabled": least(1),
    "kernel.perf_event_paranoid": least(2),
    "fs.protected_hardlinks": exactly(1, MEDIUM),
    "fs.protected_symlinks": exactly(1, MEDIUM),
    "fs.protected_fifos": least(1),
    "fs.protected_regular": least(1),
    "fs.suid_dumpable": Setting("0 or 2", lambda value: value in (0, 2)),
    "vm.mmap_min_addr": least(4096),
    "net.ipv4.tcp_syncookies": least(1, MEDIUM),
    "net.ipv4.conf.all.accept_redirects": exactly(0),
    "net.ipv4.conf.all.secure_redirects": exactly(0),
    "net.ipv4.conf.all.send_redirects": exactly(0),
    "net.ipv4.conf.all.accept_source_route": exactly(0),
    "net.ipv6.conf.all.accept_redirects": exactly(0),
    "net.ipv6.conf.all.accept_source_route": Setting("0 or less", lambda value: value <= 0),
    "net.ipv4.icmp_echo_ignore_broadcasts": exactly(1),
}


def updates(view: View) -> Findings:
    """What waits to be installed, how sure that is, and whether somebody installs it."""
    found = view.area(UPDATES)
    if not found:
        return
    automatic = found["automatic"]
    does = automatic["installed"] and automatic["upgrades"] and automatic["lists"] and automatic["timers"]
    security = [_update(one) for one in found["security"]]
    if security:
        what = f"{many(len(security), 'security update')} not installed"
        now = "On the server: sudo apt-get update && sudo apt-get upgrade"
        yield Finding(MEDIUM if does else HIGH, UPDATES, what, some(security), now)
    if found["others"]:
        lines = some([_update(one) for one in found["others"]])
        yield Finding(INFO, UPDATES, f"{many(len(found['others']), 'other update')} not installed", lines)
    if found["fetched"] is None:
        what = "nobody can say which updates there are: the package lists were never fetched"
        yield Finding(MEDIUM, UPDATES, what, (), "On the server: sudo apt-get update")
    elif view.now - found["fetched"] > OLD:
        what = f"the package lists are {span(view.now - found['fetched'])} old: newer updates are not known"
        yield Finding(MEDIUM, UPDATES, what, (), "On the server: sudo apt-get update")
    if not does:
        missing = [word for word, there in (
            ("unattended-upgrades is not installed", automatic["installed"]),
            ("APT::Periodic::Update-Package-Lists is off", automatic["lists"]),
            ("APT::Periodic::Unattended-Upgrade is off", automatic["upgrades"]),
            ("apt-daily.timer or apt-daily-upgrade.timer is not active", automatic["timers"]),
        ) if not there]  # fmt: skip
        what = "security updates do not install themselves"
        yield Finding(MEDIUM, UPDATES, what, tuple(missing), view.harden("updates"))
    if found["reboot"]:
        todo = 'On the server: sudo reboot. Or name a time for it: `hardening: {updates: {reboot: "04:30"}}`'
        yield Finding(MEDIUM, UPDATES, "an update is only in force after a reboot", (found["reboot"],), todo)


def _update(one: Mapping[str, Any]) -> str:
    return f"{one['name']} {one['old']} -> {one['new']}" if one["old"] else f"{one['name']} {one['new']}"


def logins(view: View) -> Findings:
    """Who tried to get in, and whether that is stopped."""
    found = view.area(LOGINS)
    if not found:
        return
    guard = found["fail2ban"]
    wanted = view.host.hardening.fail2ban
    tried = ""
    lines = tuple(f"{address}: {many(count, 'connection')}" for address, count in found["most"][:6])
    if found["failed"]:
        least_ = "" if found["whole"] else "at least "
        tried = (
            f"{least_}{many(found['failed'], 'connection')} from {many(found['addresses'], 'address', 'addresses')} "
            "failed to log in during the last day"
        )
    if not guard["running"] and (wanted or takes_passwords(view) or found["failed"] > MANY):
        severity = MEDIUM if wanted or (takes_passwords(view) and found["failed"]) else LOW
        what = "nobody is banned who tries again and again to log in: fail2ban does not run"
        yield Finding(severity, LOGINS, what, (tried, *lines) if tried else (), view.harden("fail2ban"))
    elif tried:
        yield Finding(INFO, LOGINS, tried, lines)
    yield from _idle(view, guard)
    banned = [f"{jail}: {', '.join(names[:6])}" for jail, names in guard["banned"].items() if names]
    if banned:
        total = sum(map(len, guard["banned"].values()))
        todo = "Somebody of yours? On the server: sudo fail2ban-client unban ADDRESS"
        yield Finding(INFO, LOGINS, f"{many(total, 'address', 'addresses')} banned now", some(banned), todo)


def _idle(view: View, guard: Mapping[str, Any]) -> Findings:
    """fail2ban counts who fails, and then nothing happens: it looks well from everywhere else."""
    what, again = "nobody is kept out who fails to log in: ", "On the server: sudo systemctl restart fail2ban"
    if guard["missing"]:
        programs = " and ".join(guard["missing"])
        seen = (f"{', '.join(guard['actions'])} cannot run",)
        todo = view.harden("fail2ban")
        yield Finding(
            MEDIUM, LOGINS, f"{what}fail2ban bans with {programs}, which is not installed", seen, todo
        )
    elif guard["actions"] == []:
        yield Finding(MEDIUM, LOGINS, f"{what}fail2ban's jail for SSH has no ban action", (), again)
    elif guard["refused"]:
        todo = f"See /var/log/fail2ban.log. Then, once that is mended: {again[0].lower()}{again[1:]}"
        yield Finding(MEDIUM, LOGINS, f"{what}fail2ban's last ban did not work", (guard["refused"],), todo)


def kernel(view: View) -> Findings:
    """Settings that are weaker than they should be."""
    values = view.area(KERNEL).get("values", {})
    by_severity: dict[str, list[str]] = {}
    for name, setting in SYSCTL.items():
        if name in values and not _good(setting, values[name]):
            # a container has a network of its own, and the kernel of the machine that it runs on
            others = view.container and not name.startswith("net.")
            line = f"{name} = {values[name]}, should be {setting.wanted}"
            by_severity.setdefault(INFO if others else setting.severity, []).append(line)
    for severity, lines in by_severity.items():
        theirs = f"; the machine that runs this {view.container} decides" if severity == INFO else ""
        are = "setting of the kernel is" if len(lines) == 1 else "settings of the kernel are"
        todo = "" if severity == INFO else view.harden("sysctl")
        what = f"{len(lines)} {are} weaker than it should be".replace(
            "are weaker than it", "are weaker than they"
        )
        yield Finding(severity, KERNEL, what + theirs, some(lines, 8), todo)


def _good(setting: Setting, value: str) -> bool:
    try:
        return setting.good(int(value.split(maxsplit=1)[0]))
    except (ValueError, IndexError):
        return True


def updates_state(view: View) -> str:
    """In a few words."""
    found = view.area(UPDATES)
    if not found:
        return "-"
    when = "never fetched" if found["fetched"] is None else f"lists {span(view.now - found['fetched'])} old"
    more = ", reboot needed" if found["reboot"] else ""
    return f"{many(len(found['security']), 'security update')}, {when}{more}"


def logins_state(view: View) -> str:
    """In a few words."""
    found = view.area(LOGINS)
    if not found:
        return "-"
    guard = found["fail2ban"]
    total = sum(map(len, guard["banned"].values()))
    bans = f"{total} banned" if guard["running"] else "no fail2ban"
    return f"{found['failed']:,} failed in a day, {bans}"


def kernel_state(view: View) -> str:
    """In a few words."""
    values = view.area(KERNEL).get("values", {})
    good = sum(_good(SYSCTL[name], value) for name, value in values.items() if name in SYSCTL)
    return f"{good} of {many(len(values), 'setting')} as they should be"
