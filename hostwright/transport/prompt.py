"""Asking for a secret on the terminal, whichever thread needs it: one question at a time, and Ctrl-C ends it."""

from __future__ import annotations

import getpass
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from hostwright.errors import Cancelled

TERMINAL = "/dev/tty"
CTRL_C = b"\x03"


class Prompt:
    """Asks for secrets.

    Ctrl-C at a question gives up all further ones. It comes as a character, not as a signal: a signal reaches
    the main thread only, and the one that reads would keep the terminal without its echo.

    Args:
        pause: holds still what moves on the terminal meanwhile.
    """

    def __init__(self, pause: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
        self._pause = pause
        self._lock = threading.Lock()
        self._given_up = False

    def __call__(self, question: str) -> str:
        """The answer, without its newline.

        Raises:
            Cancelled: Ctrl-C, or the end of the input.
        """
        with self._lock:
            if not self._given_up:
                with self._pause():
                    answer = ask(question)
                if answer is not None:
                    return answer
                self._given_up = True
        raise Cancelled("stopped at the question; nothing was started")


def ask(question: str) -> str | None:
    """Show a question on the terminal and read a line without echo; None at Ctrl-C or the end of the input."""
    try:
        terminal = os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:  # none, but somebody types all the same
        try:
            return getpass.getpass(question)
        except (EOFError, KeyboardInterrupt):
            return None
    import termios

    before = termios.tcgetattr(terminal)
    *modes, local, in_speed, out_speed, characters = before  # termios(3)
    silent = local & ~(termios.ECHO | termios.ISIG)
    characters = [*characters]
    characters[termios.VEOL] = CTRL_C  # a second character that ends a line
    try:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, [*modes, silent, in_speed, out_speed, characters])
        os.write(terminal, question.encode())
        line = os.read(terminal, 4096)
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
        os.write(terminal, b"\n")
        os.close(terminal)
    return line.decode("utf-8", "replace").rstrip("\n") if line.endswith(b"\n") else None
