"""The benchmarks' own parts: figures, turns, merged results. No server takes part."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import install, report, runner
from benchmarks.__main__ import names
from benchmarks.cases.catalog import make_catalog
from benchmarks.memory import largest, watched
from benchmarks.model import Options, Result, Samples, Target
from benchmarks.path import round_trips
from benchmarks.peers import PEERS
from benchmarks.peers.hostwright import Hostwright, inventory
from benchmarks.peers.peer import Done, Failed, Work, measured
from benchmarks.plot import drawn
from benchmarks.turns import in_turn
from benchmarks.work import commit, git, make_key, make_repository, write_certificate
from hostwright.inventory import load
from hostwright.inventory.own_certificate import problems_of
from hostwright.sandbox import Server

QUIET: Callable[[str], None] = lambda line: None  # noqa: E731


def done(seconds: float) -> Done:
    return Done(seconds, seconds / 2, 10.0, "")


def result(case: str = "noop", ours: float = 1.0, bound: float = 2.0) -> Result:
    samples = (
        Samples("ssh", "RTT 50 ms", "s", (0.4, 0.5, 0.9)),
        Samples("hostwright", "RTT 50 ms", "s", (ours,), note="warm"),
        Samples("hostwright", "resources", "resources", (108.0,)),
    )
    target = Target("at most twice", ours / 0.5, bound, smoke=10)
    return Result(case, f"The case {case}", samples, (target,), "ssh", ("a note",))


CONTEXT = {
    "when": "2026-11-28 00:00 UTC",
    "commit": "abc",
    "rounds": 3,
    "load": 0.5,
    "machine": "M",
    "versions": {"Python": "3"},
}


# -- figures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "holds", "smoke"),
    [
        (Target("x", 1.2, 1.2), True, True),
        (Target("x", 1.3, 1.2, smoke=1.25), False, False),
        (Target("x", 1.3, 1.2, smoke=5), False, True),
        (Target("x", 31, 30, at_least=True, smoke=3), True, True),
        (Target("x", 2, 30, at_least=True, smoke=3), False, False),
        (Target("x", 2, 30, at_least=True), False, True),
    ],
)
def test_targets(target: Target, holds: bool, smoke: bool) -> None:
    assert (target.holds, target.passes_smoke) == (holds, smoke)


def test_ratio_is_of_medians() -> None:
    assert result(ours=1.0).ratio("hostwright", "ssh", "RTT 50 ms") == 2.0
    with pytest.raises(KeyError, match="ansible"):
        result().of("ansible", "RTT 50 ms")


def test_round_trips() -> None:
    assert round_trips((50, 0.7), (150, 1.5)) == pytest.approx(8.0)


@pytest.mark.parametrize(
    ("value", "text"), [(1234.6, "1,235"), (12.34, "12.3"), (1.234, "1.23"), (0.01234, "0.0123"), (0, "0")]
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert report.figure(value) == text


# -- turns -------------------------------------------------------------------------------------------------


def test_peers_take_turns() -> None:
    order: list[str] = []

    def peer(name: str) -> Callable[[], Done]:
        def run() -> Done:
            order.append(name)
            return done(len(order))

        return run

    turns = in_turn({name: peer(name) for name in "abc"}, 3, QUIET, fewer={"b": 1})
    assert "".join(order) == "abcacac"
    assert [(one.peer, one.values) for one in turns.samples("wall", "s")] == [
        ("a", (1.0, 4.0, 6.0)),
        ("b", (2.0,)),
        ("c", (3.0, 5.0, 7.0)),
    ]


def test_one_that_fails_is_out_and_the_others_go_on() -> None:
    tries = []

    def broken() -> Done:
        tries.append(1)
        raise Failed("ansible ended with 2\nfatal: no such module")

    turns = in_turn({"ansible": broken, "ssh": lambda: done(1)}, 3, QUIET)
    assert len(tries) == 1
    assert [one.peer for one in turns.samples("wall", "s")] == ["ssh"]
    assert turns.notes == ("ansible failed: ansible ended with 2 ... fatal: no such module",)


# -- runner ------------------------------------------------------------------------------------------------


def test_a_case_that_fails_does_not_end_the_others() -> None:
    def broken(options: Options, say: Callable[[str], None]) -> Result:
        raise RuntimeError("no server")

    known = {
        "noop": SimpleNamespace(NAME="noop", TITLE="", run=broken),
        "hosts": SimpleNamespace(NAME="hosts", TITLE="", run=lambda options, say: result("hosts")),
    }
    said: list[str] = []
    outcomes = runner.run(
        ["noop", "missing", "hosts"], Options(1, ["hostwright"]), said.append, known.__getitem__
    )  # type: ignore[arg-type]
    assert [outcome.result is None for outcome in outcomes] == [True, True, False]
    assert "no server" in outcomes[0].error
    assert any(line.startswith("noop failed: no server") for line in said)


def test_every_case_has_what_the_runner_needs() -> None:
    for name in runner.CASES:
        case = runner.load(name)
        assert name == case.NAME
        assert case.TITLE
        assert callable(case.run)


def test_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert names("", ("a", "b"), "case") == ["a", "b"]
    assert names("b, a", ("a", "b"), "case") == ["b", "a"]
    with pytest.raises(SystemExit) as ended:
        names("a,c", ("a", "b"), "case")
    assert ended.value.code == 2
    assert capsys.readouterr().err == "there is no case c; there are a, b\n"


# -- report ------------------------------------------------------------------------------------------------


def test_a_run_of_one_case_replaces_that_case_alone() -> None:
    first = [runner.Outcome("noop", 1.0, result("noop")), runner.Outcome("hosts", 1.0, result("hosts"))]
    known = report.merged({}, first, CONTEXT)
    later = report.merged(known, [runner.Outcome("noop", 2.0, result("noop", ours=3.0))], CONTEXT)
    assert later["hosts"] == known["hosts"]
    assert report.read(json.loads(json.dumps(later["noop"]))) == result("noop", ours=3.0)


def test_a_case_that_failed_keeps_what_it_had_and_says_so() -> None:
    known = report.merged({}, [runner.Outcome("noop", 1.0, result())], CONTEXT)
    later = report.merged(known, [runner.Outcome("noop", 1.0, None, "Traceback: no server")], CONTEXT)
    assert later["noop"]["samples"] == known["noop"]["samples"]
    assert "a later run of this case failed" in report.page(later)
    again = report.merged(later, [runner.Outcome("noop", 1.0, result())], CONTEXT)
    assert "a later run of this case failed" not in report.page(again)


def test_the_page() -> None:
    known = report.merged({}, [runner.Outcome("noop", 61.0, result(ours=2.0, bound=1.5))], CONTEXT)
    page = report.page(known, ["noop.svg"])
    assert "| noop | at most twice | 4.00 | **missed** |" in page
    assert "| | ssh (limit) | hostwright |" in page
    assert "| RTT 50 ms | 0.5 s (0.4 to 0.9), 0.25 times | 2.00 s |" in page
    assert "| resources |  | 108 resources |" in page
    assert "- a note\n- RTT 50 ms: warm\n" in page
    assert "![The case noop](plots/noop.svg)" in page
    assert "holds" in report.page(report.merged({}, [runner.Outcome("noop", 1.0, result())], CONTEXT))


def test_results_survive_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "draw", lambda *_: [])
    options = Options(3, ["hostwright"])
    report.write(tmp_path, [runner.Outcome("noop", 1.0, result("noop"))], options, QUIET)
    report.write(tmp_path, [runner.Outcome("hosts", 1.0, result("hosts"))], options, QUIET)
    kept = json.loads((tmp_path / "results.json").read_text())
    assert list(kept) == ["noop", "hosts"]
    assert kept["noop"]["context"]["rounds"] == 3
    assert "The case hosts" in (tmp_path / "RESULTS.md").read_text()


def test_only_what_can_be_compared_is_drawn() -> None:
    case = report.merged({}, [runner.Outcome("noop", 1.0, result())], CONTEXT)["noop"]
    assert list(drawn(case, "s")) == ["RTT 50 ms"]
    assert drawn(case, "resources") == {}


# -- commands ----------------------------------------------------------------------------------------------


def work_in(folder: Path, **more: object) -> Work:
    fields = {
        "servers": (),
        "repository": folder / "site",
        "remote": "/srv/site.git",
        "apps": ("hello", "shop"),
        "certificate": folder / "fullchain.pem",
        "key": folder / "privkey.pem",
        "admin": "ann",
        "admin_key": "",
        "folder": folder,
        "home": folder,
    }
    return Work(**{**fields, **more})  # type: ignore[arg-type]


def test_a_command_is_measured_with_its_children(tmp_path: Path) -> None:
    burn = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    found = measured(("sh", "-c", f"{sys.executable} -c '{burn}'; pwd; echo $HOME"), work_in(tmp_path))
    assert found.cpu >= 0.3
    assert found.seconds >= 0.3
    assert found.rss_mib > 1
    assert found.out.split() == [str(tmp_path), str(tmp_path)]
    both = found + done(1.0)
    assert (both.seconds, both.rss_mib) == (found.seconds + 1.0, max(found.rss_mib, 10.0))


def test_a_command_that_fails_says_what_it_printed_last(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"(?s)ended with 3 after .*no space"):
        measured(("sh", "-c", "echo no space; exit 3"), work_in(tmp_path))
    with pytest.raises(Failed, match="ended with -9"):
        measured(("sleep", "60"), work_in(tmp_path), timeout=0.2)


HOLD = "import sys, time\nheld = bytearray(60 << 20)\nprint(len(held), flush=True)\nsys.stdin.read()"


@pytest.mark.parametrize("how", ["tree", "word"])
def test_memory_of_a_process_is_seen(how: str) -> None:
    argv = ("sh", "-c", f'"{sys.executable}" -c "$0" bench-word; true', HOLD)
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    with watched(process.pid) if how == "tree" else largest("bench-word") as most:
        process.stdout.readline()
        for _ in range(600):
            if most.most > 60:
                break
            subprocess.run(("sleep", "0.05"), check=True)
        process.stdin.close()
        process.wait()
    process.stdout.close()
    assert 60 < most.most < 200


# -- what peers are given ----------------------------------------------------------------------------------


def test_each_commit_has_a_mark_of_its_own(tmp_path: Path) -> None:
    work = work_in(tmp_path)
    make_repository(work.repository)
    assert [commit(work), commit(work, {"app/requirements.txt": "wheel==1"})] == ["1", "2"]
    assert 'MARK = "2"' in git(work.repository, "show", "HEAD:app/mark.py")
    assert git(work.repository, "show", "HEAD:app/requirements.txt") == "wheel==1"
    answer = "from app.main import version; import asyncio; from types import SimpleNamespace as S; "
    answer += "r = S(release='r', commit='c'); "
    answer += "print(asyncio.run(version(S(app=S(state=S(release=r))))))"
    env = {**os.environ, "HELLO_GREETING": "x"}
    said = subprocess.run(
        (sys.executable, "-c", answer),
        cwd=work.repository,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "'mark': '2'" in said


def test_the_inventory_is_one_that_hostwright_takes(tmp_path: Path) -> None:
    key = make_key(tmp_path / "admin")
    write_certificate(tmp_path)
    server = Server(
        "web1", "10.0.0.1", "bookworm", True, tmp_path / "admin", tmp_path / "known", tmp_path / "console"
    )
    work = work_in(tmp_path, servers=(server,), admin_key=key)
    make_repository(work.repository)
    Hostwright().prepare(work)
    found = load(tmp_path / "inventory.yaml", {})
    assert set(found.apps) == {"hello", "shop"}
    assert found.hosts["web1"].hardening == type(found.hosts["web1"].hardening)()  # all of it
    assert inventory(work)["apps"]["shop"]["domains"] == ["shop.example.com"]
    assert list(problems_of(work.certificate, work.key, ["hello.example.com"], os.environ)) == []


def test_large_catalogs_are_made_of_distinct_resources() -> None:
    catalog = make_catalog(1000, ["nginx", "git"])
    assert len({resource.id for resource in catalog.resources}) == 1000
    kinds = [resource.kind for resource in catalog.resources]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"file": 800, "unit": 100, "packages": 100}


def test_peers_have_their_names() -> None:
    assert all(peer.name == name for name, peer in PEERS.items())
    assert next(iter(PEERS)) == "hostwright"


def test_versions_are_those_of_packages_with_a_comment(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("# head\npyinfra==3.10.0  # a peer\nwrapt==2.5.2\n")
    assert install.versions(file) == {"pyinfra": "3.10.0"}
    assert {"ansible-core", "pyinfra", "fabric"} <= set(install.versions())
