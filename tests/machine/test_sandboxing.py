"""The sandboxes of apps and of nginx on real servers: what they come to, and that everything works in them.

The score of `systemd-analyze security` can mislead (it believes settings that a container does not enforce), so it is
gated on its findings too, and each promise is probed from inside.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hostwright.inventory.hardening import OFF
from hostwright.sandbox import Sandbox, Server

from .conftest import SUITES, FreshServer
from .load import Load
from .probes import CODE
from .project import Project, sh, until
from .tiny import Tiny

ONLY_NGINX = {**OFF.model_dump(), "updates": False, "swap": False, "nginx": True}
DROP_IN = "/etc/systemd/system/nginx.service.d/hostwright.conf"
PASSWORD, NAME = "of-the-test", "hello.sandbox.test"
DATABASE = f"""\
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install --no-install-recommends postgresql >/dev/null
runuser -u postgres -- psql -qc "create role probe login password '{PASSWORD}'" -c "create database probe owner probe"
"""
# what an app may do that it could be denied: systemd-analyze's names
APP_FINDINGS = {
    "RootDirectoryOrRootImage",
    "RestrictAddressFamilies_AF_UNIX",
    "RestrictAddressFamilies_AF_INET_INET6",
    "ProcSubset",
    "PrivateNetwork",
    "DeviceAllow",
    "IPAddressDeny",
    "NotifyAccess",  # each worker tells that it is up
    "UMask",
}
# nginx's master is root, and opens ports, keys and logs
NGINX_FINDINGS = (APP_FINDINGS - {"ProcSubset", "NotifyAccess"}) | {
    "UserOrDynamicUser",
    "PrivateUsers",
    "SystemCallFilter_resources",
    "SystemCallFilter_privileged",
    "CapabilityBoundingSet_CAP_DAC_FOWNER_IPC_OWNER",
    "CapabilityBoundingSet_CAP_CHOWN_FSETID_SETFCAP",
    "CapabilityBoundingSet_CAP_SET_UID_GID_PCAP",
    "CapabilityBoundingSet_CAP_NET_BIND_SERVICE_BROADCAST_RAW",
}
WORKS = {
    "loop": "uvloop",
    "postgres": "42",
    "sqlite": "wal",
    "https": "200",
    "datagram": "True",
    "names": "True",
    "subprocess": "hi\n",
    "threads": "3",
    "fork": "[4]",
    "temporary": "1",
    "memory": "True",
    "callback": "7",
}
DENIED = re.compile(r"(PermissionError|FileNotFoundError|OSError): ")


class Probed(Project):
    """The sample app with probes beside it, as web server, as process and as job."""

    def __init__(self, folder: Path, server: Server, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.data: dict[str, Any] = {}
        super().__init__(folder, server)
        (self.folder / "app" / "probes.py").write_text(CODE)
        (self.folder / "requirements.in").write_text(
            (self.folder / "app" / "requirements.in").read_text() + "asyncpg\n"
        )
        (self.folder / "requirements.txt").write_text((self.folder / "requirements.in").read_text())
        self.data = {
            "project": "shop",
            "defaults": {
                "user": "ubuntu",
                "identity_file": str(server.identity_file),
                "hardening": ONLY_NGINX,
                "tls": "selfsigned",
            },
            "apps": {"hello": self.settings()},
            "hosts": {"web1": {"address": server.address}},
        }
        self.write_inventory()

    def settings(self, **more: Any) -> dict[str, Any]:
        address = self.server.address
        return {
            "module": "app.probes:app",
            "workers": 2,
            "drain": 0,
            "health": {"path": "/health", "timeout": 30, "window": 0.5},
            "domains": [NAME],
            "env": {
                "HELLO_GREETING": "Hello",
                "POSTGRES": f"postgresql://probe:{PASSWORD}@127.0.0.1/probe",
                "HTTPS": f"https://{NAME}/version",
                "ADDRESS": address,
            },
            "processes": {"worker": {"command": "python -m app.probes worker", "window": 0.5}},
            "timers": {"job": {"command": "python -m app.probes job", "calendar": "*-*-* 04:00"}},
            "release_command": "python -m app.probes release",
            **more,
        }

    def write_inventory(self, user: str = "ubuntu", domains: str = "") -> None:
        if self.data:
            (self.folder / "inventory.yaml").write_text(json.dumps(self.data, indent=1))
            self.commit("inventory")

    def change_settings(self, **more: Any) -> None:
        self.data["apps"]["hello"] = self.settings(**more)
        self.write_inventory()

    def sh(self, script: str, timeout: float = 60) -> str:
        return sh(self.sandbox, self.server, script, timeout=timeout)

    def probe(self) -> dict[str, Any]:
        """What the web server finds, asked through nginx."""
        url = f"https://{NAME}/probe"
        argv = ("curl", "-sSk", "-m", "30", "--connect-to", f"::{self.server.address}:443", url)
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.stdout.startswith("{"), done.stdout + done.stderr
        return dict(json.loads(done.stdout))

    def units(self) -> dict[str, str]:
        """What runs of the app: web server, process, job."""
        current = self.sh("basename $(readlink /srv/hello/current)")
        return {"web": f"hello@{current}.service", "worker": f"hello.worker@{current}.service",
                "job": f"hello.job@{current}.service"}  # fmt: skip

    def security(self, unit: str) -> tuple[float, set[str]]:
        """Exposure of a unit, and what of it is exposed."""
        score = self.sh(f"systemd-analyze security --no-pager {unit} | tail -1")
        found = json.loads(self.sh(f"systemd-analyze security --json=short --no-pager {unit}"))
        return float(re.findall(r"[0-9.]+(?= [A-Z]+ )", score)[-1]), {
            entry["json_field"].rstrip(")") for entry in found if float(entry.get("exposure") or 0) > 0
        }


def denied(found: dict[str, str]) -> None:
    """All that must not work did not."""
    assert found.pop("other processes") is False, found
    assert not [name for name, value in found.items() if not DENIED.match(str(value))], found


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("suite", SUITES)
def test_an_app_in_its_sandbox(
    tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer, suite: str
) -> None:
    server = fresh_server("sandboxed", suite=suite)
    sh(sandbox, server, DATABASE, timeout=180)
    sh(sandbox, server, f"echo {server.address} {NAME} >> /etc/hosts")
    shop = Probed(tmp_path, server, sandbox)
    shop.inv("provision")
    in_force(shop)
    assert re.search(r"web1 .*0 changed", shop.inv("provision").out)
    shop.inv("deploy")

    _by_default(shop)
    _without_network(shop)
    _with_more(shop)
    shop.inv("rollback")
    shop.inv("rollback")
    denied(shop.probe()["must_not"])
    assert re.search(r"web1 .*0 changed", shop.inv("provision").out), "what an app may do is its release's"
    _nginx_works(shop)


def in_force(shop: Project) -> None:
    """nginx that runs does so in its sandbox: its processes have it, not only its unit's files."""
    script = (
        "grep -c '^Seccomp:.*2' $(for p in $(pgrep -x nginx); do echo /proc/$p/status; done) | grep -c ':1'"
    )
    assert int(sh(shop.sandbox, shop.server, script)) >= 2  # type: ignore[attr-defined]


def _by_default(shop: Probed) -> None:
    units = shop.units()
    found = shop.probe()
    assert found["does"] == WORKS
    denied(found["must_not"])
    assert found["limits"]["NoNewPrivs"] == "1"
    assert (int(found["limits"]["CapBnd"], 16), found["limits"]["Seccomp"]) == (0, "2")
    assert not found["secrets"]
    shop.inv("run", "python -m app.probes run")
    shop.sh(f"systemctl start {units['job']}")
    for name in ("release", "worker", "job", "run"):
        until(lambda name=name: shop.sh(f"ls /var/lib/hello/{name}.json || true"), 20, f"{name} has probed")  # type: ignore[misc]
        other = json.loads(shop.sh(f"cat /var/lib/hello/{name}.json"))
        # a command's loop is its own affair; nginx has no release to ask yet when the first one's command runs
        early = {"https": "HTTPError: HTTP Error 502: Bad Gateway"} if name == "release" else {}
        assert {**other["does"], "loop": "uvloop"} == {**WORKS, **early}, name
        denied(other["must_not"])
    for unit in units.values():
        score, exposed = shop.security(unit)
        assert score <= 1.2, unit
        assert exposed <= APP_FINDINGS, unit
    _the_same_everywhere(shop, units)


def _the_same_everywhere(shop: Probed, units: dict[str, str]) -> None:
    """The web server's settings come from two files, the others' from one; systemd makes the same of them."""
    names = (
        "UMask,NoNewPrivileges,CapabilityBoundingSet,ProtectSystem,PrivateDevices,DevicePolicy,DeviceAllow,"
    )
    names += (
        "ReadWritePaths,InaccessiblePaths,RestrictAddressFamilies,SystemCallFilter,SystemCallErrorNumber,"
    )
    names += "MemoryDenyWriteExecute,PrivateUsers,PrivateNetwork,KeyringMode,ProtectProc,RestrictNamespaces"
    shown = {shop.sh(f"systemctl show -p {names} {unit}") for unit in units.values()}
    assert len(shown) == 1, shown


def _without_network(shop: Probed) -> None:
    shop.change_settings(sandbox={"network": False})
    shop.inv("restart")
    found = shop.probe()["does"]
    assert {name for name in WORKS if found[name] != WORKS[name]} == {"postgres", "https", "datagram"}, found
    assert "unreachable" in found["https"]
    for unit in shop.units().values():
        score, exposed = shop.security(unit)
        assert score <= 0.7, unit
        assert exposed <= APP_FINDINGS - {"PrivateNetwork"}, unit


def _with_more(shop: Probed) -> None:
    """Each switch opens what it says, and nothing else."""
    shop.sh("mkdir -p /data && chown hello /data")
    shop.change_settings(
        sandbox={
            "jit": True,
            "writable": ["/data"],
            "devices": ["/dev/net/tun"],
            "relax": ["RestrictNamespaces"],
        },
        limits={"memory": "700M", "tasks": 200, "cpu": "150%"},
    )
    shop.inv("restart")
    found = shop.probe()
    assert found["does"] == WORKS
    opened = {name for name, value in found["must_not"].items() if not DENIED.match(str(value))}
    assert opened == {"machine code", "write data", "device", "other processes", "namespace"} - {
        "namespace"
        for value in [found["must_not"]["namespace"]]
        if DENIED.match(value)  # user namespaces may be forbidden by the machine
    }, found["must_not"]
    assert found["must_not"]["other processes"] is False
    for unit in shop.units().values():
        shown = shop.sh(f"systemctl show -p MemoryMax,TasksMax,CPUQuotaPerSecUSec {unit}").splitlines()
        assert set(shown) == {f"MemoryMax={700 << 20}", "TasksMax=200", "CPUQuotaPerSecUSec=1.500000s"}, unit


# -- nginx -----------------------------------------------------------------------------------------------------------


def _nginx_works(shop: Probed) -> None:
    score, exposed = shop.security("nginx.service")
    assert score <= 2.5
    assert exposed <= NGINX_FINDINGS
    in_force(shop)
    _logs(shop)
    shop.sh("nginx -t -q && systemctl reload nginx && systemctl restart nginx && systemctl reload nginx")
    shop.sh("mkdir -p /var/www/hostwright/acme/.well-known/acme-challenge")
    shop.sh("echo token > /var/www/hostwright/acme/.well-known/acme-challenge/t")
    asked = shop.sh("curl -sS -H 'Host: hello.sandbox.test' http://127.0.0.1/.well-known/acme-challenge/t")
    assert asked == "token"
    # larger than memory buffers: nginx puts it into a file of its own
    sent = shop.sh(
        "head -c 25000000 /dev/zero > /tmp/body; curl -sSk -o /dev/null -w '%{http_code}' --data-binary @/tmp/body "
        f"--resolve {NAME}:443:127.0.0.1 https://{NAME}/probe"
    )
    assert sent == "405", "the app has got all of it, and takes no POST there"
    assert shop.probe()["does"] == WORKS
    refused = shop.sh("journalctl -u nginx -o cat --no-pager; cat /var/log/nginx/*error.log")
    assert not re.search(r"\((1|13|30): ", refused), refused


def _logs(shop: Probed) -> None:
    """No app's user reads the logs of others; rotation keeps that."""
    modes = "stat -c '%a %U %n' /var/log/nginx/*.log"
    for line in shop.sh(modes).splitlines():
        assert line.startswith("640 www-data "), line
    shop.sh("logrotate --force /etc/logrotate.d/nginx && sleep 0.5")
    assert shop.probe()["does"] == WORKS
    assert "/probe" in shop.sh("cat /var/log/nginx/hello.access.log"), "written to the new file"
    for line in shop.sh(modes).splitlines():
        assert line.startswith("640 www-data "), line
    assert re.search(r"web1 .*0 changed", shop.inv("provision").out)


def test_a_server_with_visitors_loses_none(
    tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer
) -> None:
    """It serves without a sandbox; hardening comes, and waits for nginx's next start."""
    server = fresh_server("visited")
    shop = Tiny(tmp_path, server, sandbox)
    inventory = shop.folder / "inventory.yaml"
    without = inventory.read_text()
    assert "hardening: off" in without
    shop.inv("provision")
    shop.inv("deploy")
    shop.edit_inventory("hardening: off", f"hardening: {json.dumps(ONLY_NGINX)}")
    with Load(server.address) as load:
        told = shop.inv("provision").out
        again = shop.inv("provision").out
    assert not load.failures, load.failures[:3]
    assert load.count > 50
    assert "nginx.service answers visitors, so it is not restarted now" in told
    assert "sudo systemctl restart nginx.service" in told
    assert re.search(r"web1 .*0 changed", again)
    sh(sandbox, server, f"test -f {DROP_IN} && systemctl restart nginx")
    in_force(shop)
    assert shop.live()
    # and back
    inventory.write_text(without)
    shop.commit("off")
    shop.inv("provision")
    assert re.search(r"web1 .*0 changed", shop.inv("provision").out)
    assert sh(sandbox, server, f"ls {DROP_IN} 2>/dev/null || echo gone") == "gone"


def test_a_sandbox_that_nginx_could_not_start_in_is_taken_back(
    tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer
) -> None:
    """A site of somebody else logs where nginx may not write any more: it would have been down after the next boot."""
    server = fresh_server("logging")
    shop = Tiny(tmp_path, server, sandbox)
    shop.inv("provision")
    shop.inv("deploy")
    site = (
        "mkdir -p /srv/logs /home/ubuntu/site && echo hello > /home/ubuntu/site/index.html && "
        "printf 'server { listen 8080; root /home/ubuntu/site; access_log /srv/logs/a.log; }' "
        "> /etc/nginx/sites-enabled/other && chmod 755 /home/ubuntu && systemctl reload nginx"
    )
    sh(sandbox, server, site)
    shop.edit_inventory("hardening: off", f"hardening: {json.dumps(ONLY_NGINX)}")
    refused = shop.inv("provision", code=1).out
    assert (
        "nginx.service cannot work within its sandbox on this server; the old state was put back" in refused
    )
    assert "/srv/logs/a.log" in refused
    assert "Read-only file system" in refused
    assert "hardening: {nginx: false}" in refused
    assert sh(sandbox, server, f"ls {DROP_IN} 2>/dev/null || echo gone") == "gone"
    # with its log where logs are, it goes on, and its files in a home stay seen
    sh(
        sandbox,
        server,
        "sed -i s:/srv/logs/a.log:/var/log/nginx/a.log: /etc/nginx/sites-enabled/other && nginx -t -q",
    )
    shop.inv("provision")
    assert "ProtectHome=read-only" in sh(sandbox, server, f"cat {DROP_IN}")
    sh(sandbox, server, "systemctl restart nginx")
    assert sh(sandbox, server, "curl -sS http://127.0.0.1:8080/") == "hello"
