"""The disk is full from some step on: the old release keeps serving, the cause is told, and room is all it takes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest

from hostwright.sandbox import Sandbox

from .crash import STEPS, let_go, stopped_at, switched
from .load import Load
from .project import sh
from .tiny import Tiny

FILLER = "/var/filler"
# ends with "No space left on device" at the last block: the rest goes in ever smaller pieces
FILL = f"""\
for unit in 1M 64K 4K; do
  dd if=/dev/zero of={FILLER} bs=$unit oflag=append conv=notrunc status=none 2>/dev/null || true
done
sync -f /var
truncate -s -LEFTM {FILLER}
df --output=avail -B1M /var | tail -n 1
"""
# the next line of the log of releases needs a new block: the last line gets blanks that fill its own
ALIGN = """\
import os
path = "/srv/tiny/releases.jsonl"
text = open(path).read().rstrip()
open(path, "w").write(text + " " * (-(len(text.encode()) + 1) % 4096) + "\\n")
assert os.path.getsize(path) % 4096 == 0
"""


@pytest.fixture(scope="module")
def tiny(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiny]:
    """Two releases on a server with a small disk, of which some hundred MiB are free."""
    name = f"full-{os.getpid()}"
    server = sandbox.up(name, disk_mib=1100, ephemeral=True, say=print)[0]
    found = Tiny(tmp_path_factory.mktemp("full"), server, sandbox)
    found.inv("provision")
    found.inv("deploy")
    found.change("second")
    found.inv("deploy")
    yield found
    sandbox.down(name)


@pytest.fixture
def full(tiny: Tiny) -> Iterator[None]:
    """There is room again after the test."""
    yield
    make_room(tiny)


def fill(tiny: Tiny, left: int = 0) -> None:
    """Nothing but `left` MiB stays free."""
    free = sh(tiny.sandbox, tiny.server, FILL.replace("LEFT", str(left)))
    assert int(free) <= left


def make_room(tiny: Tiny) -> None:
    """As an admin does."""
    sh(tiny.sandbox, tiny.server, f"rm -f {FILLER}")


def deploy_full_after(tiny: Tiny, step: str, left: int = 0) -> tuple[int, str]:
    """Exit code and output of a deploy that has no room from the end of a step on; nobody is refused."""
    with Load(tiny.server.address, slow=False) as load:
        with stopped_at(tiny, step, "deploy") as process:
            fill(tiny, left)
            let_go(tiny)
            said, _ = process.communicate(timeout=90)
        tiny.live()
    assert load.failures == []
    assert load.count > 20
    print(process.returncode, said)
    return process.returncode, said


def room_is_all_it_takes(tiny: Tiny, commit: str) -> None:
    """The next deploy needs no other help."""
    make_room(tiny)
    tiny.inv("deploy")
    assert tiny.one_serves().endswith(commit)
    tiny.nothing_is_left()


@pytest.mark.slow
@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("step", STEPS["deploy"][:-1])
def test_the_disk_is_full_after_a_step(tiny: Tiny, step: str) -> None:
    before, commit = tiny.one_serves(), tiny.change(f"full after {step}")
    code, said = deploy_full_after(tiny, step)
    if switched("deploy", step) or code == 0:
        assert code == 0
        assert tiny.live().endswith(commit)
    else:
        assert tiny.live() == before
        steps = STEPS["deploy"]
        # without room for an instance it is the gate that says no
        assert code == (6 if steps.index(step) >= steps.index("release_command") else 1)
        assert "nothing was switched" in said
        assert re.search("no space left|not enough disk space", said, re.IGNORECASE)
        assert "df -h" in said
    room_is_all_it_takes(tiny, commit)


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("when", ["before", "while"])
def test_the_disk_is_full_when_packages_are_installed(tiny: Tiny, when: str) -> None:
    """Room is asked for before a long build begins; it may go all the same while that runs."""
    before = tiny.one_serves()
    (tiny.folder / "requirements.txt").write_text({"before": "click\n", "while": "django\n"}[when])
    commit = tiny.change(f"full {when} packages are installed")
    if when == "before":
        code, said = deploy_full_after(tiny, "tree", left=20)
        assert "not enough disk space for /srv/tiny" in said
        assert "df -h" in said
    else:
        began = "until [ -e /var/cache/private/hostwright-build-tiny/venv ]; do sleep 0.01; done"
        script = f"{began}\nfallocate -l $(df --output=avail -B1 /var | tail -n 1) {FILLER}\n" + FILL
        argv = (
            "sh",
            "-c",
            'setsid -f sh -c "$1" </dev/null >/dev/null 2>&1',
            "sh",
            script.replace("LEFT", "0"),
        )
        tiny.sandbox.exec(tiny.server.name, argv)
        done = tiny.inv("deploy", code=None)
        print(done)
        code, said = done.code, done.out
        assert re.search("no space left", said, re.IGNORECASE)
    assert code == 1
    assert tiny.live() == before
    (tiny.folder / "requirements.txt").write_text("")
    room_is_all_it_takes(tiny, tiny.commit(f"without them: {commit}"))


@pytest.mark.usefixtures("full")
def test_the_switch_that_cannot_be_logged_is_logged_by_the_next_run(tiny: Tiny) -> None:
    """The rename needs no block; the line in the log does."""
    tiny.one_serves()
    commit = tiny.change("not logged")
    with stopped_at(tiny, "health", "deploy") as process:
        done = tiny.sandbox.exec(tiny.server.name, ("python3", "-c", ALIGN))
        assert done.returncode == 0, done.stderr
        fill(tiny)
        let_go(tiny)
        said, _ = process.communicate(timeout=90)
    assert process.returncode == 0, said
    assert "is live, but cleaning up failed: No space left on device" in said
    assert tiny.live().endswith(commit)
    make_room(tiny)
    tiny.change("room again")
    assert "the log says so now" in tiny.inv("deploy").out
    tiny.one_serves()
    states = [row["state"] for row in tiny.releases()]
    assert states.count("previous") == 1, states


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize(
    ("action", "code", "cause"),
    [("deploy", 1, "not enough disk space"), ("rollback", 6, "There is no space left for")],
)
def test_the_disk_is_full_before_we_begin(tiny: Tiny, action: str, code: int, cause: str) -> None:
    before, commit = tiny.one_serves(), tiny.change("full before")
    fill(tiny)
    with Load(tiny.server.address, slow=False) as load:
        said = tiny.inv(action, code=code).out
    assert load.failures == []
    assert cause in said
    assert "df -h" in said
    assert tiny.live() == before
    room_is_all_it_takes(tiny, commit)
