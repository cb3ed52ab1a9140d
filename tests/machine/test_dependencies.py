"""What apps are made of: every kind of requirements, and code from a git URL."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator

import pytest

from hostwright.sandbox import Sandbox, Server

from .project import Project, sh

FLASK = """\
from flask import Flask

app = Flask(__name__)


@app.get("/health")
def health() -> str:
    return "VERSION"
"""
FASTAPI = FLASK.replace("from flask import Flask", "from fastapi import FastAPI").replace(
    "Flask(__name__)", "FastAPI()"
)
PROJECT = '[project]\nname = "site"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = ["flask"]\n'
INVENTORY = """\
project: site
defaults: {{user: ubuntu, identity_file: {identity}, hardening: off}}
apps:
  site:
    module: web:app
    interface: {interface}
    requirements: {requirements}
    domains: [site.test]
    health: {{window: 0.3, timeout: 20}}
hosts:
  web1: {{address: {address}}}
"""


class Site(Project):
    """A small project of somebody who never heard of Hostwright."""

    def write(self, code: str, interface: str, requirements: str, text: str) -> None:
        (self.folder / "web.py").write_text(code)
        (self.folder / requirements).write_text(text)
        inventory = INVENTORY.format(
            identity=self.server.identity_file,
            address=self.server.address,
            interface=interface,
            requirements=requirements,
        )
        (self.folder / "inventory.yaml").write_text(inventory)
        self.commit("changed")

    def answers(self) -> str:
        status, body = self.curl("/health", host="site.test")
        assert status == 200, body
        return body.strip('"')


@pytest.fixture(scope="module")
def site(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    name = f"dependencies-{os.getpid()}"
    server = sandbox.up(name, ephemeral=True, say=print)[0]
    found = Site(tmp_path_factory.mktemp("site"), server, "site", "site")
    found.write(FLASK, "wsgi", "requirements.txt", "flask\n")
    found.inv("provision")
    yield found
    sandbox.down(name)


def uv(site: Site, sandbox: Sandbox, given: str, command: str, made: str) -> str:
    """What a developer's uv makes of a file; the server's own is as good."""
    done = sandbox.exec(
        site.server.name,
        ("sh", "-ec", f"rm -rf /tmp/uv; mkdir /tmp/uv; cd /tmp/uv; cat > {given}; {command}; cat {made}"),
        timeout=120,
        input=(site.folder / given).read_text(),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_flask_without_hashes_and_without_a_server(site: Site) -> None:
    site.write(FLASK.replace("VERSION", "one"), "wsgi", "requirements.txt", "flask\n")
    site.inv("deploy")
    assert site.answers() == "one"


def test_unchanged_requirements_need_no_network(site: Site, sandbox: Sandbox) -> None:
    site.write(FLASK.replace("VERSION", "first"), "wsgi", "requirements.txt", "flask\n")
    site.inv("deploy")
    packages = "cat /srv/site/current/requirements.lock"
    before = sh(sandbox, site.server, packages)
    route = sh(sandbox, site.server, "ip route show default; ip route del default")
    try:
        site.write(FLASK.replace("VERSION", "offline"), "wsgi", "requirements.txt", "flask\n")
        said = site.inv("deploy").out
        assert re.search(r"venv +reused", said), said
    finally:
        sh(sandbox, site.server, f"ip route add {route.splitlines()[0]}")
    assert site.answers() == "offline"
    assert sh(sandbox, site.server, packages) == before


def test_fastapi_that_names_only_uvicorn(site: Site) -> None:
    site.write(FASTAPI.replace("VERSION", "asgi"), "asgi", "requirements.txt", "fastapi\nuvicorn\n")
    site.inv("deploy")
    assert site.answers() == "asgi"


def test_a_package_that_is_built_is_built_by_nobody_we_know(site: Site, sandbox: Sandbox) -> None:
    site.write(
        FLASK.replace("VERSION", "built"),
        "wsgi",
        "requirements.txt",
        "flask\ndocopt==0.6.2  # has no wheel\n",
    )
    site.inv("deploy")
    assert site.answers() == "built"
    owners = sh(
        sandbox,
        site.server,
        "find -L /srv/site/current/venv/ ! -user root -o -perm /6022 ! -type l | head -3",
    )
    assert owners == ""
    private = sh(sandbox, site.server, "stat -c '%u %a' /var/cache/private/hostwright-build-site")
    assert private.split()[0] != "0"
    assert private.split()[1] == "700"


def test_pyproject(site: Site) -> None:
    site.write(FLASK.replace("VERSION", "project"), "wsgi", "pyproject.toml", PROJECT)
    site.inv("deploy")
    assert site.answers() == "project"


def test_uv_lock(site: Site, sandbox: Sandbox) -> None:
    site.write(FLASK.replace("VERSION", "locked"), "wsgi", "pyproject.toml", PROJECT)
    command = "/opt/hostwright/uv/bin/uv lock --quiet"
    (site.folder / "uv.lock").write_text(uv(site, sandbox, "pyproject.toml", command, "uv.lock"))
    site.commit("locked")
    said = site.inv("deploy").out
    assert site.answers() == "locked"
    assert re.search(r"venv +(as in uv\.lock|reused)", said), said


def test_hashed_requirements_that_lack_the_server(site: Site, sandbox: Sandbox) -> None:
    (site.folder / "requirements.in").write_text("flask\n")
    command = (
        "/opt/hostwright/uv/bin/uv pip compile -q --generate-hashes --universal requirements.in -o out.txt"
    )
    text = uv(site, sandbox, "requirements.in", command, "out.txt")
    site.write(FLASK.replace("VERSION", "hashed"), "wsgi", "requirements.txt", text)
    site.inv("deploy")
    assert site.answers() == "hashed"
    lock = sh(sandbox, site.server, "cat /srv/site/current/requirements.lock")
    assert all("--hash=sha256:" in line for line in lock.splitlines())
    assert "gunicorn==" in lock


def test_requirements_that_contradict_each_other(site: Site) -> None:
    before = site.answers()
    site.write(FLASK, "wsgi", "requirements.txt", "flask>=3\nwerkzeug<1\n")
    said = site.inv("deploy", code=1).out
    assert "unsatisfiable" in said
    assert "werkzeug" in said
    assert site.answers() == before


# -- a git URL -------------------------------------------------------------------------------------------------------


def test_the_server_clones_a_git_url_with_its_deploy_key(site: Site, sandbox: Sandbox) -> None:
    """A git server over ssh, on the same machine: first it refuses, then it knows the key."""
    server = site.server
    sh(
        sandbox,
        server,
        "useradd --create-home --shell /usr/bin/git-shell git 2>/dev/null || true; "
        "install -d -m 700 -o git -g git /home/git/.ssh; rm -rf /home/git/site.git; "
        "git init --quiet --bare --initial-branch=main /home/git/site.git; chown -R git: /home/git/site.git",
    )
    site.write(FLASK.replace("VERSION", "from git"), "wsgi", "requirements.txt", "flask\n")
    push(site, sandbox, server)
    url = "git@127.0.0.1:site.git"
    site.edit_inventory("    module:", f"    source: {url}\n    ref: main\n    module:")
    key = site.inv("provision").out
    public = sh(sandbox, server, "cat /etc/hostwright/keys/site.pub")
    assert public in key, "provision shows the key that the repository must know"

    refused = site.inv("deploy", code=1).out
    assert "does not let this server read" in refused
    assert public.split()[1] in refused.replace("\n", "").replace(" ", "") or public in refused
    sh(
        sandbox,
        server,
        f"echo '{public}' > /home/git/.ssh/authorized_keys; chown git: /home/git/.ssh/authorized_keys",
    )
    site.inv("deploy")
    assert site.answers() == "from git"

    unknown = site.inv("deploy", "--ref", "no-such-branch", code=1).out
    assert f"there is no no-such-branch in {url}" in unknown
    (site.folder / "web.py").write_text(FLASK.replace("VERSION", "tagged"))
    site.commit("tagged")
    site.git("tag", "v2")
    push(site, sandbox, server)
    site.inv("deploy", "--ref", "v2")
    assert site.answers() == "tagged"
    commit = site.git("rev-parse", "v2^")
    site.inv("deploy", "--ref", commit)
    assert site.answers() == "from git"


def push(site: Site, sandbox: Sandbox, server: Server) -> None:
    """What a developer's `git push` does, through the sandbox's own door."""
    bundle = site.folder.parent / "site.bundle"
    site.git("bundle", "create", "--quiet", str(bundle), "--all")
    encoded = subprocess.run(
        ("base64", "-w0", str(bundle)), capture_output=True, text=True, check=True
    ).stdout
    done = sandbox.exec(server.name, ("sh", "-c", "base64 -d > /tmp/site.bundle"), input=encoded)
    assert done.returncode == 0
    fetch = "git fetch --quiet --force --update-head-ok /tmp/site.bundle 'refs/*:refs/*'"
    script = f"cd /home/git/site.git; chown -R root: .; {fetch}; chown -R git: ."
    sh(sandbox, server, script)
