"""Questions on a terminal of the test's own: what is typed is not shown, and Ctrl-C ends it cleanly."""

from __future__ import annotations

import os
import pty
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hostwright.errors import Cancelled
from hostwright.transport import prompt
from hostwright.transport.prompt import Prompt


class Terminal:
    """A terminal with somebody at it."""

    def __init__(self) -> None:
        self.keyboard, screen = pty.openpty()
        self.path = os.ttyname(screen)
        self.screen = screen

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self.screen)[3] & termios.ECHO)

    def types_at(self, question: str, text: bytes) -> threading.Thread:
        """Type when the question is there."""

        def person() -> None:
            seen = b""
            while question.encode() not in seen:
                seen += os.read(self.keyboard, 100)
            os.write(self.keyboard, text)

        thread = threading.Thread(target=person, daemon=True)
        thread.start()
        return thread


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    found = Terminal()
    monkeypatch.setattr(prompt, "TERMINAL", found.path)
    yield found
    os.close(found.keyboard)
    os.close(found.screen)


def test_an_answer_is_not_shown(terminal: Terminal) -> None:
    held = []

    @contextmanager
    def pause() -> Iterator[None]:
        held.append(True)
        yield

    typing = terminal.types_at("Password: ", b"correct horse\n")
    assert Prompt(pause)("Password: ") == "correct horse"
    typing.join(5)
    assert held == [True]
    assert terminal.echoes()
    assert b"horse" not in os.read(terminal.keyboard, 1000)


@pytest.mark.parametrize("key", [b"\x03", b"half\x03", b"\x04"], ids=["ctrl-c", "in the middle", "ctrl-d"])
def test_ctrl_c_gives_up_all_questions(terminal: Terminal, key: bytes) -> None:
    ask = Prompt()
    typing = terminal.types_at("Password: ", key)
    with pytest.raises(Cancelled, match="stopped at the question; nothing was started"):
        ask("Password: ")
    typing.join(5)
    assert terminal.echoes()
    with pytest.raises(Cancelled):  # without a question
        ask("Another: ")
