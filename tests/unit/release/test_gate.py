"""The gate: what passes, what is refused, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from hostwright.remote.release.ask import Reply
from hostwright.remote.release.gate import Gate
from hostwright.remote.release.instance import Instances
from hostwright.remote.release.layout import Layout
from hostwright.remote.run import StepError
from hostwright.remote.system import RunCancelled
from hostwright.testing import FakeSystem

HEALTH = {
    "path": "/health",
    "expect": 200,
    "timeout": 10,
    "window": 1,
    "interval": 0.2,
    "headers": {"Host": "x"},
}
UP = "ActiveState=active\nSubState=running\nNRestarts=0\nStatusText=2 of 2 workers are up\n"
JOURNAL = '{"MESSAGE": "RuntimeError: no database", "_PID": "7"}\n'


def gate(
    replies: Iterable[Reply | int], units: Callable[[float], str] | str = UP, **health: Any
) -> tuple[Gate, FakeSystem]:
    """A gate whose instance answers with these in turn (the last for ever), each after 10 ms."""

    class Server(FakeSystem):
        def _answer(self, command: str) -> Any:
            if command.startswith("systemctl show"):
                return {"out": units if isinstance(units, str) else units(self.slept)}
            return super()._answer(command)

    system = Server(commands={"journalctl --sync": "", "journalctl --unit=hello@r1.service ...": JOURNAL})
    left: Iterator[Reply | int] = iter(replies)
    last: list[Reply | int] = [200]

    def ask(
        path: str, target: str, headers: dict[str, str], timeout: float, meanwhile: Callable[[], None]
    ) -> Reply:
        assert (path, target, headers) == ("/run/hello/r1.sock", "/health", {"Host": "x"})
        system.slept += 0.01
        meanwhile()
        last[0] = next(left, last[0])
        found = last[0]
        return found if isinstance(found, Reply) else Reply(found, 0.012)

    layout = Layout("hello")
    return Gate(system, layout, Instances(system, layout), "r1", {**HEALTH, **health}, ask=ask), system


def refusal(*args: Any, **kwargs: Any) -> StepError:
    found, _ = gate(*args, **kwargs)
    with pytest.raises(StepError) as error:
        found.watch()
    assert error.value.refused
    assert error.value.tail == ("RuntimeError: no database",)
    assert error.value.hint == "All that it wrote: inv logs --release r1"
    return error.value


def test_passes_after_a_whole_window() -> None:
    found, system = gate([200])
    detail, data = found.watch()
    assert detail == "200 in 12 ms, 6 of 6"
    assert 1.0 <= system.slept < 1.3
    assert data == {"status": 200, "ms": 12.0, "tries": 6, "good": 6}


def test_the_last_look_comes_when_the_window_is_over() -> None:
    found, system = gate([200], window=1, interval=0.7)
    assert found.watch()[0].endswith("3 of 3")
    assert 1.0 <= system.slept < 1.05, "not up to an interval later"


def test_workers_that_come_up_one_after_the_other_are_looked_for_more_often() -> None:
    one = UP.replace("2 of 2", "1 of 2")
    found, system = gate([200], lambda slept: UP if slept > 0.5 else one, window=0, interval=5)
    found.watch()
    assert 0.5 < system.slept < 0.6


def test_slow_start_within_the_limit() -> None:
    found, system = gate([Reply(0, 0.01, "Connection refused")] * 20 + [503] * 5 + [200])
    assert found.watch()[0].endswith("6 of 31")
    assert system.slept > 5


def test_a_bad_answer_starts_the_window_again() -> None:
    found, _ = gate([200, 200, 200, 500, 200])
    assert found.watch()[1]["good"] == 6


def test_without_a_window_one_answer_is_enough() -> None:
    assert gate([200], window=0)[0].watch()[0] == "200 in 12 ms, 1 of 1"


def test_wrong_status() -> None:
    error = refusal([500])
    assert error.message.startswith("not healthy after 10 s: GET /health -> 500 instead of 200 (4")


def test_what_the_app_says_is_told() -> None:
    """A health route that names the database that is down must not do so in vain."""
    error = refusal([Reply(503, 0.01, said="db.internal: refused")])
    assert "GET /health -> 503 instead of 200: db.internal: refused (4" in error.message
    found, _ = gate([Reply(302, 0.01, location="/login/", said="Found")])
    with pytest.raises(StepError) as caught:
        found.watch()
    assert "GET /health -> 302 to /login/ instead of 200 (4" in caught.value.message
    assert caught.value.hint.startswith("See `health:` in the inventory")
    assert caught.value.hint.endswith("All that it wrote: inv logs --release r1")


def test_a_text_that_must_be_in_the_answer() -> None:
    other = Reply(200, 0.01, said="version 1 " * 20, body=b"version 1 " * 20)
    error = refusal([other], contains="version 2")
    said = 'GET /health -> 200, but "version 2" is not in the answer: it says "version 1 version 1 '
    assert said in error.message
    assert "\n" not in error.message
    assert "in the answer: it is empty" in refusal([Reply(200, 0.01)], contains="x").message
    found, _ = gate([other, other, Reply(200, 0.01, body="version 2 läuft".encode())], contains="2 läuft")
    assert found.watch()[1]["good"] == 6


def test_no_answer() -> None:
    assert "GET /health -> no answer within 10 s" in refusal([Reply(0, 10, "no answer within 10 s")]).message


def test_healthy_just_in_time_may_finish_its_window() -> None:
    found, system = gate([503] * 45 + [200], window=3)
    found.watch()
    assert system.slept > 12


def test_all_workers_must_be_up() -> None:
    found, system = gate([200], lambda now: UP.replace("2 of", "1 of") if now < 3 else UP)
    found.watch()
    assert system.slept >= 4
    error = refusal([200], UP.replace("2 of 2", "1 of 2"))
    assert "only 1 of 2 workers are up" in error.message


def test_no_answer_while_no_worker_is_up() -> None:
    error = refusal([Reply(0, 10, "no answer within 10 s")], UP.replace("2 of 2", "0 of 2"))
    assert "GET /health -> no answer within 10 s; only 0 of 2 workers are up" in error.message


def test_a_server_that_does_not_count_its_workers_passes() -> None:
    gate([200], UP.replace("2 of 2 workers are up", "Gunicorn arbiter booted"))[0].watch()


DEAD = "ActiveState={}\nSubState={}\nNRestarts={}\nResult=exit-code\nExecMainCode=1\nExecMainStatus=3\nStatusText=\n"


@pytest.mark.parametrize(
    "state", [("failed", "failed", 0), ("activating", "auto-restart", 0), ("active", "running", 1)]
)
def test_a_crash_is_seen_at_once(state: tuple[str, str, int]) -> None:
    error = refusal([Reply(0, 0.01, "Connection refused")], DEAD.format(*state))
    assert error.message == "it did not stay up: its program ended with exit code 3"


def test_a_crash_while_a_request_waits() -> None:
    crashed = DEAD.format("failed", "failed", 0)
    error = refusal([Reply(0, 9, "no answer within 9 s")], lambda now: UP if now < 0.01 else crashed)
    assert error.message.startswith("it did not stay up")


def test_stopped_by_somebody() -> None:
    off = (
        "ActiveState=inactive\nSubState=dead\nNRestarts=0\nResult=success\nExecMainCode=0\nExecMainStatus=0\n"
    )
    found, system = gate([Reply(0, 0.01, "No such file or directory")], off)
    with pytest.raises(StepError, match="it did not stay up"):
        found.watch()
    assert system.slept > 2, "right after its start a service may not have begun yet"


def test_cancelled() -> None:
    found, system = gate([503])
    system.cancelled = lambda: system.slept > 1
    with pytest.raises(RunCancelled):
        found.watch()
