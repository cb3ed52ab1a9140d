"""What people type, in a process of its own: help never runs a task, a mistake says what is wrong."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from invoke.collection import Collection
from invoke.program import Program

from hostwright.tasks import ns

ROOT = Path(__file__).resolve().parents[3]
# nobody listens on port 9 of this machine: a task that runs after all says so
INVENTORY = """\
project: shop
apps: {hello: {module: "app.main:app"}}
hosts:
  web1: {address: 127.0.0.1, port: 9, apps: [hello]}
  web2: {address: 127.0.0.1, port: 9, apps: [hello]}
"""


def names(collection: Collection, prefix: str = "") -> Iterator[str]:
    """Every task by the name people type."""
    yield from (prefix + str(name) for name in collection.task_names if "." not in str(name))
    for name, inner in collection.collections.items():
        yield from names(inner, f"{prefix}{name}.")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    (tmp_path / "tasks.py").write_text("from hostwright.tasks import ns\n")
    return tmp_path


def inv(project: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "invoke", *argv),
        cwd=project,
        env={**os.environ, "HOME": str(project), "PYTHONPATH": str(ROOT), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=60,
    )


def test_every_task_is_known_here() -> None:
    assert {"provision", "deploy", "run", "inventory.schema", "sandbox.exec"} <= set(names(ns))


@pytest.mark.parametrize("task", sorted(set(names(ns))))
def test_help_after_a_task_never_runs_it(
    project: Path, task: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    with contextlib.suppress(SystemExit):
        Program(namespace=ns).run(["inv", task, "--help"], exit=False)
    said = capsys.readouterr()
    assert sorted(path.name for path in project.iterdir()) == ["inventory.yaml", "tasks.py"]
    if task == "sandbox.exec":  # it wants two words, and Invoke says so before we are asked
        assert said.err.startswith("'sandbox.exec' did not receive required positional arguments")
        return
    assert said.err == ""
    assert f"[--core-opts] {task} [--options]" in said.out
    assert "--debug" in said.out


WRONG = [
    (
        ("provision", "--host", "web1", "--wait", "soon"),
        2,
        '--wait: expected an integer from 0 to 86400, got "soon"',
    ),
    (("provision", "--host", "--help"), 2, '--host: expected a name, got "--help"'),
    (("provision", "--host", "wbe1"), 2, 'no host or group is called "wbe1". Did you mean "web1"?'),
    (("status", "--identity", "~no-such-user/key"), 2, "--identity: there is no file ~no-such-user/key"),
    (("provision",), 2, "there are 2 hosts: web1, web2\n  Name some, or say --host all"),
    (("--dry", "deploy"), 2, "--dry works with provision (it means --check)"),
    (("deploy", "--app", "hallo"), 2, 'no app is called "hallo". Did you mean "hello"?'),
    (("logs", "--lines", "x"), 2, '--lines: expected an integer from 0 to 100000, got "x"'),
    (("prune", "--keep", "0"), 2, '--keep: expected an integer from 1 to 1000, got "0"'),
    (("--dry", "restart"), 2, "--dry works with provision (it means --check)"),
    (("--dry", "maintenance.on"), 2, "there is no dry run of maintenance"),
    (("maintenance.off", "--app", "hallo"), 2, 'no app is called "hallo". Did you mean "hello"?'),
    (("cert.status", "--days", "soon"), 2, '--days: expected an integer from 0 to 3650, got "soon"'),
    (("--dry", "cert.renew"), 2, "--dry works with provision (it means --check)"),
    (
        ("cert.renew",),
        2,
        "there is no certificate that a CA could renew\n  web1  hello is served over HTTP only: see `tls:`",
    ),
    (("run", 'a "b'), 2, "the command does not split into words: No closing quotation"),
    (("run", "--host", "web1", "--command", " "), 2, "the command is empty"),
    (("run", "--host", "web1", "-x"), 2, "usage: inv run"),
    (("status", "--inventory", "other.yaml"), 2, "other.yaml does not exist"),
    (("provision", "--hots", "web1"), 1, "No idea what '--hots' is!"),
]


@pytest.mark.parametrize(
    ("argv", "code", "text"), WRONG, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_mistakes(project: Path, argv: tuple[str, ...], code: int, text: str) -> None:
    said = inv(project, *argv)
    assert said.returncode == code
    assert text in said.stderr
    assert "Traceback" not in said.stderr
    assert said.stdout == ""


VERIFIED = """\
  FAILED web1         can be reached
         | 127.0.0.1:9 refuses the connection: no SSH server listens there
         | Check address and port; a server that was just made may need another minute.

0 assertions hold, 1 do not.
"""


def test_verify_says_once_that_a_server_is_down(project: Path) -> None:
    said = inv(project, "verify", "--host", "web1")
    assert (said.stdout, said.returncode) == (VERIFIED, 3)


def test_cancel_says_that_a_server_is_down(project: Path) -> None:
    said = inv(project, "cancel", "--host", "web1")
    assert (said.stdout, said.returncode) == ("", 3)
    assert said.stderr.startswith("web1  127.0.0.1:9 refuses the connection")
    said = inv(project, "cancel", "--host", "web1", "--json")
    assert json.loads(said.stdout)["host"] == "web1"


def test_a_program_gets_an_error_as_json_too(project: Path) -> None:
    said = inv(project, "provision", "--host", "wbe1", "--json")
    error = json.loads(said.stdout)
    assert (error["event"], error["kind"], error["exit_code"]) == ("error", "UsageError", 2)
    assert said.stderr.startswith('no host or group is called "wbe1"')
