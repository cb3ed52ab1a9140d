"""`inv audit` on real servers: one that nobody has touched, one that somebody spoilt, one that is hardened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hostwright.recipes.nginx_unit import DROP_IN
from hostwright.sandbox import Sandbox

from .conftest import SUITES, FreshServer
from .project import sh
from .tiny import Tiny

# everything but what a login and the agent itself leave: logs, the agent's own code, sessions
LISTING = (
    "find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/log "
    "-o -path /var/lib/hostwright -o -path /var/cache/hostwright -o -path /var/lib/systemd "
    "-o -name .sudo_as_admin_successful \\) -prune -o -type f -printf '%p %s %T@ %m %U\\n' | sort"
)
SPOIL = """\
echo 'toor:x:0:0::/root:/bin/bash' >> /etc/passwd
useradd -m -s /bin/bash open && passwd -d open >/dev/null
useradd -m -s /bin/bash eve && usermod -aG sudo eve
mkdir -p /home/eve/.ssh /etc/hostwright /opt/thing
ssh-keygen -q -t rsa -b 1024 -N '' -C weak@eve -f /tmp/weak && cp /tmp/weak.pub /home/eve/.ssh/authorized_keys
chmod 666 /home/eve/.ssh/authorized_keys
echo x > /etc/hostwright/everybody && chmod 666 /etc/hostwright/everybody
printf -- '-----BEGIN OPENSSH PRIVATE %s-----\\nx\\n' KEY > /etc/hostwright/site.key
chmod 644 /etc/hostwright/site.key
for line in 'PermitRootLogin yes' 'PasswordAuthentication yes' 'PermitEmptyPasswords yes'; do
    echo "$line" >> /etc/ssh/sshd_config.d/00-bad.conf
done
systemctl reload ssh
systemd-run --quiet --unit=redis \\
    python3 -c 'import socket,time; s=socket.create_server(("0.0.0.0",6379)); time.sleep(900)'
"""
SPOILT = (
    ("high", "toor is root under another name"),
    ("high", "open has an empty password"),
    ("high", "accounts without a password may log in"),
    ("high", "root may log in, with a password too"),
    ("high", "eve lets in a weak key: RSA of 1024 bits is broken"),
    ("high", "others may write /home/eve/.ssh/authorized_keys, and so let themselves in"),
    ("high", "/etc/hostwright/everybody may be written by everybody on the server"),
    ("high", "/etc/hostwright/site.key may be read by everybody on the server, and holds a secret"),
    ("high", "python3 listens on tcp port 6379, which the inventory does not open"),
    ("medium", "passwords may be tried"),
    ("low", "eve may use sudo, and the inventory does not know it"),
)

UNDONE = f"""\
mv {DROP_IN} /root/sandbox && systemctl daemon-reload && systemctl restart nginx
mv /root/sandbox {DROP_IN} && systemctl daemon-reload && systemctl reload nginx
command -v nft > /root/where && mv $(cat /root/where) /root/nft
"""


def audited(project: Tiny, code: int) -> dict[str, Any]:
    done = project.inv("audit", "--json", code=code)
    found: dict[str, Any] = json.loads(done.out)["web1"]
    assert [
        name for name, area in found["facts"].items() if isinstance(area, dict) and area.get("problem")
    ] == []
    return found


@pytest.mark.parametrize("suite", SUITES)
def test_a_server_that_nobody_has_touched_and_then_somebody_spoilt(
    fresh_server: FreshServer, sandbox: Sandbox, tmp_path: Path, suite: str
) -> None:
    server = fresh_server("audit", suite)
    project = Tiny(tmp_path, server, sandbox)
    before = sh(sandbox, server, LISTING)
    done = project.inv("audit", code=1)
    assert "nothing drops packets that nobody allowed, over IPv4 and IPv6" in done.out
    assert "Write `hardening: {firewall: true}` into the inventory, then: inv provision" in done.out
    assert sh(sandbox, server, LISTING) == before, "it changed something"
    found = audited(project, 1)
    assert found["counts"]["high"] == 0, found["findings"]

    sh(sandbox, server, SPOIL)
    told = {(one["severity"], one["what"]) for one in audited(project, 1)["findings"]}
    assert set(SPOILT) <= told, set(SPOILT) - told

    sandbox.crash(server.name)
    assert project.inv("audit", code=3, timeout=60).code == 3


@pytest.mark.alone
def test_it_takes_less_than_five_seconds(fresh_server: FreshServer, sandbox: Sandbox, tmp_path: Path) -> None:
    """With all package lists and none of apt's caches: what takes longest."""
    project = Tiny(tmp_path, fresh_server("quick"), sandbox)
    sh(sandbox, project.server, "apt-get -qq update && rm -f /var/cache/apt/*.bin", timeout=120)
    project.inv("audit", code=1)  # brings the agent
    assert min(project.inv("audit", code=1).seconds for _ in range(3)) < 5


def test_a_hardened_server_has_nothing_to_do(
    fresh_server: FreshServer, sandbox: Sandbox, tmp_path: Path
) -> None:
    project = Tiny(tmp_path, fresh_server("hardened"), sandbox)
    project.edit_inventory("hardening: off", "hardening: on")
    project.inv("provision", "--host", "web1")
    project.inv("deploy")
    found = audited(project, 0)
    serious = [one for one in found["findings"] if one["severity"] in ("high", "medium")]
    assert serious == []
    assert found["facts"]["firewall"]["ipv6"] == "drop"
    verified = project.inv("verify", code=None).out
    ours = [line for line in verified.splitlines() if line.strip().startswith("FAILED")]
    assert ours == [], verified

    # nginx was started before its sandbox came, and no ban reaches the kernel
    sh(sandbox, project.server, UNDONE)
    told = {one["what"]: one["todo"] for one in audited(project, 1)["findings"]}
    sandboxless = told["nginx.service runs outside its sandbox: it was started before that was written"]
    assert "nobody is kept out who fails to log in: fail2ban bans with nft, which is not installed" in told
    sh(
        sandbox,
        project.server,
        "mv /root/nft $(cat /root/where); " + sandboxless.rpartition("on the server: ")[2],
    )
    assert [one for one in audited(project, 0)["findings"] if one["severity"] in ("high", "medium")] == []

    # what somebody's hand spoils is seen by both
    sh(
        project.sandbox,
        project.server,
        "chmod 666 /etc/nginx/nginx.conf; systemctl stop fail2ban; passwd -d ubuntu",
    )
    told = {one["what"] for one in audited(project, 1)["findings"] if one["severity"] in ("high", "medium")}
    assert "/etc/nginx/nginx.conf may be written by everybody on the server" in told
    assert "ubuntu has an empty password" in told
    assert any("fail2ban does not run" in what for what in told)
    verified = project.inv("verify", code=1).out
    for what in ("nothing of ours can be written by everybody", "nobody has an empty password",
                 "who tries to break in is banned"):  # fmt: skip
        assert f"FAILED web1         {what}" in verified, verified
