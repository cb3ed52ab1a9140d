"""Run one command with a deadline, its lines streamed. Runs on the server. The only user of `subprocess`."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time

from .system import TAIL, CommandFailed, Result, RunCancelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterable, Mapping, Optional, Sequence

# seconds between SIGTERM and SIGKILL
GRACE = 5.0
# memory, so that a full disk is reported by what needs it
MEMORY = "/dev/shm"  # noqa: S108 - unnamed files
# what is kept of a command's output: enough for any answer we parse, bounded for a build that prints for an hour
KEEP = 1 << 20


class _Stream:
    """Collects one pipe and hands on its whole lines."""

    def __init__(self, on_line: Optional[Callable[[str], None]], whole: bool = False) -> None:
        self.on_line = on_line
        self.whole = whole
        self.kept = bytearray()
        self.rest = b""

    def feed(self, chunk: bytes) -> None:
        self.kept += chunk
        if len(self.kept) > 2 * KEEP:
            del self.kept[:-KEEP]
        if self.on_line:
            *lines, self.rest = (self.rest + chunk).split(b"\n")
            for line in lines:
                self.on_line(self.text(line))

    def text(self, line: bytes) -> str:
        """Of a line: as it is, or what people should see of it."""
        return line.decode("utf-8", "replace").rstrip("\r") if self.whole else clean(line)

    def close(self) -> str:
        if self.on_line and self.rest:
            self.on_line(self.text(self.rest))
        return self.kept.decode("utf-8", "replace")


def clean(line: bytes) -> str:
    """A line for people: what a carriage return overwrote and control characters are dropped."""
    text = line.decode("utf-8", "replace").rstrip("\r").rsplit("\r", 1)[-1]
    return "".join(c for c in text if c == "\t" or c >= " ")[:2000]


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    input: Optional[bytes],
    env: Mapping[str, str],
    cwd: Optional[str],
    on_line: Optional[Callable[[str], None]],
    cancelled: Optional[Callable[[], bool]],
    on_error: Optional[Callable[[str], None]] = None,
    whole: bool = False,
) -> Result:
    """See System.run and System.stream; `on_error` takes the lines of stderr.

    A program that does not exist is exit code 127, as in a shell.
    """
    try:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as error:
        return Result(argv, 127, "", "%s: %s" % (error.filename or argv[0], error.strerror))
    out, err = _Stream(on_line, whole), _Stream(on_error or on_line, whole)
    try:
        reason = _pump(child, out, err, input or b"", time.monotonic() + timeout, cancelled)
    except BaseException:  # whoever takes the lines is gone: nobody would ever end the command
        _end(child)
        raise
    finally:
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe:
                pipe.close()
    code = child.wait()
    texts = out.close(), err.close()
    if reason == "cancelled":
        raise RunCancelled("while running %s" % argv[0])
    if reason:
        tail = (texts[1].strip() or texts[0].strip()).splitlines()[-TAIL:]
        raise CommandFailed(argv, code, tail, "ended after its deadline of %g s" % timeout)
    return Result(argv, code, *texts)


def capture(argv: Sequence[str], *, timeout: float, env: Mapping[str, str]) -> tuple[int, bytes, bytes]:
    """See System.capture."""
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=dict(env),
            timeout=timeout,
            check=False,
        )
    except OSError as error:
        return 127, b"", ("%s: %s" % (argv[0], error.strerror)).encode()
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(argv, -9, (), "ended after its deadline of %g s" % timeout) from error
    return done.returncode, done.stdout, done.stderr


def feed(argv: Sequence[str], chunks: Iterable[bytes], *, env: Mapping[str, str]) -> Result:
    """See System.feed."""
    import tempfile

    # files, not pipes: a command that prints while it reads would wait for us, and we for it
    with tempfile.TemporaryFile(dir=MEMORY) as out, tempfile.TemporaryFile(dir=MEMORY) as err:
        child = subprocess.Popen(
            list(argv), stdin=subprocess.PIPE, stdout=out, stderr=err, env=dict(env), start_new_session=True
        )
        assert child.stdin
        try:
            for chunk in chunks:
                try:
                    child.stdin.write(chunk)
                except BrokenPipeError:
                    continue  # it has seen enough; its exit code says why. The rest is read and dropped
            try:
                child.stdin.close()
            except BrokenPipeError:
                pass
            code = child.wait()
        except BaseException:
            _end(child)
            raise
        finally:
            try:
                child.stdin.close()
            except BrokenPipeError:
                pass
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read(KEEP).decode("utf-8", "replace"))
    return Result(argv, code, texts[0], texts[1])


def _pump(
    child: subprocess.Popen[bytes],
    out: _Stream,
    err: _Stream,
    feed: bytes,
    end: float,
    cancelled: Optional[Callable[[], bool]],
) -> str:
    """Move bytes until the child is gone; returns why it was ended early, or an empty string."""
    with selectors.DefaultSelector() as selector:
        assert child.stdout
        assert child.stderr
        selector.register(child.stdout, selectors.EVENT_READ, out)
        selector.register(child.stderr, selectors.EVENT_READ, err)
        if child.stdin:
            os.set_blocking(child.stdin.fileno(), False)
            selector.register(child.stdin, selectors.EVENT_WRITE)
        gone_at = 0.0
        while len(selector.get_map()):
            for key, _ in selector.select(0.1):
                if key.fileobj is child.stdin:
                    feed = _feed(selector, child, feed)
                    continue
                chunk = os.read(key.fd, 65536)
                if chunk:
                    key.data.feed(chunk)
                else:
                    selector.unregister(key.fileobj)
            # a daemon that the command left behind may hold its pipes for ever: the command itself counts
            if child.poll() is not None:
                gone_at = gone_at or time.monotonic()
                if time.monotonic() - gone_at > 1.0:
                    return ""
            why = "deadline" if time.monotonic() > end else "cancelled" if cancelled and cancelled() else ""
            if why and child.poll() is None:
                _end(child)
                return why
    # the pipes are closed; the process may still take its time
    while child.poll() is None:
        if time.monotonic() > end:
            _end(child)
            return "deadline"
        time.sleep(0.01)
    return ""


def _feed(selector: selectors.BaseSelector, child: subprocess.Popen[bytes], feed: bytes) -> bytes:
    assert child.stdin
    try:
        feed = feed[os.write(child.stdin.fileno(), feed[:65536]) :]
    except BlockingIOError:
        return feed
    except BrokenPipeError:
        feed = b""
    if not feed:
        selector.unregister(child.stdin)
        child.stdin.close()
    return feed


def _end(child: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the group, SIGKILL when that does not help."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            return
        try:
            child.wait(GRACE)
            return
        except subprocess.TimeoutExpired:
            continue
