import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.logs import StdoutHandler
from app.readiness import ReadinessCheck
from app.settings import Settings

Build = Callable[..., AbstractContextManager[TestClient]]


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    yield
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, StdoutHandler)]
    root.setLevel(level)


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Build:
    """Returns a context manager that starts an app: build(greeting=..., checks=..., extend=...)."""
    monkeypatch.setenv("HELLO_GREETING", "read when app.main is imported")
    monkeypatch.delenv("HOSTWRIGHT_RELEASE", raising=False)
    monkeypatch.delenv("HOSTWRIGHT_COMMIT", raising=False)

    @contextmanager
    def start(
        *,
        checks: dict[str, ReadinessCheck] | None = None,
        extend: Callable[[FastAPI], Any] = lambda app: None,
        **settings: Any,
    ) -> Iterator[TestClient]:
        from app.main import create_app

        app = create_app(Settings(**{"greeting": "Hello", **settings}), checks)
        extend(app)
        with TestClient(app) as client:
            yield client

    return start


@pytest.fixture
def client(build: Build) -> Iterator[TestClient]:
    with build() as client:
        yield client
