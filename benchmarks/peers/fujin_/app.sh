
# what `fujin server bootstrap` does, without Caddy, and with uv from PyPI
groupadd -f fujin
usermod -aG fujin ubuntu
install -d -m 775 -g fujin /opt/fujin /opt/fujin/.python
test -e /opt/uv || python3 -m venv /opt/uv
/opt/uv/bin/pip install --quiet uv==$UV
install -d -o ubuntu -g ubuntu /home/ubuntu/.local /home/ubuntu/.local/bin
ln -sf /opt/uv/bin/uv /home/ubuntu/.local/bin/uv
# fujin would download a Python for it
install -d -m 775 -o ubuntu -g ubuntu /opt/fujin/APP /opt/fujin/APP/.install
test -e /opt/fujin/APP/.install/.venv ||
    /opt/uv/bin/uv venv --quiet --python /usr/bin/python3 /opt/fujin/APP/.install/.venv

put /etc/nginx/conf.d/APP.conf 644 < files/APP.site.conf
nginx -t
systemctl reload nginx
