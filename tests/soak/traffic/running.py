"""Traffic from the point of view of the test."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from tests.soak.traffic.plan import Plan
from tests.soak.traffic.records import Record, read

ROOT = Path(__file__).resolve().parents[3]
AT_ONCE = 16
END = 120.0  # seconds the last requests may take


class Traffic:
    """Traffic while a block runs.

    Attributes:
        lag: after the block: the latest a visitor came, seconds.
    """

    def __init__(self, plan: Plan, path: Path) -> None:
        self.plan = plan
        self.path = path
        self.lag = 0.0
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Traffic:
        self._process = _start(self.plan, self.path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process
        try:
            out, _ = self._process.communicate(timeout=END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise
        if error is None:
            assert self._process.returncode == 0, "the visitors ended with an error of their own"
            self.lag = json.loads(out)["lag"]

    def records(self) -> list[Record]:
        """What there is until now."""
        return read(self.path)

    def waits_for(self, seconds: float) -> None:
        """Let it go on alone; notices when it has ended.

        Raises:
            AssertionError: it does not run.
        """
        time.sleep(seconds)
        assert self._process
        assert self._process.poll() is None, "the visitors are gone"


def saturation(plan: Plan, path: Path, seconds: float = 4.0) -> float:
    """Requests a second on new connections when everybody is as quick as they can; nothing may fail here either."""
    with _start(plan, path, str(seconds), str(AT_ONCE)) as process:
        out, _ = process.communicate(timeout=seconds + END)
    assert process.returncode == 0, "the visitors ended with an error of their own"
    failed = [record for record in read(path) if record.failed]
    assert not failed, f"{len(failed)} failed before anything was done: {failed[0]}"
    return float(json.loads(out)["rate"])


def _start(plan: Plan, path: Path, *more: str) -> subprocess.Popen[str]:
    """In a session of its own: Ctrl-C at the test ends the test, and standard input ends with that."""
    return subprocess.Popen(
        (sys.executable, "-m", "tests.soak.traffic", plan.to_json(), str(path), *more),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
