"""The app under load. It counts what it was given in its state folder, which outlives releases.

VERSION is replaced in each version; `site.css` is an asset of its own in each.
"""

import asyncio
import hashlib
import os
import pathlib
import urllib.parse

VERSION = "0"
STATE = pathlib.Path(os.environ["HOME"])
INSTANCE = os.environ.get("HOSTWRIGHT_RELEASE", "in place")
HEADERS = [(b"x-version", VERSION.encode()), (b"x-instance", INSTANCE.encode())]
ASSETS = STATE / "assets"

if (STATE / "database-is-away").exists():
    raise ConnectionRefusedError("the database does not answer")


def publish():
    """Where nginx does not serve them: the assets of all releases, which pages in browsers ask for."""
    ASSETS.mkdir(exist_ok=True)
    name = ""
    for path in (pathlib.Path(__file__).parent / "static").glob("site.*.css"):
        name = path.name
        if not (ASSETS / name).exists():
            aside = ASSETS / f".{name}.{os.getpid()}"
            aside.write_bytes(path.read_bytes())
            aside.rename(ASSETS / name)
    return name


ASSET = publish()
PAGE = f'<!doctype html><link rel="stylesheet" href="/static/{ASSET}"><p>{VERSION}'.encode()


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await converse(receive, send)
    elif scope["type"] == "http":
        status, body = await answer(scope, receive)
        headers = [*HEADERS, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def answer(scope, receive):
    path = scope["path"]
    if path == "/count":
        return 200, count(await read(receive))
    if path == "/slow":
        query = urllib.parse.parse_qs(scope["query_string"].decode())
        await asyncio.sleep(float(query["seconds"][0]))
        return 200, b"slow"
    if path.startswith("/static/"):
        asset = ASSETS / path.rpartition("/")[2]
        return (200, asset.read_bytes()) if asset.exists() else (404, b"no such asset")
    return 200, PAGE


async def read(receive):
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def count(body):
    """One line for each time that something was done: a body that comes twice is there twice."""
    id = body.partition(b"\n")[0]
    file = os.open(STATE / "counted", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, id + b"\n")
    finally:
        os.close(file)
    return id + b" " + hashlib.sha256(body).hexdigest().encode()


async def converse(receive, send):
    """Every word comes back."""
    await receive()
    await send({"type": "websocket.accept", "headers": HEADERS})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})
