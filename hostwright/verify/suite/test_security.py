"""What the hardening of a host promises, as far as the inventory asks for it: what `inv audit` looks at too."""

from __future__ import annotations

import pytest

from hostwright.remote.audit.login import effective
from hostwright.run.audit import wanted_ports
from hostwright.run.audit_files import EXPOSED, FINE
from hostwright.run.audit_ssh import BROKEN
from hostwright.run.audit_system import SYSCTL

TREES = "/srv /etc/hostwright /etc/nginx /var/lib/hostwright /opt/hostwright"


@pytest.fixture(scope="session")
def part(server):
    """Skips where the inventory does not ask for a part of the hardening."""

    def wanted(name: str) -> None:
        if not getattr(server.hardening, name):
            pytest.skip(f"the inventory says hardening: {{{name}: false}}")

    return wanted


@pytest.fixture(scope="session")
def sshd(host):
    """sshd's effective settings: name -> values."""
    return effective(host.check_output("sshd -T"))


def test_sshd_takes_no_passwords(part, sshd, server):
    part("ssh")
    if server.ssh.password_login:
        pytest.skip("the inventory says ssh: {password_login: true}")
    taken = [
        name
        for name in ("passwordauthentication", "kbdinteractiveauthentication")
        if sshd.get(name) == ["yes"]
    ]
    assert not taken
    assert sshd["permitemptypasswords"] == ["no"]


def test_root_cannot_log_in(part, sshd, server):
    part("ssh")
    if server.ssh.root_login or server.user == "root":
        pytest.skip("the inventory wants root to log in")
    assert sshd["permitrootlogin"] == ["no"]


def test_sshd_offers_no_broken_algorithm(part, sshd):
    part("ssh")
    offered = [one for name in ("ciphers", "macs", "kexalgorithms") for one in sshd[name][0].split(",")]
    assert [one for one in offered if BROKEN.fullmatch(one)] == []


def test_only_ports_of_the_inventory_listen(part, host, server):
    """Also where the firewall would drop what comes: what nobody needs should not listen at all."""
    part("firewall")
    known = wanted_ports(server)
    found = []
    for row in host.check_output("ss -H -ltn").splitlines():
        address, _, port = row.split()[3].rpartition(":")
        inside = address.split("%")[0].startswith(("127.", "[::1]", "[::ffff:127."))
        if not inside and ("tcp", int(port)) not in known:
            found.append(f"{address}:{port}")
    assert found == [], "they listen, and the inventory does not open them: inv audit says who"


def test_who_tries_to_break_in_is_banned(part, host):
    part("fail2ban")
    assert host.service("fail2ban").is_running
    assert "sshd" in host.check_output("fail2ban-client status")


def test_security_updates_install_themselves(part, host):
    part("updates")
    told = host.check_output("apt-config dump")
    assert 'APT::Periodic::Unattended-Upgrade "1"' in told
    assert 'APT::Periodic::Update-Package-Lists "1"' in told
    assert host.service("apt-daily-upgrade.timer").is_running


def test_kernel_settings_are_in_force(part, host):
    part("sysctl")
    container = host.run("systemd-detect-virt --container").stdout.strip() not in ("", "none")
    weak = []
    for name, setting in SYSCTL.items():
        if container and not name.startswith("net."):
            continue  # the machine that runs the container decides
        shown = host.run("cat %s", "/proc/sys/" + name.replace(".", "/"))
        if shown.succeeded and shown.stdout.split() and not setting.good(int(shown.stdout.split()[0])):
            weak.append(f"{name} = {shown.stdout.strip()}, should be {setting.wanted}")
    assert weak == []


def exposure(host, unit: str) -> float:
    rows = host.check_output("systemd-analyze security --no-pager").splitlines()
    return next(float(row.split()[1]) for row in rows if row.split()[:1] == [unit])


def test_nginx_is_sandboxed(part, host):
    part("nginx")
    assert exposure(host, "nginx.service") <= FINE, "systemd-analyze security nginx.service says why"


def test_app_is_sandboxed(host, app, current):
    """Whatever the inventory says of the host: the sandbox belongs to the release."""
    limit = EXPOSED if app.sandbox.relax else FINE
    assert exposure(host, f"{app.name}@{current}.service") <= limit


def test_only_root_has_the_rights_of_root(host):
    passwd = [line.split(":") for line in host.file("/etc/passwd").content_string.splitlines()]
    assert [fields[0] for fields in passwd if fields[2] == "0"] == ["root"]


def test_nobody_has_an_empty_password(host):
    shadow = [line.split(":") for line in host.file("/etc/shadow").content_string.splitlines()]
    assert [fields[0] for fields in shadow if len(fields) > 1 and not fields[1]] == []


def test_nothing_of_ours_can_be_written_by_everybody(host):
    found = host.run(
        f"find {TREES} -xdev -perm -0002 ! -type l ! -type s ! -perm -1000 2>/dev/null | head -20"
    )
    assert found.stdout.splitlines() == []


def test_the_apps_environment_is_readable_by_root_alone(host, app, current):
    env = host.file(f"/srv/{app.name}/releases/{current}/env")
    assert (env.user, env.mode & 0o077) == ("root", 0)


def test_the_app_cannot_become_root(host, app):
    allowed = host.run("sudo -l -n -U %s", app.name)
    assert "may run" not in allowed.stdout
