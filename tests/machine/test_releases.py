"""Releases on a real server: load, an app that is killed, its environment, commands in it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator

import pytest

from hostwright.sandbox import Sandbox, Server

from .load import Load
from .project import Project, sh, until

ACTIVE = "systemctl list-units --plain --no-legend --state=active 'hello@*.service' | cut -d' ' -f1"


@pytest.fixture(scope="module")
def server(sandbox: Sandbox) -> Iterator[Server]:
    name = f"releases-{os.getpid()}"
    yield sandbox.up(name, ephemeral=True, say=print)[0]
    sandbox.down(name)


@pytest.fixture(scope="module")
def shop(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A provisioned server with a first release."""
    project = Project(tmp_path_factory.mktemp("shop"), server)
    project.inv("provision")
    project.inv("deploy")
    return project


def live(shop: Project) -> str:
    status, body = shop.curl("/version")
    assert status == 200, body
    return str(json.loads(body)["release"])


# -- load ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_switches_lose_no_request(shop: Project) -> None:
    """New connections, kept ones and requests of 4 s, without a retry anywhere, over deploys and rollbacks."""
    with Load(shop.server.address) as load:
        for number in range(3):
            shop.change(f"under load {number}")
            shop.inv("deploy")
            shop.inv("rollback")
    assert load.failures == []
    assert load.count > 1000
    assert load.slow >= 3


def test_an_app_that_is_killed_comes_back_without_help(shop: Project, sandbox: Sandbox) -> None:
    """systemd holds the socket, so requests wait instead of failing."""
    with Load(shop.server.address, slow=False) as load:
        unit = f"hello@{live(shop)}.service"
        sh(sandbox, shop.server, f"systemctl kill --kill-who=main --signal=KILL {unit}")
        until(
            lambda: sh(sandbox, shop.server, f"systemctl is-active {unit} || true") == "active",
            20,
            "up again",
        )
        live(shop)
    # what was being answered at that moment is lost; nothing is refused afterwards
    assert len(load.failures) <= 20, load.failures
    assert live(shop)


# -- environment -----------------------------------------------------------------------------------------------------

AWKWARD = {
    "AWK_QUOTES": """it's "quoted" `here`""",
    "AWK_DOLLAR": "a$HOME ${HOME} $$ $(id)",
    "AWK_HASH": "# not; a comment",
    "AWK_BACKSLASH": "C:\\temp\\new \\",
    "AWK_LINES": "one\ntwo\n\n three",
    "AWK_SPACE": "  around  ",
    "AWK_PERCENT": "100%i %h %%",
    "AWK_UNICODE": "ü 日本 🙂",
    "AWK_EMPTY": "",
    "AWK_EQUALS": "a=b=c",
}


def test_every_value_of_the_environment_arrives(shop: Project, sandbox: Sandbox) -> None:
    kept = (shop.folder / "inventory.yaml").read_text()
    values = {"HELLO_GREETING": "Hello", **AWKWARD}
    text = re.sub(r"    env: .*\n", lambda _: f"    env: {json.dumps(values, ensure_ascii=False)}\n", kept)
    (shop.folder / "inventory.yaml").write_text(text)
    shop.commit("awkward values")
    shop.inv("deploy")
    code = "import json, os; print(json.dumps({k: v for k, v in os.environ.items() if k.startswith('AWK_')}))"
    (shop.folder / "show.py").write_text(code)
    shop.commit("a way to show them")
    shop.inv("deploy")
    assert json.loads(shop.inv("run", "python show.py").out) == AWKWARD
    process = sh(sandbox, shop.server, f"systemctl show -p MainPID --value $({ACTIVE})")
    served = sh(sandbox, shop.server, f"tr '\\0' '\\n' < /proc/{process}/environ")
    assert "AWK_DOLLAR=a$HOME ${HOME} $$ $(id)" in served.splitlines()
    (shop.folder / "inventory.yaml").write_text(kept)
    shop.commit("back")


def test_the_app_cannot_write_its_code_nor_read_its_environment_file(shop: Project) -> None:
    (shop.folder / "probe.py").write_text(
        "import pathlib\n"
        "for path in ('app/new.py', '../env', '/etc/hostwright', '/var/lib/hostwright', '/home/x', '/root'):\n"
        "    try:\n"
        "        pathlib.Path(path).write_text('x') if path.startswith('app') else list(pathlib.Path(path).iterdir()) "
        "if not path.endswith('env') else pathlib.Path(path).read_text()\n"
        "        print('reached', path)\n"
        "    except OSError as error:\n"
        "        print('refused', path)\n"
        "pathlib.Path.home().joinpath('state').write_text('x'); print('state', pathlib.Path.home())\n"
    )
    shop.commit("probe")
    shop.inv("deploy")
    said = shop.inv("run", "python probe.py").out
    assert "reached" not in said
    assert said.count("refused") == 6
    assert "state /var/lib/hello" in said


def test_run_gives_the_commands_exit_code_and_streams(shop: Project) -> None:
    done = shop.inv("run", "sh -c 'echo out; echo err >&2; exit 7'", code=7)
    assert "out" in done.out
    assert "err" in done.out
    long = shop.inv("run", "python -c \"print('x' * 50000)\"")
    assert "x" * 50000 in long.out
