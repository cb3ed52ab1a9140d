"""What a refused release's log means, as far as one can tell."""

from __future__ import annotations

import pytest

from hostwright.remote.release.ask import Reply
from hostwright.remote.release.symptoms import advice

HEALTH = {"path": "/health", "expect": 200, "headers": {"Host": "shop.example.com"}}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("TypeError: app() missing 1 required positional argument: 'send'", "`interface: asgi`"),
        ("TypeError: f() missing 2 required positional arguments: 'receive' and 'send'", "`interface: asgi`"),
        ("TypeError: Flask.__call__() takes 3 positional arguments but 4 were given", "`interface: wsgi`"),
        ('  File "/v/site-packages/uvicorn/middleware/asgi2.py", line 14', "`interface: wsgi`"),
        ("Failed to find attribute 'nosuch' in 'app.main'.", "`module:`"),
        ("Failed to find application object: 'app'", "`module:`"),
        ("ModuleNotFoundError: No module named 'httpx'", "requirements"),
        ("OSError: [Errno 30] Read-only file system: 'cache.txt'", "/var/lib/shop"),
        ("sqlite3.OperationalError: attempt to write a readonly database", "`shared:`"),
        ("OSError: [Errno 98] Address already in use", "socket"),
        ("KeyError: 'API_TOKEN'", "`env:`"),
        ("sqlite3.OperationalError: disk I/O error\nOSError: [Errno 28] No space left on device", "df -h"),
    ],
)
def test_what_it_wrote(line: str, what: str) -> None:
    assert what in advice("shop", HEALTH, Reply(0, 1.0, "no answer"), ["Traceback", line])


@pytest.mark.parametrize(
    ("reply", "what"),
    [
        (Reply(400, 0.1, said="Bad Request (400)"), "`Host: shop.example.com`"),
        (Reply(404, 0.1), "`health:`"),
        (Reply(204, 0.1), "`health:`"),
        (Reply(301, 0.1, location="https://shop.example.com/health"), "over http"),
    ],
)
def test_what_it_answered(reply: Reply, what: str) -> None:
    assert what in advice("shop", HEALTH, reply, ["[INFO] up"])


def test_silence() -> None:
    silent = Reply(0, 8.0, "no answer within 8 s", silent=True)
    assert "wait for something" in advice("shop", HEALTH, silent, [])
    assert advice("shop", HEALTH, silent, ["config is bad: set FOO"]) == ""


@pytest.mark.parametrize("reply", [Reply(0, 1.0, "Connection refused"), Reply(500, 0.1), Reply(200, 0.1)])
def test_nothing_is_guessed(reply: Reply) -> None:
    assert advice("shop", HEALTH, reply, ["KeyError: 'name'", "RuntimeError: boom"]) == ""
