import asyncio
import time

import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from .conftest import Build


def test_the_index_greets_with_escaped_text_and_names_the_release(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOSTWRIGHT_RELEASE", "20261121T141502-4f2c1d9")
    with build(greeting="<b>Hi</b>") as client:
        page = client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "&lt;b&gt;Hi&lt;/b&gt;" in page.text
    assert "20261121T141502-4f2c1d9" in page.text


def test_health(client: TestClient) -> None:
    answer = client.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_version_is_what_the_deployment_said(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTWRIGHT_RELEASE", "r7")
    monkeypatch.setenv("HOSTWRIGHT_COMMIT", "4f2c1d9")
    with build() as client:
        assert client.get("/version").json() == {"release": "r7", "commit": "4f2c1d9"}


def test_version_without_a_deployment(client: TestClient) -> None:
    assert client.get("/version").json() == {"release": "development", "commit": "unknown"}


def test_ready_when_every_check_passes(build: Build) -> None:
    async def works() -> None:
        await asyncio.sleep(0)

    with build(checks={"database": works}) as client:
        answer = client.get("/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


def test_not_ready_names_what_fails_but_stays_alive(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    async def works() -> None: ...

    async def refuses() -> None:
        raise ConnectionRefusedError

    async def hangs() -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr("app.readiness._TIMEOUT", 0.05)
    with build(checks={"queue": refuses, "cache": works, "api": hangs}) as client:
        answer = client.get("/ready")
        assert client.get("/health").status_code == 200
    assert answer.status_code == 503
    assert answer.json() == {"status": "not ready", "failing": ["api", "queue"]}


def test_slow_takes_as_long_as_asked(client: TestClient) -> None:
    began = time.monotonic()
    answer = client.get("/slow", params={"seconds": 0.2})
    assert time.monotonic() - began >= 0.2
    assert answer.json() == {"slept": 0.2, "release": "development"}


@pytest.mark.parametrize("seconds", ["-1", "30.1", "nan", "inf", "long"])
def test_slow_is_bounded(client: TestClient, seconds: str) -> None:
    assert client.get("/slow", params={"seconds": seconds}).status_code == 422


def test_the_websocket_echoes_text_and_bytes(client: TestClient) -> None:
    with client.websocket_connect("/ws") as socket:
        socket.send_text("one")
        assert socket.receive_text() == "one"
        socket.send_bytes(b"two")
        assert socket.receive_bytes() == b"two"


def test_a_websocket_elsewhere_is_refused(client: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/elsewhere"):
        pass


def test_docs_are_on(client: TestClient) -> None:
    assert client.get("/docs").status_code == 200
    assert {"/", "/health", "/ready", "/version", "/slow"} <= client.get("/openapi.json").json()[
        "paths"
    ].keys()
