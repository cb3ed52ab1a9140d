"""What decides who gets into a server: kept before a guarded change, and put back when no new login is proven.

Add a line for whatever a guarded resource writes. A path that ends in `*` is every name that begins so in its folder; a
folder is everything below it. What was not there before is removed again.
"""

from __future__ import annotations

# files, folders and beginnings of names
TREES = (
    "/etc/ssh",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/gshadow",
    "/etc/subuid",
    "/etc/subgid",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/systemd/system/ssh.service.d",
    "/etc/systemd/system/ssh.socket.d",
    "/etc/systemd/system/ssh@.service.d",
    "/etc/hostwright/firewall*",
    "/etc/systemd/system/hostwright-firewall*",
    "/etc/systemd/system/nftables.service.d",
    "/etc/nftables.conf",
    "/etc/ufw",
    "/etc/default/ufw",
    "/etc/fail2ban",
)
# below the home of everybody who may log in
KEYS = (".ssh/authorized_keys", ".ssh/authorized_keys2")
# in this order they are stopped, when they did not run before, and started or restarted, when they did. Whether they
# are enabled is put back too: links that systemctl(1) `enable` makes below /etc/systemd/system.
UNITS = ("hostwright-firewall.service", "ssh.socket", "ssh.service")
# (beginning of a path, unit that must be running now, command): run when something there was put back. Files of the
# units above need none: those are restarted.
RELOADS = (
    # ufw.service is not started by `ufw enable`, and reloading does nothing where ufw is off
    ("/etc/ufw/", "sysinit.target", ("ufw", "reload")),
    ("/etc/default/ufw", "sysinit.target", ("ufw", "reload")),
    ("/etc/fail2ban/", "fail2ban.service", ("systemctl", "restart", "--", "fail2ban.service")),
)
