"""What `inv audit` makes of a server's answer: how bad, in which words, with which command."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from hostwright.errors import HostUnreachable
from hostwright.inventory import Inventory, load
from hostwright.report import Look
from hostwright.run import audit
from hostwright.run.audit_finding import Finding, View, many
from hostwright.run.audit_table import audit_table

NOW = 1_800_000_000.0
KEY = {
    "type": "ssh-ed25519",
    "bits": 256,
    "fingerprint": "SHA256:abc",
    "comment": "ann@laptop",
    "options": "",
}
FILE = {"user": "ubuntu", "login": True, "path": "/home/ubuntu/.ssh/authorized_keys", "mode": 0o600, "owner": 1000,
        "writable": False, "keys": [KEY], "unreadable": 0}  # fmt: skip
SAFE: dict[str, Any] = {
    "host": {"os": "Debian GNU/Linux 12 (bookworm)", "kernel": "6.1.0-40-amd64", "container": ""},
    "now": NOW,
    "ssh": {
        "there": True,
        "settings": {"port": ["22"], "permitrootlogin": ["no"], "passwordauthentication": ["no"],
                     "kbdinteractiveauthentication": ["no"], "x11forwarding": ["no"], "allowtcpforwarding": ["no"],
                     "allowagentforwarding": ["no"], "ciphers": ["aes256-gcm@openssh.com"],
                     "macs": ["hmac-sha2-512-etm@openssh.com"], "kexalgorithms": ["curve25519-sha256"]},
        "host_keys": [{**KEY, "path": "/etc/ssh/ssh_host_ed25519_key"}],
    },
    "firewall": {"tool": "hostwright", "ipv4": "drop", "ipv6": "drop", "tables": ["inet hostwright"]},
    "ports": {"found": [
        {"protocol": "tcp", "port": 22, "address": "::", "program": "sshd", "unit": "ssh.service"},
        {"protocol": "tcp", "port": 80, "address": "::", "program": "nginx", "unit": "nginx.service"},
    ]},
    "accounts": {
        "users": [{"name": "root", "uid": 0, "login": True, "shell": "/bin/bash", "password": "locked"},
                  {"name": "ubuntu", "uid": 1000, "login": True, "shell": "/bin/bash", "password": "locked"}],
        "sudo": {"ubuntu": {"nopasswd": True, "everything": True, "by": "/etc/sudoers.d/90-cloud"}},
    },
    "keys": {"found": [FILE]},
    "updates": {"security": [], "others": [], "fetched": NOW - 3600, "reboot": "",
                "automatic": {"installed": True, "lists": True, "upgrades": True, "timers": True}},
    "units": {"units": {"hello@1.service": 1.2, "hello@0.service": 9.0, "nginx.service": 2.5, "cron.service": 9.6},
              "live": {"hello": "1"}, "behind": []},
    "certificates": {"found": [{"path": "/etc/letsencrypt/live/hello/fullchain.pem", "app": "hello", "file": {
        "names": ["a.com"], "not_before": NOW - 30 * 86400, "not_after": NOW + 60 * 86400, "key": "ecdsa",
        "self_signed": False}}]},
    "logins": {"failed": 0, "addresses": 0, "most": [], "whole": True,
               "fail2ban": {"installed": True, "running": True, "banned": {"sshd": []}, "missing": [],
                            "actions": ["nftables-multiport"], "refused": ""}},
    "files": {"looked": 4000, "whole": True, "writable": [], "foreign": [], "secrets": [],
              "counts": {"writable": 0, "foreign": 0, "secrets": 0}},
    "kernel": {"values": {"kernel.kptr_restrict": "2", "net.ipv4.tcp_syncookies": "1"}},
}  # fmt: skip
INVENTORY = """\
project: shop
apps: {hello: {module: "a:b"}}
hosts: {web1: {address: 203.0.113.9 MORE}, web2: {address: 203.0.113.10}}
"""


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    return loaded(tmp_path)


def loaded(folder: Path, more: str = "") -> Inventory:
    path = folder / "inventory.yaml"
    path.write_text(INVENTORY.replace(" MORE", more))
    return load(path, {})


def changed(**areas: dict[str, Any]) -> dict[str, Any]:
    """The safe answer with other facts."""
    answer = copy.deepcopy(SAFE)
    for area, facts in areas.items():
        answer[area] = {**answer[area], **facts}
    return answer


def looked(inventory: Inventory, answer: dict[str, Any]) -> View:
    return audit.view(inventory, inventory.hosts["web1"], answer, " --host web1")


def found(inventory: Inventory, **areas: dict[str, Any]) -> list[Finding]:
    every = audit.findings(looked(inventory, changed(**areas)))
    known = audit.findings(looked(inventory, changed()))
    return [one for one in every if one not in known]


def test_a_safe_server_has_nothing_to_do(inventory: Inventory) -> None:
    every = audit.findings(looked(inventory, changed()))
    assert {one.severity for one in every} == {"info"}
    assert audit.needs_work(every) is False


def ssh(**settings: str) -> dict[str, Any]:
    return {"settings": {**SAFE["ssh"]["settings"], **{name: [value] for name, value in settings.items()}}}


def port(number: int, program: str = "x", protocol: str = "tcp", address: str = "0.0.0.0") -> dict[str, Any]:
    row = {"protocol": protocol, "port": number, "address": address, "program": program, "unit": ""}
    return {"found": [*SAFE["ports"]["found"], row]}


def fail2ban(**facts: Any) -> dict[str, Any]:
    return {"fail2ban": {**SAFE["logins"]["fail2ban"], **facts}}


IDLE = "nobody is kept out who fails to log in"
OPEN = {"tool": "", "ipv4": "accept", "ipv6": "accept", "tables": []}
RSA = {**KEY, "type": "ssh-rsa", "bits": 1024}
REDIS = "redis-server listens on tcp port 6379, which the inventory does not open"
CASES = [
    (
        {"ssh": ssh(permitrootlogin="yes", passwordauthentication="yes")},
        [("high", "root may log in, with a password too"), ("medium", "passwords may be tried")],
    ),
    (
        {"ssh": ssh(permitrootlogin="prohibit-password")},
        [("low", "root may log in with a key: nobody sees which person it was")],
    ),
    ({"ssh": ssh(permitemptypasswords="yes")}, [("high", "accounts without a password may log in")]),
    ({"ssh": ssh(ciphers="aes128-cbc,aes256-ctr")}, [("medium", "broken algorithms are offered")]),
    ({"ssh": ssh(macs="hmac-sha1,umac-64@openssh.com")}, [("low", "older algorithms are offered")]),
    (
        {"ssh": ssh(allowtcpforwarding="yes")},
        [("low", "whoever logs in may use the server as a way into its network")],
    ),
    (
        {"firewall": OPEN},
        [("medium", "nothing drops packets that nobody allowed, over IPv4 and IPv6")],
    ),
    (
        {"firewall": {"ipv6": "accept"}},
        [("medium", "nothing drops packets that nobody allowed, over IPv6")],
    ),
    (
        {"firewall": OPEN, "ports": port(6379, "redis-server")},
        [
            ("high", REDIS),
            ("medium", "nothing drops packets that nobody allowed, over IPv4 and IPv6"),
        ],
    ),
    (
        {"ports": port(6379, "redis-server")},
        [("low", f"{REDIS}; the firewall drops what comes")],
    ),
    ({"ports": port(68, "dhclient", "udp")}, []),
    (
        {"accounts": {"users": [{**SAFE["accounts"]["users"][1], "name": "toor", "uid": 0}]}},
        [("high", "toor is root under another name")],
    ),
    (
        {"accounts": {"users": [{**SAFE["accounts"]["users"][1], "password": "none"}]}},
        [("high", "ubuntu has an empty password")],
    ),
    (
        {"accounts": {"sudo": {"hello": {"nopasswd": False, "everything": False, "by": "/etc/sudoers"}}}},
        [("high", "the app's user hello may use sudo")],
    ),
    (
        {"accounts": {"sudo": {"eve": {"nopasswd": True, "everything": True, "by": "/etc/sudoers"}}}},
        [("low", "eve may use sudo, and the inventory does not know it")],
    ),
    (
        {"keys": {"found": [{**FILE, "keys": [RSA]}]}},
        [("high", "ubuntu lets in a weak key: RSA of 1024 bits is broken"), ("info", "ubuntu lets in 1 key")],
    ),
    (
        {"keys": {"found": [{**FILE, "writable": True, "mode": 0o666}]}},
        [("high", "others may write /home/ubuntu/.ssh/authorized_keys, and so let themselves in")],
    ),
    (
        {"updates": {"security": [{"name": "openssl", "old": "1", "new": "2"}]}},
        [("medium", "1 security update not installed")],
    ),
    (
        {"updates": {"security": [{"name": "openssl", "old": "1", "new": "2"}],
                     "automatic": {**SAFE["updates"]["automatic"], "installed": False}}},
        [("high", "1 security update not installed"), ("medium", "security updates do not install themselves")],
    ),
    (
        {"updates": {"fetched": NOW - 9 * 86400}},
        [("medium", "the package lists are 9 d old: newer updates are not known")],
    ),
    (
        {"updates": {"fetched": None}},
        [("medium", "nobody can say which updates there are: the package lists were never fetched")],
    ),
    ({"updates": {"reboot": "linux-image"}}, [("medium", "an update is only in force after a reboot")]),
    ({"units": {"units": {"hello@1.service": 9.2}}}, [("medium", "hello@1.service could reach much of the server")]),
    ({"units": {"units": {"nginx.service": 4.0}}}, [("low", "nginx.service could reach much of the server")]),
    (
        {"logins": {"failed": 400, "addresses": 2, "most": [["203.0.113.4", 399]]}},
        [("info", "400 connections from 2 addresses failed to log in during the last day")],
    ),
    (
        {"logins": {"fail2ban": {"installed": False, "running": False, "banned": {}, "actions": None, "missing": [],
                                 "refused": ""}}},
        [("medium", "nobody is banned who tries again and again to log in: fail2ban does not run")],
    ),
    (
        {"logins": fail2ban(missing=["nft"])},
        [("medium", f"{IDLE}: fail2ban bans with nft, which is not installed")],
    ),
    ({"logins": fail2ban(actions=[])}, [("medium", f"{IDLE}: fail2ban's jail for SSH has no ban action")]),
    ({"logins": fail2ban(refused="Script error")}, [("medium", f"{IDLE}: fail2ban's last ban did not work")]),
    # somebody else's fail2ban, without a jail for SSH
    ({"logins": fail2ban(actions=None)}, []),
    (
        {"units": {"behind": ["nginx.service"]}},
        [("medium", "nginx.service runs outside its sandbox: it was started before that was written")],
    ),
    (
        {"files": {"secrets": [{"path": "/etc/x.key", "mode": 0o644, "uid": 0, "gid": 0}],
                   "counts": {"secrets": 1, "writable": 0, "foreign": 0}}},
        [("high", "/etc/x.key may be read by everybody on the server, and holds a secret")],
    ),
    (
        {"kernel": {"values": {"kernel.kptr_restrict": "0", "net.ipv4.tcp_syncookies": "0"}}},
        [("medium", "1 setting of the kernel is weaker than it should be"),
         ("low", "1 setting of the kernel is weaker than it should be")],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("areas", "wanted"), CASES, ids=lambda value: str(sorted(value)) if isinstance(value, dict) else ""
)
def test_what_is_found(inventory: Inventory, areas: dict[str, Any], wanted: list[tuple[str, str]]) -> None:
    told = found(inventory, **areas)
    assert [(one.severity, one.what) for one in told] == wanted
    assert all(one.todo for one in told if one.severity in ("high", "medium"))


def test_certificates(inventory: Inventory) -> None:
    one = copy.deepcopy(SAFE["certificates"]["found"][0])
    for left, what in ((-3600 * 30, "expired 30 h ago"), (5 * 86400, "expires in 5 d")):
        one["file"]["not_after"] = NOW + left
        (told,) = found(inventory, certificates={"found": [one]})
        assert told.what == f"the certificate of hello {what}"
        assert told.todo == "inv cert.status --host web1"
    one["file"] = None
    (told,) = found(inventory, certificates={"found": [one]})
    assert (told.severity, told.what) == ("medium", "hello has no certificate yet")


def test_what_the_inventory_allows_is_no_finding(tmp_path: Path) -> None:
    off = loaded(tmp_path, ", hardening: off, user: root")
    assert found(off, ssh=ssh(permitrootlogin="prohibit-password")) == []
    (told,) = found(off, firewall=OPEN)
    assert (
        told.todo == "Write `hardening: {firewall: true}` into the inventory, then: inv provision --host web1"
    )


def test_in_a_container_the_kernel_is_somebody_elses(inventory: Inventory) -> None:
    answer = changed(kernel={"values": {"kernel.kptr_restrict": "0"}}, host={"container": "lxc"})
    told = [one for one in audit.findings(looked(inventory, answer)) if one.area == "kernel"]
    assert [one.severity for one in told] == ["info"]
    assert told[0].what.endswith("the machine that runs this lxc decides")


@pytest.mark.parametrize(
    ("entries", "ports"),
    [
        ("8443, 51820/udp, {port: 5432, from: [10.0.0.0/8]}", [("tcp", 8443), ("udp", 51820), ("tcp", 5432)]),
        ("8000-8002", [("tcp", 8000), ("tcp", 8001), ("tcp", 8002)]),
        ("", []),
    ],
)
def test_what_the_inventory_opens(tmp_path: Path, entries: str, ports: list[tuple[str, int]]) -> None:
    host = loaded(tmp_path, f", port: 2222, firewall: {{allow: [{entries}]}}").hosts["web1"]
    assert list(audit.opened(host)) == ports
    assert audit.wanted_ports(host) == {("tcp", 2222), ("tcp", 80), ("tcp", 443), *ports}


def test_an_area_that_could_not_be_looked_at_is_said(inventory: Inventory) -> None:
    for area in audit.AREAS:
        answer = {**changed(), area: {"problem": "CommandFailed: exit code 1"}}
        told = [one for one in audit.findings(looked(inventory, answer)) if one.severity == "medium"]
        assert [one.what for one in told] == [f"{area} could not be looked at"]
        assert "could not be looked at" in audit_table([looked(inventory, answer)], {}, Look(width=80))


REPORT = """\
web1  203.0.113.9  Debian GNU/Linux 12 (bookworm), kernel 6.1.0-40-amd64
area          worst   state
ssh           ok      keys only, no root login, port 22
firewall      medium  none
ports         high    22 80 6379
accounts      ok      2 logins, sudo: ubuntu
keys          ok      1 key of 1 account
updates       ok      0 security updates, lists 60 min old
units         ok      hello 1.2, nginx 2.5
certificates  ok      hello 60 d
logins        ok      0 failed in a day, 0 banned
files         ok      4,000 files looked at
kernel        ok      2 of 2 settings as they should be

high    ports: redis-server listens on tcp port 6379, which the inventory does
        not open
        | on 0.0.0.0
        | usually Redis
        -> If it is meant to be open: `firewall: {allow: [6379]}`. Let it listen
           on 127.0.0.1 only, or remove it.

medium  firewall: nothing drops packets that nobody allowed, over IPv4 and IPv6
        | no table of nftables filters what comes in
        -> inv provision --host web1

info    accounts: 1 account of the inventory may use sudo
        | ubuntu: any command without a password (/etc/sudoers.d/90-cloud)
info    keys: ubuntu lets in 1 key
        | ssh-ed25519 256 SHA256:abc ann@laptop

web2  it refuses the connection
    Is it up?

1 high, 1 medium. 1 not reached."""


def test_the_report(inventory: Inventory) -> None:
    view = looked(inventory, changed(firewall=OPEN, ports=port(6379, "redis-server")))
    errors = {"web2": HostUnreachable("it refuses the connection", hint="Is it up?")}
    assert audit_table([view], errors, Look(width=80)) == REPORT
    narrow = audit_table([view], {}, Look(width=40)).splitlines()
    assert max(map(len, narrow)) <= 45  # only what is one word is wider


def test_what_a_server_says_cannot_play_tricks_on_the_terminal(inventory: Inventory) -> None:
    evil = {**KEY, "comment": "\x1b]0;owned\x07\x1b[2J evil"}
    text = audit_table(
        [looked(inventory, changed(keys={"found": [{**FILE, "keys": [evil]}]}))], {}, Look(width=80)
    )
    assert "\x1b" not in text
    assert "evil" in text


def test_programs_get_everything(inventory: Inventory) -> None:
    view = looked(inventory, changed(firewall=OPEN))
    told = json.loads(json.dumps(audit.told(view, audit.findings(view))))
    assert told["counts"] == {"high": 0, "medium": 1, "low": 0, "info": 2}
    assert told["facts"]["ports"]["found"][0]["program"] == "sshd"
    assert sorted(told["findings"][0]) == ["area", "evidence", "severity", "todo", "what"]


def test_what_is_asked(inventory: Inventory) -> None:
    asked = audit.asked(inventory, inventory.hosts["web1"])
    assert asked["apps"] == ["hello"]
    assert "kernel.kptr_restrict" in asked["sysctl"]
    assert many(1, "key") == "1 key"
