"""Arm, prove, disarm: a change of who gets in stays only when a new login has proven that we still do.

Runs on the server, in a run's worker. The timer, the boot and we decide by the same file, under one lock: exactly one
of "it stays" and "it is put back" happens.
"""

from __future__ import annotations

import json
import os
import time

from ..events import Noticed
from ..records import Conflict
from ..resources.base import Failed
from ..system import CommandFailed
from . import folder_of, revert, snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Optional, Sequence

    from ..run import Run
    from ..system import System

# seconds: from the last sign of life of the run until it is put back; how long the controller has for its login.
# Logins are back within 20 s of anything that goes wrong
REVERT_AFTER, LOGIN = 14, 12.0
DROP_IN = "/etc/ssh/sshd_config.d/00-hostwright.conf"
LOOK = "Do not log out before a new login works. On the server: journalctl -u hostwright-revert"
WHY = {
    "timer": "its run gave no sign of life for %d s" % REVERT_AFTER,
    "boot": "the server was started again in the middle of it",
    "run": "nothing proved that a new login works",
}


class Guard:
    """The guard of one run.

    Args:
        system: the server.
        run: whose events tell what happens, and who asks the controller.
        state: /var/lib/hostwright.
        id: of the run.
        login: `user` and `port` of the login that must work.

    Attributes:
        armed: it is put back unless `disarm` is called.
    """

    def __init__(self, system: System, run: Run, state: str, id: str, login: Mapping[str, Any]) -> None:
        self._system = system
        self._run = run
        self._state = state
        self._id = id
        self.login = login
        self.folder = folder_of(state)
        self.armed = False
        # nobody answered: whoever watches us may be gone, whatever it looks like from here
        self._alone = False

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    # -- before ------------------------------------------------------------------------------------------

    def recover(self) -> None:
        """What an earlier run left unproven is put back now, and told; so is what was put back meanwhile.

        Raises:
            Conflict: it cannot be put back; nothing else must be changed before it is.
        """
        if self._system.exists(self._path("armed")):
            self._revert("run")
            if self._system.exists(self._path("armed")):
                hint = "%s. When all is well: sudo rm -r %s" % (LOOK, self.folder)
                raise Conflict("what an earlier run changed of who gets in cannot be put back", hint)
        told = self._told()
        if told is not None:
            self._run.emit(Noticed(*describe(told)))
        self._system.remove_tree(self.folder)

    def protect(self) -> None:
        """Before each change of who gets in: from now on it is put back unless `conclude` finds a login.

        Raises:
            Failed: it cannot be armed, or it was put back already; change nothing.
        """
        if not self.armed:
            self._arm()
        elif not self._system.exists(self._path("armed")):
            raise Failed("what was changed before has been put back: it took too long", "Run it again.")
        else:
            self._extend()

    def _arm(self) -> None:
        try:
            snapshot.keep(self._system, self.folder, self._id, self._state)
            snapshot.install(self._system, self.folder, REVERT_AFTER)
            self._system.write_atomic(self._path("armed"), b"", mode=0o600)
            self._extend()
        except (OSError, CommandFailed) as error:
            self._give_up()
            raise Failed(
                "who gets in was not changed: it could not be made sure that it can be put back",
                "Make room: df -h / /var" if isinstance(error, OSError) else "Look at: systemctl status",
                tail=(*getattr(error, "tail", ()), str(error)),
            ) from None
        self.armed = True

    def _extend(self) -> None:
        timer = revert.UNIT + ".timer"
        self._system.run(("systemctl", "restart", "--", timer), timeout=10)

    def _give_up(self) -> None:
        """Nothing has been changed yet."""
        try:
            self._system.unlink(self._path("armed"))
        except OSError:
            return  # what was kept is what there is: the timer puts nothing back
        self._clear()

    # -- after -------------------------------------------------------------------------------------------

    def prove(self) -> Optional[Failed]:
        """Does a new login work? None: yes.

        Raises:
            CommandFailed
        """
        try:
            self._extend()
        except CommandFailed as error:
            return Failed("the timer that would put it back cannot be started", tail=error.tail)
        user, port = self.login.get("user", ""), self.login.get("port", 22)
        data = {"user": user, "port": port, "sudo": True, "host_keys": self._host_keys()}
        self._run.reach("guard:prove")
        answer = self._run.ask("login", data, LOGIN)
        if answer is None:
            self._alone = not self._run.cancelled()
            return Failed(
                "nobody proved that a new login works: the controller is gone, or did not answer in time"
            )
        if answer.get("ok") is not True:
            said = str(answer.get("message", ""))
            lines = [str(line) for line in answer.get("evidence", ())]
            return Failed("a new login as %s on port %s does not work: %s" % (user, port, said), tail=lines)
        return None

    def _host_keys(self) -> list[str]:
        """The public keys that sshd shows from now on, for a controller that knows it by another one."""
        found = []
        for line in (self._system.read(DROP_IN) or b"").decode("utf-8", "replace").splitlines():
            words = line.split()
            if len(words) == 2 and words[0] == "HostKey":
                public = (self._system.read(words[1] + ".pub") or b"").decode("utf-8", "replace").split()
                found += [" ".join(public[:2])] if len(public) >= 2 else []
        return found

    def disarm(self) -> bool:
        """It stays. False: it has been put back in the same moment."""
        import fcntl

        handle = os.open(self._path("lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if not self._system.exists(self._path("armed")):
                return False
            self._system.unlink(self._path("armed"))
            self._system.fsync_directory(self.folder)
        finally:
            os.close(handle)
        self.armed = False
        self._clear()
        return True

    def _clear(self) -> None:
        """Nothing is due any more."""
        try:
            snapshot.uninstall(self._system)
            self._system.remove_tree(self.folder)
        except (OSError, CommandFailed):
            pass  # what is left does nothing without `armed`

    def undo(self, why: Failed) -> Failed:
        """Put everything back, at once; returns what to tell."""
        # also what was changed after the timer had put it back: the snapshot is still the one to have
        if not self._system.exists(self._path("armed")):
            self._system.write_atomic(self._path("armed"), b"", mode=0o600)
        self._revert("run")
        if self._system.exists(self._path("armed")):
            self._extend()  # it is tried again, and at the next boot
            return Failed("%s; and it could NOT be put back yet" % why.message, LOOK, tail=why.tail)
        self.armed = False
        told = self._told() or {"restored": [], "problems": ["it is not known what was put back"]}
        if self._run.watched() and not self._alone:
            self._system.remove_tree(self.folder)  # else the next run tells it
        paths, problems = told["restored"], told["problems"]
        lines = [*why.tail, "put back: %s" % (", ".join(shown(paths)) or "nothing had changed")]
        lines += ["could NOT be put back: %s" % problem for problem in problems]
        hint = why.hint or "The old login works as before. Correct the inventory, and run it again."
        return Failed("%s; who gets in was put back as it was" % why.message, hint, tail=lines)

    def _revert(self, why: str) -> None:
        """By the program that the timer would start, outside of this run's own unit."""
        program = (snapshot.python(), "-I", "-S", "-B", self._path("revert.py"), why)
        argv = ("systemd-run", "--quiet", "--wait", "--collect", "--", *program)
        done = self._system.run(argv, timeout=120, check=False)
        if not done.ok and self._system.exists(self._path("armed")):
            self._system.run(program, timeout=120, check=False)

    def _told(self) -> Optional[dict[str, Any]]:
        raw = self._system.read(self._path("reverted.json"))
        if raw is None:
            return None
        try:
            found = json.loads(raw)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None


def describe(told: Mapping[str, Any]) -> tuple[str, str]:
    """What a run says of something that was put back before it: the line, and the hint."""
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(told["when"]))
    message = "run %s changed who gets in, and it was put back at %s, because %s" % (
        told["run"],
        when,
        WHY.get(told["why"], told["why"]),
    )
    if told["problems"]:
        message += "; NOT all of it: %s" % "; ".join(told["problems"])
    return message, "Put back: %s. It is tried again now." % (", ".join(shown(told["restored"])) or "nothing")


def shown(paths: Sequence[str]) -> list[str]:
    """Paths for people: what is below /var/lib/hostwright is our own business."""
    found = [path for path in paths if not path.startswith("/var/lib/hostwright/")]
    return [*found[:12], *(["%d more" % (len(found) - 12)] if len(found) > 12 else [])]
