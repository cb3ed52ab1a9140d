"""Where an app and its releases live: the pointer layout. Only paths, no access."""

from __future__ import annotations

import re

APP = re.compile(r"[a-z][a-z0-9-]{0,30}\Z")
# the instance name of the units, so nothing that systemd would escape; so short that a socket's path always fits
# (107 bytes, unix(7) sun_path)
RELEASE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")
UNITS = "/etc/systemd/system"
RUNTIME_UNITS = "/run/systemd/system"
UV = "/opt/hostwright/uv"
KINDS = ("socket", "service")
# the versions of a release's packages, in its folder
LOCK = "requirements.lock"


class Layout:
    """The paths of one app.

    /srv/APP is one file system, owned by root and read-only to the app:
        repo.git  trees/KEY  venvs/KEY  releases/ID  current -> releases/ID  releases.jsonl
        assets/KEY  what nginx serves of a tree itself     previous -> releases/ID, what `current` named before
        shared/     directories that outlive releases; these alone the app may write

    Raises:
        ValueError: not an app's name: it is a user, a unit and a directory.
    """

    def __init__(self, app: str) -> None:
        if not APP.match(app):
            raise ValueError("not the name of an app: %r" % app)
        self.app = app
        self.root = "/srv/%s" % app
        self.repository = self.root + "/repo.git"
        self.trees = self.root + "/trees"
        self.venvs = self.root + "/venvs"
        self.releases = self.root + "/releases"
        self.build = self.root + "/build"
        self.current = self.root + "/current"
        self.previous = self.root + "/previous"
        self.assets = self.root + "/assets"
        self.shared = self.root + "/shared"
        self.log = self.root + "/releases.jsonl"
        self.runtime = "/run/%s" % app
        self.state = "/var/lib/%s" % app
        self.deploy_key = "/etc/hostwright/keys/%s" % app
        self.template = "%s/%s@.service" % (UNITS, app)

    def release(self, release: str) -> str:
        """The folder of a release.

        Raises:
            ValueError: not a release's id.
        """
        if not RELEASE.match(release):
            raise ValueError("not the id of a release: %r" % release)
        return "%s/%s" % (self.releases, release)

    def socket(self, release: str) -> str:
        """Where the instance of a release listens."""
        self.release(release)
        return "%s/%s.sock" % (self.runtime, release)

    def unit(self, release: str, kind: str = "service") -> str:
        """The unit of a release's instance, `service` or `socket`."""
        self.release(release)
        return "%s@%s.%s" % (self.app, release, kind)

    def drop_in(self, release: str, kind: str) -> str:
        """Where systemd looks for what this release changes about the unit; a folder in /run."""
        return "%s/%s.d" % (RUNTIME_UNITS, self.unit(release, kind))
