"""A headless Chromium on a server, driven from this machine over the DevTools protocol."""

from __future__ import annotations

import itertools
import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from websockets.sync.client import ClientConnection, connect

from hostwright.sandbox import Sandbox, Server

from .project import sh, until

PACKAGES = ("chromium-headless-shell", "libnss3-tools")
PORT = 9222
HOME = "/srv/browser"
# its own certificate store says whom it trusts; a user without rights runs it, but not in Chromium's own sandbox,
# which wants namespaces that a server in a container cannot make
PREPARE = """\
id browser >/dev/null 2>&1 || useradd --home-dir {home} --create-home browser
cat > {home}/root.pem
chown browser: {home}/root.pem
runuser -u browser -- sh -ec '
  cd {home}; rm -rf .pki; mkdir -p .pki/nssdb
  certutil -d sql:.pki/nssdb -N --empty-password
  certutil -d sql:.pki/nssdb -A -t C,, -n test -i root.pem'
"""
START = """\
systemctl stop browser 2>/dev/null || true
systemctl reset-failed browser 2>/dev/null || true
systemd-run --quiet --unit=browser --uid=browser --setenv=HOME={home} --working-directory={home} \
  chromium-headless-shell --no-sandbox --disable-gpu --disable-dev-shm-usage --remote-debugging-port={port} \
  --user-data-dir={home}/profile --host-resolver-rules='{rules}' about:blank
"""


class Page:
    """One tab.

    Attributes:
        console: what pages and the browser itself have written to the console, `level: text`.
        requests: URLs that were asked for.
        failed: requests that got no answer or were blocked, `URL: why`.
        security: what the browser says of the connection of the last page, e.g. `secure`, and the protocol.
    """

    def __init__(self, link: ClientConnection) -> None:
        self._link = link
        self._numbers = itertools.count(1)
        self.console: list[str] = []
        self.requests: list[str] = []
        self.failed: list[str] = []
        self.security: dict[str, Any] = {}
        self._urls: dict[str, str] = {}
        self._loaded = False
        for domain in ("Page", "Runtime", "Log", "Network", "Security"):
            self._call(f"{domain}.enable")

    def open(self, url: str, seconds: float = 30) -> None:
        """Load a page and all that it names. AssertionError: it cannot be (the certificate, for one)."""
        self._loaded = False
        said = self._call("Page.navigate", url=url)
        assert "errorText" not in said, f"{url}: {said['errorText']}"
        end = time.monotonic() + seconds
        while not self._loaded:
            assert time.monotonic() < end, f"{url} has not loaded within {seconds} s"
            self._listen(1)

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression in the page."""
        said = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")

    def wait(self, script: str, seconds: float = 20) -> Any:
        """Poll an expression until it is true; its value."""
        end = time.monotonic() + seconds
        while not (found := self.evaluate(script)):
            assert time.monotonic() < end, f"not within {seconds} s: {script}\n{self.console}\n{self.failed}"
            time.sleep(0.1)
        return found

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._link.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            frame = json.loads(self._link.recv(timeout=30))
            if frame.get("id") == number:
                assert "error" not in frame, f"{method}: {frame['error']}"
                return dict(frame["result"])
            self._note(frame)

    def _listen(self, seconds: float) -> None:
        with suppress(TimeoutError):
            self._note(json.loads(self._link.recv(timeout=seconds)))

    def _note(self, frame: dict[str, Any]) -> None:
        what, params = frame.get("method"), frame.get("params", {})
        if what == "Page.loadEventFired":
            self._loaded = True
        elif what == "Runtime.consoleAPICalled":
            words = " ".join(str(item.get("value", item.get("description"))) for item in params["args"])
            self.console.append(f"{params['type']}: {words}")
        elif what == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.console.append(f"error: {details.get('exception', {}).get('description', details['text'])}")
        elif what == "Log.entryAdded":
            entry = params["entry"]
            self.console.append(f"{entry['level']}: {entry['text']} {entry.get('url', '')}".rstrip())
        elif what == "Network.requestWillBeSent":
            self._urls[params["requestId"]] = params["request"]["url"]
            self.requests.append(params["request"]["url"])
        elif what == "Network.loadingFailed":
            why = params.get("blockedReason") or params["errorText"]
            self.failed.append(f"{self._urls.get(params['requestId'])}: {why}")
        elif what == "Network.responseReceived" and params["type"] == "Document":
            answer = params["response"]
            details = answer.get("securityDetails", {})
            self.security = {"state": answer["securityState"], "http": answer.get("protocol"), **details}


def prepare(sandbox: Sandbox, server: Server, root: str) -> None:
    """A server with `PACKAGES` trusts one more root, PEM, in its browser."""
    done = sandbox.exec(server.name, ("sh", "-ec", PREPARE.format(home=HOME)), input=root)
    assert done.returncode == 0, done.stderr


@contextmanager
def browser(sandbox: Sandbox, server: Server, names: dict[str, str]) -> Iterator[Page]:
    """A tab of a new browser on a server that was prepared.

    Args:
        names: host name -> address, as its DNS would say; all other names do not exist.
    """
    rules = ",".join(f"MAP {name} {address}" for name, address in names.items())
    others = "".join(f",EXCLUDE {address}" for address in names.values())
    sh(sandbox, server, START.format(home=HOME, port=PORT, rules=f"{rules},MAP * ~NOTFOUND{others}"))
    port = free_port()
    # it listens to its own machine alone
    forward = server.ssh_argv(user="root")
    options = ("-N", "-o", "ExitOnForwardFailure=yes", "-L", f"127.0.0.1:{port}:127.0.0.1:{PORT}")
    tunnel = subprocess.Popen((*forward[:-1], *options, forward[-1]), stdin=subprocess.DEVNULL)
    try:
        until(lambda: tabs(port), 30, "the browser takes commands")
        url = next(tab["webSocketDebuggerUrl"] for tab in tabs(port) if tab["type"] == "page")
        with connect(url, max_size=None) as link:
            yield Page(link)
    finally:
        tunnel.kill()  # asked to end, ssh may wait for what it forwards
        tunnel.wait(10)
        sh(sandbox, server, "systemctl stop browser")


def tabs(port: int) -> list[dict[str, Any]]:
    """What the browser has open; empty while it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=2) as answer:
            return list(json.load(answer))
    except OSError:
        return []


def free_port() -> int:
    """A TCP port of this machine that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
