"""The visitors: each kind of request, open loop: slow answers do not slow the next visitors down."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import os
import random
import re
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from tests.soak.traffic import http
from tests.soak.traffic.plan import Plan
from tests.soak.traffic.records import OK, Writer

PAGE, COUNT, SLOW, SOCKET = "/page", "/count", "/slow?seconds=", "/ws"
ASSET = re.compile(rb'href="(/static/site\.([0-9a-f]{16})\.css)"')
# seconds until a browser asks for what a page names: at once, and from a page that is open while a deploy goes on;
# shorter than the time between two switches: the release before is what is kept for such pages
ASSET_DELAYS = (0.0, 0.1, 1.0, 2.5)
LARGEST = 60_000  # bytes of a body; nginx writes those above 16 kB to a file first
CLOSE = ("Connection: close",)
PAUSE = 0.2  # between attempts to open a connection that is to be kept, and between words on a WebSocket
Check = Callable[[http.Answer], str]


class Visitors:
    """All of them.

    Attributes:
        lag: the latest a visitor came, seconds: how well this process kept up.
    """

    def __init__(self, plan: Plan, writer: Writer) -> None:
        self.lag = 0.0
        self._plan = plan
        self._writer = writer
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count()
        self._random = random.Random(os.getpid())
        # ids are unique over all runs on one server
        self._name = f"{time.time_ns():x}"

    def stop(self) -> None:
        """No new visitors; those who wait for an answer get it."""
        self._stop.set()

    async def run(self) -> None:
        """Until `stop`, and until everybody has an answer."""
        plan = self._plan
        pause = plan.connections / plan.kept if plan.kept else 0
        jobs = [
            self._paced(plan.get, self._page),
            self._paced(plan.post, self._post),
            self._paced(plan.slow, self._slow),
            *(self._kept("kept", pause) for _ in range(plan.connections if plan.kept else 0)),
            *(self._kept("idle", 3) for _ in range(plan.idle)),
            *(self._socket() for _ in range(plan.sockets)),
        ]
        await asyncio.gather(*jobs)
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def saturate(self, seconds: float, at_once: int) -> float:
        """Requests a second when `at_once` visitors never pause: two pages for each body, on new connections."""
        end, done = time.monotonic() + seconds, 0

        async def visitor() -> None:
            nonlocal done
            while time.monotonic() < end:
                await self._asked("get", self._get(PAGE), self._page_is_whole)
                await self._asked("get", self._get(PAGE), self._page_is_whole)
                await self._post()
                done += 3

        began = time.monotonic()
        await asyncio.gather(*(visitor() for _ in range(at_once)))
        return done / (time.monotonic() - began)

    # -- when ----------------------------------------------------------------------------------------------

    async def _paced(self, rate: float, visit: Callable[[], Awaitable[None]]) -> None:
        began, number = time.monotonic(), 0
        while rate and not self._stop.is_set():
            number += 1
            self._spawn(visit())  # type: ignore[arg-type]
            late = time.monotonic() - (began + number / rate)
            self.lag = max(self.lag, late)
            await self._sleep(-late)

    def _spawn(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        task.result()  # a mistake of ours ends the whole process

    async def _sleep(self, seconds: float) -> None:
        """Not longer than until `stop`, if it is long."""
        if seconds <= 1:
            await asyncio.sleep(max(0.0, seconds))
            return
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    # -- on new connections --------------------------------------------------------------------------------

    async def _page(self) -> None:
        answer = await self._asked("get", self._get(PAGE), self._page_is_whole)
        found = ASSET.search(answer.body) if answer else None
        if answer and found:
            self._spawn(
                self._asset(found[1].decode(), found[2].decode(), answer.headers.get("x-version", ""))
            )

    async def _asset(self, path: str, digest: str, version: str) -> None:
        await asyncio.sleep(self._random.choice(ASSET_DELAYS))

        def is_the_one(answer: http.Answer) -> str:
            if answer.status != 200:
                return f"{answer.status} for an asset of version {version}"
            whole = hashlib.sha256(answer.body).hexdigest()[:16] == digest
            return OK if whole else f"an asset of version {version} is not what its name says"

        await self._asked("static", self._get(path), is_the_one, id=version)

    async def _post(self) -> None:
        id, body = self._body()
        data = http.request("POST", COUNT, self._plan.host, body, CLOSE)
        await self._asked("post", data, counted(id, body), id=id)

    async def _slow(self) -> None:
        path = f"{SLOW}{self._plan.slow_seconds:g}"
        await self._asked("slow", self._get(path), lambda answer: status_is(answer, 200))

    def _get(self, path: str) -> bytes:
        return http.request("GET", path, self._plan.host, headers=CLOSE)

    def _body(self) -> tuple[str, bytes]:
        id = f"{self._name}-{next(self._numbers)}"
        size = self._random.choice((0, 100, 5_000, LARGEST))
        return id, id.encode() + b"\n" + self._random.randbytes(size)

    @staticmethod
    def _page_is_whole(answer: http.Answer) -> str:
        said = status_is(answer, 200)
        return said if said != OK or ASSET.search(answer.body) else "a page without its asset"

    async def _asked(self, kind: str, data: bytes, check: Check, id: str = "") -> http.Answer | None:
        """One request on a connection of its own; the answer, if it was right."""
        start, answer, writer, stage = time.monotonic(), None, None, "connect"
        try:
            reader, writer = await self._connect()
            stage = "answer"
            writer.write(data)
            answer = await asyncio.wait_for(http.read_answer(reader), self._plan.timeout)
            outcome = check(answer)
        except (OSError, EOFError, asyncio.TimeoutError, http.Broken) as error:
            outcome = f"{stage}: {described(error)}"
        finally:
            if writer:
                writer.close()
        self._add(kind, start, outcome, answer, id)
        return answer if outcome == OK else None

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        opened = asyncio.open_connection(self._plan.address, 80)
        return await asyncio.wait_for(opened, self._plan.connect_timeout)

    def _add(self, kind: str, start: float, outcome: str, answer: http.Answer | None, id: str = "") -> None:
        headers = answer.headers if answer else {}
        self._writer.add(
            kind, start, outcome, headers.get("x-version", ""), headers.get("x-instance", ""), id
        )

    # -- on connections that stay --------------------------------------------------------------------------

    async def _kept(self, kind: str, pause: float) -> None:
        while not self._stop.is_set():
            start = time.monotonic()
            try:
                reader, writer = await self._connect()
            except (OSError, asyncio.TimeoutError) as error:
                self._writer.add(kind, start, f"connect: {described(error)}")
                await asyncio.sleep(PAUSE)
                continue
            try:
                await self._keep(kind, pause, reader, writer)
            finally:
                writer.close()

    async def _keep(
        self, kind: str, pause: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Until the server says that it closes the connection, or closes it."""
        posts = False
        while not self._stop.is_set():
            start, answer, id, posts = time.monotonic(), None, "", not posts
            check: Check = self._page_is_whole
            data = http.request("GET", PAGE, self._plan.host)
            if posts:
                id, body = self._body()
                data, check = http.request("POST", COUNT, self._plan.host, body), counted(id, body)
            try:
                writer.write(data)
                answer = await asyncio.wait_for(http.read_answer(reader), self._plan.timeout)
                outcome = check(answer)
            except (OSError, EOFError, asyncio.TimeoutError, http.Broken) as error:
                outcome = f"answer: {described(error)}"
            self._add(kind, start, outcome, answer, id)
            if outcome != OK:
                await asyncio.sleep(PAUSE)
                return
            if answer and answer.closes:
                return
            await self._sleep(pause - (time.monotonic() - start))

    async def _socket(self) -> None:
        while not self._stop.is_set():
            start, writer, stage = time.monotonic(), None, "connect"
            try:
                reader, writer = await self._connect()
                stage = "answer"
                writer.write(http.upgrade(SOCKET, self._plan.host))
                answer = await asyncio.wait_for(http.read_answer(reader), self._plan.timeout)
                self._add("ws_open", start, status_is(answer, 101), answer)
                if answer.status == 101:
                    await self._talk(reader, writer)
                else:
                    await asyncio.sleep(PAUSE)
            except (OSError, EOFError, asyncio.TimeoutError, http.Broken) as error:
                self._writer.add("ws_open", start, f"{stage}: {described(error)}")
                await asyncio.sleep(PAUSE)
            finally:
                if writer:
                    writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Words and their echo until one side closes. How it ended is recorded here; nothing is raised."""
        start, said, outcome = time.monotonic(), 0, ""
        try:
            while not outcome:
                said += 1
                writer.write(http.frame(http.TEXT, b"word %d" % said))
                opcode, payload = await self._heard(reader, writer)
                if opcode == http.CLOSE:
                    outcome = f"closed with {int.from_bytes(payload[:2], 'big')}"
                elif payload != b"word %d" % said:
                    outcome = "another word came back"
                elif self._stop.is_set():
                    writer.write(http.frame(http.CLOSE, (1000).to_bytes(2, "big")))
                    outcome = "open until the end"
                else:
                    await asyncio.sleep(PAUSE)
        except (OSError, EOFError, asyncio.TimeoutError, http.Broken) as error:
            outcome = f"cut: {described(error)}"
        self._writer.add("ws", start, outcome)

    async def _heard(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[int, bytes]:
        """The next frame that is meant for the visitor; a ping of the server is answered."""
        while True:
            opcode, payload = await asyncio.wait_for(http.read_frame(reader), self._plan.timeout)
            if opcode != http.PING:
                return opcode, payload
            writer.write(http.frame(http.PONG, payload))


def status_is(answer: http.Answer, wanted: int) -> str:
    """OK, or what came instead."""
    return OK if answer.status == wanted else f"{answer.status} instead of {wanted}"


def counted(id: str, body: bytes) -> Check:
    """Whether the app got this body and no other."""
    wanted = f"{id} {hashlib.sha256(body).hexdigest()}".encode()

    def check(answer: http.Answer) -> str:
        said = status_is(answer, 200)
        return said if said != OK or answer.body == wanted else "not what was posted"

    return check


def described(error: BaseException) -> str:
    """One line without tabs."""
    return " ".join(f"{type(error).__name__} {error}".split())[:120]
