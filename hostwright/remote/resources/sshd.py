"""sshd: what it says, where it listens, whom it lets in. One drop-in that comes before all others.

What this OpenSSH does not know is left out of it. A new port is opened beside the old one; that goes when a new login
has worked. Reading starts no process as long as the installed OpenSSH is the same.
"""

from __future__ import annotations

from .. import accounts
from ..digest import sha256
from ..ssh import activation, algorithms, config, known
from .base import Failed, Resource
from .file import back_up, compared
from .host_key import public_key, usable_rsa

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional, Sequence

    from ..system import System
    from .base import Change, Context, State, Value

# what sshd wants of RSA keys, bits; the shortest that it takes anyway
RSA, RSA_LEAST = 3072, 1024


class Sshd(Resource):
    """`name` is the path of the drop-in.

    Args:
        template: lines of sshd_config with places for what is decided here: see ssh/config.py `compose`.
        user: the login that every run uses; it must be able to log in.
        port: where it is to listen; 0: where it listens now.
        groups: whose members may log in; empty: everybody's.
        host_keys: paths of the keys it shows, the best first; those that are too short or missing are left out.
        pinned: the only host key that the controller accepts, if there is one: it stays.
        old_clients: see algorithms.choose.
    """

    kind = "sshd"
    exclusive = True
    units = (activation.SERVICE, activation.SOCKET)

    def __init__(
        self,
        *,
        name: str,
        template: str,
        user: str,
        port: int = 0,
        groups: Sequence[str] = (),
        host_keys: Sequence[str] = (),
        pinned: str = "",
        old_clients: bool = False,
        app: str = "",
        notify: Sequence[str] = (),
    ) -> None:
        super().__init__(name=name, app=app, notify=notify)
        self.template = template
        self.user = user
        self.port = port
        self.groups = tuple(groups)
        self.host_keys = tuple(host_keys)
        self.pinned = pinned
        self.old_clients = old_clients
        # ports that stay open until a new login has worked
        self._old: tuple[int, ...] = ()
        # what `refuse` has found out about the installed OpenSSH
        self._about: Optional[known.Known] = None

    def to_wire(self) -> dict[str, Any]:
        """As a JSON object."""
        return {key: value for key, value in super().to_wire().items() if not key.startswith("_")}

    # -- what it should say ------------------------------------------------------------------------------

    def _content(self, system: System, about: known.Known) -> str:
        keys, signatures = self._keys(system)
        lists = algorithms.choose(about, old_clients=self.old_clients, pinned=signatures)
        values = {
            **lists,
            "host_keys": keys,
            "rsa_bits": (str(self._rsa_bits(system)[0]),),
            "groups": self.groups,
            "ports": [str(port) for port in (self.port, *self._old) if port] or self._set(system),
        }
        return config.compose(self.template, values, about)

    def _set(self, system: System) -> list[str]:
        """The ports that an earlier run of ours has set: they stay."""
        found = config.directives(config.text_of(system, self.name))
        return [value for keyword, value in found if keyword == "port"]

    def _keys(self, system: System) -> tuple[list[str], list[str]]:
        """The paths of the host keys, and signatures that the pinned one needs besides."""
        found, rsa, signatures = [], False, []
        for path in self.host_keys:
            public = public_key(system, path)
            if public is None or (public[0] == "ssh-rsa" and (rsa or not usable_rsa(system, path))):
                continue
            rsa = rsa or public[0] == "ssh-rsa"
            found.append(path)
        for name in system.listdir("/etc/ssh") if self.pinned else ():
            path = "/etc/ssh/" + name[: -len(".pub")]
            public = public_key(system, path) if name.endswith("_key.pub") else None
            if public and path not in found and self.pinned in ("%s %s" % public, fingerprint(public[1])):
                found.append(path)
                signatures.append(public[0])
        return found, signatures

    def _rsa_bits(self, system: System) -> tuple[int, list[str]]:
        """The shortest RSA key that gets in, and whose are shorter than they should be: they are not shut out."""
        least, whose = RSA, []
        for person in accounts.people(system):
            for _, blob in accounts.keys_in(accounts.lines_of(system, person.keys)):
                bits = accounts.rsa_bits(blob)
                if bits is not None and bits < RSA:
                    least = max(RSA_LEAST, min(least, bits))
                    whose.append("%s (%d bits)" % (person.name, bits))
        return least, whose

    # -- the loop ----------------------------------------------------------------------------------------

    def desired(self, system: System) -> State:
        about = known.kept(system) or known.ask(system)
        state: dict[str, Value] = {
            "openssh": known.stamp(system),
            "settings": _digest(self._content(system, about)),
            "included": "first",
        }
        if self.port:
            state["ports"] = [str(port) for port in sorted({self.port, *self._old})]
        return state

    def read(self, system: System) -> State:
        kept = known.kept(system)
        text = system.read(self.name)
        state: dict[str, Value] = {
            "openssh": kept.fields["stamp"] if kept else None,
            "settings": _digest(text.decode("utf-8", "replace")) if text is not None else None,
            "included": config.place(config.text_of(system, config.MAIN)),
        }
        if self.port:
            state["ports"] = [str(port) for port in self._ports(system)]
        return state

    def _ports(self, system: System) -> list[int]:
        """Where it listens as far as files say; what is not open there is left out."""
        files = config.ports(system)
        if activation.kind(system) == "socket":
            files = activation.socket_ports(config.text_of(system, activation.SOCKET_DROP_IN)) or [22]
        return sorted(set(files) & activation.listening(system))

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        about = self._about or known.ask(system)
        self._tell(system, context)
        if self.port and not self._old:
            now = activation.current_ports(system, config.ports(system))
            self._old = tuple(port for port in now if port != self.port)
            if self._old:
                context.note = "port %s stays open until a new login works" % ", ".join(map(str, self._old))
        self._write(system, self._content(system, about), context)
        known.keep(system, about)

    def refuse(self, system: System) -> None:
        self._about = known.ask(system)
        self._keep_us(system)
        self._check(system, self._content(system, self._about))

    def _keep_us(self, system: System) -> None:
        """What would obviously lock us out.

        Raises:
            Failed
        """
        found = system.user(self.user)
        if found is None:
            raise Failed(
                "there is no user %s to log in as" % self.user, "Set `bootstrap_user:` in the inventory."
            )
        path = found[2].rstrip("/") + "/.ssh/authorized_keys"
        if not list(accounts.keys_in(accounts.lines_of(system, path))):
            raise Failed(
                "%s has no key to log in with (%s), and passwords are about to be switched off"
                % (self.user, path),
                "ssh-copy-id %s@SERVER" % self.user,
            )
        if self.groups and not any(self._is_in(system, found[1], name) for name in self.groups):
            raise Failed(
                "%s is in none of the groups that may log in: %s" % (self.user, ", ".join(self.groups)),
                "Add it to one of them (sudo gpasswd -a %s %s), or change ssh.groups in the inventory."
                % (self.user, self.groups[0]),
            )

    def _is_in(self, system: System, primary: int, name: str) -> bool:
        group = system.group(name)
        return bool(group and (group[0] == primary or self.user in group[1]))

    def _tell(self, system: System, context: Context) -> None:
        bits, whose = self._rsa_bits(system)
        if whose:
            context.notice(
                "short RSA keys: %s. They still get in (RequiredRSASize %d): replace them by ssh-ed25519 ones"
                % (", ".join(whose), bits)
            )

    # -- what is written ---------------------------------------------------------------------------------

    def _write(self, system: System, content: str, context: Optional[Context]) -> None:
        """Write it, put it into use, and look whether sshd does what it says."""
        main = config.text_of(system, config.MAIN)
        if self.port and not self._old:
            self._set_aside(system, context)
        if config.place(main) != "first":
            main = config.text_of(system, config.MAIN)
            self._replace(system, config.MAIN, config.put_first(main), context)
        if system.stat(config.FOLDER) is None:
            system.mkdir(config.FOLDER)
        system.write_atomic(self.name, content.encode(), mode=0o600)
        if self.port and activation.kind(system) == "socket":
            folder = activation.SOCKET_DROP_IN.rpartition("/")[0]
            if system.stat(folder) is None:
                system.mkdir(folder)
            text = activation.socket_text(system, sorted({self.port, *self._old}))
            system.write_atomic(activation.SOCKET_DROP_IN, text.encode(), mode=0o644)
        activation.put_into_use(system)
        if self.port and activation.kind(system) != "none":
            activation.wait_for(system, (self.port,))
        problem = config.not_in_force(content, known.effective(system))
        if problem:
            raise Failed(
                "our sshd settings are not in force: %s" % problem,
                "Something comes before them: sudo sshd -T; grep -rn . %s*" % config.MAIN,
            )

    def _check(self, system: System, content: str) -> None:
        path, text = config.scratch(system, content, config.text_of(system, config.MAIN))
        if system.stat("/run/hostwright") is None:
            system.mkdir("/run/hostwright", mode=0o700)
        known.prepare(system)
        system.write_atomic(path, text.encode(), mode=0o600)
        try:
            done = system.run((known.SSHD, "-t", "-f", path), timeout=30, check=False, read_only=True)
        finally:
            system.unlink(path)
        if not done.ok:
            raise Failed(
                "sshd does not accept the new settings; nothing of it was changed",
                "Is it templates/ssh/sshd.conf.j2 of this project? `inv template.diff` shows how it differs.",
                tail=[line.replace(path, "the candidate") for line in done.tail()],
            )

    def _set_aside(self, system: System, context: Optional[Context]) -> None:
        """`Port` lines of others would let it listen there too."""
        for path, lines in config.other_ports(system, self.port).items():
            text = config.text_of(system, path).splitlines()
            kept = [config.ASIDE + line if line in lines else line for line in text]
            self._replace(system, path, "\n".join(kept) + "\n", context)

    def _replace(self, system: System, path: str, text: str, context: Optional[Context]) -> None:
        old, found = system.read(path) or b"", system.stat(path)
        kept = back_up(system, path, old, sha256(old)[:12]) if old else ""
        if context is not None:
            context.kept = kept or context.kept
        system.write_atomic(path, text.encode(), mode=found.mode if found else 0o644)

    def proven(self, system: System) -> bool:
        if not self._old:
            return False
        about = known.kept(system) or known.ask(system)
        self._old = ()
        content = self._content(system, about)
        self._check(system, content)
        self._write(system, content, None)
        return True

    def content_diff(self, system: System) -> list[str]:
        about = known.kept(system) or known.ask(system)
        new = self._content(system, about).encode()
        old = system.read(self.name)
        return [] if old == new else compared(old, new)


def _digest(text: str) -> str:
    return sha256(text.encode())[:12]


def fingerprint(blob: str) -> str:
    """As `ssh-keygen -l` prints it: SHA256:..."""
    import base64
    import hashlib

    digest = hashlib.sha256(base64.b64decode(blob + "=" * (-len(blob) % 4))).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
