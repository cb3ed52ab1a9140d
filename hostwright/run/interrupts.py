"""Ctrl-C while a run is shown: counted instead of raised, so that none hits while a line is being drawn."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

# whoever presses it this often wants out whatever the main thread is doing
ENOUGH = 3


class Interrupts:
    """A context manager that counts SIGINT; in the main thread only, elsewhere it changes nothing.

    Attributes:
        count: how often Ctrl-C was pressed.

    Raises:
        KeyboardInterrupt: at the third, wherever the main thread is.
    """

    def __init__(self) -> None:
        self.count = 0
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        main = threading.current_thread() is threading.main_thread()
        # ignored (nohup, a script's background job) stays ignored
        if main and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            self._before = signal.signal(signal.SIGINT, self._heard)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.count >= ENOUGH:
            raise KeyboardInterrupt
