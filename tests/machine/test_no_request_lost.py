"""Under load: deploys, rollbacks, restarts, a killed app, a power cut. Nothing is lost, and nothing is tried again.

`inv test.soak` does the same for longer, and judges latencies.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hostwright.sandbox import Sandbox
from tests.soak.bench import Bench
from tests.soak.scenarios.in_place import in_place
from tests.soak.scenarios.killed import database_away, killed
from tests.soak.scenarios.power_cut import power_cut
from tests.soak.scenarios.restarts import restarts
from tests.soak.scenarios.switches import switches
from tests.soak.traffic import HTTP, Plan
from tests.soak.verdict import CROSSED
from tests.soak.windows import latency

from .conftest import SUITES, FreshServer
from .load import Load
from .project import Project

pytestmark = pytest.mark.alone

# the same app twice: /slow takes 4 s, /echo gives a body back, anything else is the version
WSGI = """\
import time


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/slow":
        time.sleep(4)
    size = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(size) if path == "/echo" else b"VERSION"
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
ASGI = """\
import asyncio


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(4)
    body, more = b"", scope["path"] == "/echo"
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    body = body if scope["path"] == "/echo" else b"VERSION"
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
"""
INVENTORY = """\
project: echo
defaults: {{user: ubuntu, identity_file: {identity}, hardening: off}}
apps:
  echo:
    module: served:app
    interface: {interface}
    requirements: requirements.txt
    health: {{window: 0.5, timeout: 20}}
hosts:
  web1: {{address: {address}}}
"""


class Echo(Project):
    """The app as ASGI or as WSGI, in a version of its own."""

    def write(self, version: str, interface: str) -> None:
        code = (ASGI if interface == "asgi" else WSGI).replace("VERSION", version)
        (self.folder / "served.py").write_text(code)
        (self.folder / "requirements.txt").write_text("")
        inventory = INVENTORY.format(
            identity=self.server.identity_file, interface=interface, address=self.server.address
        )
        (self.folder / "inventory.yaml").write_text(inventory)
        self.commit(f"version {version}")

    def live(self) -> str:
        status, body = self.curl("/")
        assert status == 200, body
        return body


def test_deploys_and_rollbacks_lose_no_request(tmp_path: Path, fresh_server: FreshServer) -> None:
    """New and kept connections, bodies, requests of 4 s; uvicorn and gunicorn, and from one to the other."""
    shop = Echo(tmp_path, fresh_server("lost"), name="echo")
    shutil.rmtree(shop.folder / "app")
    shop.write("1", "asgi")
    shop.inv("provision")
    shop.inv("deploy")
    with Load(shop.server.address, echo="/echo", threads=2) as load:
        seen = []
        for version, interface in (("2", "asgi"), ("3", "wsgi"), ("4", "wsgi")):
            shop.write(version, interface)
            shop.inv("deploy")
            seen.append(shop.live())
        for _ in range(2):
            shop.inv("rollback")
            seen.append(shop.live())
        # one that the gate refuses is not felt either
        (shop.folder / "served.py").write_text("import nothing_of_that_name\n")
        shop.commit("broken")
        shop.inv("deploy", code=6)
        seen.append(shop.live())
    assert seen == ["2", "3", "4", "3", "2", "2"]
    assert load.failures == []
    assert load.count > 1500
    assert load.posts > 300
    assert load.slow >= 4


# -- an app that counts, and visitors of all kinds ---------------------------------------------------------------


@pytest.fixture(scope="module")
def bench(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One server for the tests below, with the counting app live."""
    name = f"load-{os.getpid()}"
    server = sandbox.up(name, suite=SUITES[0], ephemeral=True, say=print)[0]
    yield Bench.make(sandbox, server, tmp_path_factory.mktemp("load"))
    sandbox.down(name)


@pytest.fixture(scope="module")
def plan(bench: Bench) -> Plan:
    """Visitors who leave most of this machine to the others on it."""
    whole = bench.measure()
    return whole.scaled(min(whole.rate, 100))


def test_the_visitors_see_what_a_restart_in_place_costs(bench: Bench, plan: Plan) -> None:
    """The control for all tests below: the same app, the same visitors, `git pull; systemctl restart`."""
    verdict = in_place(bench, plan, 3)
    print(verdict.counts)
    for kind in HTTP:
        if kind not in ("static", "idle"):
            assert verdict.counts[kind][1] > 0, f"no {kind} failed: {verdict.counts}"
    assert any(line.startswith("nginx: ") for line in verdict.lost)
    assert any("502" in line for line in verdict.lost)


@pytest.mark.slow
def test_twenty_switches_lose_nothing(bench: Bench, plan: Plan) -> None:
    done = switches(bench, plan, 20, every=5)
    verdict = done.verdict
    quiet, switching = latency(done.quiet), latency(done.switching)
    ratio = switching.p99 / quiet.p99
    print(
        f"quiet {quiet}\nswitching {switching}\np99 ratio {ratio:.2f}, visitors up to {done.lag:.3f} s late"
    )
    print(verdict.counts, verdict.ends)
    assert verdict.lost == ()
    assert {kind for kind, (total, _) in verdict.counts.items() if total} >= {*HTTP, "ws_open"}
    assert verdict.stale > 0, "no asset of an earlier version was asked for"
    # an old instance says goodbye to those who stay; none is cut
    assert set(verdict.ends) <= {"closed with 1012", "open until the end", CROSSED}, verdict.ends
    assert verdict.ends["closed with 1012"] >= 5, verdict.ends


@pytest.mark.slow
def test_restarts_and_new_environments_lose_nothing(bench: Bench, plan: Plan) -> None:
    done = restarts(bench, plan, 4)
    assert done.verdict.lost == ()
    assert len(done.pairs) == 4, f"not side by side each time: {done.pairs}"
    assert "tree" not in done.switches[0].steps(), done.switches[0]


def test_a_killed_master_is_back_on_its_own(bench: Bench, plan: Plan) -> None:
    done = killed(bench, plan)
    assert done.verdict.lost == ()
    assert done.same_socket
    assert done.restarts > 0
    # what the app was answering when it died is lost, and nothing that waited
    assert 0 < done.cut <= 30, done
    assert done.outage < 15, done


def test_crashes_until_the_database_is_back(bench: Bench, plan: Plan) -> None:
    """Fewer visitors: all of them wait in the socket's queue."""
    done = database_away(bench, replace(plan.scaled(8), slow=0.5), 20)
    assert done.verdict.lost == ()
    assert done.same_socket
    assert done.restarts >= 3
    assert done.longest > 15, "nobody waited"
    assert done.outage < 15, done


def test_a_power_cut_under_load_gives_no_502(bench: Bench, plan: Plan) -> None:
    done = power_cut(bench, plan)
    assert done.verdict.lost == ()
    assert done.refused > 0, "nobody noticed"
    assert done.down < 30, done
