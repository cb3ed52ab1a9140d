"""nginx and gunicorn as tutorials set them up, beside ours on the same server: on port 8080, with the same app.

Debian's nginx.conf as it comes, `proxy_pass` to a TCP port, uvicorn's worker class in gunicorn, defaults for all else.
Only the number of workers is ours, so that both have the same number.
"""

from __future__ import annotations

from benchmarks.work import Bench
from hostwright.sandbox import Server

PORT = 8080
UNITS = ("tutorial-nginx.service", "tutorial.service")
FOLDER = "/opt/tutorial"
REQUIREMENTS = "fastapi\ngunicorn\nuvicorn[standard]\n"
UNIT = f"""\
[Unit]
Description=the tutorial's app
After=network.target

[Service]
User=tutorial
Group=www-data
WorkingDirectory={FOLDER}/app
ExecStart={FOLDER}/venv/bin/gunicorn -w WORKERS -k uvicorn.workers.UvicornWorker -b 127.0.0.1:8000 served:app
Restart=always
"""
NGINX_UNIT = f"""\
[Service]
Type=forking
PIDFile=/run/tutorial-nginx.pid
ExecStart=/usr/sbin/nginx -c {FOLDER}/nginx.conf
"""
SITE = f"""\
server {{
    listen {PORT};
    server_name _;

    location / {{
        proxy_pass http://127.0.0.1:8000;
        proxy_set_header Host $host;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
    }}

    location /static/ {{
        alias {FOLDER}/app/static/;
    }}
}}
"""
# nginx.conf of the package, as a second nginx: with other paths, and nothing else changed
SETUP = f"""\
useradd --system --shell /usr/sbin/nologin tutorial
mkdir -p {FOLDER}/app {FOLDER}/sites-enabled
cp -rL CODE/. {FOLDER}/app
python3 -m venv {FOLDER}/venv
printf '{REQUIREMENTS}' > {FOLDER}/requirements.txt
{FOLDER}/venv/bin/pip install --quiet -r {FOLDER}/requirements.txt
chmod -R go+rX {FOLDER}
cd {FOLDER}
apt-get -q download nginx-common
dpkg-deb --fsys-tarfile nginx-common*.deb | tar -xO ./etc/nginx/nginx.conf > nginx.conf
sed -i 's,/run/nginx.pid,/run/tutorial-nginx.pid,; s,/etc/nginx/mime,/etc/nginx/mime,
    s,/etc/nginx/\\(sites-enabled\\|conf.d\\|modules-enabled\\),{FOLDER}/\\1,; s,/var/log/nginx/,&tutorial-,' nginx.conf
cat > sites-enabled/tutorial <<'END'
{SITE}END
cat > /etc/systemd/system/{UNITS[1]} <<'END'
{UNIT}END
cat > /etc/systemd/system/{UNITS[0]} <<'END'
{NGINX_UNIT}END
systemctl daemon-reload
systemctl start {" ".join(UNITS)}
"""


def set_up(bench: Bench, server: Server, code: str, workers: int) -> None:
    """Do what the tutorial says.

    Args:
        code: a folder on the server with served.py and static/.
        workers: how many.
    """
    script = SETUP.replace("CODE", code).replace("WORKERS", str(workers))
    bench.root(server, script, timeout=300)
