"""What does not depend on the apps."""

from __future__ import annotations

from pyinfra.operations import files, server, systemd


def harden() -> None:
    """SSH, firewall, bans, updates, kernel, journal."""
    sshd = files.put(name="SSH hardening", src="files/sshd.conf", dest="/etc/ssh/sshd_config.d/00-site.conf")
    server.shell(name="SSH settings are valid", commands=["sshd -t"], _if=sshd.did_change)
    systemd.service(name="Reload sshd", service="ssh", reloaded=True, _if=sshd.did_change)

    firewall = files.put(name="Firewall", src="files/nftables.conf", dest="/etc/nftables.conf", mode="755")
    systemd.service(name="Firewall is on", service="nftables", running=True, enabled=True)
    systemd.service(name="Reload firewall", service="nftables", reloaded=True, _if=firewall.did_change)

    jail = files.put(name="Bans", src="files/jail.local", dest="/etc/fail2ban/jail.d/sshd.local")
    systemd.service(name="fail2ban is on", service="fail2ban", running=True, enabled=True)
    systemd.service(name="Restart fail2ban", service="fail2ban", restarted=True, _if=jail.did_change)

    files.put(name="Security updates", src="files/upgrades.conf", dest="/etc/apt/apt.conf.d/20auto-upgrades")

    kernel = files.put(name="Kernel settings", src="files/sysctl.conf", dest="/etc/sysctl.d/90-site.conf")
    systemd.service(
        name="Apply kernel settings", service="systemd-sysctl", restarted=True, _if=kernel.did_change
    )

    journal = files.put(
        name="Size of the journal", src="files/journald.conf", dest="/etc/systemd/journald.conf.d/site.conf"
    )
    systemd.service(
        name="Restart journald", service="systemd-journald", restarted=True, _if=journal.did_change
    )
