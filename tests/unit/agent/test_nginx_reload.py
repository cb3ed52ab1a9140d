"""A reload of nginx has happened when only the new configuration accepts."""

from __future__ import annotations

from typing import Any

import pytest

from hostwright.remote.nginx_reload import PATIENCE, NginxReload
from hostwright.remote.system import CommandFailed
from hostwright.testing import FakeSystem

SHOW = "systemctl show --property=MainPID --value nginx.service"
TAIL = "tail -n 20 /var/log/nginx/error.log"
WORKER = "nginx: worker process\0\0\0"
LEAVING = "nginx: worker process is shutting down\0"
REFUSED = "2026/11/21 09:00:00 [emerg] 1#1: still could not bind()"


def processes(**titles: str) -> dict[str, Any]:
    """/proc of the master 10 and of its children; `p7="..."` is the title of process 7."""
    files = {"/proc/10/cmdline": "nginx: master process /usr/sbin/nginx\0", "/proc/10/status": "PPid:\t1\n"}
    for name, title in titles.items():
        files[f"/proc/{name[1:]}/cmdline"] = title
        files[f"/proc/{name[1:]}/status"] = "Name:\tnginx\nPPid:\t10\n"
    return files


class Nginx(FakeSystem):
    """Becomes the next of `later` each time somebody sleeps."""

    def __init__(self, before: dict[str, Any], *later: dict[str, Any], pids: tuple[str, ...] = ("10", "10")):
        shown = [f"{pid}\n" for pid in pids]
        super().__init__(before, commands={SHOW: shown, TAIL: f"an older line\n{REFUSED}\n"})
        self.later = list(later)

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.later:
            self.remove_tree("/proc")
            self.happen({"files": self.later.pop(0)})


def test_it_waits_until_the_old_workers_stop_accepting() -> None:
    nginx = Nginx(
        processes(p11=WORKER, p12=WORKER),
        processes(p11=WORKER, p12=WORKER),
        processes(p11=WORKER, p12=WORKER, p13=WORKER, p14=WORKER),
        processes(p11=LEAVING, p12=WORKER, p13=WORKER, p14=WORKER),
        processes(p11=LEAVING, p13=WORKER, p14=WORKER),
        processes(p13=WORKER),
    )
    assert NginxReload(nginx).finish() == ""
    assert len(nginx.later) == 1, "an old worker that only ends its last requests is not waited for"


def test_one_that_was_stopping_before_is_not_waited_for() -> None:
    nginx = Nginx(processes(p9=LEAVING, p11=WORKER), processes(p9=LEAVING, p13=WORKER))
    assert NginxReload(nginx).finish() == ""


def test_no_worker_at_all_is_no_end() -> None:
    nginx = Nginx(processes(p11=WORKER), processes(), processes(p13=WORKER))
    assert NginxReload(nginx).finish() == ""
    assert nginx.later == []


def test_workers_of_another_nginx_do_not_count() -> None:
    other = {"/proc/77/cmdline": WORKER, "/proc/77/status": "PPid:\t70\n"}
    nginx = Nginx({**processes(p11=WORKER), **other}, {**processes(p13=WORKER), **other})
    assert NginxReload(nginx).finish() == ""


@pytest.mark.parametrize(
    ("before", "pids"),
    [({}, ("0", "10")), (processes(p11=WORKER), ("10", "20")), (processes(), ("10", "10"))],
)
def test_nothing_to_wait_for(before: dict[str, Any], pids: tuple[str, ...]) -> None:
    nginx = Nginx(before, pids=pids)
    assert NginxReload(nginx).finish() == ""
    assert nginx.slept == 0


def test_a_configuration_that_nginx_does_not_take() -> None:
    nginx = Nginx(processes(p11=WORKER))
    with pytest.raises(CommandFailed) as raised:
        NginxReload(nginx).finish()
    assert raised.value.reason == "nginx did not take its new configuration and goes on with the old one"
    assert raised.value.tail == (REFUSED,)
    assert PATIENCE <= nginx.slept < PATIENCE + 1


def test_an_old_worker_that_does_not_stop_is_named() -> None:
    nginx = Nginx(processes(p11=WORKER), processes(p11=WORKER, p13=WORKER))
    assert NginxReload(nginx).finish() == "nginx still answers with its old configuration too (pid 11)"
    assert PATIENCE <= nginx.slept < PATIENCE + 1


def test_nobody_waits_for_it_after_ctrl_c() -> None:
    nginx = Nginx(processes(p11=WORKER))
    reload = NginxReload(nginx)
    nginx.cancelled = lambda: True
    assert reload.finish() == ""
    assert nginx.slept == 0
