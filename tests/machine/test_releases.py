"""Releases on a real server: what goes wrong in the middle, every kind of requirements, git URLs, load."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator

import pytest

from hostwright.sandbox import Sandbox, Server

from .load import Load
from .project import Done, Project, sh, until

# waits until a run's journal says that a step began, then kills the run as it stands
CUT = r"""
touch /run/mark; sleep 0.02; touch /run/ready
for _ in $(seq 3000); do
  for file in $(find /run/hostwright/runs -name '*.jsonl' -newer /run/mark); do
    if grep -q '"event":"step_started".*"step":"STEP"' "$file"; then
      systemctl kill --signal=KILL "hostwright-run-$(basename "$file" .jsonl)"; exit 0
    fi
  done
  sleep 0.01
done
exit 1
"""
ACTIVE = "systemctl list-units --plain --no-legend --state=active 'hello@*.service' | cut -d' ' -f1"
STEPS = ("guard", "tree", "venv", "render", "sync", "start", "health", "switch", "drain", "prune")


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


def releases(shop: Project) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(shop.inv("releases", "--json").out)["web1"]["releases"]
    return found


def one_instance_serves(shop: Project, sandbox: Sandbox) -> None:
    """The one that `current` names; what is stopping is not counted."""
    current, *running = sh(
        sandbox, shop.server, f"basename $(readlink /srv/hello/current); {ACTIVE}"
    ).splitlines()
    assert running == [f"hello@{current}.service"]
    assert live(shop) == current


# -- interrupted -----------------------------------------------------------------------------------------------------


def cut(shop: Project, sandbox: Sandbox, step: str, *argv: str) -> str:
    """Run a command whose worker is killed when a step begins; returns what it said."""
    sh(sandbox, shop.server, "rm -f /run/ready")
    failures: list[BaseException] = []

    def watch() -> None:
        try:
            sh(sandbox, shop.server, CUT.replace("STEP", step), timeout=90)
        except BaseException as error:
            failures.append(error)

    watcher = threading.Thread(target=watch)
    watcher.start()
    until(
        lambda: sh(sandbox, shop.server, "test -e /run/ready && echo yes || true"), 10, "the watcher watches"
    )
    done = shop.inv(*argv, code=None)
    watcher.join(90)
    assert not failures, (failures, done)
    return done.out


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_a_deploy_killed_at_any_step(shop: Project, sandbox: Sandbox, step: str) -> None:
    before, commit = live(shop), shop.change(f"killed at {step}")
    cut(shop, sandbox, step, "deploy")
    switched = live(shop).endswith(commit)
    if step in STEPS[: STEPS.index("switch")]:
        assert live(shop) == before
    elif step in ("drain", "prune"):
        assert switched
    again = shop.inv("deploy")
    assert live(shop).endswith(commit), again
    one_instance_serves(shop, sandbox)
    left = sh(
        sandbox,
        shop.server,
        "cd /srv/hello; ls -A trees venvs releases | grep -e tmp -e index || true; ls -d build || true",
    )
    assert left == ""
    states = [release["state"] for release in releases(shop)]
    assert states.count("current") == states.count("previous") == 1


@pytest.mark.slow
@pytest.mark.parametrize("step", ["start", "health", "switch", "drain"])
def test_a_rollback_killed_at_any_step(shop: Project, sandbox: Sandbox, step: str) -> None:
    shop.change(f"rollback killed at {step}")
    shop.inv("deploy")
    cut(shop, sandbox, step, "rollback")
    shop.change(f"after the rollback killed at {step}")
    shop.inv("deploy")
    one_instance_serves(shop, sandbox)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["venv", "health", "switch"])
def test_power_cut(shop: Project, sandbox: Sandbox, step: str) -> None:
    before, commit = live(shop), shop.change(f"power cut at {step}")
    watcher = threading.Thread(target=lambda: cut_power(sandbox, shop.server, step))
    watcher.start()
    shop.inv("deploy", code=None)
    watcher.join(90)
    sandbox.start(shop.server.name)
    until(lambda: shop.curl("/version")[0] == 200, 30, "the app answers after a power cut")
    assert live(shop) == before or live(shop).endswith(commit)
    if step != "switch":
        assert live(shop) == before
    one_instance_serves(shop, sandbox)
    shop.inv("deploy")
    assert live(shop).endswith(commit)
    one_instance_serves(shop, sandbox)


def cut_power(sandbox: Sandbox, server: Server, step: str) -> None:
    wait = CUT.replace("STEP", step).replace(
        'systemctl kill --signal=KILL "hostwright-run-$(basename "$file" .jsonl)"', ":"
    )
    sh(sandbox, server, wait, timeout=90)
    sandbox.crash(server.name)


def test_ctrl_c_before_the_switch(shop: Project, sandbox: Sandbox) -> None:
    before = live(shop)
    kept = (shop.folder / "inventory.yaml").read_text()
    shop.edit_inventory("    env:", "    release_command: sleep 300\n    env:")
    shop.change("with a slow command")
    sleeping = "pgrep -x -u hello sleep || true"
    with shop.started("deploy") as process:
        until(lambda: sh(sandbox, shop.server, sleeping), 60, "the release command runs")
        os.kill(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert live(shop) == before
    assert sh(sandbox, shop.server, sleeping) == ""
    (shop.folder / "inventory.yaml").write_text(kept)
    shop.commit("without it")
    one_instance_serves(shop, sandbox)


def test_two_deploys_at_once_both_end_well(shop: Project, sandbox: Sandbox) -> None:
    commit = shop.change("twice at once")
    done: list[Done] = []
    runs = [threading.Thread(target=lambda: done.append(shop.inv("deploy", code=None))) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    # in the same second both would make a release of one id: the second is told so
    assert sorted(result.code for result in done) in ([0, 0], [0, 1]), done
    assert live(shop).endswith(commit)
    one_instance_serves(shop, sandbox)


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


# -- requirements ----------------------------------------------------------------------------------------------------

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
defaults: {{user: ubuntu, identity_file: {identity}}}
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
def site(shop: Project, tmp_path_factory: pytest.TempPathFactory) -> Site:
    found = Site(tmp_path_factory.mktemp("site"), shop.server, "site", "site")
    found.write(FLASK, "wsgi", "requirements.txt", "flask\n")
    found.inv("provision")
    return found


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
