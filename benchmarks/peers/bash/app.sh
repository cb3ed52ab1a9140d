
# the app
id APP || useradd --system --shell /usr/sbin/nologin APP
mkdir -p /opt/APP
test -e /opt/APP/code || git clone --quiet "$REMOTE" /opt/APP/code
test -e /opt/APP/venv || python3 -m venv /opt/APP/venv
put /opt/APP/env 600 < files/APP.env
put /opt/APP/gunicorn.conf.py 644 < files/APP.gunicorn.conf.py
put /etc/systemd/system/APP.service 644 < files/APP.app.service
put /etc/nginx/conf.d/APP.conf 644 < files/APP.site.conf
systemctl daemon-reload
systemctl enable APP
git -C /opt/APP/code pull --quiet
/opt/APP/venv/bin/pip install --quiet -r /opt/APP/code/app/requirements.txt
systemctl restart APP
nginx -t
systemctl reload nginx
