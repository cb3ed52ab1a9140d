"""One request to one agent: what is answered, what is noise, how it may end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from hostwright.errors import ConnectionLost, HostwrightError, ProtocolError, UnsupportedServer
from hostwright.remote import events, wire
from hostwright.run.dialogue import Dialogue

DEBIAN = {"os_id": "debian", "os_like": "", "os_name": "Debian 12"}


class Script:
    """A channel that plays lines, whatever it is sent."""

    def __init__(
        self, *lines: events.Event | bytes, code: int | None = None, stderr: tuple[str, ...] = ()
    ) -> None:
        self._lines = [line if isinstance(line, bytes) else wire.line(line.to_wire())[:-1] for line in lines]
        self._code = code
        self._stderr = stderr
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def lines(self) -> Iterator[bytes]:
        return iter(self._lines)

    def stderr_tail(self) -> tuple[str, ...]:
        return self._stderr

    def exit_code(self) -> int | None:
        return self._code

    def close(self) -> None:
        pass


HELLO = events.Hello(wire.PROTOCOL, "abc", DEBIAN)
DONE = events.RunFinished("done", 1.0)


def hold(script: Script, answer: object = None) -> list[events.Event]:
    heard: list[events.Event] = []
    Dialogue(script, "web1", heard.append, answer).hold({"action": "provision"})  # type: ignore[arg-type]
    return heard


def test_banners_and_blank_lines_are_passed_over() -> None:
    assert hold(Script(b"Welcome to Ubuntu", b"", HELLO, b"\x1b[0mnoise", DONE)) == [HELLO, DONE]


def test_the_agent_is_sent_when_it_is_missing() -> None:
    script = Script(events.AgentNeeded("abc"), HELLO, DONE)
    hold(script)
    assert len(script.sent) == 2
    assert len(script.sent[1]) > 10_000


def test_a_replayed_run_is_not_the_end() -> None:
    replayed = events.RunFinished("failed", 1.0)
    attached = events.Attached({"run": "1"})
    assert hold(Script(HELLO, attached, replayed, DONE)) == [HELLO, attached, replayed, DONE]


def test_the_end_of_a_run_that_is_what_was_asked_for_is_the_end() -> None:
    attached = events.Attached({"run": "1"}, same=True)
    assert hold(Script(HELLO, attached, DONE)) == [HELLO, attached, DONE]


def test_questions_are_answered() -> None:
    def answer(event: events.Event) -> Iterable[bytes]:
        return [b"one", b"two"] if isinstance(event, events.SourceNeeded) else []

    script = Script(HELLO, events.SourceNeeded("c", ()), DONE)
    hold(script, answer)
    assert script.sent[1:] == [b"one", b"two"]


def failed(script: Script) -> HostwrightError:
    with pytest.raises(HostwrightError) as error:
        hold(script)
    return error.value


def test_a_lost_connection() -> None:
    error = failed(Script(HELLO))
    assert isinstance(error, ConnectionLost)
    assert str(error) == "web1  connection lost\n  Try again."


def test_noise_instead_of_an_agent() -> None:
    error = failed(Script(b"This account is currently not available.", code=1, stderr=("bye",)))
    assert isinstance(error, ProtocolError)
    assert str(error) == (
        "web1  the server answered, but the agent did not start (exit code 1)\n"
        "  | This account is currently not available.\n"
        "  | bye\n"
        "  Is the user's login shell a shell? Does one of its start-up files print or exit? Silence it."
    )


def test_another_protocol() -> None:
    error = failed(Script(events.Hello(99, "abc", DEBIAN)))
    assert str(error) == f"web1  the agent speaks protocol 99, this hostwright {wire.PROTOCOL}"


def test_an_event_nobody_knows() -> None:
    assert "something unknown" in str(failed(Script(HELLO, b'\x1e{"event": "danced"}')))


@pytest.mark.parametrize(
    ("id", "like", "fine"),
    [
        ("debian", "", True),
        ("ubuntu", "debian", True),
        ("linuxmint", "ubuntu debian", True),
        ("fedora", "", False),
    ],
)
def test_which_systems_are_managed(id: str, like: str, fine: bool) -> None:
    script = Script(
        events.Hello(wire.PROTOCOL, "abc", {"os_id": id, "os_like": like, "os_name": id.title()}), DONE
    )
    if fine:
        hold(script)
        return
    error = failed(script)
    assert isinstance(error, UnsupportedServer)
    assert str(error) == "web1  this is Fedora; Hostwright manages Debian and Ubuntu"


def test_a_server_without_systemd() -> None:
    error = failed(Script(events.Hello(wire.PROTOCOL, "abc", {**DEBIAN, "systemd": False})))
    assert isinstance(error, UnsupportedServer)
    assert "systemd does not run on this server" in str(error)
