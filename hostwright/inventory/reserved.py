"""Names an app cannot have: its user, unit and directories would be somebody else's."""

from __future__ import annotations

import re

APP_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}\Z")

# base-passwd, and the users and units of packages common on servers (Debian 12 and 13, Ubuntu 22.04 to 26.04)
_USERS = """
root daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc gnats nobody nogroup
adm tty disk fax voice cdrom floppy tape sudo audio dip operator src shadow utmp video sasl plugdev staff
users input kvm render sgx messagebus polkitd syslog uuidd tcpdump tss landscape pollinate usbmux dnsmasq
avahi lxd ntp ntpd chrony sshd ubuntu debian admin ec2-user
postgres mysql mariadb redis valkey mongodb memcache rabbitmq elasticsearch opensearch influxdb grafana
prometheus caddy traefik haproxy varnish nginx apache apache2 httpd git gitea gitlab jenkins docker podman
postfix exim dovecot opendkim bind named unbound vault consul nomad minio tomcat zabbix munin nagios clamav
"""
_UNITS = """
ssh cron crond dbus rsyslog syslog journald udev polkit networking network networkd resolved timesyncd
network-manager wpa-supplicant ufw nftables iptables firewalld fail2ban certbot snapd apparmor auditd atd
unattended-upgrades apt-daily apt-daily-upgrade dpkg-db-backup logrotate fstrim getty console-getty rescue
emergency
user user-runtime-dir session
basic sysinit multi-user graphical halt reboot poweroff shutdown default local-fs
remote-fs sockets timers paths slices swap time-sync containerd postgresql mysqld redis-server memcached
uvicorn gunicorn cloud-init cloud-config cloud-final cloud-init-local qemu-guest-agent multipathd lvm2
keyboard-setup console-setup e2scrub-all man-db motd-news ua-timer mdmonitor nfs-server rpcbind smbd nmbd
"""
_DIRECTORIES = """
lock log run shm mount initctl credentials tmpfiles apt dpkg misc pam private python python3 ucf vim
blkid screen initramfs tpm dhcp dhcpcd dictionaries-common shells aspell ghostscript ispell
"""
RESERVED = frozenset(f"{_USERS} {_UNITS} {_DIRECTORIES}".split())
PREFIXES = ("systemd-", "hostwright-", "dbus-", "apt-daily-")


def check_app_name(name: str) -> str:
    """Return `name` when an app may have it; ValueError says why not."""
    if not APP_NAME.match(name):
        raise ValueError(
            f'"{name}" cannot be an app\'s name: a lower-case letter, then up to 30 lower-case letters, '
            "digits and hyphens"
        )
    if name in RESERVED or name in ("systemd", "hostwright") or name.startswith(PREFIXES):
        raise ValueError(
            f'"{name}" cannot be an app\'s name: servers have a user, unit or directory called so'
        )
    return name
