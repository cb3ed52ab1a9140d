"""The open channel to the controller: events down, frames up. Runs on the server."""

from __future__ import annotations

import os

from . import wire
from .system import RunCancelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator

    from . import events


class Gone(Exception):
    """The controller is no longer there."""


class Conversation:
    """Reads frames from `source` and writes events to `sink` (file descriptors).

    Reading is unbuffered (exactly the bytes of a frame), so that `select` on `source` tells the truth.
    """

    def __init__(self, source: int, sink: int) -> None:
        self.source = source
        self.sink = sink

    def emit(self, event: events.Event) -> None:
        """Send an event.

        Raises:
            Gone: nobody reads any more.
        """
        self.send_line(wire.line(event.to_wire()))

    def send_line(self, line: bytes) -> None:
        """Send an event that is a line already."""
        view = memoryview(line)
        try:
            while view:
                view = view[os.write(self.sink, view) :]
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Gone("the controller is gone") from error

    def receive(self) -> dict[str, Any]:
        """The next message; pings are passed over.

        Raises:
            Gone: the input ended.
            RunCancelled: the controller says cancel.
            wire.WireError: not a message.
        """
        while True:
            frame = wire.read_frame(lambda size: os.read(self.source, size))
            if frame is None:
                raise Gone("the controller is gone")
            if isinstance(frame, bytes):
                raise wire.WireError("a message was expected, a stream came")
            if frame.get("control") == "cancel":
                raise RunCancelled("stopped by the user")
            if "control" not in frame:
                return frame

    def receive_stream(self) -> Iterator[bytes]:
        """The chunks of a raw stream until its end.

        Raises:
            Gone: the input ended in the middle.
        """
        while True:
            frame = wire.read_frame(lambda size: os.read(self.source, size))
            if frame is None:
                raise Gone("the controller is gone")
            if isinstance(frame, dict):
                if frame.get("control") == "cancel":
                    raise RunCancelled("stopped by the user")
                continue
            if not frame:
                return
            yield frame
