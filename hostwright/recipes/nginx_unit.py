"""nginx's sandbox: a drop-in of its unit. `systemd-analyze security` says 2.5 instead of 9.6, on Debian 12 and 13.

With it reload, `nginx -t`, uploads, log rotation, TLS, ACME challenges, apps' sockets and static files work. Its master
stays root, who opens ports, keys and logs; what remains to it of root's rights is named.
"""

from __future__ import annotations

from hostwright.inventory import Host
from hostwright.recipes.nginx import TEST
from hostwright.remote.resources.base import Resource
from hostwright.remote.resources.drop_in import DropIn

DROP_IN = "/etc/systemd/system/nginx.service.d/hostwright.conf"
# sites of others on this server may have files in a home directory or sockets in /tmp: then nginx goes on seeing them
HOMES = "nginx-names:/home|nginx-names:/root"
CONTENT = f"""\
# Managed by Hostwright: what nginx may not do. In force from its next start on. `hardening: {{nginx: false}}` in the
# inventory takes it away; a drop-in of your own, called zz-local.conf, can allow more.
[Service]
UMask=0027
NoNewPrivileges=yes
# low ports, workers that are not root, logs and temporary files of theirs
CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_SETUID CAP_SETGID CAP_CHOWN CAP_DAC_OVERRIDE
AmbientCapabilities=
RestrictSUIDSGID=yes
ProtectSystem=strict
ReadWritePaths=/var/log/nginx -/var/lib/nginx -/var/cache/nginx /run
InaccessiblePaths=-/etc/hostwright/keys -/etc/ssh -/var/lib/hostwright -/boot
#?{{ {HOMES}
# a site of this server has files in a home directory
ProtectHome=read-only
#?}}
ProtectHome=yes #?!nginx-names:/home !nginx-names:/root
# unless a site of this server has a socket or files there
PrivateTmp=yes #?!nginx-names:/tmp !nginx-names:/var/tmp
PrivateDevices=yes
DevicePolicy=closed
ProtectProc=invisible
ProcSubset=pid
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictNamespaces=yes
KeyringMode=private
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
# it is what everything else is reached through
Restart=on-failure
RestartSec=1
"""


def nginx_unit(host: Host) -> list[Resource]:
    """nginx's sandbox on a host; nothing where it is switched off."""
    if not host.hardening.nginx:
        return []
    return [DropIn(name=DROP_IN, content=CONTENT, trial=TEST)]
