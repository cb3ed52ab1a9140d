"""apt, with care: waits for others, cures what was interrupted, lets dpkg finish. Runs on the server.

The four locks are fcntl(2) locks. `DPkg::Lock::Timeout` covers the two of dpkg only, so we wait for all four
first; whoever is quicker than we are in between makes apt fail with "Could not get lock", and we wait again.
"""

from __future__ import annotations

from . import dpkg
from .apt_errors import (
    FINAL,
    FULL,
    INTERRUPTED,
    LOCKED,
    STALE,
    diagnose,
    fetch_problems,
    first_problem,
    unreachable,
)
from .resources.base import Failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Sequence

    from .resources.base import Say
    from .system import Result, System

LOCKS = (
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/apt/lists/lock",
    "/var/cache/apt/archives/lock",
)
KEEP_CONFIGURATION = ("--force-confdef", "--force-confold")
OPTIONS = (
    "-q",
    "-y",
    # what conflicts with something that is installed is a decision for people
    "--no-remove",
    "-o",
    "Dpkg::Use-Pty=0",
    *(word for option in KEEP_CONFIGURATION for word in ("-o", "Dpkg::Options::=" + option)),
    "-o",
    "DPkg::Lock::Timeout=60",
    "-o",
    "Acquire::Retries=3",
    # without it apt-get takes an unknown name for a regular expression and may install a hundred packages
    "-o",
    "APT::Cmd::Pattern-Only=true",
)
ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    # needrestart only lists what runs on old libraries. Its default where nobody can be asked, to restart
    # services, would restart apps behind the back of the deploy; suspending it would hide the list
    "NEEDRESTART_MODE": "l",
    "APT_LISTCHANGES_FRONTEND": "none",
}
LISTS = "/var/lib/apt/lists"
# the newest of these tells when lists were fetched
FETCHED = (LISTS, LISTS + "/partial", "/var/lib/apt/periodic/update-success-stamp")
STALE_AFTER = 24 * 3600.0
CLOUD_INIT_DONE = "/run/cloud-init/result.json"
# seconds
UPDATE_DEADLINE, CONFIGURE_DEADLINE, INSTALL_DEADLINE = 600.0, 1800.0, 3600.0
POLL, SPEAK_EVERY = 0.5, 10.0
# between tries of a failed update; each already tries every file four times
PAUSES = (3.0,)


class Apt:
    """One installation or upgrade.

    Args:
        system: the server.
        say: takes what apt prints, line by line.
        notice: takes what we wait for, and other words that people must not miss.
        lock_timeout: seconds to wait for other users of apt, in all.
    """

    def __init__(self, system: System, say: Say, notice: Say, lock_timeout: float) -> None:
        self._system = system
        self._say = say
        self._notice = notice
        self._limit = lock_timeout
        self._waited = 0.0
        self._updated = False
        self._cured = False
        self._last_update: Optional[Result] = None

    def install(self, *packages: str) -> None:
        """Install packages in one transaction.

        Raises:
            Failed: apt is held, or why it failed.
            CommandFailed: past a deadline.
            RunCancelled: while waiting.
        """
        self._ready()
        if self._lists_are_stale():
            self._update()
        self._run("install", "--no-install-recommends", "--", *packages)

    def upgrade(self) -> int:
        """Bring installed packages up to date; new ones may come with them, none is removed.

        Returns:
            How many there were.

        Raises:
            Failed, CommandFailed, RunCancelled: as `install`; also when no list could be fetched.
        """
        self._ready()
        self._update()
        if self._last_update and not _some_fetched(self._last_update):
            raise unreachable(self._last_update)
        return upgraded(self._run("upgrade", "--with-new-pkgs"))

    def _run(self, *arguments: str) -> Result:
        argv = ("apt-get", *OPTIONS, *arguments)
        while True:
            result = self._call(argv, INSTALL_DEADLINE)
            if result.ok:
                return result
            trouble = diagnose(result)
            if trouble.kind == LOCKED:
                self._wait(after_lost_race=True)
            elif trouble.kind == STALE and not self._updated:
                self._say("the package lists may be old: fetching them")
                self._update()
            elif trouble.kind == INTERRUPTED and not self._cured:
                self._cure()
            else:
                if trouble.kind == STALE and self._last_update and not _some_fetched(self._last_update):
                    raise unreachable(self._last_update)
                raise trouble.failed

    def _call(self, argv: Sequence[str], timeout: float, cancellable: bool = False) -> Result:
        return self._system.run(
            argv, timeout=timeout, check=False, env=ENVIRONMENT, on_line=self._say, cancellable=cancellable
        )

    # -- before ------------------------------------------------------------------------------------------

    def _ready(self) -> None:
        self._wait_for_cloud_init()
        self._wait()
        if dpkg.interrupted(self._system):
            self._cure()

    def _wait_for_cloud_init(self) -> None:
        """On its first boot a cloud server installs packages itself, one apt after the other."""
        if self._system.which("cloud-init") is None or self._system.exists(CLOUD_INIT_DONE):
            return
        waited = Waiting(self._system, self._notice, self._say)
        while True:
            status = self._system.run(("cloud-init", "status"), timeout=60, check=False, read_only=True)
            if "status: running" not in status.out:
                return
            if waited.seconds > self._limit:
                # it may be what started us; the locks still keep us apart
                self._notice("cloud-init still runs after %d s; going on" % waited.seconds)
                return
            waited.once_more("waiting for cloud-init to finish the server's first boot")

    def _wait(self, after_lost_race: bool = False) -> None:
        """Until none of the four locks is held."""
        waited = Waiting(self._system, self._notice, self._say)
        if after_lost_race:
            waited.once_more("waiting for apt: another process was quicker")
        while True:
            held = [(path, holder) for path in LOCKS for holder in [self._system.lock_holder(path)] if holder]
            if not held and waited.seconds <= self._limit:
                break
            path, (pid, command) = held[0] if held else (LOCKS[0], (0, "one process after another"))
            who = "%s (pid %d)" % (command, pid) if pid > 0 else command
            if waited.seconds >= self._limit:
                look = "See what it does: ps -fp %d. " % pid if pid > 0 else ""
                raise Failed(
                    "apt is held by %s; waited %d s for %s" % (who, self._waited + waited.seconds, path),
                    "We never end it. %sThen run this again." % look,
                )
            waited.once_more("waiting for apt: held by %s" % who)
        self._limit -= waited.seconds
        self._waited += waited.seconds

    def _cure(self) -> None:
        """Finish what an interrupted dpkg left. What lacks dependencies is apt's to complete."""
        self._cured = True
        self._notice("dpkg was interrupted on this server: finishing its work first")
        result = self._dpkg_configure()
        if dpkg.interrupted(self._system):
            argv = ("apt-get", *OPTIONS, "--fix-broken", "install")
            result = self._call(argv, INSTALL_DEADLINE)
        if not result.ok:
            raise diagnose(result).failed

    def _dpkg_configure(self) -> Result:
        argv = ("dpkg", "--configure", "-a", *KEEP_CONFIGURATION)
        while True:
            result = self._call(argv, CONFIGURE_DEADLINE)
            if result.ok or diagnose(result).kind != LOCKED:
                return result
            self._wait(after_lost_race=True)

    # -- lists -------------------------------------------------------------------------------------------

    def _lists_are_stale(self) -> bool:
        if not any("_Packages" in name for name in self._system.listdir(LISTS)):
            return True
        stats = [self._system.stat(path) for path in FETCHED]
        newest = max(found.mtime for found in stats if found)
        return self._system.now() - newest > STALE_AFTER

    def _update(self) -> None:
        """Fetch the lists. What some source refuses is said; whether it matters, the next step tells."""
        self._updated = True
        argv = ("apt-get", *OPTIONS, "update")
        tries = 0
        while True:
            result = self._last_update = self._call(argv, UPDATE_DEADLINE, cancellable=True)
            problems = fetch_problems(result)
            if result.ok and not problems:
                return
            trouble = diagnose(result)
            if trouble.kind == LOCKED:
                self._wait(after_lost_race=True)
                continue
            if trouble.kind == FULL or (trouble.kind == FINAL and not problems):
                raise trouble.failed
            if tries == len(PAUSES):
                self._notice("going on with the package lists that are there; " + first_problem(result))
                return
            self._notice("apt-get update had problems, trying again in %d s" % PAUSES[tries])
            self._system.sleep(PAUSES[tries])
            tries += 1


class Waiting:
    """A wait that tells what it waits for once, and how long it has waited now and then."""

    def __init__(self, system: System, notice: Say, say: Say) -> None:
        self._system = system
        self._notice = notice
        self._say = say
        self._began = system.monotonic()
        self._told = ""
        self._next = 0.0

    @property
    def seconds(self) -> float:
        """Since it began."""
        return self._system.monotonic() - self._began

    def once_more(self, what: str) -> None:
        """Sleep a little; at a safe point.

        Raises:
            RunCancelled: the user asked to stop.
        """
        if self.seconds >= self._next:
            if what == self._told:
                self._say("%s, %d s" % (what, self.seconds))
            else:
                self._notice(what)
            self._told, self._next = what, self.seconds + SPEAK_EVERY
        self._system.sleep(POLL)


def upgraded(result: Result) -> int:
    """The number in "3 upgraded, 1 newly installed, 0 to remove and 0 not upgraded."."""
    counts = [line.split(" ", 1)[0] for line in result.out.splitlines() if " upgraded, " in line]
    return int(counts[-1]) if counts and counts[-1].isdigit() else 0


def _some_fetched(result: Result) -> bool:
    """Did at least one source answer?"""
    return any(line.startswith(("Get:", "Hit:")) for line in result.out.splitlines())
