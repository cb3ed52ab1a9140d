import json
import logging
import re
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from app.logs import configure_logging

from .conftest import Build


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def failing_routes(app: FastAPI) -> None:
    @app.get("/broken")
    async def broken() -> None:
        logging.getLogger("app.shop").warning("about to break", extra={"cart": 7})
        raise ZeroDivisionError("secret plans")


def test_an_access_line_has_method_path_status_duration_and_id(
    build: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    with build() as client:
        capsys.readouterr()
        client.get("/health?token=poison", headers={"X-Request-ID": "abc-1"})
    (line,) = (line for line in lines(capsys) if line["logger"] == "app.access")
    assert line["request_id"] == "abc-1"
    assert (line["method"], line["path"], line["status"]) == ("GET", "/health", 200)
    assert (line["client"], line["scheme"], line["host"]) == ("testclient", "http", "testserver")
    assert 0 <= line["duration_ms"] < 5000
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])
    assert "poison" not in json.dumps(line)


@pytest.mark.parametrize("offered", ["a", "A.b_c-9", "x" * 128])
def test_a_sane_request_id_is_kept(client: TestClient, offered: str) -> None:
    assert client.get("/health", headers={"X-Request-ID": offered}).headers["x-request-id"] == offered


@pytest.mark.parametrize("offered", ["", "two words", "x" * 129, 'a"b', "a;b", "<script>", "é"])
def test_any_other_request_id_is_replaced(client: TestClient, offered: str) -> None:
    answer = client.get("/health", headers={b"X-Request-ID": offered.encode("latin-1")})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


def test_each_request_gets_its_own_id(client: TestClient) -> None:
    assert len({client.get("/health").headers["x-request-id"] for _ in range(5)}) == 5


def test_a_failure_answers_500_with_the_id_and_logs_the_traceback_under_it(
    build: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    with build(extend=failing_routes) as client:
        capsys.readouterr()
        answer = client.get("/broken", headers={"X-Request-ID": "abc-2"})
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == "abc-2"
    assert answer.json() == {"detail": "Internal Server Error", "request_id": "abc-2"}
    written = [line for line in lines(capsys) if line["logger"].startswith("app")]
    assert [(line["level"], line["message"]) for line in written] == [
        ("WARNING", "about to break"),
        ("ERROR", "request failed"),
        ("INFO", "request"),
    ]
    assert {line["request_id"] for line in written} == {"abc-2"}
    assert written[0]["cart"] == 7
    assert "ZeroDivisionError: secret plans" in written[1]["exception"]
    assert written[2]["status"] == 500


def test_websockets_are_logged_with_their_id(build: Build, capsys: pytest.CaptureFixture[str]) -> None:
    with build() as client:
        capsys.readouterr()
        with client.websocket_connect("/ws", headers={"X-Request-ID": "abc-3"}) as socket:
            assert (b"x-request-id", b"abc-3") in (socket.extra_headers or [])
        with pytest.raises(WebSocketDisconnect):
            client.websocket_connect("/elsewhere").__enter__()
    written = [line for line in lines(capsys) if line["logger"] == "app.access"]
    assert [(line["method"], line["path"], line["status"]) for line in written] == [
        ("WEBSOCKET", "/ws", 101),
        ("WEBSOCKET", "/elsewhere", 403),
    ]
    assert written[0]["request_id"] == "abc-3"


def test_one_record_is_one_line_whatever_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO")
    logging.getLogger("x").info("two\nlines %s", "\udcff", extra={"thing": object()})
    (line,) = lines(capsys)
    assert line["message"] == "two\nlines \udcff"
    assert line["thing"].startswith("<object object")
    assert "request_id" not in line


def test_configuring_twice_writes_each_line_once_at_the_new_level(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO")
    configure_logging("WARNING")
    logging.getLogger("x").info("quiet")
    logging.getLogger("x").warning("loud")
    assert [line["message"] for line in lines(capsys)] == ["loud"]


def test_the_servers_lines_come_out_as_ours_except_their_access_logs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("INFO")
    logging.getLogger("uvicorn.error").info("Started", extra={"color_message": "\x1b[1mStarted"})
    logging.getLogger("uvicorn.error").info('%s - "WebSocket %s" [accepted]', "peer", "/ws?token=poison")
    logging.getLogger("gunicorn.error").warning("Worker exiting")
    logging.getLogger("uvicorn.access").info("GET /?token=poison")
    written = lines(capsys)
    assert [line["message"] for line in written] == ["Started", "Worker exiting"]
    assert "color_message" not in written[0]
