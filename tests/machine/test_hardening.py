"""Hardening on real servers: who attacks is banned and who administers never is, updates come and apps stay up,
nothing changes the second time, and what is switched off leaves nothing behind."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest

from hostwright.sandbox import Sandbox, Server

from .conftest import SUITES, FreshServer
from .load import Load
from .project import sh, until
from .tiny import Tiny

pytestmark = pytest.mark.long

# what decides who gets in has tests of its own
PARTS = "ssh: false, firewall: false, nginx: false"
FILES = (
    "/etc/apt/apt.conf.d/52hostwright",
    "/etc/fail2ban/jail.d/hostwright.local",
    "/etc/modprobe.d/hostwright.conf",
    "/etc/needrestart/conf.d/hostwright.conf",
    "/etc/security/limits.d/hostwright.conf",
    "/etc/sysctl.d/90-hostwright.conf",
    "/etc/systemd/coredump.conf.d/hostwright.conf",
    "/etc/systemd/journald.conf.d/hostwright.conf",
)
# of each on its own line: its switch and what is there because of it
SWITCHES = {
    "fail2ban": ("/etc/fail2ban/jail.d/hostwright.local",),
    "updates": ("/etc/apt/apt.conf.d/52hostwright", "/etc/needrestart/conf.d/hostwright.conf"),
    "sysctl": ("/etc/sysctl.d/90-hostwright.conf",),
    "journald": ("/etc/systemd/journald.conf.d/hostwright.conf",),
    "limits": ("/etc/security/limits.d/hostwright.conf", "/etc/modprobe.d/hostwright.conf"),
}
WITHOUT_RSYSLOG = "apt-get -qqy purge rsyslog >/dev/null 2>&1; rm -f /var/log/auth.log; ! command -v rsyslogd"
BANNED = "fail2ban-client status sshd | sed -n 's/.*Banned IP list:\\s*//p'"
# a library that everything has open is replaced, as an update does
REPLACE = (
    "for lib in /lib/x86_64-linux-gnu/libc.so.6 /lib/aarch64-linux-gnu/libc.so.6; do "
    'if [ -e "$lib" ]; then cp -p "$lib" "$lib.new"; mv "$lib.new" "$lib"; fi; done'
)
STARTED = "systemctl show --value -p InvocationID"


def hardened(folder: Path, server: Server, sandbox: Sandbox, switches: str = f"{{{PARTS}}}") -> Tiny:
    project = Tiny(folder, server, sandbox)
    project.edit_inventory("hardening: off", f"hardening: {switches}, update_packages: false")
    return project


def unchanged(project: Tiny) -> None:
    done = project.inv("provision")
    assert " 0 changed, " in done.out, str(done)


def knock(sandbox: Sandbox, attacker: Server, victim: Server, user: str) -> None:
    """A login that is refused: with a key nobody knows."""
    options = (
        "-o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=3"
    )
    script = f"timeout 8 ssh {options} -i /root/stolen {user}@{victim.address} true </dev/null >/dev/null 2>&1 || true"
    sh(sandbox, attacker, script)


def reaches(sandbox: Sandbox, client: Server, server: Server, port: int) -> bool:
    script = f"timeout 3 bash -c '</dev/tcp/{server.address}/{port}' >/dev/null 2>&1 && echo yes || true"
    return sh(sandbox, client, script) == "yes"


@pytest.mark.parametrize("suite", SUITES)
def test_attackers_are_banned_and_administrators_are_not(
    tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer, suite: str
) -> None:
    server, attacker = fresh_server("ban", suite), fresh_server("attacker", suite)
    sh(sandbox, server, WITHOUT_RSYSLOG, timeout=120)
    project = hardened(tmp_path, server, sandbox)
    project.inv("provision")
    unchanged(project)
    for path in FILES:
        assert sh(sandbox, server, f"stat -c %U:%a {path}") == "root:644", path
    assert sh(sandbox, server, "systemctl is-active fail2ban") == "active"
    assert sh(sandbox, server, "systemctl list-units --failed --no-legend --plain") == ""

    # the administrator's wrong keys: many more than a stranger has
    stranger = tmp_path / "stranger"
    subprocess.run(("ssh-keygen", "-qt", "ed25519", "-N", "", "-f", str(stranger)), check=True, timeout=30)
    options = (
        "-F/dev/null",
        "-oBatchMode=yes",
        "-oStrictHostKeyChecking=no",
        "-oUserKnownHostsFile=/dev/null",
    )
    argv = ("ssh", *options, "-oIdentitiesOnly=yes", f"-i{stranger}", f"nobody-here@{server.address}", "true")
    for _ in range(8):
        assert subprocess.run(argv, capture_output=True, check=False, timeout=30).returncode == 255
    sh(sandbox, attacker, "ssh-keygen -qt ed25519 -N '' -f /root/stolen")
    for number in range(8):
        knock(sandbox, attacker, server, f"admin{number}")
    until(lambda: attacker.address in sh(sandbox, server, BANNED).split(), 20, "the attacker is banned")
    assert sh(sandbox, server, BANNED).split() == [attacker.address]
    until(lambda: not reaches(sandbox, attacker, server, 22), 20, "the attacker reaches SSH no more")
    # whoever shares the attacker's address still sees the site
    assert reaches(sandbox, attacker, server, 80)
    unchanged(project)
    # a reload and a reboot keep the ban
    sh(sandbox, server, "systemctl reload fail2ban")
    assert not reaches(sandbox, attacker, server, 22)


def test_updates_come_and_apps_stay_up(tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer) -> None:
    server = fresh_server("updates")
    project = hardened(tmp_path, server, sandbox)
    project.inv("provision")
    release = project.live() if project.inv("deploy") else ""
    dry = sh(sandbox, server, "unattended-upgrade --dry-run --verbose 2>&1", timeout=300)
    assert "label=Debian-Security" in dry
    assert "label=Ubuntu" in dry
    assert "Error" not in dry
    apt = sh(sandbox, server, "apt-config dump")
    assert 'Unattended-Upgrade::Automatic-Reboot "false";' in apt
    assert 'APT::Periodic::Unattended-Upgrade "1";' in apt
    assert sh(sandbox, server, "systemctl is-enabled apt-daily-upgrade.timer") == "enabled"

    sh(sandbox, server, REPLACE)
    app, other = f"tiny@{release}.service", "cron.service"
    before = {unit: sh(sandbox, server, f"{STARTED} {unit}") for unit in (app, other)}
    listed = sh(sandbox, server, "needrestart -r l 2>&1 </dev/null", timeout=120)
    assert other in listed
    assert {unit: sh(sandbox, server, f"{STARTED} {unit}") for unit in (app, other)} == before
    # as after an unattended upgrade: nobody is there to be asked
    with Load(server.address, slow=False):
        sh(sandbox, server, "needrestart 2>&1 </dev/null", timeout=120)
        time.sleep(1)
    after = {unit: sh(sandbox, server, f"{STARTED} {unit}") for unit in (app, other)}
    assert after[app] == before[app]
    assert after[other] != before[other]
    assert project.live() == release
    unchanged(project)


@pytest.mark.parametrize("suite", SUITES)
def test_hardening_under_traffic_and_back(
    tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer, suite: str
) -> None:
    """What is switched off leaves nothing, and no request is lost on the way in and out."""
    server = fresh_server("traffic", suite)
    project = hardened(tmp_path, server, sandbox, "off")
    project.inv("provision")
    project.inv("deploy")
    with Load(server.address) as load:
        project.edit_inventory("hardening: off", f"hardening: {{{PARTS}}}, hostname: shop.example.com")
        project.inv("provision")
        assert sh(sandbox, server, "hostname") == "shop.example.com"
        assert sh(sandbox, server, "getent hosts shop.example.com | cut -d' ' -f1") == "127.0.1.1"
        unchanged(project)
        each_switch_takes_its_own_away(project)
        project.edit_inventory(f"hardening: {{{PARTS}}}", "hardening: off")
        out = project.inv("provision").out
    assert load.failures == []
    assert load.count > 500
    said = " ".join(out.split())  # lines of 80 characters
    told = re.search(r"no longer asked for, and left installed: (.*?) \(sudo apt-get purge", said)
    assert told, out
    assert {"fail2ban", "needrestart", "unattended-upgrades"} <= set(told[1].split(", ")), out
    assert "the kernel's settings stay as they are until the next boot" in said
    unchanged(project)
    # nginx's sites and the apps' units are no part of it
    others = " ".join(
        f"-not -path '{path}'"
        for path in ("*/nginx/*", "/etc/systemd/system/*", "/etc/tmpfiles.d/*", "/etc/hostwright")
    )
    left = f"find /etc -name '*hostwright*' {others}"
    assert sh(sandbox, server, left) == ""
    assert sh(sandbox, server, "systemctl list-units --failed --no-legend --plain") == ""


@pytest.mark.parametrize("suite", SUITES)
def test_all_of_it_at_once_under_traffic(
    tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer, suite: str
) -> None:
    """As who has a site already gets it: sshd, firewall and nginx too."""
    server = fresh_server("atonce", suite)
    project = hardened(tmp_path, server, sandbox, "off")
    project.inv("provision")
    project.inv("deploy")
    with Load(server.address) as load:
        project.edit_inventory("hardening: off, ", "")
        project.inv("provision")
        unchanged(project)
        project.inv("deploy")
        until(lambda: load.count > 500, 60, "visitors come")
    assert load.failures == []
    assert load.slow > 3
    assert "passwordauthentication no" in sh(sandbox, server, "/usr/sbin/sshd -T").splitlines()
    assert "policy drop" in sh(sandbox, server, "nft list table inet hostwright")
    project.inv("verify")


def each_switch_takes_its_own_away(project: Tiny) -> None:
    """One after the other, and back again."""
    on = f"hardening: {{{PARTS}}}"
    for switch, files in SWITCHES.items():
        off = f"hardening: {{{PARTS}, {switch}: false}}"
        project.edit_inventory(on, off)
        project.inv("provision")
        there = sh(project.sandbox, project.server, f"ls {' '.join(FILES)} 2>/dev/null || true").split()
        gone = set(FILES) - set(there)
        assert gone >= set(files)
        assert {path for path in gone if path not in files} <= {
            "/etc/systemd/coredump.conf.d/hostwright.conf"
        }
        unchanged(project)
        project.edit_inventory(off, on)
    project.inv("provision")


def test_what_is_foreign_is_respected(tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer) -> None:
    """Another clock, another's kernel settings, and jails of the administrator's own."""
    server = fresh_server("foreign")
    sh(sandbox, server, "apt-get -qq update && apt-get -qqy install chrony >/dev/null 2>&1", timeout=300)
    sh(sandbox, server, "echo net.ipv4.tcp_rfc1337=0 > /etc/sysctl.d/99-mine.conf")
    sh(
        sandbox,
        server,
        "mkdir -p /etc/fail2ban && printf '[sshd]\\nmaxretry = 9\\n' > /etc/fail2ban/jail.local",
    )
    project = hardened(tmp_path, server, sandbox)
    out = project.inv("provision").out
    assert "left alone: dev.tty.ldisc_autoload: it is the machine's, not this container's and" in out
    assert sh(sandbox, server, "dpkg -l chrony | tail -1 | cut -c1-2") == "ii"
    assert sh(sandbox, server, "cat /proc/sys/net/ipv4/tcp_rfc1337") == "0"
    assert "net.ipv4.tcp_rfc1337: 99-mine.conf sets it" in sh(
        sandbox, server, "cat /var/lib/hostwright/left-alone/sysctl"
    )
    assert sh(sandbox, server, "cat /etc/fail2ban/jail.local") == "[sshd]\nmaxretry = 9"
    assert sh(sandbox, server, "sysctl -n net.ipv4.conf.all.accept_redirects") == "0"
    unchanged(project)
