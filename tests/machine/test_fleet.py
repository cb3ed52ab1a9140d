"""One deploy to several servers: all get the same commit and the same versions of packages."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from hostwright.sandbox import Sandbox, Server

from .project import Done, Project, sh
from .test_dependencies import FLASK

INVENTORY = """\
project: site
defaults: {{user: ubuntu, identity_file: {identity}, hardening: off}}
apps:
  site:
    source: {source}
    module: web:app
    interface: wsgi
    domains: [site.test]
    health: {{window: 0.3, timeout: 20}}
hosts:
  web1: {{address: {one}}}
  web2: {{address: {two}}}
"""
REPOSITORY = "/home/git/site.git"


@dataclass
class Fleet:
    """Two servers and a project that is deployed to both."""

    sandbox: Sandbox
    servers: tuple[Server, Server]
    project: Project

    def write(self, requirements: str, version: str = "one", source: str = ".") -> str:
        """Commit a version of the app; returns the commit."""
        folder, (one, two) = self.project.folder, self.servers
        (folder / "web.py").write_text(FLASK.replace("VERSION", version))
        (folder / "requirements.txt").write_text(requirements)
        text = INVENTORY.format(identity=one.identity_file, source=source, one=one.address, two=two.address)
        (folder / "inventory.yaml").write_text(text)
        self.project.commit(version)
        return self.project.git("rev-parse", "HEAD")

    def sh(self, server: int, script: str) -> str:
        return sh(self.sandbox, self.servers[server], script)

    def locks(self) -> tuple[str, str]:
        """What each of the two runs with."""
        show = "grep -o '^[a-z-]*==[^ ]*' /srv/site/current/requirements.lock"
        return self.sh(0, show), self.sh(1, show)

    def commits(self) -> tuple[str, str]:
        show = "grep -o '\"commit\": \"[0-9a-f]*' /srv/site/current/release.json | cut -d'\"' -f4"
        return self.sh(0, show), self.sh(1, show)


@pytest.fixture(scope="module")
def fleet(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    names = (f"fleet-one-{os.getpid()}", f"fleet-two-{os.getpid()}")
    one, two = sandbox.up(*names, ephemeral=True, say=print)
    found = Fleet(sandbox, (one, two), Project(tmp_path_factory.mktemp("site"), one, "site", "site"))
    found.write("flask\n")
    found.project.inv("provision", "--host", "all")
    yield found
    sandbox.down(*names)


def notes(done: Done) -> list[str]:
    """Where each host's packages came from."""
    return sorted(re.findall(r"venv +(resolved|the same as on web\d|locked as in|reused)", done.out))


def test_a_server_that_is_added_gets_what_the_others_run(fleet: Fleet) -> None:
    fleet.write("flask==3.0.0\n")
    fleet.project.inv("deploy", "--host", "web1")
    fleet.write("flask\n")
    fleet.project.inv("deploy", "--host", "web1")
    done = fleet.project.inv("deploy")
    one, two = fleet.locks()
    assert one == two
    assert "flask==3.0.0" in one, "resolved by itself, web2 would have a newer one"
    assert "the same as on web1" in done.out, done


def test_packages_are_found_once_for_all(fleet: Fleet) -> None:
    fleet.write("flask\ncolorama\n")
    done = fleet.project.inv("deploy")
    assert len(re.findall(r"venv +resolved", done.out)) == 1, done
    assert len(re.findall(r"venv +the same as on web\d", done.out)) == 1, done
    one, two = fleet.locks()
    assert one == two
    assert "colorama==" in one
    again = fleet.project.inv("deploy")
    assert len(re.findall(r"venv +reused", again.out)) == 2, again


def test_one_that_cannot_find_them_does_not_hold_up_the_other(fleet: Fleet) -> None:
    fleet.write("flask\nwheel\n", "without a network")
    route = fleet.sh(0, "ip route show default; ip route del default")
    try:
        done = fleet.project.inv("deploy", code=None, timeout=180)
    finally:
        fleet.sh(0, f"ip route add {route.splitlines()[0]}")
    assert done.code == 1, done
    assert fleet.commits()[1] == fleet.project.git("rev-parse", "HEAD"), done
    assert "wheel==" in fleet.locks()[1]
    fleet.project.inv("deploy")
    one, two = fleet.locks()
    assert one == two


def give(fleet: Fleet, server: int, main: str) -> None:
    """A git repository on a server that holds all commits; its branch main is at one of them."""
    bundle = fleet.project.folder.parent / "site.bundle"
    fleet.project.git("bundle", "create", "--quiet", str(bundle), "--all")
    encoded = subprocess.run(
        ("base64", "-w0", str(bundle)), capture_output=True, text=True, check=True
    ).stdout
    done = fleet.sandbox.exec(
        fleet.servers[server].name, ("sh", "-c", "base64 -d > /tmp/site.bundle"), input=encoded
    )
    assert done.returncode == 0
    fleet.sh(
        server,
        f"rm -rf {REPOSITORY}; git init --quiet --bare --initial-branch=main {REPOSITORY}; cd {REPOSITORY}; "
        f"git fetch --quiet /tmp/site.bundle refs/heads/main:refs/heads/newest; git branch -f main {main}",
    )


@pytest.mark.parametrize("protocol", [2, 0])
def test_a_branch_that_moves_between_two_fetches(fleet: Fleet, protocol: int) -> None:
    """The one server sees the branch before it moved, the other after it: both get what came first.

    Protocol 0, as ssh speaks it with an older git: the server hands out nothing but tips of branches.
    """
    source = f"file://{REPOSITORY}"
    older = fleet.write("flask\n", f"older {protocol}", source)
    newer = fleet.write("flask\n", f"newer {protocol}", source)
    for server, main in ((0, older), (1, newer)):
        give(fleet, server, main)
        fleet.sh(server, f"git config --system protocol.version {protocol}")
    fleet.project.inv("provision", "--host", "all")
    done = fleet.project.inv("deploy")
    one, two = fleet.commits()
    assert one == two, done
    assert one in (older, newer)
    assert f"the branch moved meanwhile: all hosts get {one[:7]}" in " ".join(done.out.split()), done
