"""Requests a second through our nginx and gunicorn, and through a tutorial's on the same server."""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import tutorial, wrk
from benchmarks.model import Options, Result, Samples, Target
from benchmarks.peers.hostwright import TASKS, Hostwright
from benchmarks.peers.peer import Work
from benchmarks.work import Bench, git, opened
from hostwright.sandbox import Server

NAME = "throughput"
TITLE = "Requests a second through nginx and the app's server, against a tutorial's on the same server"
OURS, TUTORIAL, APP = "hostwright", "tutorial", "site"
SERVED = Path(__file__).resolve().parents[1] / "served" / "served.py"
REQUIREMENTS = "fastapi\ngunicorn\nuvicorn[standard]\nuvicorn-worker\n"
STYLE = "site.0123456789abcdef.css"  # a build tool's name: ours tells browsers to keep it
STATIC = "static file of 10 kB"
PATHS = {"small JSON": "/json", "100 kB": "/large", STATIC: f"/static/{STYLE}"}
CONNECTIONS, CONNECTIONS_QUICK = (1, 8, 64), (8,)
SECONDS, SECONDS_QUICK = 2, 1
SHARE = 2  # half as many rounds as other cases: there are 18 loads in each
RATE, P99, CPU = "requests/s", "p99", "processor time on the server"
NOTES = (
    "Server and wrk share this machine's processors; each pair is measured in turn, first the one, then the other. "
    "The processor time of nginx and the app's server for a request says more than the rate, which holds wrk's too.",
    "HTTP without TLS, because that is where a tutorial begins. Both have the same number of workers.",
    "Ours has on: the sandboxes of nginx and app, security headers, a JSON access log, a maintenance page, and checks "
    "of static files' symlinks. The tutorial has none of these.",
)


def run(options: Options, say: Callable[[str], None]) -> Result:
    """One server with both."""
    wrk.ensure(say)
    rounds = max(2, options.rounds // SHARE)
    connections = CONNECTIONS_QUICK if options.quick else CONNECTIONS
    seconds = SECONDS_QUICK if options.quick else SECONDS
    values: dict[tuple[str, str], list[float]] = {}
    notes: list[str] = []
    with opened(say) as bench:
        both = Both(bench, bench.work("throughput", apps=(APP,)), say)
        for content in PATHS:
            for count in connections:
                for new in (False, True):
                    what = f"{content}, {_connections(count, new)}"
                    for number in range(rounds):
                        for peer in (OURS, TUTORIAL) if number % 2 else (TUTORIAL, OURS):
                            problem = both.measure(peer, what, content, (count, seconds, new), values)
                            if problem:
                                notes.append(f"{peer}, {what}: {problem}")
                    say(_line(what, values))
    samples = tuple(_samples(values))
    return Result(NAME, TITLE, samples, tuple(_targets(values, notes)), notes=(*notes, *NOTES))


class Both:
    """A server with our site on port 80 and the tutorial's on 8080."""

    def __init__(self, bench: Bench, work: Work, say: Callable[[str], None]) -> None:
        self._bench = bench
        self._server: Server = work.servers[0]
        _write(work)
        say(f"ours in {Hostwright.run(work, 'provision').seconds:.0f} s")
        Hostwright.run(work, "deploy")
        release = self._root(f"basename $(readlink /srv/{APP}/current)")
        self._units = {OURS: ("nginx.service", f"{APP}@{release}.service"), TUTORIAL: tutorial.UNITS}
        status = self._root(f"systemctl show -p StatusText --value {self._units[OURS][1]}")
        workers = int(status.split()[2])  # "3 of 3 workers are up"
        tutorial.set_up(bench, self._server, f"/srv/{APP}/current/code", workers)
        for peer in self._units:
            for path in PATHS.values():
                wait = (
                    f"curl -sf -o /dev/null --retry 20 --retry-all-errors --retry-delay 1 {_url(peer, path)}"
                )
                self._root(wait)

    def measure(
        self,
        peer: str,
        what: str,
        content: str,
        load: tuple[int, int, bool],
        values: dict[tuple[str, str], list[float]],
    ) -> str:
        """One load; what went wrong, "" if nothing did."""
        connections, seconds, new = load
        before = self._cpu(peer)
        found = wrk.load(_url(peer, PATHS[content], self._server.address), connections, seconds, new=new)
        cpu = (self._cpu(peer) - before) / max(1, found.requests)
        for quantity, value in ((RATE, found.per_second), (P99, found.p99), (CPU, cpu)):
            values.setdefault((peer, f"{what}: {quantity}"), []).append(value)
        return found.problems

    def _cpu(self, peer: str) -> float:
        """Processor seconds of its units."""
        shown = self._root(f"systemctl show -p CPUUsageNSec --value {' '.join(self._units[peer])}")
        return sum(int(line) for line in shown.split()) / 1e9

    def _root(self, script: str) -> str:
        return self._bench.root(self._server, script)


def _write(work: Work) -> None:
    """Our project, with hardening as it is by default."""
    shutil.rmtree(work.repository)
    (work.repository / "static").mkdir(parents=True)
    shutil.copy(SERVED, work.repository)
    (work.repository / "requirements.txt").write_text(REQUIREMENTS)
    (work.repository / "static" / STYLE).write_text("p { margin: 0 }\n" * 640)
    git(work.repository, "init", "--quiet", "--initial-branch=main")
    git(work.repository, "add", "--all")
    git(work.repository, "commit", "--quiet", "--message", "an app")
    server = work.servers[0]
    app = {"source": str(work.repository), "module": "served:app", "static": {"/static": "static"}}
    found = {
        "project": "bench",
        "defaults": {
            "user": "ubuntu",
            "identity_file": str(server.identity_file),
            "firewall": {"allow": [tutorial.PORT]},
        },
        "apps": {APP: app},
        "hosts": {server.name: {"address": server.address}},
    }
    (work.folder / "tasks.py").write_text(TASKS)
    (work.folder / "inventory.yaml").write_text(json.dumps(found, indent=2))


def _url(peer: str, path: str, address: str = "127.0.0.1") -> str:
    return f"http://{address}:{80 if peer == OURS else tutorial.PORT}{path}"


def _connections(count: int, new: bool) -> str:
    if new:
        return f"{count} at once, a new connection each"
    return f"{count} kept connection{'s' if count > 1 else ''}"


def _ratio(values: dict[tuple[str, str], list[float]], what: str, quantity: str) -> float:
    """The middle of the pairs' ratios: what else the machine did met both of a pair."""
    pairs = zip(values[OURS, f"{what}: {quantity}"], values[TUTORIAL, f"{what}: {quantity}"], strict=True)
    return statistics.median(ours / theirs for ours, theirs in pairs)


def _loads(values: dict[tuple[str, str], list[float]]) -> list[str]:
    return [what.removesuffix(f": {RATE}") for peer, what in values if peer == OURS and what.endswith(RATE)]


def _line(what: str, values: dict[tuple[str, str], list[float]]) -> str:
    ours = statistics.median(values[OURS, f"{what}: {RATE}"])
    ratios = (f"{quantity} x{_ratio(values, what, quantity):.2f}" for quantity in (RATE, P99, CPU))
    return f"{what:48} {ours:6.0f}/s  {', '.join(ratios)}"


def _samples(values: dict[tuple[str, str], list[float]]) -> Iterator[Samples]:
    units = {RATE: "requests/s", P99: "s", CPU: "s"}
    for (peer, what), found in values.items():
        yield Samples(peer, what, units[what.rpartition(": ")[2]], tuple(found))


def _targets(values: dict[tuple[str, str], list[float]], notes: list[str]) -> Iterator[Target]:
    loads = _loads(values)
    kinds = {
        "the app's answers": [what for what in loads if not what.startswith(STATIC)],
        "static files": [what for what in loads if what.startswith(STATIC)],
    }
    # the worst p99 of many short loads tells of what else the machine did: nothing is demanded of it in a smoke test
    bounds = ((RATE, True, 0.3), (P99, False, None), (CPU, False, 3.0))
    for kind, whats in kinds.items():
        for quantity, at_least, smoke in bounds:
            ratios = {what: _ratio(values, what, quantity) for what in whats}
            worst = (min if at_least else max)(ratios, key=lambda what: ratios[what])
            text = f"{kind}, {quantity}: of the tutorial's, where we are worst ({worst})"
            yield Target(text, ratios[worst], 1.0, at_least=at_least, smoke=smoke)
    best = max(loads, key=lambda what: _ratio(values, what, RATE))
    text = f"{RATE}: of the tutorial's, where we are best ({best})"
    yield Target(text, _ratio(values, best, RATE), 1.2, at_least=True)
    yield Target("loads with an answer that was none", len(notes), 0, smoke=0)
