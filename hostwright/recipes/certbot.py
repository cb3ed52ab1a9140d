"""certbot on the server: its environment, where it answers challenges, how it renews, what it does with what it got.

Renewal is a timer of ours. Debian's certbot package has one too; both leave alone what is not due.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from hostwright.inventory import Secret
from hostwright.remote.release.layout import UV
from hostwright.remote.resources.base import Resource
from hostwright.remote.resources.directory import Directory
from hostwright.remote.resources.file import File
from hostwright.remote.resources.unit import Unit
from hostwright.remote.resources.virtual_environment import VirtualEnvironment
from hostwright.remote.store import WHEELS
from hostwright.remote.tls.attempts import FOLDER
from hostwright.remote.tls.certbot import BUNDLES, SYSTEM_BUNDLE
from hostwright.remote.tls.preflight import CHALLENGES, WEBROOT

HOME = "/opt/certbot"
# the first Python 3 that the pinned certbot runs on
OLDEST = 10
UNITS = "/etc/systemd/system"
RENEWAL = "hostwright-certbot"
HOOK = "/etc/letsencrypt/renewal-hooks/deploy/hostwright-nginx"
DNS = "/etc/hostwright/dns"
TRUST = "/opt/hostwright/certbot-trust"
# there while nginx does not use a certificate that it should; the service then ends as failed
UNUSED = f"{FOLDER}/unused"

SERVICE = f"""\
# Managed by Hostwright. Renews what is due; started by {RENEWAL}.timer.
[Unit]
Description=Renew certificates (certbot of Hostwright)
Documentation=https://eff-certbot.readthedocs.io
Wants=network-online.target
After=network-online.target nss-lookup.target nginx.service
ConditionPathExists={HOME}/bin/certbot

[Service]
Type=oneshot
RuntimeDirectory={RENEWAL}
RuntimeDirectoryMode=0700
# which CAs an ACME directory is trusted with here, beside those that certbot knows
ExecStartPre={TRUST}
EnvironmentFile=-/run/{RENEWAL}/environment
ExecStart={HOME}/bin/certbot renew --quiet --no-random-sleep-on-renew --max-log-backups 100
# certbot's exit code says nothing about a hook that failed
ExecStart={HOOK} --check
TimeoutStartSec=1h
Nice=15
IOSchedulingClass=idle
CPUSchedulingPolicy=batch
UMask=0022
PrivateTmp=yes
PrivateDevices=yes
ProtectSystem=strict
# what `nginx -t` opens is among it
ReadWritePaths=/etc/letsencrypt {WEBROOT} {FOLDER} -/var/lib/letsencrypt -/var/log/letsencrypt
ReadWritePaths=-/var/log/nginx -/var/lib/nginx /run
LogsDirectory=letsencrypt
LogsDirectoryMode=0700
StateDirectory=letsencrypt
StateDirectoryMode=0755
ProtectHome=read-only
ProtectHostname=yes
ProtectClock=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectProc=invisible
NoNewPrivileges=yes
CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_SETGID CAP_SETUID
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
"""

TIMER = """\
# Managed by Hostwright. Twice a day, at another time on each server: a CA is not asked by all at once.
[Unit]
Description=Renew certificates twice a day

[Timer]
OnCalendar=*-*-* 00,12:00:00
RandomizedDelaySec=12h
AccuracySec=1m
Persistent=true

[Install]
WantedBy=timers.target
"""

TRUST_SCRIPT = f"""\
#!/bin/sh
# Managed by Hostwright. Writes to $RUNTIME_DIRECTORY which CAs certbot trusts, where the inventory names any.
set -eu
rm -f "$RUNTIME_DIRECTORY/environment"
set -- {BUNDLES}/*.pem
[ -e "$1" ] || exit 0
cat {SYSTEM_BUNDLE} "$@" > "$RUNTIME_DIRECTORY/trusted.pem"
echo "REQUESTS_CA_BUNDLE=$RUNTIME_DIRECTORY/trusted.pem" > "$RUNTIME_DIRECTORY/environment"
"""

HOOK_SCRIPT = f"""\
#!/bin/sh
# Managed by Hostwright. certbot runs it after each renewal; `--check` tries again what failed before, and fails too.
# nginx refuses to reload with a configuration that is no good, and goes on with the old certificate: {UNUSED}
# exists as long as that is so. It says why.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
unused={UNUSED}
[ "${{1-}}" != --check ] || [ -e "$unused" ] || exit 0
if ! systemctl --quiet is-active nginx.service; then
    rm -f "$unused"   # when it starts it reads the new certificate
    exit 0
fi
if said=$(nginx -t -q 2>&1) && said=$(systemctl reload nginx.service 2>&1); then
    rm -f "$unused"
    exit 0
fi
[ -d "${{unused%/*}}" ] || mkdir -p -m 0700 "${{unused%/*}}"
[ -z "${{RENEWED_LINEAGE-}}" ] || printf '%s\\n' "$said" > "$unused"
printf 'nginx does not use the new certificate%s: it was not reloaded\\n%s\\n' \\
    "${{RENEWED_LINEAGE:+ of ${{RENEWED_LINEAGE##*/}}}}" "$said" >&2
exit 1
"""

PROGRAM = """\
#!/bin/sh
# Managed by Hostwright. certbot runs it for each domain, with CERTBOT_DOMAIN and CERTBOT_VALIDATION.
set -eu
. {folder}/env
exec {folder}/{program}
"""


def exports(env: Mapping[str, str | Secret]) -> str:
    """A file that a shell reads these variables from."""
    values = {name: value.reveal() if isinstance(value, Secret) else value for name, value in env.items()}
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())


@cache
def requirements() -> str:
    """certbot's requirements with hashes; tools/certbot_requirements.py makes them."""
    return Path(__file__).with_name("certbot.txt").read_text(encoding="utf-8")


def certbot(bundles: Mapping[str, str]) -> list[Resource]:
    """certbot, and what renews certificates.

    Args:
        bundles: CA bundles (PEM) that ACME directories are trusted with, by a name for each.
    """
    return [
        VirtualEnvironment(
            name=HOME, requirements=requirements(), wheels=WHEELS, uv=f"{UV}/bin/uv", oldest=OLDEST
        ),
        Directory(name=f"{WEBROOT}/.well-known"),
        Directory(name=f"{WEBROOT}{CHALLENGES}"),
        Directory(name=FOLDER, mode=0o700),
        Directory(name="/etc/letsencrypt"),
        Directory(name=BUNDLES),
        Directory(name=DNS, mode=0o700),
        *(File(name=f"{BUNDLES}/{name}.pem", content=content) for name, content in sorted(bundles.items())),
        File(name=TRUST, content=TRUST_SCRIPT, mode=0o755),
        File(name=HOOK, content=HOOK_SCRIPT, mode=0o755),
        File(name=f"{UNITS}/{RENEWAL}.service", content=SERVICE),
        File(name=f"{UNITS}/{RENEWAL}.timer", content=TIMER),
        Unit(name=f"{RENEWAL}.timer", enabled=True, running=True),
    ]


def hook(
    app: str, auth: str, cleanup: str, env: Mapping[str, str | Secret]
) -> tuple[list[Resource], str, str]:
    """The programs that make and remove an app's DNS records for DNS-01.

    certbot runs hooks through a shell, so their paths are ours; what the project wrote is run by them.

    Args:
        app: its name.
        auth: the program that makes a record.
        cleanup: the one that removes it; empty for none.
        env: their environment, resolved.

    Returns:
        (resources, path of the first hook, path of the second or empty).
    """
    folder = f"{DNS}/{app}"
    resources: list[Resource] = [
        Directory(name=folder, mode=0o700, app=app),
        File(name=f"{folder}/env", content=exports(env), mode=0o600, sensitive=True, app=app),
    ]
    paths = []
    for name, program in (("auth", auth), ("cleanup", cleanup)):
        if not program:
            paths.append("")
            continue
        wrapper = PROGRAM.format(folder=folder, program=f"{name}-program")
        resources += [
            File(name=f"{folder}/{name}-program", content=program, mode=0o700, sensitive=True, app=app),
            File(name=f"{folder}/{name}", content=wrapper, mode=0o700, app=app),
        ]
        paths.append(f"{folder}/{name}")
    return resources, paths[0], paths[1]
