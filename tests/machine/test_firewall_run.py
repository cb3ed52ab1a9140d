"""A firewall by `inv provision`: first contact, lock-outs, live traffic, drift, and away again."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostwright.remote.firewall.paths import DROPIN, RULES, UNIT_FILE
from hostwright.sandbox import Sandbox

from .conftest import SUITES, FreshServer
from .guarded import FORGETS, REMEMBERS, SOON, SSH_ONLY, Guarded, Logins, put_back
from .load import Load
from .project import sh, until
from .tiny import Tiny

pytestmark = [pytest.mark.slow, pytest.mark.long]

FIREWALL_ONLY = {**SSH_ONLY, "ssh": False, "firewall": True}
PEOPLE = """
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq; apt-get install -qq -y --no-install-recommends nftables >/dev/null 2>&1
systemd-run --quiet --unit=old-shop python3 -m http.server 8080
systemd-run --quiet --unit=local python3 -m http.server 8081 --bind 127.0.0.1
nft -f - <<'END'
table inet theirs { chain input { type filter hook input priority filter; policy accept
tcp dport { 22, 9000 } accept
}
}
END
sleep 0.5
"""
LOCKED_OUT = "nft list chain inet hostwright input | grep -q 'tcp dport 9 accept' && echo yes || true"


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="module")
def walled(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A server that somebody set up, without a firewall of ours; the tests build on one another."""
    name = f"fwrun-{os.getpid()}"
    server = sandbox.up(name, suite=SUITES[0], ephemeral=True, say=print)[0]
    found = Guarded(tmp_path_factory.mktemp("fwrun"), server, sandbox)
    found.run(PEOPLE, timeout=180)
    found.says(hardening=FIREWALL_ONLY)
    yield found
    sandbox.down(name)


def reached(guarded: Guarded, port: int) -> bool:
    url = f"http://{guarded.server.address}:{port}/"
    return subprocess.run(("curl", "-s", "-m", "3", "-o", "/dev/null", url), check=False).returncode == 0


def test_first_contact_says_what_would_be_cut(walled: Guarded) -> None:
    refused = walled.inv("provision", code=1).out
    print(refused)
    said = flat(refused)
    for words in (
        "python3 (old-shop.service) listens on port 8080/tcp, which the firewall would close",
        "To keep it open, say in the inventory: firewall: {allow: [8080]}",
        "a rule in the table inet theirs opens port 9000/tcp, which the firewall would close",
        "Hostwright did not set up this server, and 2 things of it would be cut; nothing was changed",
    ):
        assert words in said, said
    assert "8081" not in said
    assert reached(walled, 8080)
    checked = flat(walled.inv("provision", "--check", code=4).out)
    assert "old-shop.service" in checked
    assert "a run would refuse to cut this" in checked
    walled.run(f"test ! -e {RULES}; test ! -e /etc/nginx")


def test_what_would_lock_us_out_is_refused(walled: Guarded) -> None:
    walled.says(firewall={"ssh_from": ["192.0.2.0/24"], "allow": [8080, 9000]})
    said = flat(walled.inv("provision", code=1).out)
    assert "the firewall would lock us out: we come from 10." in said, said
    assert "and only 192.0.2.0/24 could log in; nothing was changed" in said, said
    assert "or a network that it is in, to `firewall: {ssh_from: [...]}`" in said, said
    checked = flat(walled.inv("provision", "--check", code=4).out)
    assert "a run would refuse this: the firewall would lock us out" in checked
    walled.says(port=22, firewall={"ssh_from": ["10.0.0.0/8"], "allow": [8080, 9000]})


def test_it_is_proved_and_stays(walled: Guarded) -> None:
    with Logins(walled) as logins:
        said = walled.inv("provision").out
    print(said)
    assert logins.refused == 0, "it was never shut"
    assert "proved: a new login as ubuntu" in flat(said), said
    assert reached(walled, 8080)
    again = walled.inv("provision").out
    assert "0 changed" in again, again
    walled.says(firewall={"allow": [9000]})
    assert "1 changed" in walled.inv("provision").out
    assert not reached(walled, 8080), "what the inventory dropped is closed"
    walled.run("curl -sf -o /dev/null http://127.0.0.1:8080/; nft list table inet theirs >/dev/null")
    walled.nothing_is_armed()


def test_verify_finds_what_somebody_did_to_it(walled: Guarded) -> None:
    walled.run("systemctl stop old-shop")
    said = walled.inv("verify").out
    assert "firewall in force is the one of its file" in flat(said).lower(), said
    walled.run("nft add rule inet hostwright input tcp dport 8080 accept")
    said = walled.inv("verify", code=1).out
    assert "in force is the one of its file" in flat(said).lower(), said
    checked = walled.inv("provision", "--check", code=4).out
    assert "in force" in flat(checked), checked
    walled.run("nft flush ruleset")
    said = walled.inv("verify", code=1).out
    assert "somebody emptied the rules" in flat(said), said
    assert "1 changed" in walled.inv("provision").out
    walled.inv("verify")


def test_a_firewall_without_ssh_is_put_back(walled: Guarded) -> None:
    walled.run(FORGETS)
    before = walled.run(f"cat {RULES}")
    walled.says(firewall={"allow": [9000, 4444]})
    with Logins(walled) as logins:
        done = walled.inv("provision", code=1)
    print(done)
    put_back(done, "a new login as ubuntu on port 22 does not work")
    assert logins.refused > 0, "it did shut us out"
    assert logins.longest < SOON
    assert walled.run(f"cat {RULES}") == before
    assert walled.log_in()
    walled.nothing_is_armed()


def test_also_when_the_controller_is_killed(walled: Guarded) -> None:
    walled.run(FORGETS)
    before = walled.run(f"cat {RULES}")
    walled.says(firewall={"allow": [9000, 4444]})
    with Logins(walled) as logins:
        with walled.started("provision") as process:
            until(lambda: walled.run(LOCKED_OUT) == "yes", 60, "shut out")
            walled.kill(process)
        began = time.monotonic()
        until(walled.log_in, SOON, "logins are back")
        print(f"back {time.monotonic() - began:.1f} s after the controller died")
        walled.runs_end()
    assert logins.longest < SOON
    assert walled.run(f"cat {RULES}") == before
    walled.run(REMEMBERS)
    walled.says(firewall={"allow": [9000]})
    walled.inv("provision")
    assert "0 changed" in walled.inv("provision").out


def test_also_when_the_server_loses_power(walled: Guarded) -> None:
    walled.run(FORGETS)
    before = walled.run(f"cat {RULES}")
    walled.says(firewall={"allow": [9000, 4444]})
    with walled.stopped_before_proof("provision") as process:
        assert walled.run(LOCKED_OUT) == "yes"
        walled.sandbox.crash(walled.server.name)
        walled.kill(process)
    walled.sandbox.start(walled.server.name)
    assert walled.log_in()
    assert walled.run(f"cat {RULES}") == before
    walled.run(REMEMBERS)
    walled.says(firewall={"allow": [9000]})
    assert "was put back at" in flat(walled.inv("provision").out)


def test_it_goes_when_it_is_switched_off(walled: Guarded) -> None:
    walled.says(hardening={**FIREWALL_ONLY, "firewall": False})
    said = walled.inv("provision").out
    assert "no longer in the catalog" in flat(said), said
    walled.run(
        f"! nft list table inet hostwright 2>/dev/null; for f in {RULES} {UNIT_FILE} {DROPIN}; do test ! -e $f; done"
    )
    assert "0 changed" in walled.inv("provision").out
    walled.says(hardening=FIREWALL_ONLY)
    assert "1 changed" in walled.inv("provision").out


# -- ufw ------------------------------------------------------------------------------------------------------

WITH_UFW = """
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq; apt-get install -qq -y --no-install-recommends ufw >/dev/null 2>&1
ufw default allow incoming; ufw allow 9000/tcp comment mine; ufw --force enable
mv /usr/sbin/ufw /usr/sbin/ufw.real
cat >/usr/sbin/ufw <<'END'
#!/bin/sh
# forgets SSH
if [ "$1" = allow ] && [ "$9" = 22 ]; then exit 0; fi
exec /usr/sbin/ufw.real "$@"
END
chmod 755 /usr/sbin/ufw
"""


def test_what_ufw_is_told_is_put_back_too(
    tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer
) -> None:
    server = fresh_server("fwufw", SUITES[-1])
    guarded = Guarded(tmp_path, server, sandbox)
    guarded.run(WITH_UFW, timeout=180)
    guarded.says(hardening=FIREWALL_ONLY)
    before = guarded.run("cat /etc/ufw/user.rules /etc/ufw/user6.rules /etc/default/ufw")
    with Logins(guarded) as logins:
        done = guarded.inv("provision", code=1)
    print(done)
    assert "who gets in was put back as it was" in flat(done.out), done
    assert logins.longest < SOON
    assert guarded.log_in()
    assert guarded.run("cat /etc/ufw/user.rules /etc/ufw/user6.rules /etc/default/ufw") == before
    assert "allow (incoming)" in guarded.run("ufw.real status verbose")

    guarded.run("mv /usr/sbin/ufw.real /usr/sbin/ufw")
    done = guarded.inv("provision")
    assert "by ufw" in flat(done.out), done
    listed = guarded.run("ufw status verbose")
    print(listed)
    assert "deny (incoming)" in listed
    assert "# mine" in listed
    assert guarded.log_in()
    assert "0 changed" in guarded.inv("provision").out
    said = flat(guarded.inv("verify").out)
    assert "ok web1 firewall keeps out what is not open" in said, said


# -- live traffic ---------------------------------------------------------------------------------------------

TALKS = """
import socket, sys, time
link = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
link.sendall(b"one question, and a long time to the answer")
link.settimeout(90)
open("/run/answer", "wb").write(link.recv(100))
"""


def test_the_first_load_cuts_nobody(tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer) -> None:
    """Visitors, and a connection of the server's own that waits for its answer when connections become known."""
    server = fresh_server("fwload")
    tiny = Tiny(tmp_path, server, sandbox)
    tiny.inv("provision")
    tiny.inv("deploy")
    import socket

    with socket.create_server((gateway(server.address), 0)) as database:
        database.settimeout(20)
        sh(sandbox, server, f"cat >/opt/talks.py <<'END'\n{TALKS}\nEND")
        port = database.getsockname()[1]
        command = f"systemd-run --quiet --unit=talks python3 /opt/talks.py {database.getsockname()[0]} {port}"
        sh(sandbox, server, command)
        link = database.accept()[0]
        assert link.recv(100)
        switches = ", ".join(f"{name}: {str(on).lower()}" for name, on in FIREWALL_ONLY.items())
        tiny.edit_inventory("hardening: off", f"hardening: {{{switches}}}")
        with Load(server.address, slow=True, echo="/echo") as load:
            time.sleep(2)
            said = tiny.inv("provision").out
            link.sendall(b"the answer")
            time.sleep(5)
        assert "firewall" in said, said
        print(load.count, load.slow, load.posts)
        assert load.failures == []
        assert load.count > 100
        assert sh(sandbox, server, "cat /run/answer") == "the answer"
        link.close()
    assert "0 changed" in tiny.inv("provision").out


def gateway(address: str) -> str:
    """This machine, as its servers see it."""
    return f"{address.rpartition('.')[0]}.1"
