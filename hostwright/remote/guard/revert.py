"""Puts back what decided who gets in before a guarded change. A program of its own, it needs nothing of the agent.

Beside it lie `snapshot.json` and, as long as nothing has proven that we still get in, `armed`. Started by
hostwright-revert.timer, by hostwright-revert.service at boot before sshd, or by the run that got no proof.
Whoever removes `armed` has decided; without it nothing is done, so it may run twice and at any time.
"""

from __future__ import annotations

import base64
import fcntl
import glob
import json
import os
import stat
import subprocess
import sys
import time
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator, Optional, Sequence

    Node = dict[str, Any]
    Call = Callable[[Sequence[str]], tuple[int, str]]

UNIT = "hostwright-revert"
SYSTEM = "/etc/systemd/system"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
# links to the unit's file that start it at boot, and its timer
WANTED = (("sysinit.target.wants", "service"), ("timers.target.wants", "timer"))
TIMEOUT = 60


def places(root: str, patterns: Sequence[str]) -> list[str]:
    """Every path that the patterns name now, what is below folders included, parents first."""
    found: list[str] = []
    for pattern in patterns:
        for top in sorted(glob.glob(glob.escape(root) + pattern)) if "*" in pattern else [root + pattern]:
            if os.path.lexists(top):
                found.append(top)
            if os.path.isdir(top) and not os.path.islink(top):
                for folder, names, files in os.walk(top):
                    found += [os.path.join(folder, name) for name in sorted(names + files)]
    return [path[len(root) :] for path in dict.fromkeys(found)]


def node(path: str) -> Optional[Node]:
    """What is at a path; None for nothing, and for sockets and the like."""
    try:
        info = os.lstat(path)
        if stat.S_ISLNK(info.st_mode):
            return {"kind": "link", "target": os.readlink(path)}
        about = {"mode": stat.S_IMODE(info.st_mode), "uid": info.st_uid, "gid": info.st_gid}
        if stat.S_ISDIR(info.st_mode):
            return {"kind": "directory", **about}
        if not stat.S_ISREG(info.st_mode):
            return None
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(handle, "rb") as file:
            return {"kind": "file", **about, "content": base64.b64encode(file.read()).decode()}
    except FileNotFoundError:
        return None


def scan(root: str, patterns: Sequence[str]) -> dict[str, Node]:
    """Path -> node of everything that the patterns name."""
    found = {}
    for path in places(root, patterns):
        entry = node(root + path)
        if entry is not None:
            found[path] = entry
    return found


class Revert:
    """One attempt to put a snapshot back.

    Args:
        folder: where the snapshot lies.
        root: before every path; empty but in tests.
        call: runs a command and returns (exit code, output).
    """

    def __init__(self, folder: str, root: str = "", call: Optional[Call] = None) -> None:
        self.folder = folder
        self.root = root
        self.call = call or command
        self.restored: list[str] = []
        self.problems: list[str] = []
        self.wait: tuple[str, ...] = ()

    def run(self, why: str = "") -> int:
        """Put it back if that is due. Returns an exit code."""
        handle = os.open(os.path.join(self.folder, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            if not os.path.exists(os.path.join(self.folder, "armed")):
                return 0
            with open(os.path.join(self.folder, "snapshot.json"), encoding="utf-8") as file:
                kept = json.load(file)
            self._put_back(kept, why)
        finally:
            os.close(handle)
        return 1 if self.problems else 0

    def _put_back(self, kept: Node, why: str) -> None:
        booted = kept["boot"] != first_line(self.root + BOOT_ID)
        why = "boot" if booted else why or "timer"
        # what our own unit comes before starts when that has ended: waiting for it would be waiting for ourselves
        self.wait = () if why == "run" else ("--no-block",)
        running = {name: self._active(name) for name in kept["units"]}
        for name, before in kept["units"].items():
            if not before and booted:
                # it may be there no more, or not yet; what matters is that it does not start
                self.call(("systemctl", *self.wait, "stop", "--", name))
            elif not before and running[name]:
                # waited for: how it ends stands in a file that is about to go
                self._systemctl("stop", name, ())
        self._files(kept)
        # on its way down systemd starts nothing any more; what it starts when it is up again reads these files
        if booted or self.call(("systemctl", "is-system-running"))[1].strip() != "stopping":
            self._do(("systemctl", "daemon-reload"))
            self._units(kept["units"], booted)
            self._reload([] if booted else kept["reloads"])
        self._tell(kept, why)
        self._disarm()

    def _files(self, kept: Node) -> None:
        with password_lock(self.root):
            now, then = scan(self.root, kept["patterns"]), kept["nodes"]
            for path in reversed([path for path in now if path not in then]):
                self._try(path, remove, self.root + path)
            for path, entry in then.items():
                if now.get(path) != entry:
                    self._try(path, write, self.root + path, entry)

    def _try(self, path: str, work: Callable[..., None], *args: Any) -> None:
        try:
            work(*args)
            self.restored.append(path)
        except OSError as error:
            self.problems.append("%s: %s" % (path, error.strerror))

    def _units(self, units: dict[str, bool], booted: bool) -> None:
        """Running again what ran, as its files say now."""
        if units.get("ssh.socket"):
            # the socket does not start while the service that it starts runs; logins that are open stay
            self._systemctl("stop", "ssh.service", self.wait if booted else ())
        for name, before in units.items():
            if before:
                if not booted:
                    self.call(("systemctl", "reset-failed", "--", name))
                self._systemctl("restart", name, self.wait)

    def _reload(self, reloads: Sequence[tuple[str, str, Sequence[str]]]) -> None:
        for prefix, unit, argv in reloads:
            if any(path.startswith(prefix) for path in self.restored) and self._active(unit):
                self._do((*argv[:1], *(self.wait if argv[0] == "systemctl" else ()), *argv[1:]))

    def _active(self, name: str) -> bool:
        return self.call(("systemctl", "is-active", "--quiet", "--", name))[0] == 0

    def _systemctl(self, verb: str, name: str, wait: Sequence[str]) -> None:
        self._do(("systemctl", *wait, verb, "--", name))

    def _do(self, argv: Sequence[str]) -> None:
        code, output = self.call(argv)
        if code:
            last = output.strip().splitlines()[-1:] or ["exit code %d" % code]
            self.problems.append("%s: %s" % (" ".join(argv), last[0]))

    def _tell(self, kept: Node, why: str) -> None:
        """What the next run says first; a full disk must not keep anything from being put back."""
        told = {"why": why, "when": time.time(), "run": kept["run"]}
        told.update(restored=self.restored, problems=self.problems)
        print("hostwright: put back (%s): %s" % (why, ", ".join(self.restored) or "nothing had changed"))
        for problem in self.problems:
            print("hostwright: could not: %s" % problem)
        try:
            replace(os.path.join(self.folder, "reverted.json"), json.dumps(told).encode(), 0o600, 0, 0)
        except OSError as error:
            print("hostwright: cannot be recorded: %s" % error)

    def _disarm(self) -> None:
        remove(os.path.join(self.folder, "armed"))
        for path in filter(os.path.lexists, unit_files(self.root)):
            os.unlink(path)
        self.call(("systemctl", "--no-block", "stop", "--", UNIT + ".timer"))
        self.call(("systemctl", "daemon-reload"))


@contextmanager
def password_lock(root: str) -> Iterator[None]:
    """lckpwdf(3): nobody else changes passwd and shadow meanwhile; who holds it for long does not stop us."""
    try:
        handle = os.open(root + "/etc/.pwd.lock", os.O_WRONLY | os.O_CREAT, 0o600)
    except OSError:  # no room for it, say: what is put back matters more
        yield
        return
    try:
        for _ in range(30):
            try:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                time.sleep(0.1)
        yield
    finally:
        os.close(handle)


def unit_files(root: str = "") -> list[str]:
    """Our unit's files and the links that start it at boot."""
    base = root + SYSTEM
    links = ["%s/%s/%s.%s" % (base, folder, UNIT, kind) for folder, kind in WANTED]
    return [*links, *("%s/%s.%s" % (base, UNIT, kind) for kind in ("timer", "service"))]


def write(path: str, entry: Node) -> None:
    """Make a path what it was."""
    kind, found = entry["kind"], node(path)
    if found is not None and found["kind"] != kind:
        remove(path)
        found = None
    if kind == "directory":
        if found is None:
            os.mkdir(path)
        os.chown(path, entry["uid"], entry["gid"])
        os.chmod(path, entry["mode"])
    elif kind == "link":
        remove(path)
        os.symlink(entry["target"], path)
    else:
        content = base64.b64decode(entry["content"])
        replace(path, content, entry["mode"], entry["uid"], entry["gid"])


def replace(path: str, content: bytes, mode: int, uid: int, gid: int) -> None:
    """Put a file in the place of another in one step; where there is no room for two, in its own."""
    folder, name = os.path.split(path)
    # the folder may be a user's own: no link of theirs leads us elsewhere
    where = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    new = ".%s.hostwright-revert" % name
    try:
        discard(new, where)
        try:
            fill(new, os.O_EXCL, where, content, mode, uid, gid)
            os.rename(new, name, src_dir_fd=where, dst_dir_fd=where)
        except OSError:
            discard(new, where)
            fill(name, os.O_TRUNC, where, content, mode, uid, gid)
        os.fsync(where)
    finally:
        os.close(where)


def discard(name: str, where: int) -> None:
    """Remove a file in a folder, if it is there."""
    try:
        os.unlink(name, dir_fd=where)
    except FileNotFoundError:
        pass


def fill(name: str, how: int, where: int, content: bytes, mode: int, uid: int, gid: int) -> None:
    """Write a file that is made or emptied, wait until it is on disk."""
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | how, 0o600, dir_fd=where)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fchown(handle, uid, gid)
        os.fchmod(handle, mode)
        os.fsync(handle)


def remove(path: str) -> None:
    """Remove a file, a link, or a folder that is empty by now."""
    if os.path.isdir(path) and not os.path.islink(path):
        os.rmdir(path)
    elif os.path.lexists(path):
        os.unlink(path)
    handle = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(handle)
    os.close(handle)


def first_line(path: str) -> str:
    """The first line of a file; empty where there is none."""
    try:
        with open(path, encoding="ascii") as file:
            return file.readline().strip()
    except OSError:
        return ""


def command(argv: Sequence[str]) -> tuple[int, str]:
    """Exit code and output of a command."""
    try:
        null, pipe, same = subprocess.DEVNULL, subprocess.PIPE, subprocess.STDOUT
        done = subprocess.run(argv, stdin=null, stdout=pipe, stderr=same, timeout=TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return 127, str(error)
    return done.returncode, done.stdout.decode("utf-8", "replace")


if __name__ == "__main__":
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    sys.exit(Revert(os.path.dirname(os.path.abspath(__file__))).run(*sys.argv[1:2]))
