"""What the benchmarks make of what wrk, apt and visitors tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import wrk
from benchmarks.cases import deploy, throughput
from benchmarks.cases.deploy import Measured
from benchmarks.model import Result

SAID = """\
Running 1s test @ http://203.0.113.9/json
  1 threads and 8 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     4.31ms    2.02ms  21.12ms   85.10%
    Req/Sec     1.90k   210.05     2.20k    70.00%
  Latency Distribution
     50%    3.90ms
     75%    4.61ms
     90%    6.00ms
     99%  {p99}
  1897 requests in 1.00s, 389.03KB read
{problems}Requests/sec:   1893.21
Transfer/sec:    388.25KB
"""


@pytest.mark.parametrize(("p99", "seconds"), [("980.00us", 0.00098), ("12.50ms", 0.0125), ("1.20s", 1.2)])
def test_what_wrk_says(p99: str, seconds: float) -> None:
    found = wrk.parsed(SAID.format(p99=p99, problems=""))
    assert (found.requests, found.per_second, found.problems) == (1897, 1893.21, "")
    assert found.p99 == pytest.approx(seconds)


def test_answers_that_are_none_are_told() -> None:
    problems = "  Socket errors: connect 0, read 3, write 0, timeout 1\n  Non-2xx or 3xx responses: 12\n"
    found = wrk.parsed(SAID.format(p99="1.00ms", problems=problems))
    assert found.problems == (
        "Socket errors: connect 0, read 3, write 0, timeout 1 Non-2xx or 3xx responses: 12"
    )


def test_what_is_not_wrks_is_refused() -> None:
    with pytest.raises(ValueError, match="not what wrk prints"):
        wrk.parsed("unable to connect to 203.0.113.9:http Connection refused\n")


def test_a_load_leaves_the_machine_as_it_was(tmp_path: Path) -> None:
    setting = tmp_path / "tcp_tw_reuse"
    setting.write_text("2\n")
    with wrk.ports_reused(setting):
        assert setting.read_text() == "1\n"
    assert setting.read_text() == "2\n"
    with pytest.raises(ZeroDivisionError), wrk.ports_reused(setting):
        divmod(1, 0)
    assert setting.read_text() == "2\n"


def test_where_we_are_worst_and_best() -> None:
    values = {}
    for what, ours, theirs in (("small JSON, 8", 150.0, 100.0), (f"{throughput.STATIC}, 8", 80.0, 100.0)):
        for quantity in (throughput.RATE, throughput.P99, throughput.CPU):
            values["hostwright", f"{what}: {quantity}"] = [ours, ours, 1000.0]
            values["tutorial", f"{what}: {quantity}"] = [theirs, theirs, 1000.0]
    targets = list(throughput._targets(values, []))
    found = [(target.text.partition(":")[0], target.figure, target.holds) for target in targets]
    assert found == [
        ("the app's answers, requests/s", 1.5, True),
        ("the app's answers, p99", 1.5, False),
        ("the app's answers, processor time on the server", 1.5, False),
        ("static files, requests/s", 0.8, False),
        ("static files, p99", 0.8, True),
        ("static files, processor time on the server", 0.8, True),
        ("requests/s", 1.5, True),
        ("loads with an answer that was none", 0, True),
    ]


def test_a_deploy_is_judged_beyond_boot_and_window() -> None:
    ours = Measured()
    for action, seconds, lost in (("deploy", 4.0, 0), ("rollback", 3.5, 1)):
        ours.add(action, deploy.FIRST, seconds)
        ours.add(action, deploy.FAILED, lost)
    samples = tuple(deploy._samples({"hostwright": ours}, [0.5]))
    targets = list(deploy._targets(Result("deploy", "", samples)))
    assert [(target.figure, target.holds) for target in targets] == [
        (1.5, True),
        (0, True),
        (1.0, False),
        (1, False),
    ]
