"""What the controller renders for a release and for its app, from our own templates."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from hostwright.inventory import App, Host, Secret, load
from hostwright.recipes.app import app_resources
from hostwright.recipes.release import Release, deploy_fields, health, release_id, release_message, secrets
from hostwright.recipes.render import renderer
from hostwright.remote.release.layout import RELEASE
from hostwright.remote.resources.base import Resource
from hostwright.remote.resources.file import File
from hostwright.remote.resources.unit import Unit

RELEASED = Release("20261121t141502-4f2c1d9", "4f2c1d9" + "0" * 33, "Fix totals")


def app_and_host(folder: Path, extra: str = "") -> tuple[App, Host]:
    path = folder / "inventory.yaml"
    path.write_text(
        f"apps:\n  hello:\n    source: .\n    module: app.main:app\n{extra}"
        "hosts:\n  web1: {address: 203.0.113.10}\n"
    )
    inventory = load(path, {})
    return inventory.apps["hello"], inventory.hosts["web1"]


def message(folder: Path, extra: str = "", env: dict[str, str | Secret] | None = None) -> dict[str, Any]:
    app, host = app_and_host(folder, extra)
    return release_message(app, host, RELEASED, env or {}, renderer(folder))


def gunicorn(folder: Path, extra: str = "") -> dict[str, Any]:
    """The names of a rendered gunicorn.conf.py, run as gunicorn runs it."""
    text = message(folder, extra)["files"]["gunicorn.conf.py"]["content"]
    names: dict[str, Any] = {}
    exec(compile(text, "gunicorn.conf.py", "exec"), names)
    return names


# -- identity ------------------------------------------------------------------------------------------------------


def test_the_id_is_utc_time_to_the_millisecond_and_short_commit() -> None:
    moment = datetime(2026, 11, 21, 14, 15, 2, 417999, tzinfo=timezone.utc)
    found = release_id("4F2C1D9".lower() + "a" * 33, moment)
    assert found == "20261121t141502417-4f2c1d9"
    assert RELEASE.match(found)


# -- gunicorn ------------------------------------------------------------------------------------------------------


def test_gunicorn_for_asgi(tmp_path: Path) -> None:
    names = gunicorn(tmp_path)
    assert names["wsgi_app"] == "app.main:app"
    assert names["worker_class"] == "uvicorn_worker.UvicornWorker"
    assert names["chdir"] == f"/srv/hello/releases/{RELEASED.id}/code"
    assert names["bind"] == f"unix:/run/hello/{RELEASED.id}.sock"
    assert names["forwarded_allow_ips"] == "*"
    assert names["control_socket_disable"] is True
    assert names["graceful_timeout"] == 30
    assert names["timeout"] == 60
    assert 2 <= names["workers"] <= 9


def test_gunicorn_for_wsgi(tmp_path: Path) -> None:
    names = gunicorn(
        tmp_path, "    interface: wsgi\n    workers: 3\n    drain: 7.5\n    health: {timeout: 90}\n"
    )
    assert (names["worker_class"], names["threads"], names["workers"]) == ("gthread", 4, 3)
    assert (names["graceful_timeout"], names["timeout"]) == (10, 90), "a stop is never shorter"


@pytest.mark.parametrize(
    ("processors", "gibibytes", "workers"), [(1, 0.5, 2), (1, 4, 2), (2, 1, 3), (4, 1, 4), (16, 64, 9)]
)
def test_workers_by_processors_and_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processors: int, gibibytes: float, workers: int
) -> None:
    pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": int(gibibytes * (1 << 30)) // 4096}
    monkeypatch.setattr(os, "sysconf", pages.__getitem__)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(processors)))
    assert gunicorn(tmp_path)["workers"] == workers


def test_workers_tell_how_many_are_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        listener.settimeout(5)
        names = gunicorn(tmp_path, "    workers: 2\n")

        class Worker:
            def __init__(self, age: int) -> None:
                self.age = age

        names["post_worker_init"](Worker(1))  # started by hand: nobody to tell
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        names["when_ready"](None)
        assert listener.recv(99) == b"STATUS=1 of 2 workers are up"
        names["post_worker_init"](Worker(2))
        assert listener.recv(99) == b"STATUS=2 of 2 workers are up"
        names["child_exit"](None, Worker(1))
        assert listener.recv(99) == b"STATUS=1 of 2 workers are up"
        names["post_worker_init"](Worker(4097))  # the one that replaces it, much later
        assert listener.recv(99) == b"STATUS=2 of 2 workers are up"
        monkeypatch.setenv("NOTIFY_SOCKET", "@hostwright-nobody")
        with pytest.raises(OSError):  # an abstract socket, and nobody has it
            names["post_worker_init"](Worker(3))


def test_the_file_is_python_39(tmp_path: Path) -> None:
    import ast

    ast.parse(message(tmp_path)["files"]["gunicorn.conf.py"]["content"], feature_version=(3, 9))


# -- the release's other files ---------------------------------------------------------------------------------------


def test_the_environment_is_for_root_alone(tmp_path: Path) -> None:
    files = message(tmp_path, env={"GREETING": "Hi $USER", "TOKEN": Secret("s3cret")})["files"]
    assert files["env"] == {
        "content": 'GREETING="Hi \\$USER"\nTOKEN="s3cret"\n'
        f'HOSTWRIGHT_RELEASE="{RELEASED.id}"\nHOSTWRIGHT_COMMIT="{RELEASED.commit}"\n',
        "mode": 0o600,
    }
    assert not any("s3cret" in file["content"] for name, file in files.items() if name != "env")


def test_limits_and_drain_are_the_releases(tmp_path: Path) -> None:
    found = message(tmp_path, '    drain: 60\n    limits: {memory: 512M, tasks: 64, cpu: "150%"}\n')
    unit = found["files"]["units/service.conf"]["content"]
    wanted = ["MemoryMax=512M", "MemorySwapMax=0", "TasksMax=64", "CPUQuota=150%"]
    assert {"TimeoutStopSec=45", *wanted} <= set(unit.splitlines())
    assert set(wanted) <= set(found["properties"])


def test_a_command_runs_as_the_service_does(tmp_path: Path) -> None:
    """Its user, folder and environment are the template's; test_sandbox_settings.py is about the sandbox."""
    app, host = app_and_host(tmp_path)
    properties = message(tmp_path)["properties"]
    unit = next(r for r in app_resources(app, host, renderer(tmp_path)) if r.name.endswith("hello@.service"))
    assert isinstance(unit, File)
    lines = unit.content.replace("%i", RELEASED.id).splitlines()
    variables = {word for line in lines if line.startswith("Environment=") for word in line[12:].split()}
    own = ("User=", "Group=", "WorkingDirectory=", "EnvironmentFile=", "StateDirectory")
    assert {line for line in properties if line.startswith(own)} == {
        line for line in lines if line.startswith(own)
    }
    assert {line[12:] for line in properties if line.startswith("Environment=")} == variables


# -- the request -----------------------------------------------------------------------------------------------------


def test_what_is_asked_of_a_host(tmp_path: Path) -> None:
    app, host = app_and_host(
        tmp_path, "    release_command: alembic upgrade 'the head'\n    directory: back\n"
    )
    fields = deploy_fields(
        app, host, {"kind": "push", "commit": "c", "prefix": "sites/shop"}, {"TOKEN": Secret("s3cret")}
    )
    assert fields["source"] == {"kind": "push", "commit": "c"}
    assert (fields["directory"], fields["requirements"]) == ("sites/shop/back", "sites/shop/requirements.txt")
    assert fields["release_command"] == ["alembic", "upgrade", "the head"]
    assert fields["modules"] == ["gunicorn", "uvicorn_worker"]
    assert fields["build_env"] == {"TOKEN": "s3cret"}
    assert secrets({"A": "plain", "B": Secret("two")}, {"C": Secret("one")}) == ["one", "two"]


@pytest.mark.parametrize(
    ("domains", "name"),
    [
        ("[shop.test, www.shop.test]", "shop.test"),
        ('["*.shop.test", a.test]', "a.test"),
        ('["*.shop.test"]', "health.shop.test"),
        ("[]", "203.0.113.10"),
    ],
)
def test_the_gate_asks_as_nginx_would(tmp_path: Path, domains: str, name: str) -> None:
    app, host = app_and_host(tmp_path, f"    domains: {domains}\n")
    found = health(app, host)
    assert found["headers"]["Host"] == name
    assert found["headers"]["X-Forwarded-Proto"] == "http"
    assert (found["path"], found["expect"]) == ("/health", 200)


# -- what provision owns -----------------------------------------------------------------------------------------------


def test_resources_of_an_app(tmp_path: Path) -> None:
    app, host = app_and_host(tmp_path)
    resources = app_resources(app, host, renderer(tmp_path))
    assert all(resource.app == "hello" for resource in resources)
    ids = [resource.id for resource in resources]
    assert len(set(ids)) == len(ids)
    boot = next(resource for resource in resources if isinstance(resource, Unit))
    assert (boot.name, boot.enabled, boot.running) == ("hello.service", True, None)
    assert not any(resource.kind == "ssh_key" for resource in resources)


@pytest.mark.parametrize(
    ("source", "key"),
    [
        ("git@git.test:ann/shop.git", True),
        ("ssh://git@git.test/ann/shop.git", True),
        ("https://git.test/ann/shop.git", False),
        ("file:///srv/shop.git", False),
    ],
)
def test_a_deploy_key_where_ssh_wants_one(tmp_path: Path, source: str, key: bool) -> None:
    app, host = app_and_host(tmp_path)
    app = app.model_copy(update={"source": source})
    keys = [
        resource for resource in app_resources(app, host, renderer(tmp_path)) if resource.kind == "ssh_key"
    ]
    assert [resource.name for resource in keys] == (["/etc/hostwright/keys/hello"] if key else [])
    forwarding = app.model_copy(update={"forward_agent": True})
    assert not any(r.kind == "ssh_key" for r in app_resources(forwarding, host, renderer(tmp_path)))


def units(resources: list[Resource]) -> dict[str, str]:
    return {Path(r.name).name: r.content for r in resources if isinstance(r, File) and "/systemd/" in r.name}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """`systemd-analyze verify` on instances whose programs exist."""
    app, host = app_and_host(tmp_path)
    for name, text in units(app_resources(app, host, renderer(tmp_path))).items():
        here = re.sub(r"ExecStart=/srv\S+", f"ExecStart={sys.executable}", text)
        here = here.replace("User=hello", "User=root").replace("Group=hello", "Group=root")
        (tmp_path / name.replace("@.", "@r1.")).write_text(here)
    paths = sorted(str(path) for path in tmp_path.glob("hello*"))
    assert len(paths) == 3
    done = subprocess.run(
        ("systemd-analyze", "verify", "--man=no", *paths),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    problems = [line for line in done.stderr.splitlines() if "hello" in line]
    assert problems == []


def test_the_boot_unit_is_a_shell_script(tmp_path: Path) -> None:
    """What systemd hands to sh, after its own unquoting ($$ is $): it parses and names the live release."""
    app, host = app_and_host(tmp_path)
    text = units(app_resources(app, host, renderer(tmp_path)))["hello.service"]
    found = re.search(r"ExecStart=/bin/sh -euc '(.*?)'$", text, re.DOTALL | re.MULTILINE)
    assert found
    script = (
        found.group(1).replace("\\\n", " ").replace("$$", "$").replace("/run/systemd/system", str(tmp_path))
    )
    script = script.replace("/srv/hello/current", str(tmp_path / "current"))
    (tmp_path / "current").symlink_to("releases/r7")
    said = tmp_path / "said"
    fake = tmp_path / "systemctl"
    fake.write_text(f'#!/bin/sh\necho "$@" >> {said}\n')
    fake.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        ("sh", "-euc", script), capture_output=True, text=True, env={"PATH": path}, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert said.read_text().splitlines() == [
        "daemon-reload",
        "start hello@r7.socket",
        "start --no-block hello@r7.service",
    ]
    assert (tmp_path / "hello@r7.service.d/release.conf").readlink() == Path(
        "/srv/hello/releases/r7/units/service.conf"
    )
