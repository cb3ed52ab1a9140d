"""Releases that are no good: each names its cause and what to do, and the old release keeps serving."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Iterator

import pytest

from hostwright.sandbox import Sandbox, Server

from .load import Load
from .project import Project, sh, until

GOOD = """\
def app(environ, start_response):
    body = b"good"
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
INVENTORY = """\
project: picky
defaults: {{user: ubuntu, identity_file: {identity}, hardening: off}}
apps:
  picky:
    module: web:app
    interface: wsgi
    requirements: requirements.txt
    health: {{path: /health, timeout: 2, window: 0.3}}
    release_command: sh -c 'echo "$PLAIN" > ~/ran'
    env: {{PLAIN: "a$PLAIN %n $$"}}
hosts:
  web1: {{address: {address}}}
"""


@pytest.fixture(scope="module")
def server(sandbox: Sandbox) -> Iterator[Server]:
    name = f"picky-{os.getpid()}"
    yield sandbox.up(name, ephemeral=True, say=print)[0]
    sandbox.down(name)


@pytest.fixture(scope="module")
def picky(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a good release live."""
    project = Project(tmp_path_factory.mktemp("picky"), server, name="picky", app="picky")
    shutil.rmtree(project.folder / "app")
    inventory = INVENTORY.format(identity=server.identity_file, address=server.address)
    (project.folder / "inventory.yaml").write_text(inventory)
    write(project, GOOD)
    project.inv("provision")
    project.inv("deploy")
    return project


def write(project: Project, code: str, requirements: str = "") -> None:
    (project.folder / "web.py").write_text(code)
    (project.folder / "requirements.txt").write_text(requirements)
    project.commit("changed")


def answering(status: str, body: str, header: str = "") -> str:
    headers = [tuple(header.split(": "))] if header else []
    return f"def app(e, start):\n    start({status!r}, {headers!r})\n    return [{body.encode()!r}]\n"


# what is deployed; what the user must read
BAD = {
    "import": ("import nothing_like_it\n", ["No module named 'nothing_like_it'", "Is it in the requirements"]),
    "syntax": ("def app(:\n    pass\n", ["SyntaxError: invalid syntax", "web.py"]),
    "port": (
        "import socket\nheld = socket.create_server(('127.0.0.1', 8099))\n" + GOOD,
        ["Address already in use", "it must not listen itself"],
    ),
    "attribute": ("application = 1\n", ["Failed to find attribute 'app' in 'web'", "See `module:`"]),
    "setting": ("import os\nos.environ['API_TOKEN']\n", ["KeyError: 'API_TOKEN'", "`env:`"]),
    "exit": ("import sys\nprint('set FOO')\nsys.exit(2)\n", ["| set FOO", "0 of ", "workers are up"]),
    "hang": ("import time\ntime.sleep(60)\n", ["no answer within 2 s", "wait for something"]),
    "writes": ("open('cache', 'w')\n" + GOOD, ["Read-only file system: 'cache'", "/var/lib/picky"]),
    "raises": ("def app(e, s):\n    raise RuntimeError('no database')\n", ["500 instead of 200", "no database"]),
    "unwell": (answering("503 No", "db: down"), ["GET /health -> 503 instead of 200: db: down"]),
    "login": (
        answering("302 Found", "", "Location: /login/"),
        ["GET /health -> 302 to /login/ instead of 200", "See `health:`"],
    ),
    "asgi": ("async def app(scope, receive, send): ...\n", ["`interface: asgi`"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_release_names_its_cause(picky: Project, name: str) -> None:
    code, words = BAD[name]
    write(picky, code)
    with Load(picky.server.address, slow=False) as load:
        said = picky.inv("deploy", code=6).out
    for word in words:
        assert word in said, said
    assert "site-packages/gunicorn/app" not in said, "what loads the app says nothing about it"
    assert "nothing was switched" in said
    (release,) = set(re.findall(r"inv logs --release (\S+)", said))
    written = picky.inv("logs", "--release", release).out.splitlines()
    assert "Starting gunicorn" in "".join(written[:10]), "all that it wrote, from its first line"
    assert "Stopped picky@" in "".join(written[-10:])
    assert picky.inv("logs", "--release", release, "--lines", "3").out.splitlines() == written[-3:]
    assert load.failures == []
    assert load.count > 20


def test_a_slow_start_within_its_limit_is_waited_for(picky: Project) -> None:
    inventory = picky.folder / "inventory.yaml"
    kept = inventory.read_text()
    inventory.write_text(kept.replace("timeout: 2", "timeout: 20"))
    write(picky, "import time\ntime.sleep(4)\n" + GOOD)
    with Load(picky.server.address, slow=False) as load:
        picky.inv("deploy")
    assert load.failures == []
    inventory.write_text(kept)
    picky.commit("as before")


def test_a_release_command_that_fails(picky: Project) -> None:
    inventory = picky.folder / "inventory.yaml"
    kept = inventory.read_text()
    inventory.write_text(kept.replace("""sh -c 'echo "$PLAIN" > ~/ran'""", "sh -c 'echo no table; exit 3'"))
    write(picky, GOOD.replace("good", "migrated"))
    with Load(picky.server.address, slow=False) as load:
        said = picky.inv("deploy", code=1).out
    for words in ("ended with exit code 3", "| no table", "nothing was switched"):
        assert words in said, said
    assert load.failures == []
    assert picky.curl("/") == (200, "good")
    inventory.write_text(kept)
    picky.commit("as before")


@pytest.mark.parametrize(
    ("requirements", "words"),
    [
        ("flask==99.9\n", ["the requirements do not resolve", "no version of flask==99.9"]),
        ("mysqlclient==2.1.0\n", ["Failed to build mysqlclient==2.1.0", "no wheel", "`packages:`"]),
    ],
)
def test_requirements_that_cannot_be_had(picky: Project, requirements: str, words: list[str]) -> None:
    write(picky, GOOD, requirements)
    said = picky.inv("deploy", code=1).out
    for word in words:
        assert word in said, said
    assert picky.curl("/") == (200, "good")


def test_a_rollback_is_away_from_what_is_live(picky: Project, sandbox: Sandbox) -> None:
    """The same deployed twice is nothing to go back to, and nothing to run the release command for."""
    write(picky, GOOD.replace("good", "better"))
    assert "did not run" not in picky.inv("deploy").out
    assert sh(sandbox, picky.server, "cat /var/lib/picky/ran; rm /var/lib/picky/ran") == "a$PLAIN %n $$"
    assert "the release command did not run: the code is what is live" in picky.inv("deploy").out
    assert sh(sandbox, picky.server, "ls /var/lib/picky") == ""
    picky.inv("rollback")
    assert picky.curl("/") == (200, "good")


# -- commands and logs -----------------------------------------------------------------------------------------


def test_words_of_a_command_arrive_as_they_are(picky: Project) -> None:
    code = "import os, sys; print(sys.argv[1:], os.environ['PLAIN'])"
    words = "'$HOME' '${PATH}x' '$$' '%n' '*' '' 'a  b'"
    said = picky.inv("run", f'python -c "{code}" {words}').out.strip()
    assert said == "['$HOME', '${PATH}x', '$$', '%n', '*', '', 'a  b'] a$PLAIN %n $$"
    missing = picky.inv("run", "alembik upgrade head", code=1).out
    assert "there is no program alembik in this release or on the server" in missing


def test_the_last_lines_since_a_time(picky: Project) -> None:
    whole = picky.inv("logs", "--since", "-1h").out.splitlines()
    assert len(whole) > 3
    assert picky.inv("logs", "--since", "-1h", "--lines", "2").out.splitlines() == whole[-2:]
    refused = picky.inv("logs", "--since", "yesterdy", code=1).out
    assert "journalctl: Failed to parse timestamp: yesterdy" in refused


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("argv", [("logs", "--follow"), ("run", "sleep 4321")])
def test_nothing_is_left_when_the_user_has_had_enough(
    picky: Project, sandbox: Sandbox, argv: tuple[str, ...], stop: signal.Signals
) -> None:
    script = "pgrep -af 'journalctl.*--follow|sleep 4321' | grep -v pgrep || true"
    with picky.started(*argv) as process:
        until(lambda: sh(sandbox, picky.server, script), 20, "it runs on the server")
        os.kill(process.pid, stop)
        process.communicate(timeout=30)
    until(lambda: not sh(sandbox, picky.server, script), 20, "nothing is left of it")
