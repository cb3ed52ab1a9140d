"""One question about all units: how it is asked, read and forgotten. systemctl is a script here."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from hostwright.remote import units
from hostwright.remote.system import CommandFailed, Result, System
from hostwright.remote.units import FEW, Units, parse

SCRIPT = """#!/bin/sh
echo asked "$@" >>"{log}"
for word; do case $word in
  bad.*) echo "Failed to get properties: no such thing"; exit 1 ;;
  *.service) printf 'LoadState=loaded\\nActiveState=active\\nId=%s\\n\\n' "$word" ;;
esac; done
"""


class Systemctl:
    def __init__(self, folder: Path, script: str = SCRIPT) -> None:
        self.log = folder / "log"
        self.program = folder / "systemctl"
        self.program.write_text(script.format(log=self.log))
        self.program.chmod(0o755)

    @property
    def asked(self) -> list[str]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line.partition(" -- ")[2] for line in lines]


@pytest.fixture
def systemctl(tmp_path: Path) -> Systemctl:
    return Systemctl(tmp_path)


def test_all_are_asked_at_once(systemctl: Systemctl) -> None:
    asked = Units(str(systemctl.program))
    asked.prefetch(["a.service", "b.service"])
    assert asked.get("b.service")["Id"] == "b.service"
    assert asked.get("a.service") == {"LoadState": "loaded", "ActiveState": "active", "Id": "a.service"}
    assert systemctl.asked == ["a.service b.service"]


def test_another_one_is_asked_for_besides(systemctl: Systemctl) -> None:
    asked = Units(str(systemctl.program))
    asked.get("a.service")
    asked.get("b.service")
    asked.get("a.service")
    assert systemctl.asked == ["a.service", "b.service"]


def test_after_each_of_many_changes_only_a_few_are_asked_for(systemctl: Systemctl) -> None:
    asked = Units(str(systemctl.program))
    names = [f"{number}.service" for number in range(200)]
    asked.prefetch(names)
    for name in names[:50]:
        asked.get(name)
        asked.forget()
    assert len(systemctl.asked) == 50
    assert all(len(question.split()) <= FEW for question in systemctl.asked[1:])


def test_a_few_questions_do_for_many_units_of_which_none_changed(systemctl: Systemctl) -> None:
    asked = Units(str(systemctl.program))
    names = [f"{number}.service" for number in range(200)]
    asked.prefetch(names)
    asked.get(names[0])
    asked.forget()
    assert [asked.get(name)["Id"] for name in names] == names
    assert [len(question.split()) for question in systemctl.asked] == [200, 16, 32, 64, 88]


def test_what_may_be_old_is_asked_again_all_at_once(systemctl: Systemctl) -> None:
    asked = Units(str(systemctl.program))
    asked.prefetch(["a.service", "b.service"])
    asked.get("a.service")
    asked.forget()
    asked.get("a.service")
    asked.get("b.service")
    assert systemctl.asked == ["a.service b.service"] * 2


def test_one_bad_name_does_not_spoil_the_others(systemctl: Systemctl) -> None:
    asked = Units(str(systemctl.program))
    asked.prefetch(["bad.one", "a.service"])
    assert asked.get("a.service")["Id"] == "a.service"
    with pytest.raises(CommandFailed) as caught:
        asked.get("bad.one")
    assert caught.value.reason == "systemd knows nothing about bad.one"
    assert caught.value.tail == ("Failed to get properties: no such thing",)


def test_no_systemctl() -> None:
    with pytest.raises(CommandFailed, match="systemctl is not installed"):
        Units(None).get("a.service")


def test_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "DEADLINE", 0.2)
    asked = Units(str(Systemctl(tmp_path, "#!/bin/sh\nexec sleep 60\n").program))
    start = time.monotonic()
    with pytest.raises(CommandFailed, match="no answer from systemd within"):
        asked.get("a.service")
    assert time.monotonic() - start < 5


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_forgetting_leaves_no_process_and_no_file_open(tmp_path: Path) -> None:
    asked = Units(str(Systemctl(tmp_path, "#!/bin/sh\nexec sleep 60\n").program))
    before = open_files()
    asked.prefetch(["a.service"])
    assert asked._query
    pid = asked._query._pid
    asked.forget()
    assert open_files() == before
    assert not Path(f"/proc/{pid}").exists()


def test_what_a_system_changes_makes_it_ask_again(
    systemctl: Systemctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = System()
    monkeypatch.setattr(system, "which", lambda program: str(systemctl.program))
    monkeypatch.setattr("hostwright.remote.process.run", lambda argv, **_: Result(argv, 0, "", ""))
    system.unit("a.service")
    system.run(("true",), timeout=5, read_only=True)
    system.unit("a.service")
    assert len(systemctl.asked) == 1
    path = str(tmp_path / "file")
    uid, gid = os.getuid(), os.getgid()
    changes = (
        lambda: system.run(("true",), timeout=5),
        lambda: system.write_atomic(path, b"", mode=0o600, uid=uid, gid=gid),
        lambda: system.symlink_atomic("file", path + "2"),
        lambda: system.rename(path, path + "3"),
        lambda: system.unlink(path + "3"),
        lambda: system.remove_tree(path),
    )
    for number, change in enumerate(changes, 2):
        change()
        system.unit("a.service")
        assert len(systemctl.asked) == number


def test_messages_are_told_from_properties() -> None:
    blocks, noise = parse('Warning: x\nId=a\nLoadError=e "b=c"\n\nId=b\n')
    assert blocks == [{"Id": "a", "LoadError": 'e "b=c"'}, {"Id": "b"}]
    assert noise == ["Warning: x"]
