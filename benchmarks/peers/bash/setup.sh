# What tutorials say to type on a new server, as one script.
set -eu
export DEBIAN_FRONTEND=noninteractive

put() { # FILE MODE: writes standard input
    cat > "$1"
    chmod "$2" "$1"
}

apt-get -q update
apt-get -q -y install --no-install-recommends $PACKAGES < /dev/null  # standard input is this script

# the admin
id "$ADMIN" || useradd --create-home --shell /bin/bash --groups sudo "$ADMIN"
install -d -m 700 -o "$ADMIN" -g "$ADMIN" "/home/$ADMIN/.ssh"
put "/home/$ADMIN/.ssh/authorized_keys" 600 < files/authorized_keys
chown "$ADMIN:" "/home/$ADMIN/.ssh/authorized_keys"
put "/etc/sudoers.d/90-$ADMIN" 440 < files/sudoers
visudo -c -q

# the host
put /etc/ssh/sshd_config.d/00-site.conf 644 < files/sshd.conf
sshd -t
systemctl reload ssh
put /etc/nftables.conf 755 < files/nftables.conf
systemctl enable nftables
systemctl restart nftables
put /etc/fail2ban/jail.d/sshd.local 644 < files/jail.local
systemctl enable fail2ban
systemctl restart fail2ban
put /etc/apt/apt.conf.d/20auto-upgrades 644 < files/upgrades.conf
put /etc/sysctl.d/90-site.conf 644 < files/sysctl.conf
systemctl restart systemd-sysctl
mkdir -p /etc/systemd/journald.conf.d
put /etc/systemd/journald.conf.d/site.conf 644 < files/journald.conf
systemctl restart systemd-journald

# what stands before the apps
mkdir -p /etc/ssl/site
put /etc/ssl/site/fullchain.pem 644 < files/fullchain.pem
put /etc/ssl/site/privkey.pem 600 < files/privkey.pem
rm -f /etc/nginx/sites-enabled/default
put /etc/nginx/conf.d/00-site.conf 644 < files/nginx.conf
