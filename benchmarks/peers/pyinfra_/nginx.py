"""What stands before the apps."""

from __future__ import annotations

from pyinfra import host
from pyinfra.operations import files, systemd
from pyinfra.operations.util import any_changed


def serve() -> None:
    """Certificate, default site, a site for each app."""
    changes = [
        files.put(
            name="Certificate", src="files/fullchain.pem", dest="/etc/ssl/site/fullchain.pem", mode="644"
        ),
        files.put(name="Its key", src="files/privkey.pem", dest="/etc/ssl/site/privkey.pem", mode="600"),
        files.link(name="No default site", path="/etc/nginx/sites-enabled/default", present=False),
        files.put(name="Nginx", src="files/nginx.conf", dest="/etc/nginx/conf.d/00-site.conf"),
    ]
    for app in host.data.apps:
        changes.append(
            files.template(
                name=f"{app['name']}: site",
                src="files/site.conf.j2",
                dest=f"/etc/nginx/conf.d/{app['name']}.conf",
                app=app,
            )
        )
    systemd.service(name="Nginx runs", service="nginx", running=True, enabled=True)
    systemd.service(name="Reload nginx", service="nginx", reloaded=True, _if=any_changed(*changes))
