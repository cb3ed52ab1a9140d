"""Keeps what decides who gets in, with the program that puts it back and the units that start it. Runs on the server.

/var/lib/hostwright/guard/snapshot.json   what there was: content, mode and owner of each file
                          revert.py       puts it back
                          armed           as long as that is due
                          reverted.json   what was put back, until a run has told it
"""

from __future__ import annotations

import json
import os

from . import revert, trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from ..system import System

# enough for another snapshot and what is changed after it, bytes
ROOM = 16 << 20
NO_SHELLS = ("nologin", "false", "sync", "halt", "shutdown")
SERVICE = """\
[Unit]
Description=Put back who gets in, unless a new login has proven that we do
ConditionPathExists=%(folder)s/armed
StartLimitIntervalSec=0
DefaultDependencies=no
RequiresMountsFor=%(folder)s /etc /usr
After=local-fs.target systemd-remount-fs.service
Before=network-pre.target nftables.service ufw.service hostwright-firewall.service fail2ban.service
Before=ssh.socket ssh.service sysinit.target
Wants=network-pre.target
RefuseManualStop=yes

[Service]
Type=oneshot
ExecStart=%(python)s -I -S -B %(folder)s/revert.py
TimeoutStartSec=300
OOMScoreAdjust=-900
"""
TIMER = """\
[Unit]
Description=Until then a new login must have proven that we get in
# each change starts it anew, and the sixth within 10 s would be refused
StartLimitIntervalSec=0
# a timer comes before what it starts, and that comes before sysinit.target: not after it itself
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target

[Timer]
OnActiveSec=%(seconds)d
AccuracySec=200ms
"""


def patterns(system: System, state: str) -> list[str]:
    """What is kept of this server; see trees.py."""
    found = [*trees.TREES, os.path.join(state, "records.json")]
    for unit in (*trees.UNITS, "sshd.service"):
        base = revert.SYSTEM
        found += ["%s/%s" % (base, unit), "%s/*.wants/%s" % (base, unit), "%s/*.requires/%s" % (base, unit)]
    for home in homes(system):
        found += [os.path.join(home, name) for name in trees.KEYS]
    return list(dict.fromkeys(found))


def homes(system: System) -> list[str]:
    """The homes of everybody who has a shell."""
    found = []
    for line in (system.read("/etc/passwd") or b"").decode("utf-8", "replace").splitlines():
        fields = line.split(":")
        if len(fields) == 7 and os.path.basename(fields[6]) not in NO_SHELLS and fields[5].startswith("/"):
            found.append(fields[5].rstrip("/") or "/")
    return list(dict.fromkeys(found))


def keep(system: System, folder: str, run: str, state: str, root: str = "") -> None:
    """Write the snapshot and what puts it back, all of it on disk; nothing is due yet.

    Raises:
        OSError: the disk is full, or the like; nothing was changed.
    """
    kept = patterns(system, state)
    content = json.dumps(
        {
            "format": 1,
            "boot": revert.first_line(root + revert.BOOT_ID),
            "run": run,
            "patterns": kept,
            "nodes": revert.scan(root, kept),
            "units": {name: _active(system, name) for name in trees.UNITS},
            "reloads": trees.RELOADS,
        }
    ).encode()
    _room(system, folder, len(content))
    with open(revert.__file__, encoding="utf-8") as file:
        program = file.read()
    if system.stat(folder) is None:
        system.mkdir(folder, mode=0o700)
    system.unlink(os.path.join(folder, "reverted.json"))
    # the disk may be full when it is needed
    system.write_atomic(os.path.join(folder, "lock"), b"", mode=0o600)
    system.write_atomic(os.path.join(folder, "revert.py"), program.encode(), mode=0o600)
    system.write_atomic(os.path.join(folder, "snapshot.json"), content, mode=0o600)


def _room(system: System, folder: str, size: int) -> None:
    import errno

    for path in (folder, "/etc"):
        room, files = system.room(path)
        if room < ROOM + 2 * size or files < 100:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def _active(system: System, name: str) -> bool:
    argv = ("systemctl", "is-active", "--quiet", "--", name)
    return system.run(argv, timeout=30, check=False, read_only=True).ok


def python(paths: Sequence[str] = ("/usr/bin/python3",)) -> str:
    """The interpreter: by the name that a newer one will have too."""
    import sys

    return next((path for path in paths if os.path.exists(path)), sys.executable)


def install(system: System, folder: str, seconds: int) -> None:
    """The units: after some seconds, and at the next boot before anybody can log in.

    Raises:
        OSError, CommandFailed
    """
    words = {"folder": folder, "python": python(), "seconds": seconds}
    for kind, text in (("service", SERVICE), ("timer", TIMER)):
        path = "%s/%s.%s" % (revert.SYSTEM, revert.UNIT, kind)
        system.write_atomic(path, (text % words).encode(), mode=0o644)
    for wants, kind in revert.WANTED:
        where = "%s/%s" % (revert.SYSTEM, wants)
        if system.stat(where) is None:
            system.mkdir(where)
        system.symlink_atomic("../%s.%s" % (revert.UNIT, kind), "%s/%s.%s" % (where, revert.UNIT, kind))
    system.run(("systemctl", "daemon-reload"), timeout=60)


def uninstall(system: System) -> None:
    """Without the units. Nobody minds when they are there: they do nothing unless it is due."""
    timer = revert.UNIT + ".timer"
    system.run(("systemctl", "stop", "--", timer), timeout=60, check=False)
    for path in revert.unit_files():
        system.unlink(path)
    system.run(("systemctl", "daemon-reload"), timeout=60, check=False)
