"""The site."""

from __future__ import annotations

from admin import make_admin
from host_settings import harden
from nginx import serve
from pyinfra import config, host
from pyinfra.operations import apt, files, server, systemd
from pyinfra.operations.util import any_changed
from release import install_uv, pull, restart

config.SUDO = True

apt.packages(name="Packages", packages=host.data.packages, update=True, cache_time=3600, no_recommends=True)
harden()
make_admin()
install_uv()
for app in host.data.apps:
    name = app["name"]
    server.user(name=f"{name}: user", user=name, system=True, shell="/usr/sbin/nologin", ensure_home=False)
    code = pull(name)
    changes = [
        files.template(name=f"{name}: {src}", src=f"files/{src}", dest=dest, mode=mode, app=app)
        for src, dest, mode in (
            ("env.j2", f"/opt/{name}/env", "600"),
            ("gunicorn.conf.py.j2", f"/opt/{name}/gunicorn.conf.py", "644"),
            ("app.service.j2", f"/etc/systemd/system/{name}.service", "644"),
        )
    ]
    restart(name, any_changed(code, *changes))
    systemd.service(name=f"{name}: service", service=name, running=True, enabled=True)
serve()
