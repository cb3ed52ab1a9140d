"""A terminal of a few escape sequences, to see what a person would see. Anything it does not know is an error."""

from __future__ import annotations

import re

TOKEN = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])|([\r\n])|([^\x00-\x1f\x7f-\x9f]+)|(.)", re.S)


class Screen:
    """Rows of text and a cursor; endless downwards."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.rows = [""]
        self.row = 0
        self.column = 0
        self.cursor = True

    def feed(self, output: str) -> None:
        for private, number, final, control, text, unknown in TOKEN.findall(output):
            assert not unknown, f"a control character reached the terminal: {unknown!r}"
            if text:
                self._write(text)
            elif control == "\r":
                self.column = 0
            elif control == "\n":  # with the terminal driver's carriage return
                self.column = 0
                self._down()
            else:
                self._escape(private, number, final)

    def _escape(self, private: str, number: str, final: str) -> None:
        if private:
            assert number == "25", f"unknown mode {number}"
            self.cursor = final == "h"
        elif final == "A":
            self.row -= int(number or 1)
            assert self.row >= 0
        elif final == "K":
            assert number == "2"
            self.rows[self.row] = ""
        else:
            assert final == "m", f"unknown sequence {final}"

    def _write(self, text: str) -> None:
        for char in text:
            if self.column == self.width:
                self.column = 0
                self._down()
            row = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = row[: self.column] + char + row[self.column + 1 :]
            self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append("")

    def resize(self, width: int) -> None:
        """As most terminals do: what is too long now is wrapped; below the cursor is nothing."""
        assert not any(self.rows[self.row + 1 :])
        self.rows = [
            part for row in self.rows[: self.row + 1] for part in (re.findall(f".{{1,{width}}}", row) or [""])
        ]
        self.row = len(self.rows) - 1
        self.column = len(self.rows[-1])
        self.width = width

    @property
    def text(self) -> str:
        return "\n".join(row.rstrip() for row in self.rows).strip("\n")
