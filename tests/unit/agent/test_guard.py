"""What is put back when nothing proves that we get in: the program on a tree of files, and the loop around it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from hostwright.remote import events
from hostwright.remote.catalog import Catalog, Handler
from hostwright.remote.converge import Converge
from hostwright.remote.guard import folder_of, revert, snapshot, trees, unfinished
from hostwright.remote.guard.guard import Guard, describe, shown
from hostwright.remote.guard.loop import decides
from hostwright.remote.records import Conflict, Records
from hostwright.remote.resources.base import Failed
from hostwright.remote.resources.file import File
from hostwright.remote.run import Run
from hostwright.remote.system import System
from hostwright.testing import FakeSystem
from hostwright.transport.bare import bare

PATTERNS = ["/etc/ssh", "/etc/passwd", "/etc/hostwright/firewall*", "/etc/systemd/system/*.wants/ssh.service"]
Call = tuple[str, ...]


class Place:
    """A file system below a folder, with a snapshot of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.calls: list[Call] = []
        self.running: set[str] = {"ssh.service"}
        self.failing: set[Call] = set()
        self.state = "running"
        self.folder = root / "guard"
        self.folder.mkdir()
        for path, text in {
            "etc/ssh/sshd_config": "Include\n",
            "etc/ssh/sshd_config.d/50-cloud-init.conf": "PasswordAuthentication yes\n",
            "etc/passwd": "root\n",
            "etc/hosts": "not ours\n",
        }.items():
            self.put(path, text)
        self.put("proc/sys/kernel/random/boot_id", "one\n")

    def put(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def call(self, argv: Sequence[str]) -> tuple[int, str]:
        if "is-system-running" in argv:
            return 0, self.state + "\n"
        self.calls.append(tuple(argv))
        if "is-active" in argv:
            return (0 if argv[-1] in self.running else 3), ""
        return (1, "Job failed.\n") if tuple(argv) in self.failing else (0, "")

    def keep(self, units: dict[str, bool] | None = None) -> None:
        kept = {
            "format": 1,
            "boot": "one",
            "run": "7f3a",
            "patterns": PATTERNS,
            "nodes": revert.scan(str(self.root), PATTERNS),
            "units": units or {"ssh.socket": False, "ssh.service": True},
            "reloads": [["/etc/ssh/", "other.service", ["reload", "other"]]],
        }
        (self.folder / "snapshot.json").write_text(json.dumps(kept))
        (self.folder / "armed").write_text("")

    def revert(self, why: str = "") -> int:
        return revert.Revert(str(self.folder), str(self.root), self.call).run(why)

    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "reverted.json").read_text())
        return found

    def everything(self) -> dict[str, Any]:
        return {
            str(path.relative_to(self.root)): (
                path.lstat().st_mode,
                path.read_bytes() if path.is_file() else None,
            )
            for path in (self.root / "etc").rglob("*")
        }


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def change(place: Place) -> None:
    place.put("etc/ssh/sshd_config", "Port 2222\n")
    place.put("etc/ssh/sshd_config.d/00-hostwright.conf", "AllowUsers nobody\n")
    place.put("etc/ssh/new/deep/file", "x")
    place.put("etc/hostwright/firewall.nft", "drop\n")
    (place.root / "etc/passwd").write_text("root\nann\n")
    (place.root / "etc/ssh/sshd_config.d/50-cloud-init.conf").unlink()


def test_it_is_as_it_was_and_nothing_else_changed(place: Place) -> None:
    (place.root / "etc/passwd").chmod(0o640)
    place.keep()
    before = place.everything()
    change(place)
    place.put("etc/hosts", "changed meanwhile\n")
    (place.root / "etc/passwd").chmod(0o600)
    assert place.revert() == 0
    after = place.everything()
    assert after.pop("etc/hosts")[1] == b"changed meanwhile\n"
    before.pop("etc/hosts")
    (
        after.pop("etc/hostwright"),
        after.pop("etc/.pwd.lock"),
    )  # a folder that is not ours to remove, and libc's lock
    assert after == before
    assert place.told()["why"] == "timer"
    assert "/etc/hostwright/firewall.nft" in place.told()["restored"]
    assert not (place.folder / "armed").exists()


def test_twice_and_without_being_due_it_does_nothing(place: Place) -> None:
    place.keep()
    change(place)
    place.revert()
    place.put("etc/ssh/sshd_config", "from the next run\n")
    place.calls.clear()
    assert place.revert() == 0
    assert (place.root / "etc/ssh/sshd_config").read_text() == "from the next run\n"
    assert place.calls == []


def test_cut_in_the_middle_it_goes_on(place: Place) -> None:
    place.keep()
    before = place.everything()
    change(place)
    revert.remove(str(place.root / "etc/ssh/sshd_config.d/00-hostwright.conf"))
    place.put("etc/ssh/.sshd_config.hostwright-revert", "half")  # a power cut while it was written
    place.revert()
    after = place.everything()
    assert {k: after[k] for k in before} == before
    assert not [name for name in after if "revert" in name]


def test_units_run_again_as_they_did(place: Place) -> None:
    place.keep({"hostwright-firewall.service": False, "ssh.socket": True, "ssh.service": False})
    change(place)
    place.running = {"hostwright-firewall.service", "ssh.service"}
    place.revert("run")
    acts = [call[1:] for call in place.calls if "is-active" not in call and "reset-failed" not in call]
    assert acts == [
        ("stop", "--", "hostwright-firewall.service"),
        ("stop", "--", "ssh.service"),
        ("daemon-reload",),
        ("stop", "--", "ssh.service"),
        ("restart", "--", "ssh.socket"),
        ("--no-block", "stop", "--", "hostwright-revert.timer"),
        ("daemon-reload",),
    ]
    assert place.told()["why"] == "run"


def test_started_by_its_timer_it_does_not_wait_for_what_waits_for_it(place: Place) -> None:
    """hostwright-revert.service comes before ssh.service: `systemctl restart` would wait until both time out."""
    place.keep({"hostwright-firewall.service": False, "ssh.socket": True, "ssh.service": True})
    change(place)
    place.running = {"hostwright-firewall.service", "ssh.service"}
    place.revert()
    acts = [call[1:] for call in place.calls if "is-active" not in call and "reset-failed" not in call]
    assert acts == [
        ("stop", "--", "hostwright-firewall.service"),
        ("daemon-reload",),
        ("stop", "--", "ssh.service"),
        ("--no-block", "restart", "--", "ssh.socket"),
        ("--no-block", "restart", "--", "ssh.service"),
        ("--no-block", "stop", "--", "hostwright-revert.timer"),
        ("daemon-reload",),
    ]


def test_at_boot_it_waits_for_nobody(place: Place) -> None:
    place.keep({"hostwright-firewall.service": False, "ssh.service": True})
    change(place)
    place.put("proc/sys/kernel/random/boot_id", "two\n")
    place.running = set()
    place.failing = {("systemctl", "--no-block", "stop", "--", "hostwright-firewall.service")}
    assert place.revert() == 0, "a unit that is not there"
    assert place.told()["why"] == "boot"
    acts = [call for call in place.calls if call[0] == "systemctl" and "is-active" not in call]
    assert ("systemctl", "--no-block", "stop", "--", "hostwright-firewall.service") in acts
    assert ("systemctl", "--no-block", "restart", "--", "ssh.service") in acts
    assert all("--no-block" in call or call[1] == "daemon-reload" for call in acts)


def test_on_the_way_down_nothing_is_started(place: Place) -> None:
    """systemd refuses it then, and that is no part that was not put back."""
    place.keep()
    before = place.everything()
    change(place)
    place.state = "stopping"
    place.failing = {("systemctl", "restart", "--", "ssh.service")}
    assert place.revert("run") == 0
    after = place.everything()
    assert {path: after[path] for path in before} == before
    assert place.told()["problems"] == []
    assert not (place.folder / "armed").exists()


def test_what_reads_a_tree_is_reloaded_only_when_it_was_touched(place: Place) -> None:
    place.running = {"ssh.service", "other.service"}
    place.keep()
    place.revert()
    assert ("reload", "other") not in place.calls
    place.keep()
    change(place)
    place.revert()
    assert ("reload", "other") in place.calls


def test_what_cannot_be_put_back_is_told(place: Place) -> None:
    place.keep()
    change(place)
    place.failing = {("systemctl", "--no-block", "restart", "--", "ssh.service")}
    assert place.revert() == 1
    assert place.told()["problems"] == ["systemctl --no-block restart -- ssh.service: Job failed."]
    line, hint = describe(place.told())
    assert "run 7f3a changed who gets in, and it was put back at" in line
    assert (
        "gave no sign of life for 14 s; NOT all of it: systemctl --no-block restart -- ssh.service: Job failed."
        in line
    )
    assert hint.startswith("Put back: /etc/")


def test_no_link_of_a_user_leads_it_elsewhere(place: Place, tmp_path: Path) -> None:
    keys = place.root / "home/ann/.ssh"
    place.put("home/ann/.ssh/authorized_keys", "key\n")
    PATTERNS.append("/home/ann/.ssh/authorized_keys")
    try:
        place.keep()
    finally:
        PATTERNS.pop()
    (keys / "authorized_keys").unlink()
    keys.rmdir()
    keys.symlink_to(place.root / "etc")
    assert place.revert() == 1
    assert not (place.root / "etc/authorized_keys").exists()
    assert place.told()["problems"][0].startswith("/home/ann/.ssh/authorized_keys: ")


def test_links_and_kinds_come_back(place: Place) -> None:
    wants = place.root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True)
    (wants / "ssh.service").symlink_to("/lib/systemd/system/ssh.service")
    place.keep()
    (wants / "ssh.service").unlink()
    (place.root / "etc/passwd").unlink()
    (place.root / "etc/passwd").symlink_to("elsewhere")
    place.revert()
    assert str((wants / "ssh.service").readlink()) == "/lib/systemd/system/ssh.service"
    assert (place.root / "etc/passwd").read_text() == "root\n"
    assert not (place.root / "etc/passwd").is_symlink()


def test_as_it_is_shipped_it_runs_alone(place: Place) -> None:
    """Under -I -S, beside nothing but its snapshot, as the timer starts it."""
    place.keep()
    (place.folder / "armed").unlink()
    program = place.folder / "revert.py"
    program.write_text(bare(Path(revert.__file__).read_text()))
    argv = (sys.executable, "-I", "-S", "-B", str(program))
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/", timeout=30)
    assert (done.returncode, done.stderr) == (0, "")


# -- the snapshot --------------------------------------------------------------------------------------------


def test_everybodys_keys_and_what_starts_sshd_are_kept() -> None:
    system = FakeSystem(
        {
            "/etc/passwd": "root:x:0:0::/root:/bin/bash\nann:x:1:1::/home/ann/:/bin/sh\n"
            "daemon:x:2:2::/usr/sbin:/usr/sbin/nologin\n"
        }
    )
    found = snapshot.patterns(system, "/var/lib/hostwright")
    assert "/home/ann/.ssh/authorized_keys" in found
    assert "/root/.ssh/authorized_keys" in found
    assert not [path for path in found if path.startswith("/usr/sbin")]
    assert "/etc/systemd/system/*.wants/ssh.socket" in found
    assert "/var/lib/hostwright/records.json" in found
    assert set(trees.TREES) <= set(found)


def test_the_units_come_before_anybody_can_log_in() -> None:
    text = snapshot.SERVICE % {"folder": "/var/lib/hostwright/guard", "python": "/usr/bin/python3"}
    before = " ".join(line for line in text.splitlines() if line.startswith("Before="))
    assert {"ssh.socket", "ssh.service", "network-pre.target"} <= set(before.replace("=", " ").split())
    assert "ConditionPathExists=/var/lib/hostwright/guard/armed" in text
    # or there is a circle, systemd.timer(5), and systemd leaves out the service at boot
    assert "DefaultDependencies=no" in snapshot.TIMER


@pytest.mark.parametrize("unit", [snapshot.SERVICE, snapshot.TIMER])
def test_any_number_of_changes_may_start_it_anew(unit: str) -> None:
    """systemd allows five starts in ten seconds; people, rules, a group, the firewall and sshd are more."""
    assert "StartLimitIntervalSec=0" in unit.partition("[Unit]")[2].partition("\n[")[0]


@pytest.mark.parametrize(
    ("id", "path", "wanted"),
    [
        ("file:/etc/sudoers.d/hostwright-ann", "/etc/sudoers.d/hostwright-ann", True),
        ("file:/etc/ssh/sshd_config.d/x.conf", "/etc/ssh/sshd_config.d/x.conf", True),
        ("unit:hostwright-firewall.service", "hostwright-firewall.service", True),
        ("account:ann", "ann", True),
        ("file:/etc/nginx/nginx.conf", "/etc/nginx/nginx.conf", False),
        ("file:/etc/sshguard", "/etc/sshguard", False),
    ],
)
def test_what_decides_who_gets_in(id: str, path: str, wanted: bool) -> None:
    assert decides(id, path) is wanted


def test_paths_for_people() -> None:
    assert shown(["/var/lib/hostwright/records.json", "/etc/a"]) == ["/etc/a"]
    assert shown([f"/etc/{n}" for n in range(14)])[-1] == "2 more"


# -- the loop ------------------------------------------------------------------------------------------------


class FakeGuard(Guard):
    """Says what the loop asked for, and puts back one file."""

    def __init__(
        self, system: FakeSystem, failure: Failed | None = None, arming: Failed | None = None
    ) -> None:
        self.login = {"user": "ubuntu", "port": 22}
        self.did: list[str] = []
        self.armed = False
        self._fake, self._failure, self._arming = system, failure, arming

    def protect(self) -> None:
        if self._arming:
            raise self._arming
        self.did.append("extend" if self.armed else "arm")
        self.armed = True

    def prove(self) -> Failed | None:
        self.did.append("prove")
        return self._failure

    def disarm(self) -> bool:
        self.did.append("disarm")
        self.armed = False
        return True

    def undo(self, why: Failed) -> Failed:
        self.did.append("undo")
        self._fake.unlink("/etc/ssh/guarded")
        return Failed(why.message + "; put back", "again")


RELOAD = Handler(name="reload sshd", argv=("reload",))


def loop(
    system: FakeSystem,
    guard: Guard | None,
    *,
    apply: bool = True,
    cancelled: Callable[[], bool] = lambda: False,
    kind: type[File] = File,
) -> list[events.Event]:
    heard: list[events.Event] = []
    found = [
        File(name="/etc/plain", content="x"),
        kind(name="/etc/ssh/guarded", content="x", notify=(RELOAD.name,)),
        File(name="/etc/ssh/other", content="x"),
    ]
    catalog = Catalog(found, [RELOAD], [resource.id for resource in found[1:]])
    records = Records(system, "/var/lib/hostwright", "p")
    run = Run(heard.append, cancelled)
    finished = Converge(catalog, system, records, run, apply=apply, guard=guard).converge()
    return [*heard, finished]


def test_armed_before_the_first_and_proven_after_the_last() -> None:
    system = FakeSystem(commands={"reload": ""})
    guard = FakeGuard(system)
    heard = loop(system, guard)
    assert guard.did == ["arm", "extend", "prove", "disarm"]
    assert system.ran == [("reload",)]
    assert "proved: a new login as ubuntu on port 22" in str([vars(event) for event in heard])
    again = FakeGuard(system)
    loop(system, again)
    assert again.did == [], "nothing differs"


def test_without_proof_it_is_put_back_and_the_rest_stays() -> None:
    system = FakeSystem(commands={"reload": ""})
    guard = FakeGuard(system, Failed("no login"))
    heard = loop(system, guard)
    assert guard.did == ["arm", "extend", "prove", "undo"]
    assert system.exists("/etc/plain")
    (failure,) = [event for event in heard if isinstance(event, events.ResourceFailed)]
    assert (failure.id, failure.message, failure.hint) == ("guard:login", "no login; put back", "again")
    finished = heard[-1]
    assert isinstance(finished, events.RunFinished)
    assert finished.outcome == "failed"


def test_a_reload_that_fails_is_put_back_without_asking() -> None:
    system = FakeSystem(commands={"reload": {"exit": 1}})
    guard = FakeGuard(system)
    loop(system, guard)
    assert guard.did == ["arm", "extend", "undo"]


def test_what_cannot_be_armed_is_not_changed() -> None:
    system = FakeSystem()
    loop(system, FakeGuard(system, arming=Failed("no room")))
    assert system.exists("/etc/plain")
    assert not system.exists("/etc/ssh/guarded")


class Refuses(File):
    """Would do harm."""

    def refuse(self, system: System) -> None:
        raise Failed("you are in none of the groups")


def test_what_is_refused_arms_nothing_and_restarts_nothing() -> None:
    system = FakeSystem()
    guard = FakeGuard(system)
    heard = loop(system, guard, kind=Refuses)
    assert guard.did == []
    assert not system.exists("/etc/ssh/guarded")
    (failure,) = [event for event in heard if isinstance(event, events.ResourceFailed)]
    assert failure.message == "you are in none of the groups"


class Fails(File):
    """What was kept for the old login cannot be taken away."""

    def proven(self, system: System) -> bool:
        raise Failed("sshd does not listen")


class Breaks(File):
    """A bug of ours."""

    def proven(self, system: System) -> bool:
        raise KeyError("port")


@pytest.mark.parametrize(
    ("kind", "message"),
    [(Fails, "sshd does not listen"), (Breaks, "it cannot be proven that we still get in: KeyError: 'port'")],
)
def test_whatever_goes_wrong_after_the_first_proof_is_put_back(kind: type[File], message: str) -> None:
    system = FakeSystem(commands={"reload": ""})
    guard = FakeGuard(system)
    heard = loop(system, guard, kind=kind)
    failures = [event.message for event in heard if isinstance(event, events.ResourceFailed)]
    assert failures == [message + "; put back"]
    assert guard.did == ["arm", "extend", "prove", "undo"]


def test_stopped_half_way_it_is_put_back() -> None:
    system = FakeSystem(commands={"reload": ""})
    guard = FakeGuard(system)
    loop(system, guard, cancelled=lambda: system.exists("/etc/ssh/guarded"))
    assert guard.did == ["arm", "undo"]


def test_a_check_says_that_it_would_be_proved() -> None:
    system = FakeSystem()
    heard = loop(system, None, apply=False)
    assert "would be proved by a new login" in str([vars(event) for event in heard])
    assert not system.exists("/etc/ssh/guarded")


def test_nothing_unguarded_comes_after_what_is_guarded() -> None:
    files = [File(name="/etc/a", content=""), File(name="/etc/b", content="")]
    with pytest.raises(ValueError, match="file:/etc/b comes after what is guarded"):
        Catalog(files, [], ["file:/etc/a"])
    wired = Catalog(files, [], ["file:/etc/b"]).to_wire()
    assert Catalog.from_wire(wired).guarded == ("file:/etc/b",)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "nobody proved that a new login works"),
        (
            {"ok": False, "message": "refused", "evidence": ["tried x"]},
            "as ubuntu on port 22 does not work: refused",
        ),
        ({"ok": "yes"}, "does not work"),
        ({"ok": True}, ""),
    ],
)
def test_what_counts_as_a_proof(answer: dict[str, Any] | None, words: str) -> None:
    system = FakeSystem(commands={"systemctl restart -- hostwright-revert.timer": ""})
    asked: list[Any] = []

    def asking(emit: object, question: str, data: Any, timeout: float) -> dict[str, Any] | None:
        asked.append((question, data, timeout))
        return answer

    run = Run(lambda _: None, lambda: False, asking=asking)  # type: ignore[arg-type]
    failure = Guard(system, run, "/var/lib/hostwright", "7f3a", {"user": "ubuntu", "port": 22}).prove()
    assert asked == [("login", {"user": "ubuntu", "port": 22, "sudo": True, "host_keys": []}, 12.0)]
    assert (failure.message if failure else "") == "" if not words else words in str(failure)


def test_a_quick_look_tells_whether_something_is_unfinished() -> None:
    system = FakeSystem()
    assert not unfinished(system, "/var/lib/hostwright")
    system.put(folder_of("/var/lib/hostwright") + "/armed", "")
    assert unfinished(system, "/var/lib/hostwright")


class Asks:
    """A controller that gives one answer, and watches or does not."""

    def __init__(self, answer: dict[str, Any] | None, watches: bool) -> None:
        self._answer, self._watches = answer, watches

    def watched(self) -> bool:
        return self._watches

    def __call__(self, *_: object) -> dict[str, Any] | None:
        return self._answer


NO = {"ok": False, "message": "refused"}
STATE = "/var/lib/hostwright"
FOLDER = folder_of(STATE)
TOLD = {"why": "run", "when": 0, "run": "7f3a", "restored": ["/etc/ssh/x"], "problems": []}


def guarding(
    reverts: dict[str, Any],
    answer: dict[str, Any] | None = NO,
    *,
    watches: bool = True,
    cancelled: bool = False,
) -> tuple[FakeSystem, Guard, list[events.Event]]:
    """Something is armed; `reverts` is what becomes of the server when it is to be put back."""
    commands = {
        "systemctl restart -- hostwright-revert.timer": "",
        "systemd-run ...": reverts,
        f"{snapshot.python()} ...": reverts,
    }
    files = {f"{FOLDER}/armed": "", f"{FOLDER}/snapshot.json": "{}"}
    system, heard = FakeSystem(files, commands=commands), []
    run = Run(heard.append, lambda: cancelled, asking=Asks(answer, watches))  # type: ignore[arg-type]
    return system, Guard(system, run, STATE, "7f3a", {"user": "ubuntu", "port": 22}), heard


DONE = {"removed": [f"{FOLDER}/armed"], "files": {f"{FOLDER}/reverted.json": json.dumps(TOLD)}}


@pytest.mark.parametrize(
    ("answer", "watches", "cancelled", "told_later"),
    [
        (NO, True, False, False),
        (None, True, False, True),  # a laptop that sleeps still holds its connection
        (None, True, True, False),  # Ctrl-C: they look on
        (NO, False, False, True),
        (None, False, False, True),
    ],
)
def test_what_nobody_saw_is_told_by_the_next_run(
    answer: dict[str, Any] | None, watches: bool, cancelled: bool, told_later: bool
) -> None:
    system, guard, heard = guarding(DONE, answer, watches=watches, cancelled=cancelled)
    failure = guard.prove()
    assert failure is not None
    told = guard.undo(failure)
    assert told.message.endswith("who gets in was put back as it was")
    assert "put back: /etc/ssh/x" in told.tail
    assert unfinished(system, STATE) == told_later
    if told_later:
        guard.recover()
        assert "because nothing proved that a new login works" in str([vars(event) for event in heard])
    assert not system.exists(FOLDER)


def test_what_could_not_be_put_back_is_tried_again() -> None:
    """The snapshot is the only way back."""
    system, guard, _ = guarding({"exit": 1})
    told = guard.undo(Failed("no login"))
    assert told.message == "no login; and it could NOT be put back yet"
    assert system.exists(f"{FOLDER}/snapshot.json")
    assert system.ran[-1] == ("systemctl", "restart", "--", "hostwright-revert.timer")
    with pytest.raises(Conflict, match="cannot be put back"):
        guard.recover()
    assert system.exists(f"{FOLDER}/snapshot.json")


def test_what_is_decided_stays_when_clearing_away_fails(tmp_path: Path) -> None:
    system, guard, _ = guarding({})
    slow = {"exit": 1}
    system.commands.update({"systemctl stop ...": slow, "systemctl daemon-reload": slow})

    def broken(path: str) -> None:
        raise OSError(5, "Input/output error", path)

    system.remove_tree = broken  # type: ignore[method-assign,assignment]
    guard._path = lambda name: str(tmp_path / name) if name == "lock" else f"{FOLDER}/{name}"  # type: ignore[method-assign]
    assert guard.disarm()
    assert not system.exists(f"{FOLDER}/armed")
