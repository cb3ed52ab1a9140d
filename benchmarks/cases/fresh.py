"""From a fresh server to the first answer of the app."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from benchmarks.model import Options, Result, Samples, Target
from benchmarks.peers import PEERS
from benchmarks.peers.peer import Failed, Work, measured
from benchmarks.peers.site import UV
from benchmarks.sites import OURS
from benchmarks.visitors import Watch
from benchmarks.work import Bench, opened
from hostwright.remote.release.venv import SYNC, VENV

NAME = "fresh"
TITLE = "From a fresh server to the first answer of the app"
APP, MARK = "hello", "0"
LIMIT = "apt and uv alone"
WHAT = "first answer"
QUICK_PEERS = ("hostwright",)
SHARE = 3  # a third as many rounds as other cases: each takes minutes
# apt's own log of what we installed, as it was asked for
ASKED = "sed -n 's/^Commandline: .* install .* -- //p' /var/log/apt/history.log"
# what nobody can leave out who wants the same packages and the same environment, on the server in one command
SCRIPT = f"""\
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q -y upgrade --with-new-pkgs
apt-get -q -y install --no-install-recommends PACKAGES
python3 -m venv /opt/uv
/opt/uv/bin/pip install --quiet uv=={UV}
git clone --quiet REMOTE /opt/code
/opt/uv/bin/uv {" ".join(VENV)} /opt/venv
VIRTUAL_ENV=/opt/venv /opt/uv/bin/uv {" ".join(SYNC)} --quiet --no-cache /opt/code/app/requirements.txt
"""
NOTES = (
    f"'{LIMIT}' is what ours waits for and cannot leave out: the same apt transactions and the same virtual "
    "environment, run on the server itself by one ssh command, without any configuration or an app that starts.",
    "Ours is two commands, `inv provision` and `inv deploy`, and does more than the others: it updates packages, nginx "
    "and app are sandboxed, a login is proven, the release is watched for two seconds.",
)


def run(options: Options, say: Callable[[str], None]) -> Result:
    """Each peer gets a new server each time."""
    names = [name for name in options.peers if not options.quick or name in QUICK_PEERS]
    values: dict[str, list[float]] = {}
    notes: list[str] = []
    packages = ""
    with opened(say) as bench:
        for number in range(1 if options.quick else max(1, options.rounds // SHARE)):
            # who goes first is another one each time: a mirror is quicker with what it was just asked for
            turn = [*names[number % len(names) :], *names[: number % len(names)]] if packages else names
            for name in (*turn, LIMIT):
                work = bench.work(name.replace(" ", "-"), apps=(APP,))
                try:
                    if name == LIMIT:
                        seconds = irreducible(work, packages)
                    else:
                        seconds = first_answer(name, work)
                        packages = packages or (_asked(bench, work) if name == OURS else "")
                except (Failed, RuntimeError) as error:
                    if name in (OURS, LIMIT):
                        raise
                    names.remove(name)
                    notes.append(f"{name} took no further part: {str(error).strip().splitlines()[0][:200]}")
                    say(f"{name}: {error}")
                else:
                    values.setdefault(name, []).append(seconds)
                    say(f"{name:18} {seconds:.1f} s")
                bench.drop(work)
    samples = tuple(Samples(name, WHAT, "s", tuple(found)) for name, found in values.items())
    targets = tuple(_targets(Result(NAME, TITLE, samples)))
    return Result(NAME, TITLE, samples, targets, LIMIT, (*notes, *NOTES))


def first_answer(name: str, work: Work) -> float:
    """Seconds from the command until the app answers over HTTPS."""
    peer = PEERS[name]()
    peer.prepare(work)
    with Watch(work, APP) as watch:
        began = time.monotonic()
        peer.provision(work)
        return watch.wait(MARK, began)


def irreducible(work: Work, packages: str) -> float:
    """Seconds of apt and uv alone."""
    script = SCRIPT.replace("PACKAGES", packages).replace("REMOTE", work.remote)
    return measured(work.servers[0].ssh_argv("sudo", "-n", "sh", "-c", script), work).seconds


def _asked(bench: Bench, work: Work) -> str:
    """The packages that we asked apt for."""
    return " ".join(bench.root(work.servers[0], ASKED).split())


def _targets(found: Result) -> Iterator[Target]:
    text = "at most 1.1 times what apt and uv take alone"
    yield Target(text, found.ratio(OURS, LIMIT, WHAT), 1.1, smoke=3)
    for sample in found.samples:
        if sample.peer not in (OURS, LIMIT):
            bound = 0.75 if sample.peer == "bash" else 1.0
            text = f"at most {bound:g} times {sample.peer}"
            yield Target(text, found.ratio(OURS, sample.peer, WHAT), bound, smoke=3)
