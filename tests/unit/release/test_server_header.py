"""Which release has answered: gunicorn, started with the file that a deploy writes, says it in the Server header."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hostwright.recipes.release import release_message
from hostwright.recipes.render import renderer

from .test_rendered import RELEASED, app_and_host

APPS = {
    "wsgi": """
def app(environ, start_response):
    if environ["PATH_INFO"] == "/broken":
        raise ZeroDivisionError
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
""",
    "asgi": """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    if scope["path"] == "/broken":
        raise ZeroDivisionError
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        return await send({"type": "websocket.close"})
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
""",
}
CLOSE = "HTTP/1.1\r\nHost: hello.example.com\r\nConnection: close\r\n\r\n"
UPGRADE = (
    "HTTP/1.1\r\nHost: hello.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def written(folder: Path, interface: str) -> str:
    app, host = app_and_host(folder, f"    interface: {interface}\n    workers: 2\n")
    content = release_message(app, host, RELEASED, {}, renderer(folder))["files"]["gunicorn.conf.py"][
        "content"
    ]
    return str(content)


def hook(folder: Path) -> Any:
    names: dict[str, Any] = {}
    exec(compile(written(folder, "asgi"), "gunicorn.conf.py", "exec"), names)
    return names["post_fork"]


def ask(path: str, request: str) -> bytes:
    """The answer's head."""
    answer = b""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(20)
        link.connect(path)
        link.sendall(request.encode())
        while b"\r\n\r\n" not in answer and (chunk := link.recv(65536)):
            answer += chunk
    return answer.partition(b"\r\n\r\n")[0]


def listens(path: str) -> bool:
    """From then on a request waits until a worker is there."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


@pytest.fixture(params=sorted(APPS))
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """(interface, path of the socket) of a gunicorn that runs."""
    interface = request.param
    with tempfile.TemporaryDirectory(prefix="hw-") as short:  # sun_path is short
        path = f"{short}/s"
        text = written(tmp_path, interface)
        for what, instead in (
            (r'^chdir = "[^"]*"', f'chdir = "{short}"'),
            (r'^bind = "[^"]*"', f'bind = "unix:{path}"'),
            (r'^wsgi_app = "[^"]*"', 'wsgi_app = "served:app"'),
        ):
            text, count = re.subn(what, instead, text, flags=re.MULTILINE)
            assert count == 1
        (Path(short) / "served.py").write_text(APPS[interface])
        (Path(short) / "gunicorn.conf.py").write_text(text)
        process = subprocess.Popen(
            (sys.executable, "-m", "gunicorn", "--config", f"{short}/gunicorn.conf.py"),
            env={key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"},
            cwd=short,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            deadline = time.monotonic() + 30
            while not listens(path) and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            assert listens(path)
            yield interface, path
        finally:
            process.send_signal(
                signal.SIGQUIT
            )  # at once: a worker may still boot, and SIGTERM to that is lost
            print(process.communicate(timeout=60)[1])  # shown where a test fails


def test_every_answer_names_the_release(served: tuple[str, str]) -> None:
    interface, path = served
    asked = {
        "200": f"GET / {CLOSE}",
        "500": f"GET /broken {CLOSE}",  # the server's own page: the app has raised
        "400": "GET nothing that HTTP knows\r\n\r\n",  # and here it was not asked
    }
    if interface == "asgi":
        asked["101"] = f"GET /socket {UPGRADE}"
    for status, request in asked.items():
        head = ask(path, request)
        assert head.split()[1].decode() == status, head
        servers = re.findall(rb"(?im)^server: *(.*?)\r?$", head)
        assert servers == [RELEASED.id.encode()], head


# -- what does not work that way ---------------------------------------------------------------------------------


class Uvicorns:
    """As much of a UvicornWorker as is there when gunicorn has forked: its Config, not loaded yet."""

    def __init__(self, headers: object) -> None:
        self.config = self
        self.headers = headers


@pytest.mark.parametrize("headers", [None, (), [("Server", "mine")]])
def test_a_worker_class_that_has_its_own_idea_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, headers: object
) -> None:
    monkeypatch.setitem(sys.modules, "gunicorn.http.wsgi", None)
    monkeypatch.setitem(sys.modules, "gunicorn.util", None)
    before = repr(headers)
    worker = Uvicorns(headers)
    hook(tmp_path)(None, worker)
    assert repr(worker.headers) == before
    hook(tmp_path)(None, object())


def test_other_headers_of_a_worker_class_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gunicorn.http.wsgi", None)
    monkeypatch.setitem(sys.modules, "gunicorn.util", None)
    worker = Uvicorns([("X-Own", "1")])
    hook(tmp_path)(None, worker)
    assert worker.headers == [("X-Own", "1"), ("server", RELEASED.id)]
