"""Environments and code on a server: damaged, without their Python, without a network."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hostwright.sandbox import Sandbox

from .project import sh
from .test_dependencies import FLASK, Site

FLASK_APP = "lib/python3*/site-packages/flask/app.py"


class Server(Site):
    """The project and its server."""

    sandbox: Sandbox

    def deploy(self, version: str, requirements: str = "flask\n") -> str:
        self.write(FLASK.replace("VERSION", version), "wsgi", "requirements.txt", requirements)
        said = self.inv("deploy").out
        assert self.answers() == version
        return said

    def sh(self, script: str) -> str:
        return sh(self.sandbox, self.server, script, timeout=120)

    def leads(self, link: str, release: str = "") -> str:
        """The folder that a release leads to; the live one's."""
        path = f"/srv/site/releases/{release}" if release else "/srv/site/current"
        return self.sh(f"readlink -f {path}/{link}")

    @contextmanager
    def offline(self) -> Iterator[None]:
        """No way to anywhere but the network it is in."""
        route = self.sh("ip route show default; ip route del default")
        try:
            yield
        finally:
            self.sh(f"ip route add {route.splitlines()[0]}")


@pytest.fixture(scope="module")
def site(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    name = f"environments-{os.getpid()}"
    server = sandbox.up(name, ephemeral=True, say=print)[0]
    found = Server(tmp_path_factory.mktemp("site"), server, "site", "site")
    found.sandbox = sandbox
    found.write(FLASK, "wsgi", "requirements.txt", "flask\n")
    found.inv("provision")
    found.deploy("first")
    yield found
    sandbox.down(name)


def test_root_owns_everything_and_nobody_may_write_it(site: Server) -> None:
    wrong = (
        "! -user root -o ! -group root -o ! -type l -perm /6022 -o -path '*/venvs/*/*' ! -type l -perm /222"
    )
    assert site.sh(f"cd /srv/site; find trees/* venvs/* \\( {wrong} \\) -print | head -5") == ""
    count = int(site.sh("find /srv/site/venvs -type f | wc -l"))
    assert count > 200


def test_damage_is_built_anew_beside_what_runs_and_without_a_network(site: Server) -> None:
    site.deploy("before the damage")
    venv, code = site.leads("venv"), site.leads("code")
    damaged = site.sh("basename $(readlink /srv/site/current)")
    site.sh(
        f"cd {venv}; truncate -s 0 {FLASK_APP}; rm lib/python3*/site-packages/click/core.py; rm {code}/web.py"
    )
    assert site.answers() == "before the damage", "it is in memory"
    with site.offline():
        said = site.inv("deploy").out
    assert re.search(r"venv +rebuilt, 2 files were missing or changed: \S*click/core\.py", said), said
    assert re.search(r"tree +rebuilt, 1 file was missing or changed: web\.py", said), said
    assert site.answers() == "before the damage"
    for was, now in ((venv, site.leads("venv")), (code, site.leads("code"))):
        assert re.fullmatch(re.escape(re.sub(r"-r\d+$", "", was)) + r"-r\d+", now), (was, now)
        assert now != was
    assert site.sh(f"cd {venv}; stat -c %s {FLASK_APP}; ls {code}").splitlines()[0] == "0", "left as it was"

    good = site.leads("venv")
    said = site.inv("rollback", "--to", damaged).out
    assert f"rebuilt with the versions that {damaged} had: 2 files" in " ".join(said.split()), said
    assert site.leads("venv") == good
    assert site.answers() == "before the damage"


def remove_python(site: Server, release: str = "") -> str:
    """What an upgrade of the distribution leaves of an environment; returns its folder."""
    venv = site.leads("venv", release)
    link = "ln -sfn /usr/bin/python3.7 bin/python; printf 'complete\\n'"
    site.sh(f"cd {venv}; {link} > {venv}.ok; ! test -e bin/python")
    return venv


def test_a_rollback_to_a_release_whose_python_is_gone(site: Server) -> None:
    site.deploy("older", "flask==3.0.0\n")
    older = site.sh("basename $(readlink /srv/site/current)")
    site.deploy("newer", "flask\n")
    versions = site.sh(f"cat /srv/site/releases/{older}/requirements.lock")
    gone = remove_python(site, older)
    assert older in site.inv("releases").out
    said = " ".join(site.inv("rollback").out.split())
    assert f"rebuilt with the versions that {older} had: the server has Python 3." in said
    assert site.answers() == "older"
    assert site.leads("venv") not in ("", gone)
    assert (
        "3.0.0"
        in site.inv("run", "python -c 'import importlib.metadata as m; print(m.version(\"flask\"))'").out
    )
    assert site.sh("cat /srv/site/current/requirements.lock") == versions


def test_a_rollback_that_cannot_be_built_leaves_what_is_live(site: Server) -> None:
    site.deploy("older", "flask==3.0.1\n")
    site.deploy("newer", "flask\n")
    older = site.sh("basename $(readlink /srv/site/previous)")
    remove_python(site, older)
    # not even a copy of a package is left
    site.sh("rm -rf /var/cache/private/hostwright-build-site")
    with site.offline():
        said = site.inv("rollback", code=1, timeout=200).out
    assert "the packages could not be installed" in said
    assert "The server cannot reach the package index" in " ".join(said.split())
    assert site.answers() == "newer"
    site.inv("rollback")
    assert site.answers() == "older"


@pytest.mark.parametrize("command", ["deploy", "restart"])
def test_what_is_live_lost_its_python_and_a_reboot_found_out(site: Server, command: str) -> None:
    site.deploy(f"live before {command}")
    remove_python(site)
    site.sh("systemctl kill --signal=KILL 'site@*.service'; sleep 2")
    assert site.curl("/health", host="site.test")[0] != 200
    said = site.inv(command).out
    assert "rebuilt" in said
    assert site.answers() == f"live before {command}"


def test_a_new_combination_of_what_is_in_the_cache_needs_no_network(site: Server) -> None:
    site.deploy("with one", "flask\ncolorama\n")
    site.deploy("with another", "flask\nwheel\n")
    with site.offline():
        site.deploy("with both", "flask\ncolorama\nwheel\n")
    lock = site.sh("cat /srv/site/current/requirements.lock")
    assert "colorama==" in lock
    assert "wheel==" in lock
