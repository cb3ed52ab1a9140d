"""The power is cut at moments that nobody chose; the controller and the connection at every step."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hostwright.errors import SandboxError
from tests.machine.crash import STEPS, goes_on_without, power_cut
from tests.machine.tiny import Tiny
from tests.soak.bench import Bench
from tests.soak.result import Result
from tests.soak.traffic import Plan

# what may go wrong with a server that is cut; any of it is a problem of the soak, not its end
WRONG = (AssertionError, SandboxError, OSError, subprocess.SubprocessError)


@contextmanager
def small_server(bench: Bench) -> Iterator[Tiny]:
    """A server of its own with two releases of an app whose deploy takes a second or two."""
    name = f"soak-cut-{os.getpid()}"
    with TemporaryDirectory() as folder:
        server = bench.sandbox.up(name, ephemeral=True, say=bench.say)[0]
        try:
            tiny = Tiny(Path(folder), server, bench.sandbox)
            tiny.inv("provision")
            for version in ("first", "second"):
                tiny.change(version)
                tiny.inv("deploy")
            yield tiny
        finally:
            bench.sandbox.down(name)


def random_moments(bench: Bench, _: Plan, count: int = 30, seed: int | None = None) -> Result:
    """Cut the power `count` times somewhere in a deploy or a rollback."""
    seed = random.randrange(10**6) if seed is None else seed
    bench.say(f"seed {seed}")
    chance, result = random.Random(seed), Result("power cut at random moments")
    went_live, waits = 0, []
    with small_server(bench) as tiny:
        for number in range(count):
            action = chance.choice(("deploy", "deploy", "rollback"))
            # a little longer than it takes, so that the end and what follows are among the moments
            share, moment = chance.uniform(0.2, 1.2), 0.0
            try:
                bench.sandbox.start(tiny.server.name)
                moment = share * _seconds(tiny, f"whole {seed} {number}")
                switched, waited = _cut(tiny, action, moment, f"cut {seed} {number}")
            except WRONG as error:
                result.problems.append(f"seed {seed}, {number}: {action} cut after {moment:.3f} s: {error}")
                continue
            bench.say(f"{number}: {action} cut after {moment:.2f} s; switched: {switched}")
            went_live += switched
            waits.append(waited)
    result.insist(0 < went_live < count, f"{went_live} of {count} had switched: the moments were not spread")
    if waits:
        result.notes.append(
            f"{count} cuts, seed {seed}: {went_live} after the switch; one release served each time, without help; "
            f"first answer {max(waits):+.2f} s after the login prompt at most"
        )
    return result


def _seconds(tiny: Tiny, message: str) -> float:
    """How long a deploy takes just now."""
    tiny.change(message)
    return tiny.inv("deploy").seconds


def _cut(tiny: Tiny, action: str, moment: float, message: str) -> tuple[bool, float]:
    """Whether the switch had happened, and seconds from the login prompt to the first answer.

    Raises:
        AssertionError: not exactly one release served, or the next deploy needed help.
    """
    before, commit = tiny.one_serves(), tiny.change(message)
    with tiny.started(action) as process:
        time.sleep(moment)
        boot = power_cut(tiny, process)
    assert boot.statuses == [200], boot.statuses
    live = tiny.one_serves()
    assert live == before or action == "rollback" or live.endswith(commit)
    tiny.inv("deploy")
    assert tiny.one_serves().endswith(commit)
    tiny.nothing_is_left()
    return live != before, boot.seconds


def every_step(bench: Bench, _: Plan) -> Result:
    """Kill the controller, and cut the connection, after every step of a deploy and of a rollback."""
    result, done = Result("controller killed and connection cut at every step"), 0
    with small_server(bench) as tiny:
        for action, steps in STEPS.items():
            for step in steps:
                for what in ("controller", "connection"):
                    bench.say(f"{what} at {action} {step}")
                    try:
                        goes_on_without(tiny, what, action, step)
                        done += 1
                    except WRONG as error:
                        result.problems.append(f"{what} at {action} {step}: {error}")
    result.notes.append(f"{done} cuts: each run came to its end at the server, and the next was well")
    return result
