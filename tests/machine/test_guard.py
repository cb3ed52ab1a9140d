"""Lock-out drills: whatever shuts us out is put back by the server itself, and nothing else with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hostwright.sandbox import Sandbox

from .conftest import SUITES
from .guarded import SOON, SSH_ONLY, Guarded, Logins, put_back

SSHD, SUDO = "ssh/sshd.conf.j2", "sudo/user.j2"
Break = Callable[[Guarded], None]


@pytest.fixture(scope="module")
def hardened(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A server that was hardened, and one more user of it; each test leaves it so."""
    name = f"guard-{os.getpid()}"
    server = sandbox.up(name, suite=SUITES[0], ephemeral=True, say=print)[0]
    guarded = Guarded(tmp_path_factory.mktemp("guard"), server, sandbox)
    guarded.says(hardening=SSH_ONLY, users={"ann": {"keys": [f"{server.identity_file}.pub"], "sudo": True}})
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


def allows_others(guarded: Guarded) -> None:
    guarded.override(SSHD, "AllowUsers somebody-else\n")


def another_port(guarded: Guarded) -> None:
    guarded.override(SSHD, text="Port 2200\nAllowGroups @groups@\n")


def crashes(guarded: Guarded) -> None:
    """sshd accepts it, and then ends every connection."""
    guarded.override(SSHD, "ForceCommand /bin/false\n")


def breaks_sudo(guarded: Guarded) -> None:
    guarded.override(SUDO, text="{{ name }} ALL=(ALL) PASSWD: ALL\n")


def removes_key(guarded: Guarded) -> None:
    guarded.says(user="ann", users={"ann": {"keys": [other_key(guarded)], "sudo": True}})


DRILLS: list[tuple[Break, str, str]] = [
    (refuses_keys, "ubuntu", "accepts none of our keys"),
    (allows_others, "ubuntu", "accepts none of our keys"),
    (another_port, "ubuntu", "a new login as ubuntu on port 22"),
    (crashes, "ubuntu", "a new login as ubuntu"),
    (breaks_sudo, "ann", "sudo"),
    (removes_key, "ann", "accepts none of our keys"),
]


@pytest.mark.parametrize(
    ("drill", "user", "words"),
    [DRILLS[0], *(pytest.param(*drill, marks=pytest.mark.long) for drill in DRILLS[1:])],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_shuts_us_out_is_put_back(guarded: Guarded, drill: Break, user: str, words: str) -> None:
    guarded.says(user=user, port=22)
    drill(guarded)
    with Logins(guarded, user) as logins:
        done = guarded.inv("provision", code=1)
        guarded_ends = time.monotonic()
    assert time.monotonic() - guarded_ends < SOON
    assert logins.longest < SOON
    assert guarded.log_in(user)
    assert words in done.out, done
    what = "/home/ann/.ssh/authorized_keys" if drill is removes_key else "/etc/"
    assert f"put back: {what}" in done.out, done
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


@pytest.mark.parametrize("drill", [refuses_keys, pytest.param(breaks_sudo, marks=pytest.mark.long)])
def test_controller_killed_just_then(guarded: Guarded, drill: Break) -> None:
    user = "ann" if drill is breaks_sudo else "ubuntu"
    guarded.says(user=user)
    drill(guarded)
    with Logins(guarded, user) as logins:
        with guarded.stopped_before_proof("provision") as process:
            assert not guarded.log_in(user)
            guarded.kill(process)
            guarded.let_go()
            guarded.runs_end()
        assert guarded.log_in(user)
    assert logins.longest < SOON
    guarded.no_overrides()
    guarded.inv("provision")


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


@pytest.mark.long
@pytest.mark.parametrize("drill", [refuses_keys, another_port, removes_key])
def test_power_cut_just_then(guarded: Guarded, drill: Break) -> None:
    guarded.says(user="ann" if drill is removes_key else "ubuntu", port=22)
    drill(guarded)
    with (
        guarded.stopped_before_proof("provision")
        if drill is not another_port
        else held_in_apply(guarded) as process
    ):
        guarded.sandbox.crash(guarded.server.name)
        guarded.kill(process)
    began = time.monotonic()
    guarded.sandbox.start(guarded.server.name)
    while not guarded.log_in("ann"):
        assert time.monotonic() - began < SOON, "no login after the boot"
    guarded.no_overrides()
    guarded.says(users={"ann": {"keys": [f"{guarded.server.identity_file}.pub"], "sudo": True}})
    told = guarded.inv("provision")
    assert "the server was started again in the middle of it" in told.out, told


def held_in_apply(guarded: Guarded):  # type: ignore[no-untyped-def]
    """sshd listens elsewhere, and the run waits for it."""
    from contextlib import contextmanager

    @contextmanager
    def waiting():  # type: ignore[no-untyped-def]
        with guarded.started("provision") as process:
            end = time.monotonic() + 60
            while "2200" not in guarded.run("ss -ltnH"):
                assert time.monotonic() < end
            yield process

    return waiting()


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
    import signal

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
