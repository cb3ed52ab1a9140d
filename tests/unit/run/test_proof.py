"""The new login that a server asks for, and how a run gets in while a port or a user is still to come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from hostwright.errors import AuthenticationFailed, HostUnreachable, HostwrightError
from hostwright.inventory import Host, Inventory
from hostwright.inventory.host import HostSettings
from hostwright.run import proof
from hostwright.run.login import Logins


class Connection:
    """A login; `uid` is what sudo makes of us."""

    def __init__(self, host: Host, uid: bytes) -> None:
        self.label = f"{host.user}@{host.address}:{host.port}"
        self.uid = uid
        self.closed = False

    def open(self, argv: tuple[str, ...]) -> Connection:
        assert argv == ("id", "-u")
        return self

    def lines(self) -> Iterator[bytes]:
        return iter([self.uid])

    def close(self) -> None:
        self.closed = True


class FakeLogins(Logins):
    """Logins that end as the test says, one after another."""

    def __init__(self, *outcomes: bytes | HostwrightError, ports: tuple[int, ...] = (22,)) -> None:
        self.said: list[str] = []
        inventory = Inventory(Path("/x"), "p", {}, {}, {}, HostSettings())
        super().__init__(lambda host, line: self.said.append(line), inventory, {}, pause=nullcontext)
        self.outcomes = list(outcomes)
        self.ports = ports
        self.tried: list[Host] = []
        self.learned: list[str] = []

    def learn(self, host: Host, keys: Any) -> None:
        self.learned += keys

    def _connect(self, host: Host) -> Any:
        self.tried.append(host)
        if host.port not in self.ports:
            raise HostUnreachable(f"port {host.port}: connection refused", host=host.name)
        outcome = self.outcomes.pop(0) if self.outcomes else b"0"
        if isinstance(outcome, HostwrightError):
            raise outcome
        return Connection(host, outcome)


def host(**more: Any) -> Host:
    return Host(**{"name": "web1", "address": "203.0.113.10", "apps": (), "port": 22, **more})


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hostwright.run.proof.PAUSE", 0.0)


def test_a_login_that_works() -> None:
    logins = FakeLogins()
    found = proof.new_login(
        logins, host(), {"user": "eve", "port": 9, "host_keys": ["ssh-ed25519 AAAA"]}, 12.0
    )
    assert found == {"ok": True, "as": "ubuntu@203.0.113.10:22"}
    assert logins.learned == ["ssh-ed25519 AAAA"]
    assert [(h.user, h.port) for h in logins.tried] == [("ubuntu", 22)], "what the server names is not used"


def test_not_as_the_bootstrap_user_nor_at_the_bootstrap_port() -> None:
    no = AuthenticationFailed("accepts none of our keys", evidence=("tried x",))
    logins = FakeLogins(no)
    found = proof.new_login(logins, host(bootstrap_user="root", bootstrap_port=22), {}, 12.0)
    assert found == {"ok": False, "message": "accepts none of our keys", "evidence": ["tried x"]}
    assert len(logins.tried) == 1
    logins = FakeLogins(ports=(22,))
    assert not proof.new_login(logins, host(port=2222, bootstrap_port=22), {}, 1.0)["ok"]
    assert {h.port for h in logins.tried} == {2222}


def test_sudo_is_part_of_it() -> None:
    found = proof.new_login(FakeLogins(b"1000"), host(), {}, 1.0)
    assert found["message"] == "sudo did not make ubuntu root: 1000"


def test_what_passes_by_itself_is_tried_again() -> None:
    refused = HostUnreachable("connection refused")
    assert proof.new_login(FakeLogins(refused, refused), host(), {}, 12.0)["ok"]
    logins = FakeLogins(*[refused] * 3)
    assert not proof.new_login(logins, host(), {}, 1.0)["ok"]
    assert len(logins.tried) == 1, "there is no time for another"


def test_a_bug_is_an_answer_too(monkeypatch: pytest.MonkeyPatch) -> None:
    logins = FakeLogins()
    monkeypatch.setattr(logins, "learn", lambda *_: 1 / 0)
    found = proof.new_login(logins, host(), {}, 12.0)
    assert found["message"] == "ZeroDivisionError: division by zero"


# -- bootstrap_port ----------------------------------------------------------------------------------------------


def test_the_bootstrap_port_only_while_the_port_does_not_answer() -> None:
    logins = FakeLogins(ports=(22,))
    assert logins.connect(host(port=2222, bootstrap_port=22)).label == "ubuntu@203.0.113.10:22"
    assert logins.said == ["port 2222 does not answer yet: using 22 this once"]
    assert "port" in logins.tried[-1].model_fields_set, "or ~/.ssh/config would have its say"
    logins = FakeLogins(ports=(22, 2222))
    assert logins.connect(host(port=2222, bootstrap_port=22)).label == "ubuntu@203.0.113.10:2222"
    assert logins.said == []


def test_neither_port_answers() -> None:
    with pytest.raises(HostUnreachable) as caught:
        FakeLogins(ports=()).connect(host(port=2222, bootstrap_port=22))
    assert caught.value.message == (
        "port 2222: connection refused; nor does the bootstrap_port help: port 22: connection refused"
    )
    with pytest.raises(HostUnreachable, match=r"port 2222: connection refused\Z"):
        FakeLogins(ports=()).connect(host(port=2222))


def test_both_bootstraps_at_once() -> None:
    logins = FakeLogins(AuthenticationFailed("no"), ports=(22,))
    found = logins.connect(host(port=2222, bootstrap_port=22, bootstrap_user="root"))
    assert found.label == "root@203.0.113.10:22"
    assert logins.bootstrapped == {"web1"}
