"""What `inv audit` reads on a server, and that it changes nothing there."""

from __future__ import annotations

import base64
import os
import time
from pathlib import Path
from typing import Any

import pytest

from hostwright.remote import events
from hostwright.remote.audit import (
    accounts,
    attempts,
    bans,
    files,
    kernel,
    keys,
    login,
    network,
    packages,
    report,
    services,
)
from hostwright.testing.system import FakeSystem

ED = "AAAAC3NzaC1lZDI1NTE5AAAAIGJ6VEVLdFhPSGZpTXlqbU5xUGxVc1h3YVlCdkRnRWc="


def blob(*parts: bytes) -> str:
    return base64.b64encode(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).decode()


def rsa(bits: int) -> str:
    return "ssh-rsa " + blob(b"ssh-rsa", b"\1\0\1", b"\0" + (1 << (bits - 1)).to_bytes(bits // 8, "big"))


ED25519 = "ssh-ed25519 " + blob(b"ssh-ed25519", b"k" * 32)


@pytest.mark.parametrize(
    ("line", "kind", "bits", "comment", "options"),
    [
        (ED25519 + " ann@laptop", "ssh-ed25519", 256, "ann@laptop", ""),
        (rsa(1024), "ssh-rsa", 1024, "", ""),
        (rsa(4096) + " two words", "ssh-rsa", 4096, "two words", ""),
        ("ssh-dss " + blob(b"ssh-dss", b"\0" + b"\x80" + b"p" * 127) + " old", "ssh-dss", 1024, "old", ""),
        ('command="echo \\"hi\\" x",no-pty ' + ED25519 + " robot", "ssh-ed25519", 256, "robot",
         'command="echo \\"hi\\" x",no-pty'),
    ],
)  # fmt: skip
def test_a_public_key(line: str, kind: str, bits: int, comment: str, options: str) -> None:
    found = keys.public_key(line)
    assert found is not None
    told = [found[name] for name in ("type", "bits", "comment", "options")]
    assert told == [kind, bits, comment, options]
    assert found["fingerprint"].startswith("SHA256:")
    assert len(found["fingerprint"]) == 50


@pytest.mark.parametrize(
    "line",
    ["", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-rsa " + ED, "no key at all", 'command="open ' + ED25519,
     "ssh-ed25519 " + base64.b64encode(b"\0\0\xff\xff").decode()],
)  # fmt: skip
def test_what_is_no_key(line: str) -> None:
    assert keys.public_key(line) is None


PASSWD = """\
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1::/usr/sbin:/usr/sbin/nologin
toor:x:0:0::/root:/bin/sh
ann:x:1000:1000::/home/ann:/bin/bash
bob:x:1001:27::/home/bob:/bin/bash
open:x:1002:1002::/home/open:
old:x:1003:1003::/home/old:/bin/bash
hello:x:990:990::/var/lib/hello:/usr/sbin/nologin
broken line
"""
SHADOW = """\
root:!:1::::::
toor:$6$salt$hash:1::::::
ann:$y$j9T$x$y:1::::::
bob:!$6$locked$x:1::::::
open::1::::::
old:$1$salt$md5hash:1::::::
"""
SUDOERS = """\
Defaults env_reset
User_Alias ADMINS = ann, \\
    carl
root ALL=(ALL:ALL) ALL
%sudo ALL=(ALL:ALL) ALL   # the group
ADMINS ALL=(ALL) NOPASSWD: /usr/bin/systemctl, \\
    /usr/bin/ALL
@includedir /etc/sudoers.d
"""


def server(**files_: Any) -> FakeSystem:
    return FakeSystem(
        {
            "/etc/passwd": PASSWD,
            "/etc/shadow": SHADOW,
            "/etc/group": "sudo:x:27:carl\nann:x:1000:\n",
            "/etc/sudoers": SUDOERS,
            "/etc/sudoers.d/hostwright-ann": "ann ALL=(ALL) NOPASSWD:ALL\n",
            "/etc/sudoers.d/not.read": "evil ALL=(ALL) ALL\n",
            **files_,
        }
    )


def test_accounts() -> None:
    found = accounts.accounts(server())
    assert {user["name"]: (user["login"], user["password"]) for user in found["users"]} == {
        "root": (True, "locked"),
        "daemon": (False, "locked"),
        "toor": (True, "set"),
        "ann": (True, "set"),
        "bob": (True, "locked"),
        "open": (True, "none"),
        "old": (True, "weak"),
        "hello": (False, "locked"),
    }
    assert {who: (right["nopasswd"], right["everything"]) for who, right in found["sudo"].items()} == {
        "ann": (True, True),
        "bob": (False, True),  # through its primary group
        "carl": (True, True),
    }
    assert found["sudo"]["ann"]["by"] == "/etc/sudoers"


def test_authorized_keys_of_everybody() -> None:
    system = server()
    system.happen(
        {
            "files": {
                "/home/ann/.ssh/authorized_keys": {
                    "content": f"# mine\n\n{ED25519} a\nrubbish\n", "mode": 0o664, "uid": 1000
                },
                "/etc/keys/bob": {"content": f"{rsa(2048)} b\n", "uid": 1001, "mode": 0o600},
            }
        }
    )  # fmt: skip
    found = keys.authorized(system, (".ssh/authorized_keys", "/etc/keys/%u"))["found"]
    ann, bob = found
    assert (ann["user"], ann["writable"], ann["unreadable"]) == ("ann", True, 1)
    assert (bob["path"], bob["writable"], bob["keys"][0]["bits"]) == ("/etc/keys/bob", False, 2048)


def test_sshd_says_which_files_hold_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    system = FakeSystem(commands={"sshd -T": "AuthorizedKeysFile none\nport 22\n"})
    assert login.key_files(system) == ()
    system = FakeSystem(commands={"sshd -T": {"exit": 255, "err": "bad configuration"}})
    assert login.key_files(system) == login.USUAL
    said = "Port 22\nport 2222\nciphers a,b\nsomethingnew yes\n"
    assert login.effective(said) == {"port": ["22", "2222"], "ciphers": ["a,b"]}


@pytest.mark.parametrize(
    ("digits", "address"),
    [
        ("0100007F", "127.0.0.1"),
        ("00000000", "0.0.0.0"),
        ("00000000000000000000000001000000", "::1"),
        ("B80D0120000000000000000001000000", "2001:db8::1"),
    ],
)
def test_addresses_of_the_kernel(digits: str, address: str) -> None:
    assert network.address_of(digits) == address


HEAD = "  sl  local_address rem_address   st ...\n"
ROW = "   0: {where} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 0 0 {inode} 1 0\n"


def test_listeners() -> None:
    tcp = HEAD + "".join(
        ROW.format(where=where, state=state, inode=inode)
        for where, state, inode in (
            ("00000000:0016", "0A", 1),
            ("0100007F:1538", "0A", 2),  # this machine alone
            ("00000000:1538", "01", 3),  # a connection
            ("00000000:18EB", "0A", 4),
        )
    )
    six = HEAD + ROW.format(where="00000000000000000000000000000000:0016", state="0A", inode=5)
    udp = HEAD + ROW.format(where="00000000:0044", state="07", inode=6)
    system = FakeSystem({"/proc/net/tcp": tcp, "/proc/net/tcp6": six, "/proc/net/udp": udp,
                         "/proc/40/fd/3": {"link": "socket:[4]"}, "/proc/40/comm": "redis-server\n",
                         "/proc/40/cgroup": "0::/system.slice/redis.service\n"})  # fmt: skip
    rows = network.listeners(system)["found"]
    assert [(row["protocol"], row["port"], row["address"]) for row in rows] == [
        ("tcp", 22, "0.0.0.0"), ("tcp", 22, "::"), ("tcp", 6379, "0.0.0.0"), ("udp", 68, "0.0.0.0"),
    ]  # fmt: skip
    assert [(row["program"], row["unit"]) for row in rows if row["port"] == 6379] == [
        ("redis-server", "redis.service")
    ]


def chain(family: str, policy: str, name: str = "input") -> dict[str, Any]:
    return {"chain": {"family": family, "table": "t", "name": name, "hook": "input", "policy": policy}}


LAST_DROPS = {
    "rule": {"family": "ip", "table": "t", "chain": "input", "expr": [{"counter": {}}, {"drop": None}]}
}
SOME_DROPPED = {
    "rule": {"family": "ip", "table": "t", "chain": "input", "expr": [{"match": {}}, {"drop": None}]}
}


@pytest.mark.parametrize(
    ("rules", "closed"),
    [
        ([], set()),
        ([chain("inet", "drop")], {"inet"}),
        ([chain("ip", "drop"), chain("ip6", "accept")], {"ip"}),
        ([chain("ip", "accept"), LAST_DROPS], {"ip"}),
        ([chain("ip", "accept"), SOME_DROPPED], set()),
    ],
)
def test_what_a_ruleset_closes(rules: list[dict[str, Any]], closed: set[str]) -> None:
    assert network._closed(rules) == closed


LINES = """\
Invalid user admin from 203.0.113.4 port 4711
Failed password for invalid user admin from 203.0.113.4 port 4711 ssh2
Failed password for root from 203.0.113.4 port 4712 ssh2
Connection closed by authenticating user root 2001:db8::9 port 50 [preauth]
Failed password for invalid user x from 198.51.100.1 port 1 from 203.0.113.5 port 9 ssh2
Accepted publickey for ann from 192.0.2.1 port 99 ssh2: ED25519 SHA256:x
Disconnected from authenticating user ann 192.0.2.7 port 12 [preauth]
""".splitlines()


def test_failed_logins_are_counted_by_connection_and_real_address() -> None:
    assert attempts.count(LINES) == {"203.0.113.4": 2, "2001:db8::9": 1, "203.0.113.5": 1, "192.0.2.7": 1}


LOG = """\
2026-11-27 23:27:29,728 fail2ban.jail           [513]: INFO    Jail 'sshd' started
2026-11-27 23:27:31,707 fail2ban.actions        [513]: NOTICE  [sshd] Ban 192.0.2.77
2026-11-27 23:27:31,746 fail2ban.utils          [513]: ERROR   7fe6f74c97a0 -- stderr: '/bin/sh: 1: nft: not found'
2026-11-27 23:27:31,747 fail2ban.actions        [513]: ERROR   Failed to execute ban jail 'sshd' action \
'nftables-multiport' info 'ActionInfo({'ip': '192.0.2.77', 'fid': <function>})': Error starting action \
Jail('sshd')/nftables-multiport: 'Script error'
2026-11-27 23:27:38,866 fail2ban.filter         [513]: INFO    [sshd] Found 192.0.2.78
"""
# what fail2ban-client 1.1 says
ACTIONS = "The jail sshd has the following actions:\n%s\n"


def guard(banned: str, actions: str, log: str = "", programs: str = "") -> dict[str, Any]:
    told = {
        "fail2ban-client banned": banned,
        "fail2ban-client get sshd actions": actions,
        " ".join(bans.NEWEST): log,
    }
    system = FakeSystem({bans.SOCKET: ""}, commands=told)
    there = ("fail2ban-client", *programs.split())
    system.which = lambda name: name if name in there else None  # type: ignore[method-assign]
    return bans.fail2ban(system)


def test_bans() -> None:
    found = guard(
        "[{'sshd': ['203.0.113.4']}, {'nginx': []}]\n", ACTIONS % "nftables-multiport", programs="nft"
    )
    assert found == {
        "installed": True,
        "running": True,
        "banned": {"sshd": ["203.0.113.4"], "nginx": []},
        "actions": ["nftables-multiport"],
        "missing": [],
        "refused": "",
    }


def test_bans_that_keep_nobody_out() -> None:
    jail = "[{'sshd': []}]\n"
    found = guard(jail, ACTIONS % "nftables-multiport, iptables-allports, mail-whois")
    assert found["missing"] == ["iptables", "nft"]
    assert guard(jail, "No actions for jail sshd\n")["actions"] == []
    wrong = guard(jail, ACTIONS % "nftables", LOG, "nft")["refused"]
    assert wrong == "Error starting action Jail('sshd')/nftables-multiport: 'Script error'"
    # what came later worked, or has yet to be tried
    for later in (
        "NOTICE  [sshd] Ban 192.0.2.9",
        "NOTICE  [sshd] Restore Ban 192.0.2.9",
        "INFO    Jail 'sshd' started",
    ):
        log = f"{LOG}2026-11-27 23:28:00,001 fail2ban.actions [513]: {later}\n"
        assert guard(jail, ACTIONS % "nftables", log, "nft")["refused"] == "", later
    # without the jail, nothing is asked of it
    other = guard("[{'nginx': []}]\n", "never asked", LOG)
    assert (other["actions"], other["missing"], other["refused"]) == (None, [], "")


UPGRADE = """\
NOTE: This is only a simulation!
Inst libssl3 [3.0.15-1~deb12u1] (3.0.17-1~deb12u2 Debian-Security:12/stable-security [amd64])
Inst tzdata [2024a] (2025b Ubuntu:24.04/noble-updates, Ubuntu:24.04/noble-security [all])
Inst curl [7.88.1-10] (7.88.1-11 Debian:12.9/stable [amd64]) []
Inst linux-image-6.1 (6.1.100 Debian:12.9/stable [amd64])
Conf libssl3 (3.0.17-1~deb12u2 Debian-Security:12/stable-security [amd64])
"""
PERIODIC = (
    'APT::Periodic "";\nAPT::Periodic::Update-Package-Lists "1";\nAPT::Periodic::Unattended-Upgrade "1";\n'
)
TIMERS = "Id=apt-daily.timer\nActiveState=active\n\nId=apt-daily-upgrade.timer\nActiveState=active\n"


def test_updates() -> None:
    system = FakeSystem(
        {"/var/lib/apt/lists/x_Packages": "", "/run/reboot-required": "", "/run/reboot-required.pkgs": "linux\nlinux\n",
         "/var/lib/apt/periodic/update-success-stamp": {"content": "", "mtime": 5.0}},
        commands={"setpriv ...": UPGRADE, "apt-config dump": PERIODIC, "systemctl show ...": TIMERS},
    )  # fmt: skip
    found = packages.updates(system)
    assert [one["name"] for one in found["security"]] == ["libssl3", "tzdata"]
    assert found["others"][-1] == {"name": "linux-image-6.1", "old": None, "new": "6.1.100"}
    assert (found["fetched"], found["reboot"]) == (5.0, "linux")
    assert found["automatic"] == {"installed": False, "lists": True, "upgrades": True, "timers": True}
    assert packages._fetched(FakeSystem({"/var/lib/apt/lists/partial/x": ""})) is None


def test_exposures_as_json_and_as_a_table() -> None:
    command = "systemd-analyze security --no-pager"
    told = '[{"unit":"nginx.service","exposure":"2.5","predicate":"OK","happy":":-)"}]'
    show = "systemctl show --property=MainPID,NoNewPrivileges nginx.service"
    system = FakeSystem(commands={command + " --json=short": told, show: "MainPID=0\nNoNewPrivileges=yes\n"})
    assert services.exposures(system)["units"] == {"nginx.service": 2.5}
    old = FakeSystem(
        {"/srv/hello/current": {"link": "releases/20261121-a"}},
        commands={
            command + " --json=short": {"exit": 1, "err": "unrecognized option"},
            command: "UNIT EXPOSURE PREDICATE HAPPY\nnginx.service 9.6 UNSAFE :-{\n\n",
            show: "MainPID=7\nNoNewPrivileges=no\n",
        },
    )
    assert services.exposures(old) == {
        "units": {"nginx.service": 9.6},
        "live": {"hello": "20261121-a"},
        "behind": [],
    }


@pytest.mark.parametrize(
    ("written", "process", "behind"),
    [
        ("yes", "0", True),
        ("yes", "1", False),
        ("no", "0", False),  # nobody has written a sandbox, or somebody has taken this out of it
        ("yes", None, False),  # it does not run
    ],
)
def test_a_service_that_runs_since_before_its_sandbox(
    written: str, process: str | None, behind: bool
) -> None:
    status = {"/proc/7/status": f"Name:\tnginx\nNoNewPrivs:\t{process}\nSeccomp:\t2\n"}
    show = f"MainPID={7 if process else 0}\nNoNewPrivileges={written}\n"
    argv = "systemctl show --property=MainPID,NoNewPrivileges nginx.service"
    system = FakeSystem(status if process else {}, commands={argv: show})
    assert services._behind(system, services.FRONT) is behind


def test_kernel_settings_that_this_kernel_does_not_have() -> None:
    system = FakeSystem({"/proc/sys/kernel/kptr_restrict": "1\n"})
    assert kernel.settings(system, ["kernel.kptr_restrict", "kernel.none"]) == {
        "values": {"kernel.kptr_restrict": "1"}
    }


# -- files --------------------------------------------------------------------------------------------------------


def put(path: Path, text: str = "", mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


PRIVATE = "-----BEGIN OPENSSH " + "PRIVATE KEY-----\n"


def look(root: Path, patience: float = 5.0) -> dict[str, Any]:
    etc, srv = root / "etc", root / "srv"
    return files.survey((str(etc), str(srv)), (str(etc),), str(srv), patience)


def paths(root: Path, found: dict[str, Any], kind: str) -> list[str]:
    return sorted(str(Path(row["path"]).relative_to(root)) for row in found[kind])


def test_files(tmp_path: Path) -> None:
    put(tmp_path / "etc" / "open.conf", mode=0o666)
    put(tmp_path / "etc" / "fine.conf")
    put(tmp_path / "etc" / "tls" / "privkey.pem", PRIVATE)
    put(tmp_path / "etc" / "shut" / "privkey.pem", PRIVATE).parent.chmod(0o700)
    put(tmp_path / "etc" / "ca.key", "no key at all")
    put(tmp_path / "srv" / "hello" / "releases" / "1" / "env", "DATABASE_URL=postgres://x\n")
    put(tmp_path / "srv" / "hello" / "releases" / "1" / ".env.example", "DATABASE_URL=postgres://x\n")
    put(tmp_path / "srv" / "hello" / "releases" / "1" / "bin" / "env", "#!/bin/sh\n")
    shared = tmp_path / "srv" / "hello" / "shared" / "drop"
    shared.mkdir(parents=True)
    shared.chmod(0o1777)
    (tmp_path / "etc" / "link").symlink_to("/nowhere")
    found = look(tmp_path)
    assert paths(tmp_path, found, "writable") == ["etc/open.conf"]
    assert paths(tmp_path, found, "secrets") == ["etc/tls/privkey.pem", "srv/hello/releases/1/env"]
    assert found["whole"] is True
    assert found["looked"] > 10


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_that_are_not_roots(tmp_path: Path) -> None:
    for name in ("etc/mine/a", "srv/hello/releases/1/x", "srv/hello/shared/y", "srv/other/z"):
        put(tmp_path / name)
        os.chown(tmp_path / name, 1234, 1234)
    os.chown(tmp_path / "etc" / "mine", 1234, 1234)
    assert paths(tmp_path, look(tmp_path), "foreign") == ["etc/mine", "srv/hello/releases/1/x"]


def test_a_walk_ends_in_time(tmp_path: Path) -> None:
    for number in range(1200):
        put(tmp_path / "etc" / str(number), mode=0o666)
    found = look(tmp_path, patience=-1.0)
    assert found["whole"] is False
    assert len(found["writable"]) == files.NAMED
    assert found["counts"]["writable"] < 1200


# -- all of it ----------------------------------------------------------------------------------------------------


def test_what_cannot_be_looked_at_spoils_nothing_else() -> None:
    def bad() -> None:
        raise OSError("no such thing")

    began = time.monotonic()
    found = report.at_once({"good": lambda: 1, "bad": bad, "slow": lambda: time.sleep(5)}, 0.2)
    assert time.monotonic() - began < 2
    assert found == {
        "good": 1,
        "bad": {"problem": "OSError: no such thing"},
        "slow": {"problem": "no answer within 0.2 s"},
    }


def test_a_server_that_nobody_has_touched_and_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report.files, "survey", lambda: {"looked": 0})
    system = FakeSystem(
        commands={
            "journalctl ...": "",
            "setpriv ...": UPGRADE,
            "apt-config dump": PERIODIC,
            "sshd -T": "port 22",
            "systemctl show ...": TIMERS,
            "systemd-analyze ...": "[]",
        }
    )
    before = dict(system.nodes)

    class Heard:
        def emit(self, event: events.Event) -> None:
            told.append(event)

    told: list[events.Event] = []
    ended = report.query({"apps": []}, system, Heard())  # type: ignore[arg-type]
    (answer,) = told
    assert ended.outcome == "done"
    assert isinstance(answer, events.Answered)
    assert [
        name for name, found in answer.data.items() if isinstance(found, dict) and found.get("problem")
    ] == []
    assert system.nodes == before
