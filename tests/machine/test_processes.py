"""Processes and timers of a release on a real server: around the switch, back from it, over kills and power cuts."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Iterator

import pytest

from hostwright.sandbox import Sandbox, Server

from .load import Load
from .project import Done, Project, sh, until

# tells when it begins and ends, and takes its time for that; `crash` in the code is what a bad release has
WORKER = """\
import os, signal, sys, time

CRASH = ""
me, name = os.environ["HOSTWRIGHT_RELEASE"], sys.argv[1]
log = open("/var/lib/hello/%s.log" % name, "a", buffering=1)
log.write("start %s %.3f\\n" % (me, time.time()))
if CRASH == name:
    time.sleep(0.2)
    log.write("stop %s %.3f\\n" % (me, time.time()))
    raise RuntimeError("the queue is not there")
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
while not stop:
    time.sleep(0.02)
time.sleep(0.3)
log.write("stop %s %.3f\\n" % (me, time.time()))
"""
# began at, ended at: of each run of the job
JOB = """\
import os, time

me = os.environ["HOSTWRIGHT_RELEASE"]
slow = "/var/lib/hello/slow." + me.rpartition("-")[2]
seconds = float(open(slow).read()) if os.path.exists(slow) else 0.0
began = time.time()
open("/var/lib/hello/began", "w").write(me)
time.sleep(seconds)
open("/var/lib/hello/job.log", "a").write("job %s %.3f %.3f\\n" % (me, began, time.time()))
"""
WORKERS = """\
    processes:
      worker: {command: python -m app.worker worker, window: 1, stop: 10}
      twin: {command: python -m app.worker twin, overlap: true, window: 1}
"""
TIMERS = """\
    timers:
      tick: {command: python -m app.job, calendar: "*:*:0/2"}
"""
RUNNING = (
    "systemctl list-units --plain --no-legend 'hello.*@*.service' --state=active,activating,deactivating"
    " | cut -d' ' -f1"
)
Stretch = tuple[str, float, float]


@pytest.fixture(scope="module")
def server(sandbox: Sandbox) -> Iterator[Server]:
    name = f"processes-{os.getpid()}"
    yield sandbox.up(name, ephemeral=True, say=print)[0]
    sandbox.down(name)


@pytest.fixture(scope="module")
def shop(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Provisioned, with a release that has two processes."""
    project = Project(tmp_path_factory.mktemp("shop"), server)
    (project.folder / "app" / "worker.py").write_text(WORKER)
    (project.folder / "app" / "job.py").write_text(JOB)
    project.edit_inventory("    env:", WORKERS + "    env:")
    project.inv("provision")
    project.inv("deploy")
    return project


def live(shop: Project) -> str:
    status, body = shop.curl("/version")
    assert status == 200, body
    return str(json.loads(body)["release"])


def running(shop: Project, sandbox: Sandbox) -> list[str]:
    return sh(sandbox, shop.server, RUNNING).split()


def all_run(shop: Project, sandbox: Sandbox) -> None:
    """What the live release declares runs, and nothing else."""
    release = live(shop)
    until(
        lambda: (
            running(shop, sandbox) == [f"hello.twin@{release}.service", f"hello.worker@{release}.service"]
        ),
        20,
        f"the processes of {release}, and only those: {running(shop, sandbox)}",
    )


def stretches(shop: Project, sandbox: Sandbox, name: str) -> list[Stretch]:
    """(release, start, end) of each run of a worker; one that runs ends in the future."""
    found: list[Stretch] = []
    for line in sh(sandbox, shop.server, f"cat /var/lib/hello/{name}.log").splitlines():
        word, release, moment = line.split()
        if word == "start":
            found.append((release, float(moment), 1e12))
        else:
            index = max(i for i, stretch in enumerate(found) if stretch[0] == release)
            found[index] = (release, found[index][1], float(moment))
    return found


def together(found: list[Stretch]) -> list[tuple[Stretch, Stretch]]:
    """Those that ran at the same time."""
    return [
        (one, two)
        for i, one in enumerate(found)
        for two in found[i + 1 :]
        if one[1] < two[2] and two[1] < one[2]
    ]


def bad(shop: Project, name: str) -> Done:
    """A release with a process that ends."""
    path = shop.folder / "app" / "worker.py"
    path.write_text(WORKER.replace('CRASH = ""', f'CRASH = "{name}"'))
    shop.commit(f"{name} crashes")
    done = shop.inv("deploy", code=6)
    path.write_text(WORKER)
    shop.commit(f"{name} works")
    return done


# -- around the switch -----------------------------------------------------------------------------------------------


def test_one_worker_at_a_time_and_twins_side_by_side(shop: Project, sandbox: Sandbox) -> None:
    shop.change("workers change places")
    shop.inv("deploy")
    all_run(shop, sandbox)
    shop.inv("rollback")
    all_run(shop, sandbox)
    found = stretches(shop, sandbox, "worker")
    assert len(found) == 3
    assert together(found) == []
    twins = stretches(shop, sandbox, "twin")
    assert len(together(twins)) == 2


@pytest.mark.parametrize("name", ["worker", "twin"])
def test_a_process_that_ends_turns_the_deploy_back(shop: Project, sandbox: Sandbox, name: str) -> None:
    shop.inv("deploy")
    before = live(shop)
    with Load(shop.server.address) as load:
        done = bad(shop, name)
        time.sleep(1)
    assert load.failures == [], load.failures[:5]
    assert f"the process {name} did not stay up: its program ended with exit code 1" in done.out
    assert "RuntimeError: the queue is not there" in done.out
    assert f"inv logs --process {name} --release" in done.out
    assert live(shop) == before
    all_run(shop, sandbox)
    rows = json.loads(shop.inv("releases", "--json").out)["web1"]["releases"]
    states = {row["id"]: row["state"] for row in rows}
    assert states[before] == "current"
    assert rows[0]["state"] == "bad"
    assert rows[0]["why"].startswith(f"the process {name} did not stay up")
    said = shop.inv("logs", "--process", name, "--release", rows[0]["id"]).out
    assert "RuntimeError: the queue is not there" in said
    assert together(stretches(shop, sandbox, "worker")) == []
    if name == "worker":
        assert re.search(r"switch .*\n(.*\n)*.*processes +FAILED", done.out), done
        assert "is live again" in done.out


def test_a_missing_program_is_told_before_the_switch(shop: Project, sandbox: Sandbox) -> None:
    before = live(shop)
    kept = (shop.folder / "inventory.yaml").read_text()
    shop.edit_inventory("python -m app.worker worker", "celery -A app worker")
    done = shop.inv("deploy", code=1)
    (shop.folder / "inventory.yaml").write_text(kept)
    shop.commit("with Python")
    assert "processes.worker.command: there is no program celery in this release or on the server" in done.out
    assert "Is what brings it in the requirements?" in done.out
    assert "start " not in done.out
    assert live(shop) == before
    all_run(shop, sandbox)


def test_status_and_logs(shop: Project, sandbox: Sandbox) -> None:
    found = json.loads(shop.inv("status", "--json").out)["web1"]["apps"]["hello"]
    assert set(found["processes"]) == {"worker", "twin"}
    worker = found["processes"]["worker"]
    assert (worker["running"], worker["restarts"]) == (True, 0)
    assert worker["memory_bytes"] > 1 << 20
    assert re.search(r"web1 +hello +worker +running", shop.inv("status").out)
    done = shop.inv("logs", "--process", "nobody", code=1)
    assert "hello has no process or timer 'nobody'" in done.out
    assert "There are: tick, twin, worker" in done.out or "There are: twin, worker" in done.out
    assert "app.worker" not in shop.inv("logs").out
    unit = running(shop, sandbox)[-1]
    sh(sandbox, shop.server, f"systemctl kill --signal=KILL {unit}")
    all_run(shop, sandbox)
    until(
        lambda: json.loads(shop.inv("status", "--json").out)["web1"]["apps"]["hello"]["processes"]["worker"][
            "restarts"
        ],
        20,
        "a process that is killed is started again",
    )


# -- interrupted -----------------------------------------------------------------------------------------------------


def held(shop: Project, sandbox: Sandbox, point: str, *argv: str) -> Iterator[None]:
    """Run a command whose worker stays at a point; go on when the caller has cut it."""
    sh(
        sandbox,
        shop.server,
        f"mkdir -p /run/hostwright; rm -f /run/hostwright/held; echo {point} > /run/hostwright/hold",
    )
    thread = threading.Thread(target=lambda: shop.inv(*argv, code=None))
    thread.start()
    until(
        lambda: sh(sandbox, shop.server, "cat /run/hostwright/held 2>/dev/null || true") == point,
        60,
        f"the run is at {point}",
    )
    yield
    thread.join(120)


@pytest.mark.parametrize("point", ["start", "switch", "begin:processes", "processes"])
def test_killed_around_the_switch(shop: Project, sandbox: Sandbox, point: str) -> None:
    before, commit = live(shop), shop.change(f"killed at {point}")
    run = held(shop, sandbox, point, "deploy")
    next(run)
    sh(sandbox, shop.server, "systemctl kill --signal=KILL 'hostwright-run-*'; rm /run/hostwright/hold")
    next(run, None)
    assert (live(shop) == before) == (point == "start")
    shop.inv("rollback" if point != "start" else "deploy")
    all_run(shop, sandbox)
    shop.inv("deploy")
    all_run(shop, sandbox)
    assert live(shop).endswith(commit)
    assert together(stretches(shop, sandbox, "worker")[-2:]) == []


@pytest.mark.slow
@pytest.mark.parametrize("point", ["health", "begin:processes", "processes"])
def test_power_cut(shop: Project, sandbox: Sandbox, point: str) -> None:
    before = live(shop)
    shop.change(f"power cut at {point}")
    run = held(shop, sandbox, point, "deploy")
    next(run)
    sandbox.crash(shop.server.name)
    sandbox.start(shop.server.name)
    next(run, None)
    until(lambda: shop.curl("/version")[0] == 200, 30, "the app answers after a power cut")
    assert (live(shop) == before) == (point == "health")
    all_run(shop, sandbox)
    shop.inv("deploy")
    all_run(shop, sandbox)


# -- timers ----------------------------------------------------------------------------------------------------------


def test_a_calendar_that_systemd_does_not_know(shop: Project, sandbox: Sandbox) -> None:
    kept = (shop.folder / "inventory.yaml").read_text()
    shop.edit_inventory("    env:", TIMERS.replace("*:*:0/2", "every day") + "    env:")
    before = live(shop)
    deploy, provision = shop.inv("deploy", code=1), shop.inv("provision", code=1)
    (shop.folder / "inventory.yaml").write_text(kept)
    shop.commit("without a timer")
    for done in (deploy, provision):
        assert "timers.tick.calendar: systemd does not understand 'every day'" in done.out
        assert "Failed to parse calendar" in done.out, done
    assert "tree " not in deploy.out
    assert live(shop) == before
    assert "0 changed" in shop.inv("provision").out


def jobs(shop: Project, sandbox: Sandbox) -> list[Stretch]:
    lines = sh(sandbox, shop.server, "cat /var/lib/hello/job.log 2>/dev/null || true").splitlines()
    return [(words[1], float(words[2]), float(words[3])) for words in map(str.split, lines)]


def slow_job(shop: Project, sandbox: Sandbox) -> str:
    """Deploy a release whose first job takes a minute, and wait until it runs. Returns the release."""
    commit = shop.change("a long job")
    sh(sandbox, shop.server, f"echo 60 > /var/lib/hello/slow.{commit}; rm -f /var/lib/hello/began")
    shop.inv("deploy")
    first = live(shop)
    until(lambda: sh(sandbox, shop.server, "cat /var/lib/hello/began || true") == first, 20, "the job runs")
    sh(sandbox, shop.server, f"rm /var/lib/hello/slow.{commit}")
    return first


def test_a_job_survives_switches_and_prune(shop: Project, sandbox: Sandbox) -> None:
    shop.edit_inventory("    env:", TIMERS + "    keep_releases: 1\n    env:")
    first = slow_job(shop, sandbox)
    for number in range(2):
        shop.change(f"beside a job {number}")
        shop.inv("deploy")
    shop.inv("prune")
    # the new release's job waits, the old one's code is there
    assert f"hello.tick@{first}.service" in running(shop, sandbox)
    sh(sandbox, shop.server, f"test -e /srv/hello/releases/{first}/code/app/job.py")
    found = json.loads(shop.inv("status", "--json").out)["web1"]["apps"]["hello"]["timers"]["tick"]
    assert (found["active"], found["result"]) == (True, "running")
    last = live(shop)
    until(lambda: jobs(shop, sandbox)[:1] and jobs(shop, sandbox)[0][0] == first, 90, "the old job ends")
    until(lambda: jobs(shop, sandbox)[-1][0] == last, 20, "the job of the new release runs")
    assert together(jobs(shop, sandbox)) == []
    shop.inv("rollback")
    back = live(shop)
    assert back != last
    until(lambda: jobs(shop, sandbox)[-1][0] == back, 20, "the job of the release that is live again runs")
    shop.inv("deploy")
    until(lambda: jobs(shop, sandbox)[-1][0] == live(shop), 20, "and of the next")
    assert together(jobs(shop, sandbox)) == []
    shop.inv("prune")
    sh(sandbox, shop.server, f"test ! -e /srv/hello/releases/{first}")
    assert re.search(r"web1 +hello +tick +(waiting|running)", shop.inv("status").out)


def test_a_job_that_waits_is_not_lost_by_a_rollback(shop: Project, sandbox: Sandbox) -> None:
    first = slow_job(shop, sandbox)
    shop.change("its job waits")
    shop.inv("deploy")
    second = live(shop)
    shop.inv("rollback")
    assert live(shop) == first
    until(lambda: jobs(shop, sandbox)[-1][0] == first, 90, "the long job ends")
    count = len(jobs(shop, sandbox))
    until(lambda: len(jobs(shop, sandbox)) > count, 20, "jobs go on")
    assert second not in {job[0] for job in jobs(shop, sandbox)}
    assert together(jobs(shop, sandbox)) == []
    assert sh(sandbox, shop.server, "journalctl --no-pager | grep -c 'ordering cycle' || true") == "0"


@pytest.mark.slow
def test_timers_run_after_a_power_cut(shop: Project, sandbox: Sandbox) -> None:
    sandbox.crash(shop.server.name)
    sandbox.start(shop.server.name)
    until(lambda: shop.curl("/version")[0] == 200, 30, "the app answers after a power cut")
    count = len(jobs(shop, sandbox))
    until(lambda: len(jobs(shop, sandbox)) > count, 30, "the timer runs after the boot")
    assert jobs(shop, sandbox)[-1][0] == live(shop)


# -- gone ------------------------------------------------------------------------------------------------------------


def test_what_left_the_inventory_is_stopped_and_rollback_brings_it_back(
    shop: Project, sandbox: Sandbox
) -> None:
    kept = (shop.folder / "inventory.yaml").read_text()
    (shop.folder / "inventory.yaml").write_text(kept.replace(WORKERS, "").replace(TIMERS, ""))
    shop.commit("without processes")
    done = shop.inv("deploy")
    assert "twin stopped, worker stopped" in done.out
    assert running(shop, sandbox) == []
    left = (
        "systemctl list-timers --all --no-legend 'hello.*'; ls /run/systemd/system | grep '^hello[.]' || true"
    )
    assert sh(sandbox, shop.server, left) == ""
    shop.inv("rollback")
    release = live(shop)
    until(lambda: f"hello.worker@{release}.service" in running(shop, sandbox), 10, "the worker is back")
    count = len(jobs(shop, sandbox))
    until(lambda: len(jobs(shop, sandbox)) > count, 20, "the timer is back")
    # deployed without any once more, and provisioned anew: nothing comes back
    shop.inv("deploy")
    assert running(shop, sandbox) == []
    assert "0 changed" in shop.inv("provision").out


def test_a_boot_unit_of_an_older_version_is_told(shop: Project, sandbox: Sandbox) -> None:
    kept = (shop.folder / "inventory.yaml").read_text()
    boot = "/etc/systemd/system/hello.service"
    sh(sandbox, shop.server, f"cp {boot} /root/; sed -i /start.*units/d {boot}")
    shop.edit_inventory("    env:", WORKERS + "    env:")
    done = shop.inv("deploy", code=1)
    assert "this server was provisioned before it could run processes and timers" in done.out
    assert "inv provision first" in done.out
    shop.inv("provision")
    shop.inv("deploy")
    all_run(shop, sandbox)
    (shop.folder / "inventory.yaml").write_text(kept)
    shop.commit("without processes")


def test_a_first_deploy_that_is_turned_back(
    tmp_path_factory: pytest.TempPathFactory, shop: Project, sandbox: Sandbox
) -> None:
    other = Project(tmp_path_factory.mktemp("other"), shop.server, "other", "other")
    (other.folder / "app" / "worker.py").write_text(
        WORKER.replace("hello", "other").replace('CRASH = ""', 'CRASH = "worker"')
    )
    other.edit_inventory("    env:", WORKERS + "    domains: [other.test]\n    env:")
    other.inv("provision")
    done = other.inv("deploy", code=6)
    assert "nothing is live yet" in done.out
    assert (
        sh(
            sandbox,
            shop.server,
            "test ! -e /srv/other/current; ls /run/systemd/system | grep '^other' || true",
        )
        == ""
    )
    assert (
        sh(
            sandbox,
            shop.server,
            "systemctl list-units --plain --no-legend --all 'other@*' 'other.*@*' 'other.*.timer'",
        )
        == ""
    )
