"""What the recipes of hardening make of the inventory: every switch is a switch, and what they write is right."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hostwright.inventory import Inventory, load
from hostwright.recipes.base import base
from hostwright.recipes.hardening import hardening, packages
from hostwright.recipes.render import renderer
from hostwright.recipes.sshd import sshd
from hostwright.remote.resources.base import Resource
from hostwright.remote.resources.file import File
from hostwright.remote.resources.packages import Packages
from hostwright.remote.resources.sshd import Sshd
from hostwright.remote.resources.sysctl import parse

FILE = """\
apps:
  shop: {{module: "a:b", domains: [shop.example.com], nginx: {{rate_limits: {{/login: {{rate: 5r/m}}}}}}}}
  proxied:
    module: "a:b"
    domains: [proxied.example.com]
    nginx: {{rate_limits: {{/login: {{rate: 5r/m}}}}, trusted_proxies: [10.0.0.0/8]}}
  quiet: {{module: "a:b", domains: [quiet.example.com]}}
hosts:
  web1: {{address: 203.0.113.1, {host}}}
"""
SSHD_JAIL = "/etc/fail2ban/jail.d/hostwright.local"
# switch -> what is there because of it, beside packages
PARTS = {
    "fail2ban": {
        f"file:{SSHD_JAIL}",
        "file:/etc/fail2ban/jail.d/hostwright-shop.local",
        "unit:fail2ban.service",
    },
    "updates": {"file:/etc/apt/apt.conf.d/52hostwright", "file:/etc/needrestart/conf.d/hostwright.conf"},
    "sysctl": {"file:/etc/sysctl.d/90-hostwright.conf", "sysctl:/etc/sysctl.d/90-hostwright.conf"},
    "journald": {"file:/etc/systemd/journald.conf.d/hostwright.conf", "unit:logrotate.timer"},
    "swap": {"swap:/var/lib/hostwright/swap"},
    "timesync": {"unit:systemd-timesyncd.service"},
    "limits": {
        "file:/etc/security/limits.d/hostwright.conf",
        "file:/etc/profile.d/hostwright.sh",
        "file:/etc/systemd/coredump.conf.d/hostwright.conf",
        "file:/etc/modprobe.d/hostwright.conf",
        "tightened:host",
    },
}
# the firewall wants nftables too
BOTH = {"nftables"}
PACKAGES = {
    "fail2ban": {"fail2ban", "python3-systemd"},
    "updates": {"debsums", "needrestart", "unattended-upgrades"},
    "journald": {"logrotate"},
    "timesync": {"systemd-timesyncd"},
}


def inventory(tmp_path: Path, host: str = "hardening: on") -> Inventory:
    path = tmp_path / "inventory.yaml"
    path.write_text(FILE.format(host=host))
    return load(path, {})


def made(tmp_path: Path, host: str = "hardening: on") -> dict[str, Resource]:
    found = inventory(tmp_path, host)
    return {r.id: r for r in hardening(found, found.hosts["web1"], renderer(tmp_path))}


def text(tmp_path: Path, path: str, host: str = "hardening: on") -> str:
    resource = made(tmp_path, host)[f"file:{path}"]
    assert isinstance(resource, File)
    return resource.content


def installed(tmp_path: Path, host: str) -> set[str]:
    resources = base(inventory(tmp_path, host).hosts["web1"])
    (found,) = [r for r in resources if isinstance(r, Packages)]
    return set(found.packages)


def test_all_of_it(tmp_path: Path) -> None:
    assert set(made(tmp_path)) == set().union(*PARTS.values())
    found = inventory(tmp_path)
    assert set(packages(found.hosts["web1"])) == BOTH.union(*PACKAGES.values())


def test_off_is_as_if_there_were_no_hardening(tmp_path: Path) -> None:
    assert made(tmp_path, "hardening: off") == {}
    everything = installed(tmp_path, "hardening: on") - installed(tmp_path, "hardening: off")
    assert everything == BOTH.union(*PACKAGES.values())


@pytest.mark.parametrize("switch", PARTS)
def test_each_switch_takes_away_its_own(tmp_path: Path, switch: str) -> None:
    off = f"hardening: {{{switch}: false}}"
    assert set(made(tmp_path)) - set(made(tmp_path, off)) == PARTS[switch]
    assert installed(tmp_path, "hardening: on") - installed(tmp_path, off) == PACKAGES.get(switch, set())


def test_one_transaction_for_all_packages(tmp_path: Path) -> None:
    resources = base(inventory(tmp_path).hosts["web1"])
    assert [r.id for r in resources if r.kind == "packages"] == ["packages:base"]
    (found,) = [r for r in resources if isinstance(r, Packages)]
    # each of these conflicts with it: apt would have to remove what keeps the clock right
    assert "chrony" in found.unless["systemd-timesyncd"]


# -- fail2ban ---------------------------------------------------------------------------------------------


def test_the_jail_reads_the_journal_and_guards_the_port_of_ssh(tmp_path: Path) -> None:
    jail = text(tmp_path, SSHD_JAIL, "port: 2222")
    assert "backend = systemd\n" in jail
    assert "port = 22,2222\n" in jail
    assert "journalmatch = _COMM=sshd _UID=0 + _COMM=sshd-session _UID=0 + _COMM=sshd-auth _UID=0\n" in jail
    # the administrator's own settings hold for everything else
    assert "[DEFAULT]" not in jail
    assert "ignoreip" not in jail
    assert "ignorecommand = test -e /var/lib/hostwright/admins/<ip>\n" in jail


def test_where_ssh_may_come_from_is_never_banned(tmp_path: Path) -> None:
    jail = text(tmp_path, SSHD_JAIL, 'firewall: {ssh_from: [203.0.113.0/24, "2001:db8::/32"]}')
    assert "ignoreip = 127.0.0.1/8 ::1 203.0.113.0/24 2001:db8::/32\n" in jail


def test_where_ssh_may_come_from_is_never_turned_away(tmp_path: Path) -> None:
    def lines(host: str) -> list[str]:
        found = inventory(tmp_path, host)
        (about,) = sshd(found, found.hosts["web1"], renderer(tmp_path))
        assert isinstance(about, Sshd)
        return [line for line in about.template.splitlines() if line.startswith("PerSourcePenalt")]

    assert lines('firewall: {ssh_from: [203.0.113.0/24, "2001:db8::/32"]}') == [
        "PerSourcePenaltyExemptList 203.0.113.0/24,2001:db8::/32 #?persourcepenaltyexemptlist"
    ]
    assert lines("port: 22") == []


def test_only_apps_with_limits_of_their_own_ban(tmp_path: Path) -> None:
    names = [id for id in made(tmp_path) if "hostwright-" in id]
    assert names == ["file:/etc/fail2ban/jail.d/hostwright-shop.local"]
    jail = text(tmp_path, names[0].removeprefix("file:"))
    assert "logpath = /var/log/nginx/shop.error.log\n" in jail
    assert "\n[hostwright-shop]\n" in jail


# -- updates ----------------------------------------------------------------------------------------------

APT = "/etc/apt/apt.conf.d/52hostwright"


def apt(tmp_path: Path, host: str = "hardening: on") -> str:
    """What apt makes of the file, or the file where there is no apt on this machine."""
    content = text(tmp_path, APT, host)
    if not shutil.which("apt-config"):
        return content
    path = tmp_path / "52hostwright"
    path.write_text(content)
    argv = ("apt-config", "-c", str(path), "dump")
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30).stdout


def test_it_never_reboots_unless_somebody_said_when(tmp_path: Path) -> None:
    assert 'Unattended-Upgrade::Automatic-Reboot "false";' in apt(tmp_path)
    found = apt(tmp_path, "hardening: {updates: {reboot: 04:30}}")
    assert 'Unattended-Upgrade::Automatic-Reboot "true";' in found
    assert 'Unattended-Upgrade::Automatic-Reboot-Time "04:30";' in found


def test_security_updates_of_debian_and_of_ubuntu(tmp_path: Path) -> None:
    found = apt(tmp_path)
    assert "origin=Debian,codename=${distro_codename}-security,label=Debian-Security" in found
    assert "origin=Ubuntu,archive=${distro_codename}-security,label=Ubuntu" in found
    assert "--force-confold" in found


def test_needrestart_leaves_the_apps_alone(tmp_path: Path) -> None:
    if not shutil.which("perl"):
        pytest.fail("this test needs perl")
    config = tmp_path / "hostwright.conf"
    content = text(tmp_path, "/etc/needrestart/conf.d/hostwright.conf")
    for app in ("shop", "shop-2"):
        (tmp_path / "srv" / app).mkdir(parents=True)
        (tmp_path / "srv" / app / "current").write_text("")
    config.write_text(content.replace("/srv/", f"{tmp_path}/srv/"))
    units = (
        *("shop@20261127-1.service", "shop.worker@20261127-1.service", "shop-2@1.service"),
        *("hostwright-run-1.service", "nginx.service", "shopping.service", "shop-3@1.service"),
    )
    program = """
        our %nrconf; my ($file, @units) = @ARGV; local $/; open(my $f, '<', $file) or die; eval <$f>; die $@ if $@;
        foreach my $unit (@units) {
            print "$unit\\n" if grep { $unit =~ /$_/ and !$nrconf{override_rc}{$_} } keys %{$nrconf{override_rc}};
        }
    """
    argv = ("perl", "-we", program, str(config), *units)
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == list(units[:4])


# -- sysctl -----------------------------------------------------------------------------------------------


def test_forwarding_and_what_depends_on_it_are_left_alone(tmp_path: Path) -> None:
    keys = [key for key, _ in parse(text(tmp_path, "/etc/sysctl.d/90-hostwright.conf").encode())]
    assert len(keys) > 30
    assert len(set(keys)) == len(keys)
    assert [key for key in keys if re.search(r"forward|rp_filter|accept_ra", key)] == []


def test_keys_as_sysctl_d_writes_them() -> None:
    lines = b"# a\n; b\n-a.b = 1  2\nnet/ipv4/conf/eth0.1/x=3\nno value\nnet.ipv4.conf.eth0/1.x = 3\n\n"
    assert list(parse(lines)) == [
        ("a.b", "1 2"),
        ("net.ipv4.conf.eth0/1.x", "3"),
        ("net.ipv4.conf.eth0/1.x", "3"),
    ]


def test_cloud_init_does_not_take_the_name_back(tmp_path: Path) -> None:
    found = made(tmp_path, "hardening: off, hostname: web1.example.com")
    assert list(found) == ["file:/etc/cloud/cloud.cfg.d/99-hostwright-hostname.cfg", "hostname:host"]
    cloud = found["file:/etc/cloud/cloud.cfg.d/99-hostwright-hostname.cfg"]
    assert isinstance(cloud, File)
    assert "preserve_hostname: true" in cloud.content
    assert cloud.when == "path:/etc/cloud/cloud.cfg.d"
