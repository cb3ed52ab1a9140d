"""Where the firewall lies on a server, and what systemd is told about it."""

from __future__ import annotations

TABLE = "hostwright"
RULES = "/etc/hostwright/firewall.nft"
UNIT = "hostwright-firewall.service"
UNIT_FILE = "/etc/systemd/system/" + UNIT
ENABLED = "/etc/systemd/system/sysinit.target.wants/" + UNIT
DROPIN = "/etc/systemd/system/nftables.service.d/hostwright.conf"
LOAD = "/usr/sbin/nft -f " + RULES

# before the first interface is up; nftables.service empties everything when it starts (its own nftables.conf does), so
# it comes first. The kernel loads its own modules.
SERVICE = """\
# Managed by hostwright.
[Unit]
Description=Firewall (hostwright)
DefaultDependencies=no
RequiresMountsFor=/etc/hostwright /usr/sbin
After=nftables.service
Wants=network-pre.target
Before=network-pre.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=%(load)s
ExecReload=%(load)s
ExecStop=-/usr/sbin/nft delete table inet %(table)s
ProtectSystem=full
ProtectHome=yes
PrivateTmp=no
NoNewPrivileges=yes
CapabilityBoundingSet=CAP_NET_ADMIN

[Install]
WantedBy=sysinit.target
""" % {"load": LOAD, "table": TABLE}

# whatever somebody does with nftables.service later: its `flush ruleset` would take our table too, and say nothing
AFTER_NFTABLES = """\
# Managed by hostwright: nftables.service empties the rules of everybody; ours come back at once.
[Service]
ExecStartPost=-%(load)s
ExecReload=-%(load)s
ExecStopPost=-%(load)s
""" % {"load": LOAD}

FILES = ((UNIT_FILE, SERVICE), (DROPIN, AFTER_NFTABLES))
