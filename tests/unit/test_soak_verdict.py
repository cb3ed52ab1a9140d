"""What the judge of the tests under load calls lost; a judge that sees nothing would let everything pass."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from pathlib import Path

import pytest

from tests.soak.evidence import Evidence
from tests.soak.result import Result
from tests.soak.scenarios.restarts import side_by_side
from tests.soak.schedule import merged, schedule
from tests.soak.traffic import Plan, Record, read
from tests.soak.traffic.http import Broken, frame, read_answer, read_frame
from tests.soak.traffic.records import Writer
from tests.soak.traffic.visitors import counted
from tests.soak.verdict import judge
from tests.soak.windows import latency, seconds_within


def evidence(
    counted: tuple[str, ...] = (), errors: tuple[str, ...] = (), answers: dict[str, int] | None = None
) -> Evidence:
    return Evidence(errors, Counter(answers or {}), (), Counter(counted))


def test_nothing_lost() -> None:
    records = [Record("post", 1, 0.1, "ok", "1", "a", "id-1"), Record("ws", 1, 9, "closed with 1012")]
    verdict = judge(records, evidence(("id-1",), answers={"200": 1, "101": 1}))
    assert verdict.lost == ()
    assert verdict.counts == {"post": (1, 0), "ws": (1, 0)}
    assert verdict.ends == {"closed with 1012": 1}


@pytest.mark.parametrize(
    ("record", "said", "wanted"),
    [
        (Record("get", 1, 0.1, "502 instead of 200"), evidence(), "502 instead of 200"),
        (Record("ws_open", 1, 0.1, "connect: refused"), evidence(), "ws_open"),
        (Record("post", 1, 0.1, "ok", id="x"), evidence(("x", "x")), "x was given to the app 2 times"),
        (Record("kept", 1, 0.1, "ok", id="x"), evidence(), "x was answered and is not counted"),
        (Record("get", 1, 0.1, "ok"), evidence(errors=("[error] upstream prematurely closed",)), "nginx: "),
        (Record("get", 1, 0.1, "ok"), evidence(answers={"200": 1, "504": 2}), "2 times 504"),
    ],
)
def test_each_loss_is_seen(record: Record, said: Evidence, wanted: str) -> None:
    (line,) = judge([record], said).lost
    assert wanted in line


def test_a_websocket_that_is_written_to_while_it_closes_is_counted_apart() -> None:
    line = "[error] 681#681: *9 send() failed (32: Broken pipe) while proxying upgraded connection, client: x"
    verdict = judge([Record("ws", 1, 9, "closed with 1012")], evidence(errors=(line,)))
    assert verdict.lost == ()
    assert verdict.ends == {"closed with 1012": 1, "crossed its own closing": 1}


def test_a_body_that_was_counted_and_not_answered_is_lost_once() -> None:
    record = Record("post", 1, 0.1, "answer: reset", id="x")
    assert len(judge([record], evidence(("x",))).lost) == 1
    assert judge([record], evidence(("x",)), lambda found: found is record).lost == ()


def test_latencies_are_taken_from_their_windows_alone() -> None:
    records = [Record("get", at, at / 1000, "ok") for at in range(10)]
    records += [Record("slow", 2, 5, "ok"), Record("get", 3, 9, "502 instead of 200")]
    assert seconds_within(records, [(7, 8), (1, 3)]) == [0.001, 0.002, 0.003, 0.007, 0.008]
    found = latency([number / 1000 for number in range(1, 201)])
    assert (found.p50, found.p99, found.most) == (100, 198, 200)


def test_assets_of_a_version_that_is_gone_are_told() -> None:
    records = [
        Record("get", 1, 0.1, "ok", "1"),
        Record("static", 1.5, 0.1, "ok", id="1"),
        Record("get", 2, 0.1, "ok", "2"),
        Record("static", 2.5, 0.1, "ok", id="1"),
    ]
    assert judge(records, evidence()).stale == 1


def test_two_instances_are_side_by_side_only_if_the_old_one_still_answers() -> None:
    old = Record("slow", 0, 5, "ok", "1", "a")
    assert side_by_side([old, Record("get", 3, 0.1, "ok", "1", "b")]) == [("a", "b")]
    assert side_by_side([old, Record("get", 6, 0.1, "ok", "1", "b")]) == []
    assert side_by_side([old, Record("get", 3, 0.1, "ok", "2", "b")]) == []


def test_records_and_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    with (tmp_path / "records").open("w") as file:
        Writer(file).add("post", 0.0, "ok", "1", "a", "id")
        file.write("get\t1.0\t0.1")  # not whole yet
    (record,) = read(tmp_path / "records")
    assert (record.kind, record.outcome, record.instance, record.id) == ("post", "ok", "a", "id")
    Result("switches", {"get": [3, 1]}, ["x"]).save(tmp_path / "one.json")
    again = Result.load(tmp_path / "one.json")
    (total,) = merged([again, again])
    assert (total.counts, total.lost) == ({"get": [6, 2]}, ["x", "x"])


def test_a_soak_has_as_many_switches_as_were_asked_for() -> None:
    names = [piece.name for piece in schedule(50)]
    assert names[:3] == ["switches-0000", "switches-0020", "switches-0040"]
    assert len(set(names)) == len(names)


def test_a_plan_keeps_its_mix() -> None:
    plan = Plan("192.0.2.1").scaled(160)
    assert plan.rate == pytest.approx(160)
    assert (plan.get, plan.post, plan.kept) == pytest.approx((45.71, 22.86, 45.71), abs=0.01)
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", EOFError),
        (b"HTTP/1.1 200 OK\r\n\r\nab", Broken),
        (b"SSH-2.0\r\n\r\n", Broken),
        (b"", EOFError),
    ],
)
def test_half_an_answer_is_none(raw: bytes, error: type[Exception]) -> None:
    async def answer() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(raw)
        reader.feed_eof()
        await read_answer(reader)

    with pytest.raises(error):
        asyncio.run(answer())


def test_a_body_that_comes_back_changed_is_a_failure() -> None:
    async def answer(text: bytes) -> str:
        reader = asyncio.StreamReader()
        reader.feed_data(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
        return counted("id", b"id\nbody")(await read_answer(reader))

    right = b"id " + hashlib.sha256(b"id\nbody").hexdigest().encode()
    assert asyncio.run(answer(right)) == "ok"
    assert asyncio.run(answer(right[:-1] + b"?")) == "not what was posted"


def test_a_frame_is_masked_and_a_servers_is_read() -> None:
    sent = frame(1, b"word 1")
    assert sent[:2] == bytes((0x81, 0x86))
    assert bytes(byte ^ sent[2 + at % 4] for at, byte in enumerate(sent[6:])) == b"word 1"

    async def heard() -> tuple[int, bytes]:
        reader = asyncio.StreamReader()
        reader.feed_data(b"\x88\x02\x03\xf4")
        return await read_frame(reader)

    assert asyncio.run(heard()) == (8, b"\x03\xf4")
