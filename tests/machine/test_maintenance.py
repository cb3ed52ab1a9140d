"""What an app and its release contribute to the front door: the maintenance page, and who has answered."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostwright.sandbox import Sandbox, Server

from .conftest import FreshServer
from .lines import Lines
from .project import sh, until
from .secure import flat
from .tiny import Tiny

FLAG = "/etc/hostwright/maintenance/tiny"
# a release command that takes as long as the test wants
HELD = "sh -c 'touch $HOME/began; while [ ! -e $HOME/go ]; do sleep 0.1; done'"


@pytest.fixture(scope="module")
def server(sandbox: Sandbox, request: pytest.FixtureRequest) -> Iterator[Server]:
    import os

    name = f"maintenance-{os.getpid()}"
    yield sandbox.up(name, ephemeral=True, say=print)[0]
    sandbox.down(name)


@pytest.fixture(scope="module")
def tiny(sandbox: Sandbox, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    project = Tiny(tmp_path_factory.mktemp("maintenance"), server, sandbox)
    project.inv("provision")
    project.inv("deploy")
    return project


def page(tiny: Tiny, path: str = "/") -> tuple[int, str, str]:
    """Status, Retry-After and body, as a visitor gets them."""
    url = f"http://{tiny.server.address}{path}"
    done = subprocess.run(("curl", "-sS", "-i", "-m", "10", url), capture_output=True, text=True, check=True)
    head, _, body = done.stdout.replace("\r\n", "\n").partition("\n\n")
    status, *lines = head.split("\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(status.split()[1]), headers.get("retry-after", ""), body


def test_on_is_at_once_and_off_as_well(tiny: Tiny, sandbox: Sandbox) -> None:
    release = tiny.live()
    nginx = sh(sandbox, tiny.server, "pgrep -u www-data nginx | sort")
    done = tiny.inv("maintenance.on")
    assert done.out == "web1  maintenance is on: visitors of tiny get the maintenance page (503)\n"
    status, retry, body = page(tiny)
    assert (status, retry) == (503, "120")
    assert "We will be back soon" in body
    assert page(tiny, "/slow?seconds=0")[0] == 503
    mode = sh(sandbox, tiny.server, f"stat -c '%a %U:%G' {FLAG} $(dirname {FLAG})")
    assert mode == "644 root:root\n755 root:root"
    again = tiny.inv("maintenance.on")
    assert again.out.startswith("web1  maintenance is already on, since "), again
    assert "maintenance since " in tiny.inv("status").out
    assert "503: maintenance is on, until `inv maintenance.off`" in flat(tiny.inv("verify", code=1).out)
    done = tiny.inv("maintenance.off")
    assert done.out.startswith("web1  maintenance is off, after "), done
    assert page(tiny) == (200, "", release)
    assert tiny.inv("maintenance.off").out == "web1  maintenance is already off\n"
    assert sh(sandbox, tiny.server, "pgrep -u www-data nginx | sort") == nginx, "nothing was reloaded"


def test_deploys_provisions_and_reboots_leave_it_on(tiny: Tiny, sandbox: Sandbox) -> None:
    tiny.inv("maintenance.on")
    before = tiny.current()
    tiny.change("behind the page")
    done = tiny.inv("deploy")
    assert done.out.rstrip().endswith(
        "Undo: inv rollback\nMaintenance is on at web1: visitors get its page until `inv maintenance.off`."
    ), done
    assert tiny.current() != before, "the health gate asks the app itself"
    assert page(tiny)[0] == 503
    assert "0 changed" in tiny.inv("provision").out
    assert page(tiny)[0] == 503
    sandbox.crash(tiny.server.name)
    sandbox.start(tiny.server.name)
    until(lambda: tiny.curl("/")[0] == 503, 60, "nginx answers after the boot")
    state = json.loads(tiny.inv("status", "--json").out)["web1"]["apps"]["tiny"]
    assert state["maintenance"]["by"]
    assert state["health"]["ok"], "the app itself does well"
    tiny.inv("maintenance.off")
    assert tiny.live() == tiny.current()


def test_it_does_not_wait_for_a_deploy(tiny: Tiny, sandbox: Sandbox) -> None:
    path = tiny.folder / "inventory.yaml"
    kept = path.read_text()
    path.write_text(kept.replace('release_command: "true"', f"release_command: {json.dumps(HELD)}"))
    tiny.change("a long one")
    try:
        with tiny.started("deploy") as process:
            lines = Lines(process)
            began = "ls /var/lib/tiny/began || true"
            until(lambda: sh(sandbox, tiny.server, began), 90, "the release command runs")
            on = json.loads(tiny.inv("maintenance.on", "--json").out)["web1"]
            assert (on["on"], on["changed"]) == (True, True)
            assert process.poll() is None, "the deploy goes on"
            assert page(tiny)[0] == 503
            sh(sandbox, tiny.server, "touch /var/lib/tiny/go")
            said = lines.end(90)
            assert process.wait(10) == 0, said
            assert "Maintenance is on at web1" in said
    finally:
        path.write_text(kept)
        tiny.inv("maintenance.off")


def test_one_server_that_cannot_be_reached_does_not_stop_the_other(tiny: Tiny) -> None:
    path = tiny.folder / "inventory.yaml"
    kept = path.read_text()
    # nobody listens on port 9 of this machine
    path.write_text(kept + "  web2: {address: 127.0.0.1, port: 9}\n")
    try:
        done = tiny.inv("maintenance.on", code=3)
        assert "web1  maintenance is on: visitors of tiny get the maintenance page (503)" in done.out
        assert "127.0.0.1:9 refuses the connection" in flat(done.out)
        found = json.loads(tiny.inv("maintenance.off", "--json", code=3).out.splitlines()[-1])
        assert found["web1"]["changed"] is True
        assert found["web2"]["exit_code"] == 3
    finally:
        path.write_text(kept)
    assert tiny.curl("/")[0] == 200


def test_where_nobody_would_see_the_page_is_refused(
    sandbox: Sandbox, fresh_server: FreshServer, tmp_path: Path
) -> None:
    tiny = Tiny(tmp_path, fresh_server("bare"), sandbox)
    done = tiny.inv("maintenance.on", code=1)
    assert (
        "web1  the app tiny is not on this server; nothing was changed\n  `inv provision` puts it" in done.out
    )
    sh(sandbox, tiny.server, f"test ! -e {FLAG}")


def test_an_answer_says_which_release_it_is_to_nginx_alone(tiny: Tiny, sandbox: Sandbox) -> None:
    release = tiny.current()
    ask = f"curl -sS -o /dev/null -D - --unix-socket /run/tiny/{release}.sock http://localhost"
    for path in ("/", "/slow"):  # the second has no number: the app raises, and gunicorn answers
        head = sh(sandbox, tiny.server, f"{ask}{path}")
        assert f"Server: {release}" in head, head
    url = f"http://{tiny.server.address}/?token=poison"
    argv = ("curl", "-sS", "-o", "/dev/null", "-D", "-", url)
    seen = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert "200 OK" in seen
    assert release not in seen
    line = json.loads(sh(sandbox, tiny.server, "tail -n 1 /var/log/nginx/tiny.access.log"))
    assert (line["release"], line["status"], line["path"]) == (release, 200, "/")
    assert "poison" not in json.dumps(line)
