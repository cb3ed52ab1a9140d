"""Lock-out drills: whatever shuts us out is put back by the server itself, and nothing else with it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hostwright.sandbox import Sandbox

from .conftest import SUITES
from .guarded import FORGETS, REMEMBERS, SOON, SSH_ONLY, Guarded, Logins, put_back
from .project import ROOT, Done, until

SSHD, SUDO = "ssh/sshd.conf.j2", "sudo/user.j2"
# the visitor's logins fail on purpose, and often: OpenSSH 9.8 and later would turn the run away for them, which comes
# from the same address
FORGIVES = """
if sshd -T | grep -q '^persourcepenalties '; then
  echo 'PerSourcePenaltyExemptList 0.0.0.0/0' > /etc/ssh/sshd_config.d/50-drills.conf
fi
"""
DROP_IN = "/etc/ssh/sshd_config.d/00-hostwright.conf"
NO_LOGIN = "a new login as {} on port 22 does not work"


@pytest.fixture(scope="module", params=[SUITES[0], pytest.param(SUITES[1], marks=pytest.mark.long)])
def hardened(
    request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guarded]:
    """A server with a firewall that was hardened, and one more user of it; each test leaves it so."""
    name = f"guard-{request.param}-{os.getpid()}"
    server = sandbox.up(name, suite=request.param, ephemeral=True, say=print)[0]
    guarded = Guarded(tmp_path_factory.mktemp("guard"), server, sandbox)
    guarded.run(FORGIVES)
    guarded.says(
        hardening={**SSH_ONLY, "firewall": True},
        users={"ann": {"keys": [f"{server.identity_file}.pub"], "sudo": True}},
    )
    guarded.inv("provision")
    yield guarded
    sandbox.down(name)


@pytest.fixture
def guarded(hardened: Guarded) -> Iterator[Guarded]:
    settings = dict(hardened.settings)
    before = hardened.fingerprint()
    yield hardened
    hardened.settings = settings
    hardened.no_overrides()
    hardened.write_inventory()
    hardened.run(REMEMBERS)
    assert hardened.fingerprint() == before
    done = hardened.inv("provision")
    assert "0 changed" in done.out, done
    hardened.nothing_is_armed()


def other_key(guarded: Guarded) -> str:
    """A key that nobody uses here."""
    path = guarded.home / "other"
    if not path.exists():
        subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path), check=True)
    return f"{path}.pub"


def refuses_keys(guarded: Guarded) -> None:
    guarded.override(SSHD, "AuthorizedKeysFile /nonexistent\n")


def allows_other_groups(guarded: Guarded) -> None:
    text = (ROOT / "templates" / SSHD).read_text()
    guarded.override(SSHD, text=text.replace("AllowGroups @groups@", "AllowGroups nogroup"))


def allows_other_users(guarded: Guarded) -> None:
    guarded.override(SSHD, "AllowUsers somebody-else\n")


def another_port(guarded: Guarded) -> None:
    guarded.override(SSHD, text="Port 2200\nAllowGroups @groups@\n")


def ends_sessions(guarded: Guarded) -> None:
    """sshd accepts the login, and then ends every one."""
    guarded.override(SSHD, "ForceCommand /bin/false\n")


def firewall_without_ssh(guarded: Guarded) -> None:
    guarded.run(FORGETS)
    guarded.says(firewall={"allow": [4444]})


def breaks_sudo(guarded: Guarded) -> None:
    guarded.override(SUDO, text="{{ name }} ALL=(ALL) PASSWD: ALL\n")


def removes_key(guarded: Guarded) -> None:
    guarded.says(users={"ann": {"keys": [other_key(guarded)], "sudo": True}})


@dataclass(frozen=True)
class Drill:
    """A way to shut us out.

    Attributes:
        shut: lets the next run do it.
        user: whose login the run makes.
        words: what the report says that the new login met.
        path: what the report says that was put back.
    """

    shut: Callable[[Guarded], None]
    user: str
    words: str
    path: str

    def begin(self, guarded: Guarded) -> None:
        """The inventory that does it."""
        guarded.says(user=self.user)
        self.shut(guarded)


NO_KEY = "accepts none of our keys"
DRILLS = [
    Drill(refuses_keys, "ubuntu", NO_KEY, DROP_IN),
    Drill(allows_other_groups, "ubuntu", NO_KEY, DROP_IN),
    Drill(another_port, "ubuntu", NO_LOGIN.format("ubuntu"), DROP_IN),
    Drill(firewall_without_ssh, "ubuntu", NO_LOGIN.format("ubuntu"), "/etc/hostwright/firewall.nft"),
    Drill(breaks_sudo, "ann", "sudo", "/etc/sudoers.d/hostwright-ann"),
    Drill(removes_key, "ann", NO_KEY, "/home/ann/.ssh/authorized_keys"),
]
MORE = [
    Drill(allows_other_users, "ubuntu", NO_KEY, DROP_IN),
    Drill(ends_sessions, "ubuntu", NO_LOGIN.format("ubuntu"), DROP_IN),
]


def drills(*drills: Drill, quick: int = 0) -> pytest.MarkDecorator:
    """A test of each; all but the first `quick` are long."""
    found = [
        pytest.param(drill, id=drill.shut.__name__, marks=[pytest.mark.long] if at >= quick else [])
        for at, drill in enumerate(drills)
    ]
    return pytest.mark.parametrize("drill", found)


@drills(*DRILLS, *MORE, quick=1)
def test_what_shuts_us_out_is_put_back(guarded: Guarded, drill: Drill) -> None:
    drill.begin(guarded)
    with Logins(guarded, drill.user) as logins:
        done = guarded.inv("provision", code=1)
    assert logins.longest < SOON
    assert guarded.log_in(drill.user)
    put_back(done, drill.words, f"| put back: {drill.path}")
    guarded.nothing_is_armed()


def test_the_report_of_a_lock_out(guarded: Guarded) -> None:
    refuses_keys(guarded)
    done = guarded.inv("provision", code=1)
    put_back(done, "a new login as ubuntu on port 22 does not work", "| tried ", "Correct the inventory")
    checked = guarded.inv("provision", "--check", code=4)
    assert "would be proved by a new login" in checked.out


def test_what_would_obviously_lock_us_out_is_refused(guarded: Guarded) -> None:
    guarded.says(ssh={"groups": ["nogroup"]})
    with Logins(guarded) as logins:
        done = guarded.inv("provision", code=1)
    assert "ubuntu is in none of the groups that may log in: nogroup" in done.out, done
    assert logins.refused == 0


def assert_told(guarded: Guarded, drill: Drill) -> Done:
    """The next run says what was put back, tries again, and ends as if somebody had watched."""
    told = guarded.inv("provision", code=1)
    assert "changed who gets in, and it was put back at" in told.out, told
    assert f"Put back: {drill.path}. It is tried again now." in told.out, told
    put_back(told, drill.words)
    return told


@drills(*DRILLS, quick=1)
def test_controller_killed_just_then(guarded: Guarded, drill: Drill) -> None:
    drill.begin(guarded)
    with Logins(guarded, drill.user) as logins:
        with guarded.stopped_before_proof("provision") as process:
            assert not guarded.log_in(drill.user)
            guarded.kill(process)
            guarded.let_go()
            guarded.runs_end()
        assert guarded.log_in(drill.user)
    assert logins.longest < SOON
    told = assert_told(guarded, drill)
    assert "because nothing proved that a new login works" in told.out, told


@pytest.mark.long
def test_controller_asleep_just_then(guarded: Guarded) -> None:
    """A laptop that is closed: its connection is there, and nobody at the other end."""
    refuses = DRILLS[0]
    refuses.begin(guarded)
    with guarded.stopped_before_proof("provision") as process:
        os.killpg(process.pid, signal.SIGSTOP)
        guarded.let_go()
        until(guarded.log_in, SOON, "logins are back")
        guarded.runs_end()
        guarded.kill(process)
    assert_told(guarded, refuses)


@pytest.mark.long
def test_worker_killed_just_then(guarded: Guarded) -> None:
    refuses_keys(guarded)
    with Logins(guarded) as logins:
        with guarded.stopped_before_proof("provision") as process:
            guarded.run("systemctl kill --signal=KILL 'hostwright-run-*.service'")
            process.wait(60)
            end = time.monotonic() + SOON
            while not guarded.log_in():
                assert time.monotonic() < end, "the timer did not put it back"
        guarded.let_go()
    assert logins.longest < SOON
    told = guarded.inv("provision", code=1)
    assert "changed who gets in, and it was put back at" in told.out, told
    assert "gave no sign of life" in told.out
    assert "It is tried again now" in told.out


@drills(*DRILLS)
def test_power_cut_just_then(guarded: Guarded, drill: Drill) -> None:
    drill.begin(guarded)
    with guarded.stopped_before_proof("provision") as process:
        assert not guarded.log_in(drill.user)
        guarded.sandbox.crash(guarded.server.name)
        guarded.kill(process)
    guarded.run_until_up(user=drill.user)
    told = assert_told(guarded, drill)
    assert "because the server was started again in the middle of it" in told.out, told


@drills(*DRILLS)
def test_reboot_just_then(guarded: Guarded, drill: Drill) -> None:
    """On its way down the server lets the run end, which puts it back; what that does not reach is put back at boot."""
    drill.begin(guarded)
    with guarded.stopped_before_proof("provision") as process:
        assert not guarded.log_in(drill.user)
        guarded.reboot(drill.user)
        guarded.kill(process)
    assert guarded.log_in(drill.user)
    told = assert_told(guarded, drill)
    assert "NOT all of it" not in told.out, told


@pytest.mark.long
def test_a_change_that_nobody_proves_goes_too(guarded: Guarded) -> None:
    """The controller is gone before it could say that all is well."""
    guarded.says(ssh={"tcp_forwarding": True})
    with guarded.stopped_before_proof("provision") as process:
        guarded.kill(process)
        guarded.let_go()
        guarded.runs_end()
    assert "AllowTcpForwarding no" in guarded.run("cat /etc/ssh/sshd_config.d/00-hostwright.conf")


@pytest.mark.long
def test_ctrl_c_just_then(guarded: Guarded) -> None:
    refuses_keys(guarded)
    with guarded.stopped_before_proof("provision") as process:
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    guarded.let_go()
    assert process.returncode != 0
    assert "who gets in was put back" in said
    assert guarded.log_in()


@pytest.mark.long
def test_disk_full_refuses_before_any_change(guarded: Guarded) -> None:
    guarded.override(SSHD, "# another\n")
    before = guarded.fingerprint()
    guarded.run(
        "mkdir -p /var/lib/hostwright; mount -t tmpfs -o size=8m small /var/lib/hostwright/guard 2>/dev/null || "
        "{ mkdir -p /var/lib/hostwright/guard; mount -t tmpfs -o size=8m small /var/lib/hostwright/guard; }"
    )
    try:
        done = guarded.inv("provision", code=1)
    finally:
        guarded.run("umount /var/lib/hostwright/guard; rm -rf /var/lib/hostwright/guard")
    assert "could not be made sure that it can be put back" in done.out, done
    assert "No space left on device" in done.out
    assert guarded.fingerprint() == before


@pytest.mark.long
def test_the_revert_needs_nothing_of_the_agent(guarded: Guarded, tmp_path: Path) -> None:
    refuses_keys(guarded)
    with guarded.stopped_before_proof("provision") as process:
        guarded.run("mv /var/lib/hostwright/agent /var/lib/hostwright/agent.away")
        guarded.run("systemctl kill --signal=KILL 'hostwright-run-*.service'")
        guarded.kill(process)
        end = time.monotonic() + SOON
        while not guarded.log_in():
            assert time.monotonic() < end
    guarded.let_go()
    guarded.run(
        "rm -rf /var/lib/hostwright/agent; mv /var/lib/hostwright/agent.away /var/lib/hostwright/agent"
    )
    assert "hostwright: put back (timer): /etc/ssh/sshd_config.d/00-hostwright.conf" in guarded.run(
        "journalctl -u hostwright-revert.service -o cat --no-pager"
    )
    guarded.no_overrides()
    guarded.inv("provision")
    shutil.rmtree(tmp_path)
