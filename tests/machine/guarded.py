"""A server whose SSH is hardened, what somebody who logs in meets there, and what of it a run has changed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from hostwright.errors import SandboxError
from hostwright.inventory.hardening import OFF
from hostwright.sandbox import Sandbox, Server

from .project import Done, Project, sh, until

RUNTIME = "/run/hostwright"
POINT = "guard:prove"
# logins are back within
SOON = 20.0
SSH_ONLY = {**dict.fromkeys(type(OFF).model_fields, False), "ssh": True}
# what a change of who gets in must leave alone, and what it must put back: every file's name, content, mode and owner,
# and the rules in force. Without what logins and useradd themselves write: backups (passwd-), last logins, caches
FINGERPRINT = r"""
all() {
  find /etc /root/.ssh /home /var/spool/cron -xdev \
    ! -name '.pwd.lock' ! -name '*-' ! -name 'ld.so.cache' ! -path '/etc/systemd/system/*.wants' \
    ! -path '*/.cache*' ! -name '.lesshst' ! -name '.bash_history' "$@" 2>/dev/null | LC_ALL=C sort -z
}
all \( -type f -o -type l -o -type d \) -printf '%p %m %U %G %y %l\0' | tr '\0' '\n'
all -type f -print0 | xargs -0 sha256sum
ls /etc/systemd/system/*.wants
ss -ltnH | awk '{print $4}' | sort
for u in ssh.service ssh.socket hostwright-firewall.service; do
  echo $u $(systemctl is-enabled $u) $(systemctl is-active $u)
done
nft -s -t list ruleset
"""
# an nft that forgets SSH in rules that open port 4444; what else it is told, it does
FORGETS = """
test -e /usr/sbin/nft.real || mv /usr/sbin/nft /usr/sbin/nft.real
cat >/usr/sbin/nft <<'END'
#!/bin/sh
for last; do :; done
if [ "$1" = -f ] && grep -q 'dport 4444 accept' "$last" 2>/dev/null; then
    sed 's/tcp dport 22 accept/tcp dport 9 accept/' "$last" | /usr/sbin/nft.real -f -
    exit
fi
exec /usr/sbin/nft.real "$@"
END
chmod 755 /usr/sbin/nft
"""
REMEMBERS = "if test -e /usr/sbin/nft.real; then mv /usr/sbin/nft.real /usr/sbin/nft; fi"


class Guarded(Project):
    """A project without apps on one server.

    Args:
        folder: an empty one, for the project and its HOME.
    """

    def __init__(self, folder: Path, server: Server, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.settings: dict[str, Any] = {"user": "ubuntu", "hardening": False}
        super().__init__(folder, server, name="guarded")

    def write_inventory(self, user: str = "ubuntu", domains: str = "") -> None:
        host = {
            "address": self.server.address,
            "identity_file": str(self.server.identity_file),
            "update_packages": False,
            **self.settings,
        }
        text = json.dumps({"project": self.name, "hosts": {"web1": host}}, indent=1)
        (self.folder / "inventory.yaml").write_text(text)

    def says(self, **settings: Any) -> None:
        """The inventory from now on; None takes a key away."""
        self.settings = {k: v for k, v in {**self.settings, **settings}.items() if v is not None}
        self.write_inventory()

    def override(self, template: str, more: str = "", *, text: str | None = None) -> None:
        """The project's own version of a template: ours and more lines, or another text."""
        from .project import ROOT

        path = self.folder / "templates" / template
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if text is not None else (ROOT / "templates" / template).read_text() + more)

    def no_overrides(self) -> None:
        """Our own templates again."""
        import shutil

        shutil.rmtree(self.folder / "templates", ignore_errors=True)

    def run(self, script: str, timeout: float = 60) -> str:
        """A script on the server, as root, not over SSH."""
        return sh(self.sandbox, self.server, script, timeout)

    def fingerprint(self) -> list[str]:
        """Everything that must be as it was."""
        done = self.sandbox.exec(self.server.name, ("bash", "-c", FINGERPRINT), timeout=120)
        assert done.returncode == 0, done.stderr
        out = done.stdout if isinstance(done.stdout, str) else done.stdout.decode()
        return out.splitlines()

    def nothing_is_armed(self) -> None:
        """No snapshot, no unit, no timer."""
        left = "ls -d /var/lib/hostwright/guard /etc/systemd/system/{,*/}*revert* 2>&1 || true"
        found = [line for line in self.run(left).splitlines() if "No such file" not in line]
        assert not found
        assert "hostwright-revert" not in self.run("systemctl list-units --all --plain --no-legend")

    def log_in(self, user: str = "ubuntu", port: int = 22, sudo: bool = True, identity: str = "") -> bool:
        """A new login of a person, and whether sudo asks for nothing."""
        return self.ssh("sudo -n true" if sudo else "true", user, port, identity).returncode == 0

    def ssh(
        self, command: str, user: str = "ubuntu", port: int = 22, identity: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """What a person gets who logs in anew and types a command."""
        options = (
            "BatchMode=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "ConnectTimeout=2",
        )
        argv = ["ssh", "-F", "none", "-i", identity or str(self.server.identity_file), "-p", str(port)]
        argv += [
            part for option in (*options, "IdentitiesOnly=yes", "LogLevel=ERROR") for part in ("-o", option)
        ]
        argv += [f"{user}@{self.server.address}", command]
        environ = {k: v for k, v in os.environ.items() if k != "SSH_AUTH_SOCK"}
        return subprocess.run(
            argv,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

    @contextmanager
    def stopped_before_proof(self, *argv: str) -> Iterator[subprocess.Popen[str]]:
        """A run that has changed who gets in and stays just before it asks for the proof, while the block runs."""
        # a worker that was killed while it stayed there has left its word
        self.run(f"install -d -m 700 {RUNTIME}; rm -f {RUNTIME}/held; echo {POINT} > {RUNTIME}/hold")
        with self.started(*argv) as process:
            held = f"cat {RUNTIME}/held 2>/dev/null || true"
            end = time.monotonic() + 60
            while self.run(held) != POINT:
                assert process.poll() is None, process.communicate()[0]
                assert time.monotonic() < end, "not at the proof within a minute"
            yield process

    def let_go(self) -> None:
        """The run goes on."""
        self.run(f"rm -f {RUNTIME}/hold")

    def run_until_up(self, port: int = 22, user: str = "ubuntu") -> Server:
        """Boot it after a power cut, and wait until somebody can log in."""
        booting = threading.Thread(target=self._start)
        booting.start()
        until(lambda: self.log_in(user, port), SOON, f"a login at port {port} after the boot")
        booting.join()
        return self.sandbox.get(self.server.name)

    def reboot(self, user: str) -> None:
        """Let it boot again as `systemctl reboot` does, and wait until somebody can log in.

        Over SSH: a process that is put into a container while that ends may keep it from ending.
        """
        kernel = "cat /proc/sys/kernel/random/boot_id"
        before = self.run(kernel)
        self.sandbox.exec(self.server.name, ("systemctl", "reboot"))
        until(
            lambda: self.ssh(kernel, user).stdout.strip() not in ("", before), 60, "a login after the reboot"
        )

    def _start(self) -> None:
        try:
            self.sandbox.start(self.server.name)
        except SandboxError:  # it waits for port 22, which may be closed by now
            return

    def kill(self, process: subprocess.Popen[str]) -> None:
        """The controller."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def runs_end(self) -> None:
        """Nothing of ours runs there any more."""
        running = "systemctl list-units --plain --no-legend 'hostwright-run-*' 'run-*.service'"
        until(lambda: "hostwright" not in self.run(running), 60, "the run ends")


class Logins:
    """New logins all the time while a block runs: when they work, and how long they did not.

    Args:
        guarded: the server.
        user, port: whose.
    """

    def __init__(self, guarded: Guarded, user: str = "ubuntu", port: int = 22) -> None:
        self._guarded, self._user, self._port = guarded, user, port
        self._stop = threading.Event()
        self._seen: list[tuple[float, bool]] = []
        self._thread = threading.Thread(target=self._try)

    def _try(self) -> None:
        worked, end = True, 0.0
        # when the block ends while logins do not work, it goes on until they do: that is what is measured
        while not self._stop.is_set() or (not worked and time.monotonic() < end):
            began = time.monotonic()
            worked = self._guarded.log_in(self._user, self._port)
            self._seen.append((began, worked))
            time.sleep(0.2)
            if not self._stop.is_set():
                end = time.monotonic() + 2 * SOON

    def __enter__(self) -> Logins:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def refused(self) -> int:
        """How many did not work."""
        return sum(not worked for _, worked in self._seen)

    @property
    def longest(self) -> float:
        """Seconds from the first login that failed to the next that worked."""
        longest, since = 0.0, None
        for when, worked in self._seen:
            if not worked and since is None:
                since = when
            elif worked and since is not None:
                longest, since = max(longest, when - since), None
        return longest if since is None else float("inf")


def put_back(done: Done, *words: str) -> None:
    """The report of a run that locked us out: what failed, why, and that it was put back."""
    for word in ("new login FAILED", "who gets in was put back as it was", "| put back: /", *words):
        assert word in done.out, f"{word!r} is missing\n{done}"
