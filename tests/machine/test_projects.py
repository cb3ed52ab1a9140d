"""Repositories that are not ours, two projects on one server, and what drifts."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hostwright.sandbox import Sandbox

from .conftest import FreshServer
from .project import ROOT, Project, sh

FLASK = """\
from flask import Flask

app = Flask(__name__)


@app.get("/")
def index():
    return "a foreign app"
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hostwright as an installed package, without this checkout on the path."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run(
        (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), str(ROOT)),
        check=True,
        timeout=180,
        stdin=subprocess.DEVNULL,
    )
    assert (folder / "hostwright" / "_data" / "templates" / "nginx").is_dir()
    return folder


def test_a_foreign_repository(tmp_path: Path, fresh_server: FreshServer, installed: Path) -> None:
    """Flask, plain requirements without hashes and without gunicorn: `inv init`, provision, deploy, 200."""
    server = fresh_server("foreign")
    shop = Project(tmp_path, server, name="blog")
    for name in ("app", "inventory.yaml", "tasks.py"):
        path = shop.folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (shop.folder / "main.py").write_text(FLASK)
    (shop.folder / "requirements.txt").write_text("flask\n")
    environ = shop.environ
    shop.environ = lambda **more: environ(**{"PYTHONPATH": str(installed), **more})  # type: ignore[method-assign]

    # there is no tasks.py yet, so not `inv`: the package's own command, which is the same program
    done = subprocess.run(
        (sys.executable, "-m", "hostwright", "init"),
        cwd=shop.folder,
        env=shop.environ(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (shop.folder / "tasks.py").is_file()
    shop.commit("init")
    to = ("--host", f"ubuntu@{server.address}", "--identity", str(server.identity_file))
    shop.inv("provision", *to)
    shop.inv("deploy")  # where it was provisioned is remembered
    assert shop.curl("/") == (200, "a foreign app")
    assert re.search(r"0 changed", shop.inv("provision", *to).out)
    assert "0 do not" in shop.inv("verify", *to).out


def test_two_projects_on_one_server(tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer) -> None:
    server = fresh_server("shared")
    one = Project(tmp_path, server, name="one", app="alpha")
    two = Project(tmp_path, server, name="two", app="beta")
    one.write_inventory(domains="alpha.example.com")
    two.write_inventory(domains="beta.example.com")
    one.inv("provision")
    one.inv("deploy")
    of_one = (
        "find /srv/alpha /etc/nginx/sites-enabled/hostwright-alpha.conf /etc/systemd/system/alpha* -xdev -printf "
        "'%p %T@ %l\\n' | sort | sha256sum; systemctl show -p ActiveEnterTimestamp 'alpha@*.service'"
    )
    before = sh(sandbox, server, of_one)
    two.inv("provision")
    two.inv("deploy")
    assert sh(sandbox, server, of_one) == before
    assert one.curl("/health", host="alpha.example.com")[0] == 200
    assert two.curl("/health", host="beta.example.com")[0] == 200
    assert re.search(r"0 changed", one.inv("provision").out)
    assert re.search(r"0 changed", two.inv("provision").out)

    # the same app name is somebody else's
    three = Project(tmp_path, server, name="three", app="alpha")
    three.write_inventory(domains="gamma.example.com")
    said = three.inv("provision", code=1).out
    assert "belongs to the project 'one', not to 'three'" in said

    # nor is its domain free
    two.write_inventory(domains="beta.example.com, alpha.example.com")
    said = two.inv("provision", code=1).out
    assert "alpha.example.com belongs to the project 'one' on this server" in said
    assert two.curl("/health", host="beta.example.com")[0] == 200

    # to answer to every name, and to its own again
    for domains in ("", "beta.example.com"):
        two.write_inventory(domains=domains)
        two.inv("provision")
        assert re.search(r"0 changed", two.inv("provision").out)
        assert two.curl("/health", host="beta.example.com")[0] == 200
        assert (two.curl("/health", host="other.example.com")[0] == 200) == (not domains)
    assert one.curl("/health", host="alpha.example.com")[0] == 200


def test_edits_by_hand_and_changed_templates(
    tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer
) -> None:
    server = fresh_server("drift")
    shop = Project(tmp_path, server)
    shop.inv("provision")
    shop.inv("deploy")
    site = "/etc/nginx/hostwright/hello/app.conf"
    sh(sandbox, server, f"sed -i 's/25m/500m/' {site}")
    checked = shop.inv("provision", "--check", "--diff", code=4).out
    assert re.search(r"- *client_max_body_size 500m;", checked), checked
    assert re.search(r"\+ *client_max_body_size 25m;", checked), checked
    assert re.search(r"would reload nginx", checked), checked
    healed = shop.inv("provision").out
    assert re.search(r"1 changed", healed), healed
    sh(sandbox, server, f"grep -q 25m {site}; grep -rq 500m /var/lib/hostwright/backups")
    assert re.search(r"0 changed", shop.inv("provision").out)

    # a template of the project's own wins; what depends on it reloads once, nothing restarts
    started = "systemctl show -p ExecMainStartTimestampMonotonic nginx.service 'hello@*.service'"
    reloads = "journalctl -u nginx.service -o cat --no-pager | grep -c '^Reloaded' || true"
    before, count = sh(sandbox, server, started), int(sh(sandbox, server, reloads))
    own = shop.folder / "templates" / "nginx"
    own.mkdir(parents=True)
    text = (ROOT / "templates" / "nginx" / "nginx.conf.j2").read_text()
    (own / "nginx.conf.j2").write_text(text.replace("worker_connections 4096", "worker_connections 2048"))
    changed = shop.inv("provision").out
    assert re.search(r"1 changed", changed), changed
    assert sh(sandbox, server, started) == before
    assert int(sh(sandbox, server, reloads)) == count + 1
    sh(sandbox, server, "nginx -T 2>/dev/null | grep -q 'worker_connections 2048'")

    # one that nginx refuses is put back
    (own / "nginx.conf.j2").write_text("nonsense;\n")
    refused = shop.inv("provision", code=1).out
    assert "nonsense" in refused
    sh(sandbox, server, "nginx -t -q && systemctl is-active -q nginx")
