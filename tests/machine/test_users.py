"""People on real servers: their keys and rights come and go with the inventory; what others made is never touched."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostwright.sandbox import Sandbox

from .conftest import SUITES, FreshServer
from .guarded import SSH_ONLY, Guarded
from .project import until


def key_of(guarded: Guarded, name: str) -> Path:
    """A private key of somebody; the public one is beside it."""
    path = guarded.home / f"{name}-key"
    if not path.exists():
        subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path), check=True)
    return path


@pytest.fixture(scope="module")
def guarded(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    name = f"users-{os.getpid()}"
    server = sandbox.up(name, suite=SUITES[0], ephemeral=True, say=print)[0]
    guarded = Guarded(tmp_path_factory.mktemp("users"), server, sandbox)
    guarded.says(hardening=SSH_ONLY)
    guarded.run("useradd --create-home byhand; echo 'byhand ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/byhand")
    guarded.inv("provision")
    yield guarded
    sandbox.down(name)


def test_people_come_and_go(guarded: Guarded) -> None:
    ann, bob = key_of(guarded, "ann"), key_of(guarded, "bob")
    inline = Path(f"{bob}.pub").read_text().strip()
    both = {"ann": {"keys": [f"{ann}.pub"], "sudo": True}, "bob": {"keys": [inline]}}
    guarded.says(users=both)
    done = guarded.inv("provision")
    assert "proved: a new login as ubuntu" in done.out
    assert guarded.log_in("ann", identity=str(ann))
    assert guarded.log_in("bob", sudo=False, identity=str(bob))
    assert not guarded.log_in("bob", sudo=True, identity=str(bob))
    assert "0 changed" in guarded.inv("provision").out

    # keys: one by hand, another from us; the one we wrote goes
    guarded.run(
        "echo 'ssh-ed25519 AAAAbyhand by hand' >> /home/ann/.ssh/authorized_keys; touch /home/ann/mine"
    )
    other = key_of(guarded, "ann-new")
    guarded.says(users={**both, "ann": {"keys": [f"{other}.pub"], "sudo": False}})
    guarded.inv("provision")
    assert not guarded.log_in("ann", sudo=False, identity=str(ann))
    assert guarded.log_in("ann", sudo=False, identity=str(other))
    assert not guarded.log_in("ann", sudo=True, identity=str(other)), "sudo: false"
    assert "by hand" in guarded.run("cat /home/ann/.ssh/authorized_keys")

    guarded.says(users={"bob": both["bob"]})
    checked = guarded.inv("provision", "--check", code=4)
    assert "the user ann is no longer in the inventory: it is locked and its keys are removed" in checked.out
    assert guarded.log_in("ann", sudo=False, identity=str(other)), "a check touches nothing"
    guarded.inv("provision")
    assert not guarded.log_in("ann", sudo=False, identity=str(other))
    assert guarded.run("ls /home/ann/mine; cat /home/ann/.ssh/authorized_keys") == "/home/ann/mine"
    assert guarded.log_in("bob", sudo=False, identity=str(bob))

    guarded.says(users=both)
    guarded.inv("provision")
    assert guarded.log_in("ann", identity=str(ann)), "ann is back"
    guarded.says(users=None)
    guarded.inv("provision")
    assert not guarded.log_in("bob", sudo=False, identity=str(bob))
    assert "0 changed" in guarded.inv("provision").out


def test_what_others_made_is_never_touched(guarded: Guarded) -> None:
    """An account that was there: we add a key and a rule, and take those away again."""
    mine = key_of(guarded, "byhand")
    guarded.run(
        "install -d -o byhand -m 700 /home/byhand/.ssh; echo 'ssh-ed25519 AAAAold old' > "
        "/home/byhand/.ssh/authorized_keys; chown byhand /home/byhand/.ssh/authorized_keys; usermod -s /bin/sh byhand"
    )
    guarded.says(users={"byhand": {"keys": [f"{mine}.pub"], "sudo": True}})
    guarded.inv("provision")
    assert guarded.log_in("byhand", identity=str(mine))
    guarded.says(users=None)
    guarded.inv("provision")
    assert not guarded.log_in("byhand", sudo=False, identity=str(mine))
    assert guarded.run("cat /home/byhand/.ssh/authorized_keys") == "ssh-ed25519 AAAAold old"
    assert guarded.run("getent passwd byhand").endswith(":/bin/sh"), "not locked"
    assert guarded.run("cat /etc/sudoers.d/byhand") == "byhand ALL=(ALL) NOPASSWD: ALL"
    assert guarded.run("ls /etc/sudoers.d | grep hostwright || true") == ""


def test_another_project_keeps_its_people(guarded: Guarded, tmp_path: Path, sandbox: Sandbox) -> None:
    ann, eve = key_of(guarded, "ann"), key_of(guarded, "eve")
    guarded.says(users={"ann": {"keys": [f"{ann}.pub"], "sudo": True}})
    guarded.inv("provision")
    other = Guarded(tmp_path, guarded.server, sandbox)
    other.name = "other"
    other.says(hardening=SSH_ONLY, users={"eve": {"keys": [f"{eve}.pub"]}})
    other.inv("provision")
    other.says(users=None)
    other.inv("provision")
    assert guarded.log_in("ann", identity=str(ann))
    assert not guarded.log_in("eve", sudo=False, identity=str(eve))
    # two projects want different things of one person
    other.says(users={"ann": {"keys": [f"{eve}.pub"]}})
    done = other.inv("provision", code=1)
    assert "want different things of account ann" in done.out, done


def test_keys_that_cannot_be_had(guarded: Guarded) -> None:
    guarded.says(users={"ann": {"keys": [str(guarded.home / "missing.pub")], "sudo": True}})
    done = guarded.inv("provision", code=2)
    assert "missing.pub does not exist" in done.out, done
    guarded.says(users={"ann": {"keys": ["https://127.0.0.1/ann.keys"]}})
    done = guarded.inv("provision", code=1)
    assert "https://127.0.0.1/ann.keys cannot be fetched" in done.out, done
    guarded.says(users={"ann": {"sudo": True}})
    done = guarded.inv("provision", code=2)
    assert "users.ann has sudo, but no key to log in with" in done.out, done
    guarded.says(users=None)


def test_root_alone_ends_with_somebody_who_has_sudo(
    tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer
) -> None:
    """In one run: `deploy` is made, proven, and then root stays outside. Moved to another port on the way."""
    guarded = Guarded(tmp_path, fresh_server("rootonly"), sandbox)
    guarded.run(
        "userdel -r ubuntu 2>/dev/null || true; rm -f /etc/sudoers.d/*ubuntu*; "
        "echo 'PermitRootLogin yes' > /etc/ssh/sshd_config.d/10-root.conf; systemctl reload ssh"
    )
    until(lambda: guarded.log_in("root", sudo=False), 20, "root logs in")
    guarded.says(user="deploy", bootstrap_user="root", port=2222, bootstrap_port=22, hardening=SSH_ONLY)
    done = guarded.inv("provision")
    assert "using root this once" in done.out, done
    assert "proved: a new login as deploy on port 2222 works" in done.out, done
    assert guarded.log_in("deploy", port=2222)
    assert not guarded.log_in("root", port=2222, sudo=False)
    again = guarded.inv("provision")
    assert "0 changed" in again.out, again
    assert "this once" not in again.out
