"""Everything provision made, put wrong by hand: a check finds it all and touches nothing, one run heals it all."""

from __future__ import annotations

import re
from pathlib import Path

from hostwright.sandbox import Sandbox

from .conftest import FreshServer
from .project import Project, sh

# what is done by hand -> what a check says about it
DRIFT = {
    "DEBIAN_FRONTEND=noninteractive apt-get -qq -y remove git >/dev/null 2>&1": r"\+ packages +base +git",
    "rm -r /opt/hostwright/uv-*/bin": r"\+ virtual environment",
    "ln -sfn /tmp /opt/hostwright/uv": r"~ symlink +/opt/hostwright/uv +target /tmp -> uv-",
    "usermod --shell /bin/bash hello": r"~ user +hello +shell /bin/bash -> /usr/sbin/nologin",
    "chmod 777 /var/lib/hello; chown ubuntu /var/lib/hello": (
        r"~ directory +/var/lib/hello +mode 0777 -> 0700, owner ubuntu -> hello"
    ),
    "chown hello:hello /srv/hello/trees": (r"~ directory +/srv/hello/trees +owner hello -> root"),
    "chown ubuntu /etc/systemd/system/hello@.service": r"~ file +\S+/hello@.service +owner ubuntu -> root",
    "rm /etc/tmpfiles.d/hostwright-hello.conf": r"\+ file +/etc/tmpfiles.d/hostwright-hello.conf",
    "systemctl -q disable hello.service; rm /etc/systemd/system/hello.service": (
        r"\+ file +/etc/systemd/system/hello.service"
    ),
    "ln -s /etc/nginx/sites-available/default /etc/nginx/sites-enabled/default": (
        r"- absent +/etc/nginx/sites-enabled/default"
    ),
    "mv /etc/nginx/nginx.conf /etc/nginx/x.conf; echo nonsense >> /etc/nginx/x.conf; "
    "ln -s x.conf /etc/nginx/nginx.conf": r"~ file +/etc/nginx/nginx.conf +type link -> file",
    "echo garbage > /etc/nginx/sites-enabled/hostwright-default.conf": r"~ file +\S+-default.conf +content",
    "systemctl -q disable nginx 2>/dev/null; systemctl stop nginx": r"unit +nginx.service",
}
FINGERPRINT = (
    "find /etc /srv /opt /var/lib/hostwright /var/lib/hello /run/hello -xdev -printf '%p %m %u:%g %l %T@\\n' | sort "
    "| sha256sum; find /etc /var/lib/hostwright -xdev -type f -exec sha256sum {} + | sort | sha256sum; "
    "sha256sum /var/lib/dpkg/status /etc/passwd; systemctl list-unit-files --no-legend"
)


def test_all_at_once(tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer) -> None:
    server = fresh_server("drift")
    shop = Project(tmp_path, server)
    shop.inv("provision")
    shop.inv("deploy")
    good = shop.curl("/version")
    for deed in DRIFT:
        sh(sandbox, server, deed)

    before = sh(sandbox, server, FINGERPRINT)
    found = shop.inv("provision", "--check", "--diff", code=4).out
    assert sh(sandbox, server, FINGERPRINT) == before, "a check touches nothing"
    for deed, told in DRIFT.items():
        assert re.search(told, found), f"{deed}\n{found}"

    healed = shop.inv("provision").out
    assert re.search(r"\d+ changed, \d+ unchanged, 0 failed", healed), healed
    assert re.search(r"0 changed", shop.inv("provision").out)
    assert shop.curl("/version") == good
    sh(
        sandbox,
        server,
        "systemctl is-enabled -q nginx hello.service; git --version; /opt/hostwright/uv/bin/uv --version",
    )
