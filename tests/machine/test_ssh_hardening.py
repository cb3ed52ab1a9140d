"""sshd as it is hardened on real servers: what the experts' tool says, who gets in, and a port that moves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostwright.sandbox import Sandbox

from .conftest import SUITES, FreshServer
from .guarded import SOON, SSH_ONLY, Guarded, Logins
from .load import Load
from .project import until
from .tiny import Tiny

pytestmark = pytest.mark.long

POLICIES = {
    "bookworm": "Hardened Debian 12 (version 3)",
    "trixie": "Hardened Debian 13 (version 1)",
    "jammy": "Hardened Ubuntu Server 22.04 LTS (version 6)",
    "noble": "Hardened Ubuntu Server 24.04 LTS (version 2)",
}
# seconds until sshd has forgotten what we have done to be refused, if it has not turned us away yet: it does so at 15
FORGOTTEN = 16.0
# `sshd -T`
SETTINGS = """
permitrootlogin no
pubkeyauthentication yes
authenticationmethods publickey
passwordauthentication no
kbdinteractiveauthentication no
permitemptypasswords no
hostbasedauthentication no
permituserenvironment no
allowgroups hostwright-ssh
allowtcpforwarding no
allowagentforwarding no
allowstreamlocalforwarding no
x11forwarding no
permittunnel no
maxauthtries 3
maxstartups 10:30:60
persourcemaxstartups 10
logingracetime 30
clientaliveinterval 300
compression no
loglevel VERBOSE
requiredrsasize 3072
hostkey /etc/ssh/ssh_host_ed25519_key
hostkey /etc/ssh/ssh_host_hostwright_rsa_key
"""


@pytest.fixture(scope="module", params=SUITES)
def hardened(
    request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guarded]:
    """A server as cloud images are, known to us by the key that is dropped, hardened."""
    name = f"sshd-{request.param}-{os.getpid()}"
    server = sandbox.up(name, suite=request.param, ephemeral=True, say=print)[0]
    guarded = Guarded(tmp_path_factory.mktemp("sshd"), server, sandbox)
    guarded.run("echo 'PasswordAuthentication yes' > /etc/ssh/sshd_config.d/50-cloud-init.conf")
    key = guarded.run("cut -d' ' -f1,2 /etc/ssh/ssh_host_ecdsa_key.pub")
    (guarded.home / ".ssh" / "known_hosts").write_text(f"{server.address} {key}\n")
    guarded.says(hardening=SSH_ONLY)
    guarded.inv("provision")
    yield guarded
    sandbox.down(name)


def effective(guarded: Guarded) -> set[str]:
    return set(guarded.run("/usr/sbin/sshd -T").splitlines())


def penalises(guarded: Guarded) -> bool:
    """Does it turn an address away for a while that failed to log in, or did not even try (OpenSSH 9.8)?"""
    return any(line.startswith("persourcepenalties ") for line in effective(guarded))


def forgotten(guarded: Guarded) -> None:
    """Wait until what we have done counts no more."""
    if penalises(guarded):
        until(guarded.log_in, 120, "a login")
        time.sleep(FORGOTTEN)


def refused(guarded: Guarded, user: str, identity: str = "") -> None:
    """sshd has looked at a login and refused it. Because of those before it, it would not have looked."""
    assert not guarded.log_in(user, sudo=False, identity=identity)
    said = guarded.run("journalctl --sync; journalctl -q -t sshd -t sshd-session -o cat -n 3")
    assert f"user {user} " in said, said


def audit(guarded: Guarded, *argv: str) -> subprocess.CompletedProcess[str]:
    """It connects many times without a login, to see how many the server takes."""
    tool = str(Path(sys.executable).with_name("ssh-audit"))
    done = subprocess.run(
        (tool, "-n", *argv, guarded.server.address), capture_output=True, text=True, check=False, timeout=120
    )
    forgotten(guarded)
    return done


def test_the_experts_find_nothing(hardened: Guarded) -> None:
    policy = audit(hardened, "-P", POLICIES[hardened.server.suite])
    assert policy.returncode == 0, policy.stdout
    found = audit(hardened, "-j")
    report = json.loads(found.stdout)
    for kind in ("kex", "key", "enc", "mac"):
        assert not [entry for entry in report[kind] if entry["notes"].get("fail")], report[kind]
    warned = {
        entry["algorithm"]
        for kind in ("key", "enc", "mac")
        for entry in report[kind]
        if entry["notes"].get("warn")
    }
    assert warned == set()
    assert not report["cves"], report["cves"]


def test_what_sshd_does(hardened: Guarded) -> None:
    missing = set(SETTINGS.split("\n")) - {""} - effective(hardened)
    assert not missing
    assert hardened.run("awk '$5 < 3071 && $5 > 0' /etc/ssh/moduli | wc -l") == "0"
    assert "0 changed" in hardened.inv("provision").out


def test_we_know_the_server_by_another_key_now(hardened: Guarded) -> None:
    """It was known by its ECDSA key, which sshd does not show any more."""
    known = (hardened.home / ".ssh" / "known_hosts").read_text()
    assert hardened.run("cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub") in known
    assert not any(line.startswith("hostkey") and "ecdsa" in line for line in effective(hardened))


def test_root_and_passwords_stay_outside(hardened: Guarded) -> None:
    refused(hardened, "root")
    hardened.run(
        "useradd --create-home stranger; install -d -o stranger -m 700 /home/stranger/.ssh; "
        "install -o stranger -m 600 /home/ubuntu/.ssh/authorized_keys /home/stranger/.ssh/"
    )
    refused(hardened, "stranger")  # in none of the groups
    hardened.run("userdel -r stranger 2>/dev/null")
    forgotten(hardened)


def test_a_short_rsa_key_is_not_shut_out(hardened: Guarded) -> None:
    path = hardened.home / "old"
    subprocess.run(("ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", path), check=True)
    public = Path(f"{path}.pub").read_text().strip()
    hardened.run(f"echo '{public}' >> /home/ubuntu/.ssh/authorized_keys")
    refused(hardened, "ubuntu", str(path))
    done = hardened.inv("provision")
    assert "short RSA keys: ubuntu (2048 bits). They still get in (RequiredRSASize 2048)" in done.out
    assert hardened.log_in(identity=str(path))
    hardened.run("sed -i '$d' /home/ubuntu/.ssh/authorized_keys")
    hardened.inv("provision")
    assert "requiredrsasize 3072" in effective(hardened)


def test_who_fails_to_log_in_is_turned_away_unless_trusted(hardened: Guarded) -> None:
    wrong = str(hardened.home / "wrong")
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", wrong), check=True)
    forgotten(hardened)
    for _ in range(4):
        hardened.log_in(identity=wrong)
    done = hardened.inv("provision", "--check", code=None)
    if penalises(hardened):
        assert done.code == 3, done
        assert "PerSourcePenalties" in done.out, done
        forgotten(hardened)
    else:
        assert done.code == 0, done
    hardened.says(firewall={"ssh_from": [f"{hardened.server.address.rpartition('.')[0]}.0/24"]})
    hardened.inv("provision")
    for _ in range(4):
        refused(hardened, "ubuntu", wrong)
    assert hardened.log_in()
    hardened.says(firewall=None)
    hardened.inv("provision")
    assert hardened.log_in(), "what was counted while we were trusted"


def moves(guarded: Guarded, old: int, new: int) -> None:
    guarded.says(port=new, bootstrap_port=old)
    done = guarded.inv("provision")
    assert f"port {new} does not answer yet: using {old} this once" in done.out, done
    assert f"port {old} stays open until a new login works" in done.out, done
    assert f"on port {new} works" in done.out, done
    assert guarded.log_in(port=new)
    assert not guarded.log_in(port=old, sudo=False)
    again = guarded.inv("provision")
    assert "0 changed" in again.out, again
    assert "does not answer yet" not in again.out


def test_the_port_moves_and_comes_back(hardened: Guarded) -> None:
    moves(hardened, 22, 2222)
    moves(hardened, 2222, 22)
    hardened.says(bootstrap_port=None)


def test_the_port_moves_where_systemd_listens(hardened: Guarded) -> None:
    """ssh.socket: `Port` in sshd_config has no say there."""
    hardened.run("systemctl disable -q --now ssh.service; systemctl enable -q --now ssh.socket")
    try:
        moves(hardened, 22, 2222)
        hardened.sandbox.crash(hardened.server.name)
        server = hardened.run_until_up(port=2222)
        assert server.running
        moves(hardened, 2222, 22)
        # a wrong port: taken by something that we cannot see from here
        hardened.run("systemd-run -q --unit=squatter python3 -m http.server --bind 127.0.0.1 2201")
        hardened.says(port=2201, bootstrap_port=22)
        with Logins(hardened) as logins:
            done = hardened.inv("provision", code=1)
        assert "put back: " in done.out, done
        assert logins.longest < SOON
        assert hardened.log_in()
        hardened.nothing_is_armed()
    finally:
        hardened.run("systemctl stop squatter.service 2>/dev/null || true")
        hardened.says(port=22, bootstrap_port=None)
        hardened.run("systemctl disable -q --now ssh.socket; systemctl stop ssh.service")
        hardened.run("systemctl enable -q --now ssh.service")
    hardened.inv("provision")


def test_the_port_was_systemds_and_is_not_any_more(hardened: Guarded) -> None:
    """Somebody has switched ssh.socket off while the sshd that it has started runs: that one cannot be reloaded."""
    hardened.run("systemctl disable -q --now ssh.service; systemctl enable -q --now ssh.socket")
    assert hardened.log_in()
    hardened.run("systemctl disable -q --now ssh.socket")
    try:
        hardened.says(ssh={"agent_forwarding": True})
        hardened.inv("provision")
        assert hardened.log_in()
        assert "allowagentforwarding yes" in effective(hardened)
    finally:
        hardened.says(ssh=None)
        hardened.run("systemctl stop ssh.service; systemctl enable -q --now ssh.service")
    hardened.inv("provision")


def test_a_server_without_include_and_with_values_before_it(hardened: Guarded) -> None:
    before = hardened.run("cat /etc/ssh/sshd_config")
    bad = "printf 'PermitRootLogin yes\\nPasswordAuthentication yes\\n' > /etc/ssh/sshd_config"
    hardened.run(f"cp -p /etc/ssh/sshd_config /root/kept; {bad}")
    done = hardened.inv("provision")
    assert "included nowhere -> first" in done.out, done
    assert {"permitrootlogin no", "passwordauthentication no"} <= effective(hardened)
    hardened.run("{ echo 'PermitRootLogin yes'; cat /root/kept; } > /etc/ssh/sshd_config")
    done = hardened.inv("provision")
    assert "included later -> first" in done.out, done
    assert "permitrootlogin no" in effective(hardened)
    hardened.run("cp -p /root/kept /etc/ssh/sshd_config")
    assert hardened.run("cat /etc/ssh/sshd_config") == before
    assert "0 changed" in hardened.inv("provision").out


def test_no_request_is_lost(tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer) -> None:
    server = fresh_server("sshload")
    tiny = Tiny(tmp_path, server, sandbox)
    tiny.inv("provision")
    tiny.inv("deploy")
    switches = json.dumps(SSH_ONLY)
    with Load(server.address) as load:
        tiny.edit_inventory("hardening: off", f"hardening: {switches}, port: 2222, bootstrap_port: 22")
        tiny.inv("provision")
        tiny.inv("deploy")
    assert load.failures == []
    assert load.count > 50
