"""The app as a server runs it: gunicorn with uvicorn's worker on a unix socket, started in the repository."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.sync.client import unix_connect

ROOT = Path(__file__).parents[2]
TRUSTED = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "Host": "hello.example.com"}


def gunicorn(path: str, **environment: str) -> "subprocess.Popen[str]":
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HELLO_", "HOSTWRIGHT_"))}
    worker = ("-k", "uvicorn_worker.UvicornWorker", "--bind", f"unix:{path}", "--forwarded-allow-ips", "*")
    return subprocess.Popen(
        (sys.executable, "-m", "gunicorn", *worker, "--no-control-socket", "app.main:app"),
        cwd=ROOT,
        env={**kept, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def path() -> Iterator[str]:
    with tempfile.TemporaryDirectory(
        prefix="hello-"
    ) as directory:  # pytest's paths can pass sun_path's 107 bytes
        yield f"{directory}/s"


def wait_until_it_listens(path: str, process: "subprocess.Popen[str]") -> None:
    """After this a request waits in the backlog until the worker has imported the app."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(path) == 0:
                return
        time.sleep(0.02)
    process.kill()
    pytest.fail(process.communicate()[1])


def test_it_serves_behind_a_proxy_and_stops_cleanly(path: str) -> None:
    process = gunicorn(path, HELLO_GREETING="Hello", HOSTWRIGHT_RELEASE="r1", HOSTWRIGHT_COMMIT="c1")
    transport = httpx2.HTTPTransport(uds=path)
    with httpx2.Client(transport=transport, base_url="http://hello.example.com", headers=TRUSTED) as client:
        wait_until_it_listens(path, process)
        answer = client.get("/version", headers={"X-Request-ID": "abc"})
        with unix_connect(path, "ws://hello.example.com/ws?token=poison") as websocket:
            websocket.send("ping")
            echoed = websocket.recv()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert answer.json() == {"release": "r1", "commit": "c1"}
    assert answer.headers["x-request-id"] == "abc"
    assert echoed == "ping"
    lines: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
    assert all("time" in line and "level" in line for line in lines), "every line on stdout is JSON"
    (access,) = (line for line in lines if line.get("request_id") == "abc")
    assert (access["path"], access["status"]) == ("/version", 200)
    seen = (access["client"], access["scheme"], access["host"])
    assert seen == ("203.0.113.9", "https", "hello.example.com")
    assert "poison" not in out + err
    assert not [line for line in lines if line["level"] in {"ERROR", "WARNING"}]


def test_it_does_not_start_without_its_setting(path: str) -> None:
    process = gunicorn(path)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 3
    assert "SettingsError: The app cannot start. Set in its environment: HELLO_GREETING (missing)" in err
