"""Releases of what is there already: restart, changed variables, rollback to the last word, pruning."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from hostwright.sandbox import Sandbox, Server

from .lines import Lines
from .load import Load, request
from .project import Done, Project, sh, until

APP = """\
import asyncio, os


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(float(scope["query_string"].partition(b"=")[2]))
    names = ("HOSTWRIGHT_RELEASE", "HOSTWRIGHT_COMMIT", "GREETING")
    body = " ".join([*(os.environ.get(name, "-") for name in names), "CODE"]).encode()
    await send({"type": "http.response.start", "status": STATUS,
                "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
"""
INVENTORY = """\
project: word
defaults: {{user: ubuntu, identity_file: {identity}, hardening: off}}
apps:
  word:
    module: served:app
    workers: 2
    drain: 20
    keep_releases: 3
    health: {{path: /, window: 0.2, timeout: 10, contains: "{{release}} {{commit}}"}}
    release_command: sh -c 'echo x >> $HOME/ran'
    release_command_timeout: 20
    env: {{GREETING: hello}}
hosts:
  web1: {{address: {address}}}
"""
ACTIVE = "systemctl list-units --plain --no-legend --state=active 'word@*.service' | cut -d' ' -f1 | sort"


class Word(Project):
    """An app that says which release and commit it is, its greeting, and a word of its code."""

    def __init__(self, sandbox: Sandbox, *more: object) -> None:
        super().__init__(*more)  # type: ignore[arg-type]
        self.sandbox = sandbox
        shutil.rmtree(self.folder / "app")
        # a commit that changes it would be new code
        (self.folder / ".gitignore").write_text("inventory.yaml\n")
        self.git("rm", "--quiet", "--cached", "inventory.yaml")
        (self.folder / "requirements.txt").write_text("")
        text = INVENTORY.format(identity=self.server.identity_file, address=self.server.address)
        (self.folder / "inventory.yaml").write_text(text)
        self.code("one")

    def code(self, word: str, status: int = 200) -> str:
        (self.folder / "served.py").write_text(APP.replace("CODE", word).replace("STATUS", str(status)))
        return self.commit(f"code {word}")

    def env(self, old: str, new: str) -> None:
        path = self.folder / "inventory.yaml"
        path.write_text(path.read_text().replace(f"env: {{{old}}}", f"env: {{{new}}}"))

    def says(self) -> tuple[str, str, str, str]:
        """Release, commit, greeting, word."""
        status, body = self.curl("/")
        assert status == 200, body
        release, commit, greeting, word = body.split()
        return release, commit[:7], greeting, word

    def ran(self) -> int:
        """How often the release command ran."""
        return int(self.sh("cat /var/lib/word/ran 2>/dev/null | wc -l"))

    def sh(self, script: str) -> str:
        return sh(self.sandbox, self.server, script)

    def releases(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.inv("releases", "--json").out)["web1"]["releases"]
        return found

    def settle(self) -> None:
        """Nothing drains any more."""
        until(lambda: len(self.sh(ACTIVE).splitlines()) == 1, 60, "one instance is left")


@pytest.fixture(scope="module")
def word(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Word]:
    name = f"restart-{os.getpid()}"
    server: Server = sandbox.up(name, ephemeral=True, say=print)[0]
    found = Word(sandbox, tmp_path_factory.mktemp("word"), server, "word", "word")
    found.inv("provision")
    too_early = found.inv("restart", code=1).out
    assert "nothing was deployed yet" in too_early
    assert "inv deploy makes the first release." in too_early
    found.inv("deploy")
    yield found
    sandbox.down(name)


def flat(done: Done) -> str:
    """What it said, without line breaks."""
    return " ".join(done.out.split())


def test_restart_under_load(word: Word) -> None:
    """Two instances of the same code side by side, and not one request that fails."""
    before, ran = word.says(), word.ran()
    word.sh("install -d -m 700 /run/hostwright; echo health > /run/hostwright/hold")
    with Load(word.server.address, threads=2) as load:
        with word.started("restart") as process:
            lines = Lines(process)
            until(lambda: word.sh("cat /run/hostwright/held 2>/dev/null || true") == "health", 60, "health")
            running = word.sh(ACTIVE).splitlines()
            codes = word.sh("cd /srv/word/releases; for name in *; do readlink -f $name/code; done | sort -u")
            word.sh("rm /run/hostwright/hold")
            said = lines.end(60)
            assert process.wait(30) == 0, said
        word.inv("restart")
    assert load.failures == []
    assert load.count > 300
    assert load.slow >= 2
    assert len(running) == 2, running
    assert len(codes.splitlines()) == 1
    assert "environment as it was" in said
    assert not re.search(r"\b(tree|venv|release command) ", said), said
    after = word.says()
    assert after[0] != before[0]
    assert after[1:] == before[1:]
    assert word.ran() == ran
    word.settle()


def test_variables_belong_to_releases(word: Word) -> None:
    """Changed by restart and by deploy; a rollback brings the old ones back, --keep-env does not."""
    ran = word.ran()
    word.env("GREETING: hello", "GREETING: moin, TOKEN: s3cret")
    with Load(word.server.address, slow=False) as load:
        said = flat(word.inv("restart"))
        assert "environment: GREETING changed, TOKEN new" in said
        assert word.says()[2] == "moin"
        back = flat(word.inv("rollback"))
        assert "it goes back with its own environment, which differs from today's: GREETING, TOKEN" in back
        assert word.says()[2] == "hello"
        said += flat(word.inv("deploy"))
        assert "environment: GREETING changed, TOKEN new" in said
        assert word.says()[2:] == ("moin", "one")
        assert word.ran() == ran, "the release command is for new code"

        word.code("two")
        word.env("GREETING: moin, TOKEN: s3cret", "GREETING: salut")
        said += flat(word.inv("deploy"))
        assert "environment: GREETING changed, TOKEN gone" in said
        assert word.ran() == ran + 1
        kept = flat(word.inv("rollback", "--keep-env"))
        assert "with today's GREETING, TOKEN" in kept
        assert "ran its release command, and a rollback does not undo that: sh -c" in kept
        assert word.says()[2:] == ("salut", "one")
    assert load.failures == []
    assert "s3cret" not in said + kept + back
    assert word.ran() == ran + 1
    release = word.says()[0]
    live = word.releases()[0]
    assert (live["id"], live["state"]) == (release, "current")
    # the next one goes further back: the release before, with its own variables again
    assert word.inv("rollback")
    assert word.says()[0] < release
    assert word.says()[2:] == ("hello", "one")
    mode = word.sh("stat -c '%a %U' /srv/word/releases/*/env | sort -u")
    assert mode == "600 root"


def test_two_deploys_of_one_commit_at_once(word: Word) -> None:
    commit = word.code("three")
    with word.started("deploy") as one, word.started("deploy") as other:
        said = [one.communicate(timeout=120)[0], other.communicate(timeout=120)[0]]
    assert (one.returncode, other.returncode) == (0, 0), said
    made = [row for row in word.releases() if row["commit"].startswith(commit)]
    assert len(made) == 2
    assert word.says()[1] == commit
    word.settle()


def test_what_a_rollback_cannot_go_to(word: Word) -> None:
    word.code("four")
    word.inv("deploy")
    good = word.says()[0]
    bad = word.code("five", status=500)
    refused = flat(word.inv("deploy", code=6))
    assert "GET / -> 500 instead of 200" in refused
    word.code("six")
    word.inv("deploy")
    said = flat(word.inv("rollback", "--to", bad, code=1))
    assert f"-{bad} was marked bad: not healthy after" in said
    assert f'{good} {good[-7:]} "code four"' in said
    assert "Name one of these: inv rollback --to ID" in said
    assert "there is no release nothing on this server" in flat(
        word.inv("rollback", "--to", "nothing", code=1)
    )
    assert "is live already" in flat(word.inv("rollback", "--to", word.says()[0], code=1))
    word.sh(f"mv /srv/word/releases/{good}/env /srv/word/releases/{good}/aside")
    said = flat(word.inv("rollback", "--to", good, code=1))
    assert f"{good} is damaged: its env is missing on this server" in said
    word.sh(f"mv /srv/word/releases/{good}/aside /srv/word/releases/{good}/env")
    assert word.says()[3] == "six"


def test_back_to_a_release_that_still_answers(word: Word) -> None:
    old = word.says()[0]
    with socket.create_connection((word.server.address, 80), 60) as link:
        link.sendall(request("/slow?seconds=18", None, "Connection: close\r\n"))
        asked = f"grep -c ' 03 .*/run/word/{old}.sock' /proc/net/unix || true"
        until(lambda: word.sh(asked) != "0", 20, "asked")
        word.code("seven")
        word.inv("deploy")
        row = next(row for row in word.releases() if row["id"] == old)
        assert (row["state"], row["draining"]) == ("previous", True)
        assert "; draining" in word.inv("releases").out
        assert f"{old}, which still runs" in word.inv("rollback", "--to", old).out
        assert word.says()[0] == old
        answer = b""
        while chunk := link.recv(65536):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert old.encode() in answer
    word.settle()


def test_a_gate_that_wants_to_see_a_text(word: Word) -> None:
    word.edit_inventory('contains: "{release} {commit}"', 'contains: "{commit} of eight"')
    before = word.says()
    said = flat(word.inv("deploy", code=6))
    assert re.search(r'GET / -> 200, but "[0-9a-f]{40} of eight" is not in the answer: it says "2026|2', said)
    assert "is not in the answer: it says" in said
    assert word.says() == before
    word.edit_inventory('contains: "{commit} of eight"', 'contains: "{release} {commit}"')


def test_a_release_command_that_takes_too_long(word: Word) -> None:
    word.edit_inventory("sh -c 'echo x >> $HOME/ran'", "sh -c 'echo begun; sleep 60'")
    word.edit_inventory("release_command_timeout: 20", "release_command_timeout: 2")
    before = word.says()
    word.code("nine")
    said = flat(word.inv("deploy", code=1))
    assert "was ended after 2 s: `release_command_timeout` in the inventory" in said
    assert "What the command changed in a database stays changed." in said
    assert word.says() == before
    word.edit_inventory("sh -c 'echo begun; sleep 60'", "sh -c 'echo x >> $HOME/ran'")
    word.edit_inventory("release_command_timeout: 2", "release_command_timeout: 20")


def test_prune(word: Word) -> None:
    for code in ("ten", "eleven", "twelve"):
        word.code(code)
        word.inv("deploy")
    word.settle()
    current, previous = (
        next(row["id"] for row in word.releases() if row["state"] == state)
        for state in ("current", "previous")
    )
    before = set(word.sh("ls /srv/word/releases").split())
    said = flat(word.inv("prune", "--keep", "1"))
    left = set(word.sh("ls /srv/word/releases").split())
    assert {current, previous} <= left < before
    for gone in before - left:
        assert f"removed {gone}" in said
    assert re.search(r"\d+ releases? removed, \d+\.\d MiB freed", said)
    assert "nothing to remove" in flat(word.inv("prune", "--keep", "1"))
    gone = sorted(before - left)[0]
    assert f"{gone} was removed: only the newest are kept" in flat(word.inv("rollback", "--to", gone, code=1))
    word.inv("rollback")
    assert word.says()[0] == previous
    table = word.inv("releases").out
    size = r"/srv/word \d+ MiB: environments \d+.*; \d+\.\d GiB free of \d+"
    assert re.search(size, table), table
    assert re.search(size, word.inv("status").out)
    disk = json.loads(word.inv("status", "--json").out)["web1"]["apps"]["word"]["disk"]
    assert disk["whole"]
    assert disk["parts"]["environments"] > disk["parts"]["trees"] > 0
    assert 'expected an integer from 1 to 1000, got "0"' in word.inv("prune", "--keep", "0", code=2).out
