"""Puts a python3 on a server that has none: there is no agent yet, so a constant shell script does it."""

from __future__ import annotations

from collections.abc import Callable

from hostwright.errors import UnsupportedServer
from hostwright.transport.base import Transport

NOT_DEBIAN = 90
# Nothing is ever put into this text. DPkg::Lock::Timeout does not cover the locks of apt's lists and
# archives, so a held lock is also waited for by trying again. stdin is closed so that nothing can ask.
SCRIPT = r"""
exec </dev/null 2>&1
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 NEEDRESTART_SUSPEND=1
if ! command -v apt-get >/dev/null; then
    name=unknown
    [ -r /etc/os-release ] && name=$(. /etc/os-release && printf %s "$PRETTY_NAME")
    printf 'system: %s\n' "$name"
    exit 90
fi
attempt() {
    waited=0
    while :; do
        out=$("$@") && return 0
        case $out in
            *"Could not get lock"*|*"Unable to lock"*|*"Unable to acquire"*) ;;
            *"dpkg was interrupted"*) dpkg --configure -a --force-confdef --force-confold >/dev/null ;;
            *) printf '%s\n' "$out"; return 1 ;;
        esac
        waited=$((waited + 1))
        [ $waited -gt 100 ] && { printf '%s\n' "$out"; return 1; }
        [ $waited -eq 1 ] && echo "say: waiting for another apt or dpkg"
        sleep 3
    done
}
echo "say: installing python3 with apt"
attempt apt-get -q -o DPkg::Lock::Timeout=60 update || exit 91
attempt apt-get -q -y -o DPkg::Lock::Timeout=60 install --no-install-recommends python3 || exit 91
"""


def install_python(transport: Transport, say: Callable[[str], None]) -> None:
    """Install python3 from the server's own package index.

    Args:
        transport: a login as root, or with sudo.
        say: told what takes long.

    Raises:
        UnsupportedServer: no Debian or Ubuntu, or apt cannot do it; its last lines are the evidence.
        TransportError: sudo, or the connection was lost.
    """
    channel = transport.open(("sh", "-c", SCRIPT))
    said: list[str] = []
    try:
        for raw in channel.lines():
            line = raw.decode("utf-8", "replace").rstrip()
            if line.startswith("say: "):
                say(line.removeprefix("say: "))
            elif line:
                said.append(line)
        code = channel.exit_code()
    finally:
        channel.close()
    if code == NOT_DEBIAN:
        system = said[-1].removeprefix("system: ") if said else "unknown"
        raise UnsupportedServer(
            f"this is {system}; Hostwright manages Debian and Ubuntu",
            hint="Reinstall the server with one of them.",
        )
    if code != 0:
        raise UnsupportedServer(
            "the server has no python3, and apt cannot install it",
            evidence=(*said[-8:], *channel.stderr_tail()[-3:]),
            hint="On the server: apt-get update && apt-get install python3",
        )
