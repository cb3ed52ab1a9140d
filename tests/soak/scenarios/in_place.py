"""The control: the same app and the same visitors, deployed as a tutorial does it: git pull, systemctl restart.

If nothing is lost here, the visitors do not see what they are there to see.
"""

from __future__ import annotations

from dataclasses import replace

from tests.soak.bench import Bench
from tests.soak.counting import APP
from tests.soak.evidence import Witness
from tests.soak.traffic import Plan
from tests.soak.verdict import Verdict, judge

NAME = "tutorial"
STATE = f"/var/lib/{NAME}"
UNIT = f"""\
[Service]
Type=notify
User={APP}
Environment=HOME={STATE}
WorkingDirectory=/srv/{NAME}/code
ExecStart=VENV/bin/gunicorn -k uvicorn_worker.UvicornWorker -w 3 -b 127.0.0.1:8000 counting:app
KillMode=mixed
Restart=always
"""
SITE = f"""\
server {{
    listen 80;
    server_name {NAME};
    access_log /var/log/nginx/{NAME}.access.log hostwright;
    error_log /var/log/nginx/{NAME}.error.log warn;
    location / {{
        proxy_pass http://127.0.0.1:8000;
        proxy_http_version 1.1;
        proxy_set_header Host $host;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
    }}
}}
"""
# until no old worker accepts any more: what it had accepted by then it would close, at the next measurement's cost
RELOAD = """\
old=$(pgrep -P "$(cat /run/nginx.pid)")
systemctl reload nginx
for pid in $old; do
    while [ "$(ps -o args= -p "$pid")" = "nginx: worker process" ]; do sleep 0.05; done
done
"""
INSTALL = f"""\
mkdir -p /srv/{NAME} {STATE}
chown {APP}: {STATE}
cp -rL /srv/{APP}/current/code /srv/{NAME}/work
cd /srv/{NAME}/work
git init --quiet --initial-branch=main
git config user.name Ann && git config user.email ann@example.com
git add --all && git commit --quiet --message=begin
git clone --quiet /srv/{NAME}/work /srv/{NAME}/code
sed -i "s,VENV,$(readlink -f /srv/{APP}/current/venv)," /etc/systemd/system/{NAME}.service
systemctl daemon-reload
systemctl start {NAME}
{RELOAD}"""
COMMIT = f"""\
cd /srv/{NAME}/work
sed -i 's/^VERSION = .*/VERSION = "in place NUMBER"/' counting.py
git commit --quiet --all --message=NUMBER
"""
DEPLOY = f"""\
cd /srv/{NAME}/code
git pull --quiet
systemctl restart {NAME}
"""
REMOVE = f"""\
systemctl stop {NAME}
rm -rf /etc/nginx/conf.d/{NAME}.conf /etc/systemd/system/{NAME}.service /srv/{NAME} {STATE}
systemctl daemon-reload
{RELOAD}"""


def in_place(bench: Bench, plan: Plan, count: int, pause: float = 3.0) -> Verdict:
    """Deploy `count` times by a restart in place, under load, beside the app that is there."""
    for path, text in (
        (f"/etc/systemd/system/{NAME}.service", UNIT),
        (f"/etc/nginx/conf.d/{NAME}.conf", SITE),
    ):
        bench.sandbox.exec(bench.server.name, ("tee", path), input=text)
    bench.sh(INSTALL)
    try:
        witness = Witness(bench.sandbox, bench.server, NAME, STATE)
        with bench.visitors(replace(plan, host=NAME), NAME) as traffic:
            for number in range(1, count + 1):
                bench.sh(COMMIT.replace("NUMBER", str(number)))
                bench.sh(DEPLOY)
                traffic.waits_for(pause)
        return judge(traffic.records(), witness.evidence())
    finally:
        bench.sh(REMOVE)
