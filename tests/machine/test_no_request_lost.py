"""Deploys and rollbacks of an app that is not ours, under load: nothing is lost, and nothing is tried again."""

from __future__ import annotations

import shutil
from pathlib import Path

from .conftest import FreshServer
from .load import Load
from .project import Project

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
defaults: {{user: ubuntu, identity_file: {identity}}}
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
