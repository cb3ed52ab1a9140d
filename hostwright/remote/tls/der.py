"""A small strict reader of DER (X.690): what certificates are made of. No import, no process."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

INTEGER, BIT_STRING, OCTET_STRING, OID = 0x02, 0x03, 0x04, 0x06
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18
SEQUENCE, SET = 0x30, 0x31
# X.690 8.23: the strings that names of people and companies are written in
ENCODINGS = {
    0x0C: "utf-8",
    0x13: "ascii",
    0x14: "latin-1",
    0x16: "ascii",
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}
# days before each month, in a year that has no leap day
BEFORE = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365)
# nobody's name is longer; what is, is there to flood a terminal
LONGEST = 200


class Damaged(ValueError):
    """These bytes are not what they should be."""


class Reader:
    """The values in a stretch of bytes, one after another.

    Args:
        data: the bytes.
        begin: where the first value begins.
        end: where the last one ends; None: with the bytes.
    """

    def __init__(self, data: bytes, begin: int = 0, end: Optional[int] = None) -> None:
        self._data = data
        self._at = begin
        self._end = len(data) if end is None else end

    @property
    def more(self) -> bool:
        """There is another value."""
        return self._at < self._end

    def peek(self) -> int:
        """The tag of the next value; -1 at the end."""
        return self._data[self._at] if self.more else -1

    def _span(self, tag: int) -> tuple[int, int, int]:
        """Where the next value begins, where its content does, and where it ends.

        Raises:
            Damaged: it has another tag, or is cut off.
        """
        data, start, end = self._data, self._at, self._end
        if end - start < 2 or data[start] != tag or tag & 0x1F == 0x1F:
            raise Damaged("at byte %d: expected a value with tag %#x" % (start, tag))
        size, at = data[start + 1], start + 2
        if size & 0x80:
            count = size & 0x7F
            # 0x80 is BER's "until the end"; more than 4 bytes are no certificate's
            if not 1 <= count <= 4 or end - at < count:
                raise Damaged("at byte %d: a length that DER does not allow" % start)
            size = int.from_bytes(data[at : at + count], "big")
            if size < 0x80 or size >> 8 * (count - 1) == 0:
                raise Damaged("at byte %d: a length that is not the shortest" % start)
            at += count
        if end - at < size:
            raise Damaged("at byte %d: cut off" % start)
        self._at = at + size
        return start, at, self._at

    def enter(self, tag: int = SEQUENCE) -> Reader:
        """The values inside the next one.

        Raises:
            Damaged
        """
        _, begin, end = self._span(tag)
        return Reader(self._data, begin, end)

    def value(self, tag: int) -> bytes:
        """The content of the next value.

        Raises:
            Damaged
        """
        _, begin, end = self._span(tag)
        return self._data[begin:end]

    def whole(self, tag: int) -> bytes:
        """The next value with its tag and length.

        Raises:
            Damaged
        """
        start, _, end = self._span(tag)
        return self._data[start:end]

    def any(self) -> tuple[int, bytes]:
        """Tag and content of the next value, whatever it is.

        Raises:
            Damaged
        """
        tag = self.peek()
        return tag, self.value(tag)

    def done(self) -> None:
        """Nothing may follow.

        Raises:
            Damaged: something does.
        """
        if self.more:
            raise Damaged("at byte %d: something follows where nothing should" % self._at)


def text(tag: int, value: bytes) -> str:
    """A string for people: one line, no control characters. Empty when it is no string."""
    try:
        found = value.decode(ENCODINGS[tag])
    except (KeyError, UnicodeDecodeError):
        return ""
    return " ".join("".join(c if c.isprintable() else " " for c in found).split())[:LONGEST]


def moment(tag: int, value: bytes) -> int:
    """Unix seconds of a UTCTime or GeneralizedTime as RFC 5280, 4.1.2.5, wants them: seconds, and `Z`.

    Raises:
        Damaged
    """
    digits = value[:-1]
    if (
        value[-1:] != b"Z"
        or not digits.isdigit()
        or len(digits) != {UTC_TIME: 12, GENERALIZED_TIME: 14}.get(tag)
    ):
        raise Damaged("not a time of a certificate: %r" % value[:20])
    if tag == UTC_TIME:
        digits = (b"19" if digits >= b"50" else b"20") + digits
    year, numbers = int(digits[:4]), [int(digits[at : at + 2]) for at in range(4, 14, 2)]
    month, day, hour, minute, second = numbers
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not (year and 1 <= month <= 12 and hour < 24 and minute < 60 and second < 60):
        raise Damaged("there is no such time: %r" % value)
    if not 1 <= day <= BEFORE[month] - BEFORE[month - 1] + (leap and month == 2):
        raise Damaged("there is no such day: %r" % value)
    past = year - 1
    days = 365 * past + past // 4 - past // 100 + past // 400 - 719162  # from the year 1 to 1970
    days += BEFORE[month - 1] + (leap and month > 2) + day - 1
    return ((days * 24 + hour) * 60 + minute) * 60 + second
