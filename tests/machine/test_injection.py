"""Hundreds of drawn values on a real server: each arrives exactly as it is, and none of them is ever executed."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings

from hostwright.errors import UsageError
from hostwright.inventory import load
from hostwright.sandbox import Sandbox, Server
from tests.unit.test_injection import PAYLOADS, hostile

from .project import sh
from .tiny import Tiny

pytestmark = pytest.mark.long

# where services and shells alike could leave something: PrivateTmp hides /tmp
CANARY = "/dev/shm/canary"
# writes the words it was called with; of the build into the code, elsewhere into the app's state
TELL = "import json,sys;json.dump(sys.argv[2:],open(sys.argv[1],'w'))"
ASK = "import json,os;print(json.dumps(dict(os.environ)))"


def drawn(count: int) -> list[str]:
    """Every payload, then what hypothesis makes of them; the same in each run."""
    found = [payload.replace("/tmp/canary", CANARY) for payload in PAYLOADS]

    @settings(max_examples=count, database=None, derandomize=True, deadline=None)
    @given(hostile("value"))
    def collect(value: str) -> None:
        found.append(value.replace("/tmp/canary", CANARY))

    collect()
    return list(dict.fromkeys(found))


def accepted(folder: Path, values: list[str], document: Callable[[str], object]) -> list[str]:
    """Those that the inventory takes in a place."""
    path = folder / "try.yaml"
    kept = []
    for value in values:
        path.write_text(yaml.safe_dump(document(value), allow_unicode=True))
        try:
            load(path, {})
            kept.append(value)
        except UsageError:
            pass
    return kept


def app(**keys: object) -> dict[str, object]:
    return {"apps": {"tiny": {"module": "served:app", **keys}}}


class Drawn(Tiny):
    """The tiny project, with drawn values wherever the inventory takes them."""

    def prepare(self, values: list[str]) -> None:
        folder = self.folder.parent
        short = [value for value in values if len(value) < 1000]
        self.env = accepted(folder, values, lambda value: app(env={"A": value}))
        self.words = accepted(folder, short, lambda value: app(release_command=f"true {shlex.quote(value)}"))
        self.headers = accepted(folder, short, lambda value: app(nginx={"headers": {"X-A": value}}))[:60]
        self.shared = accepted(folder, short, lambda value: app(shared=[value]))[:40]
        self.shared = accepted_together(folder, self.shared)
        words = " ".join(map(shlex.quote, self.words))
        path = self.folder / "inventory.yaml"
        document = yaml.safe_load(path.read_text())
        document["apps"]["tiny"] |= {
            "env": {f"V{number}": value for number, value in enumerate(self.env)},
            "build_command": f"python3 -c {shlex.quote(TELL)} build.json {words}",
            "release_command": f"python3 -c {shlex.quote(TELL)} /var/lib/tiny/release.json {words}",
            "processes": {"teller": f"sh -c 'python3 \"$@\"; sleep 600' - -c {shlex.quote(TELL)} "
                                    f"/var/lib/tiny/process.json {words}"},
            "timers": {"job": {"command": f"python3 -c {shlex.quote(TELL)} /var/lib/tiny/job.json {words}",
                               "calendar": "*-*-* 04:00"}},
            "shared": self.shared,
            "nginx": {"headers": {f"X-Drawn-{number}": value for number, value in enumerate(self.headers)}},
        }  # fmt: skip
        path.write_text(yaml.safe_dump(document, allow_unicode=True))
        self.commit("drawn")

    def told(self, path: str) -> list[str]:
        """The words that a command was called with."""
        found: list[str] = json.loads(sh(self.sandbox, self.server, f"cat {path}"))
        return found


def accepted_together(folder: Path, names: list[str]) -> list[str]:
    kept: list[str] = []
    for name in names:
        if accepted(folder, [name], lambda value: app(shared=[*kept, value])):
            kept.append(name)
    return kept


def test_every_value_arrives_and_none_is_executed(
    fresh_server: Callable[..., Server], sandbox: Sandbox, tmp_path: Path
) -> None:
    server = fresh_server("injection")
    project = Drawn(tmp_path, server, sandbox)
    project.prepare(drawn(150))
    counts = [len(found) for found in (project.env, project.words, project.headers, project.shared)]
    assert min(counts) > 15, counts
    assert sum(counts) > 300, counts
    project.inv("provision", "--host", "web1")
    assert "0 changed" in project.inv("provision", "--host", "web1").out
    project.inv("deploy")

    # env values: in the app's own environment, byte for byte
    done = project.inv("run", f"python3 -c {shlex.quote(ASK)}")
    environ = json.loads(done.out)
    assert {name: environ[name] for name in environ if name.startswith("V")} == {
        f"V{number}": value for number, value in enumerate(project.env)
    }

    # the words of all commands
    sh(sandbox, server, "systemctl start $(systemctl show -P Unit tiny.job.timer)")
    build = sh(sandbox, server, "readlink -f /srv/tiny/current/code") + "/build.json"
    for path in (build, *(f"/var/lib/tiny/{name}.json" for name in ("release", "process", "job"))):
        assert project.told(path) == project.words, path

    # nginx and systemd take the files, and visitors get the headers
    sh(sandbox, server, "nginx -t -q")
    assert (
        sh(
            sandbox,
            server,
            "systemd-analyze verify --man=no tiny.job.timer tiny.service 2>&1 | grep -i tiny || true",
        )
        == ""
    )
    head = subprocess.run(
        ("curl", "-sSI", "-m", "10", f"http://{server.address}/version"), capture_output=True, check=True
    )
    lines = head.stdout.decode("latin-1").split("\r\n")
    shown = dict(line.split(":", 1) for line in lines if line.startswith("X-Drawn-"))
    assert {name: value.strip() for name, value in shown.items()} == {
        f"X-Drawn-{number}": value.strip() for number, value in enumerate(project.headers)
    }

    # the directories are where they should be, under their own names
    names = sh(sandbox, server, "cd /srv/tiny/shared && find . -type d -print0 | tr '\\0' '\\n'").splitlines()
    assert {f"./{Path(name)}" for name in project.shared} <= set(names)

    # nothing was executed, and nothing lies where it should not
    assert sh(sandbox, server, f"ls {CANARY} /tmp/canary /tmp/x 2>/dev/null || true") == ""
    places = ("/srv/tiny/*", "/var/lib/tiny*", "/proc/*", "/run/*", "/dev/*", "/tmp/systemd-private*")
    elsewhere = " ".join(f"! -path '{path}'" for path in (*places, "/var/tmp/systemd-private*"))
    assert sh(sandbox, server, f"find / -xdev -user tiny {elsewhere} | head") == ""
    assert project.live()
