"""The output of a command that runs, while it runs."""

from __future__ import annotations

import re
import subprocess
import threading


class Lines:
    """The lines a process prints, as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.text = ""
        self._process = process
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self.text += line

    def has(self, pattern: str) -> bool:
        return re.search(pattern, self.text) is not None

    def end(self, timeout: float) -> str:
        self._thread.join(timeout)
        assert not self._thread.is_alive(), self.text
        return self.text
