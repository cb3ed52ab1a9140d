"""`inv cert.renew` on the server: what runs, what is said, what goes on being served."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from hostwright.remote import events
from hostwright.remote.run import Run
from hostwright.remote.system import RunCancelled
from hostwright.remote.tls import renew, served
from hostwright.testing.system import FakeSystem
from tests.unit.tls.certificates import NOW, der, make, name, pem

PATH = "/etc/letsencrypt/live/hello/fullchain.pem"
OLD = make(["example.com"], subject=name("old"), end=NOW + timedelta(days=10, hours=1), serial=0xA1)
NEW = make(["example.com"], subject=name("new"), end=NOW + timedelta(days=90, hours=1), serial=0xB2)
APP = {
    "name": "hello", "kind": "acme", "certificate": PATH, "names": ["example.com"], "addresses": [],
    "directory": "https://acme.example/dir",
    "staging": "https://staging.acme.example/dir",
}  # fmt: skip
OTHER = {
    **APP,
    "name": "shop",
    "certificate": "/etc/letsencrypt/live/shop/fullchain.pem",
    "names": ["shop.example"],
}
CERTBOT = "/opt/certbot/bin/certbot renew --cert-name hello --no-random-sleep-on-renew --no-directory-hooks"
# alone, --dry-run asks Let's Encrypt's staging, whoever the CA is
DRY = " --dry-run --server https://staging.acme.example/dir"
TEST, RELOAD = "nginx -t", "systemctl reload-or-restart nginx.service"
SHOW = "systemctl show --property=MainPID --value nginx.service"
ISSUED = {"files": {PATH: pem(NEW)}, "out": "Congratulations, all renewals succeeded"}
NOT_DUE = "Certificate not yet due for renewal"
REFUSED = """\
nginx: [warn] something
nginx: [emerg] unknown directive "servr" in /etc/nginx/sites-enabled/other.conf:3
nginx: configuration file /etc/nginx/nginx.conf test failed
"""
FORBIDDEN = """\
Saving debug log to /var/log/letsencrypt/letsencrypt.log
Failed to renew certificate hello with error: Some challenges have failed.

Certbot failed to authenticate some domains (authenticator: webroot). The Certificate Authority reported these problems:
  Identifier: example.com
  Type:   unauthorized
  Detail: 203.0.113.1: Invalid response from http://example.com/.well-known/acme-challenge/x: 404

Ask for help or search for solutions at the forum.
"""


class Server(FakeSystem):
    """Its nginx serves what the file holds when it is reloaded, unless it is stubborn."""

    def __init__(self, *, serves: Any = OLD, stubborn: bool = False, **commands: Any) -> None:
        given = {SHOW: "0\n", TEST: {"err": "ok"}, **commands.pop("more", {})}
        super().__init__(
            {PATH: pem(OLD), OTHER["certificate"]: pem(make(["shop.example"]))},
            commands={key: value for key, value in given.items() if value is not None},
            now=NOW.timestamp(),
        )
        self.serves, self.stubborn = serves, stubborn

    def _result(self, argv: Any, input: Any = None, env: Any = None) -> Any:
        if " ".join(argv) == RELOAD and RELOAD not in self.commands:
            self.commands[RELOAD] = ""
            if not self.stubborn:
                self.serves = None  # from now on: the file
        return super()._result(argv, input, env)

    def served(self) -> bytes:
        from hostwright.remote.tls import x509

        if self.serves is not None:
            return der(self.serves)
        found = x509.read(self, PATH)
        assert found
        return found.der


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the job; returns its last event, and all of them."""

    def start_it(
        server: Server, *apps: Any, run: Any = None, **request: Any
    ) -> tuple[events.RunFinished, list[events.Event]]:
        def handshake(target: str, address: str, port: int) -> served.Answer:
            if target != "example.com":
                return served.Answer(target, "nginx has no site with HTTPS for this name")
            return served.Answer(target, version="TLSv1.3", chain=[server.served()])

        monkeypatch.setattr(served, "handshake", handshake)
        heard: list[events.Event] = []
        request = {"apps": [*(apps or (APP,))], "force": False, "staging": False, **request}
        run = run(heard.append) if run else Run(heard.append, lambda: False)
        return renew.job(request, server, run), heard

    return start_it


def steps(heard: list[events.Event]) -> list[tuple[str, str]]:
    return [(event.step, event.detail) for event in heard if isinstance(event, events.StepFinished)]


def failures(heard: list[events.Event]) -> list[tuple[str, str, tuple[str, ...], str]]:
    return [
        (event.step, event.message, tuple(event.tail), event.hint)
        for event in heard
        if isinstance(event, events.StepFailed)
    ]


def test_a_renewal(start: Any) -> None:
    server = Server(more={CERTBOT: ISSUED})
    finished, heard = start(server)
    assert steps(heard) == [
        ("renew", "hello, valid for 90 d"), ("test", ""), ("reload", ""), ("check", "nginx serves the new certificate"),
    ]  # fmt: skip
    assert (finished.outcome, finished.changed) == ("done", 1)
    assert finished.state == "renewed: hello, valid for 90 d"
    assert finished.data == {"renewed": ["hello"], "not_renewed": []}
    commands = [" ".join(argv) for argv in server.ran if argv != tuple(SHOW.split())]
    assert commands == [CERTBOT, TEST, RELOAD]


def test_nothing_is_due(start: Any) -> None:
    server = Server(more={CERTBOT: NOT_DUE})
    finished, heard = start(server)
    assert steps(heard) == [("renew", "hello is not due, valid for 10 d")]
    assert (finished.outcome, finished.changed, finished.state) == ("done", 0, "nothing is due")
    assert RELOAD not in [" ".join(argv) for argv in server.ran]


def test_nothing_is_due_but_nginx_serves_an_older_one(start: Any) -> None:
    server = Server(more={CERTBOT: NOT_DUE}, serves=NEW)
    finished, heard = start(server)
    assert [step for step, _ in steps(heard)] == ["renew", "test", "reload", "check"]
    assert finished.state == "nothing was due; nginx serves the newest certificate now"


def test_force_and_staging(start: Any) -> None:
    forced, _ = start(Server(more={CERTBOT + " --force-renewal": ISSUED}), force=True)
    assert forced.changed == 1
    server = Server(more={CERTBOT + DRY: "simulated"})
    dry, heard = start(server, staging=True)
    assert steps(heard) == [("renew", "hello: the CA would renew it, valid for 10 d")]
    assert (dry.outcome, dry.changed, dry.state) == ("done", 0, "the dry try went well: nothing was changed")
    assert len(server.ran) == 1


def test_the_ca_refuses(start: Any) -> None:
    server = Server(more={CERTBOT: {"exit": 1, "err": FORBIDDEN}})
    finished, heard = start(server)
    ((step, message, tail, hint),) = failures(heard)
    assert step == "renew"
    assert "example.com" in message + " ".join(tail)
    assert "404" in message + " ".join(tail)
    assert hint
    assert finished.outcome == "failed"
    assert finished.message.startswith("hello: ")
    assert finished.state == "what nginx serves did not change"
    assert server.serves is OLD
    remembered = json.loads(server.read("/var/lib/hostwright/certificates/hello.json") or b"")
    assert [entry["names"] for entry in remembered["failures"]] == [["example.com"]]


def test_a_dry_try_that_fails_is_not_remembered(start: Any) -> None:
    server = Server(more={CERTBOT + DRY: {"exit": 1, "err": FORBIDDEN}})
    finished, _ = start(server, staging=True)
    assert finished.outcome == "failed"
    assert not server.exists("/var/lib/hostwright/certificates/hello.json")


def test_who_failed_too_often_waits(start: Any) -> None:
    server = Server(more={CERTBOT: [{"exit": 1, "err": FORBIDDEN}] * 3, CERTBOT + " --force-renewal": ISSUED})
    for _ in range(3):
        start(server)
    finished, heard = start(server)
    ((_, message, tail, hint),) = failures(heard)
    assert "the CA was not asked again" in message
    assert "it may be asked again" in hint
    assert tail
    assert finished.outcome == "failed"
    forced, _ = start(server, force=True)
    assert forced.outcome == "done"
    assert json.loads(server.read("/var/lib/hostwright/certificates/hello.json") or b"")["failures"] == []


def test_one_failure_does_not_stop_the_others(start: Any) -> None:
    other = CERTBOT.replace("hello", "shop")
    server = Server(more={other: {"exit": 1, "err": FORBIDDEN}, CERTBOT: ISSUED})
    finished, heard = start(server, OTHER, APP)
    assert [step for step, _ in steps(heard)] == ["renew", "test", "reload", "check"]
    assert (finished.outcome, finished.changed) == ("failed", 1)
    assert finished.message.startswith("shop: ")


def test_there_is_no_certificate_yet(start: Any) -> None:
    server = Server()
    server.unlink(PATH)
    finished, heard = start(server)
    assert failures(heard) == [
        ("renew", "hello has no certificate yet", (), "inv provision asks for the first one.")
    ]
    assert finished.outcome == "failed"


def test_nginx_refuses_its_configuration(start: Any) -> None:
    server = Server(more={CERTBOT: ISSUED, TEST: {"exit": 1, "err": REFUSED}})
    finished, heard = start(server)
    assert failures(heard) == [
        (
            "test",
            "nginx refuses its configuration. nginx goes on with what it has: the old certificate is served",
            ('nginx: [emerg] unknown directive "servr" in /etc/nginx/sites-enabled/other.conf:3',),
            "inv provision --check --diff shows what differs of ours, inv provision puts it right; then again.",
        )
    ]
    assert (finished.outcome, finished.changed, finished.data["renewed"]) == ("failed", 1, ["hello"])
    assert finished.state == "the new certificate is in its file, and nginx does not serve it yet"
    assert server.serves is OLD


def test_the_reload_fails(start: Any) -> None:
    server = Server(more={CERTBOT: ISSUED, RELOAD: {"exit": 1, "err": "Job for nginx.service failed."}})
    _, heard = start(server)
    ((step, message, tail, hint),) = failures(heard)
    assert (step, tail) == ("reload", ("Job for nginx.service failed.",))
    assert message.startswith("nginx was not reloaded: exit code 1.")
    assert hint == "journalctl -u nginx.service on the server says why; then: inv cert.renew"


def test_nginx_goes_on_serving_the_old_one(start: Any) -> None:
    server = Server(more={CERTBOT: ISSUED}, stubborn=True)
    finished, heard = start(server)
    assert failures(heard) == [
        (
            "check",
            "nginx does not serve the new certificate",
            ("example.com: serial a1, and the file has b2",),
            "inv cert.status shows what is served; inv provision puts right what is ours.",
        )
    ]
    assert finished.message == "nginx does not serve the new certificate"


def test_a_name_that_is_not_served(start: Any) -> None:
    server = Server(more={CERTBOT: ISSUED})
    _, heard = start(server, {**APP, "names": ["example.com", "www.example.com"]})
    ((_, _, tail, _),) = failures(heard)
    assert tail == ("www.example.com: nginx has no site with HTTPS for this name",)


def test_who_stops_it_gets_what_was_renewed_by_then(start: Any) -> None:
    server = Server(more={CERTBOT: ISSUED})
    stop: list[bool] = []

    class Stopping(Run):
        def emit(self, event: events.Event) -> None:
            super().emit(event)
            if isinstance(event, events.StepFinished) and event.step == "renew":
                stop.append(True)

    finished, heard = start(server, APP, OTHER, run=lambda emit: Stopping(emit, lambda: bool(stop)))
    assert [step for step, _ in steps(heard)] == ["renew", "test", "reload", "check"]
    assert (finished.outcome, finished.changed, finished.message) == ("cancelled", 1, "stopped by the user")
    assert finished.data == {"renewed": ["hello"], "not_renewed": ["shop"]}


def test_who_stops_it_before_anything_was_renewed(start: Any) -> None:
    with pytest.raises(RunCancelled):
        start(Server(), run=lambda emit: Run(emit, lambda: True))


def test_a_busy_ca_is_asked_once_more(start: Any) -> None:
    busy = {"exit": 1, "err": "urn:ietf:params:acme:error:badNonce :: JWS has an invalid anti-replay nonce\n"}
    finished, _ = start(Server(more={CERTBOT: [busy, ISSUED]}))
    assert (finished.outcome, finished.changed) == ("done", 1)
    finished, heard = start(Server(more={CERTBOT: [busy, busy]}))
    assert finished.outcome == "failed"
    assert [step for step, *_ in failures(heard)] == ["renew"]
