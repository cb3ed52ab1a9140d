"""Logging in: which key is tried how, and what a refusal means. Imports paramiko: import it late."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from paramiko.ssh_exception import AuthenticationException, BadAuthenticationType, SSHException

from hostwright.errors import AuthenticationFailed, TransportError
from hostwright.transport import failures
from hostwright.transport.keys import Candidate, Keys
from hostwright.transport.ssh_config import Target

if TYPE_CHECKING:
    from paramiko import Channel

    from hostwright.transport.tuned import TunedTransport


TOO_MANY = "Too many authentication failures"


class Surprise(Exception):
    """The fast way did not work, and it is not the keys' fault."""


@dataclass
class Login:
    """One login with one key after another. It is the `auth_strategy` of a paramiko.SSHClient.

    Args:
        target: where, and who.
        keys: what to try.
        fast: log in and open a session in one round trip.

    Attributes:
        session: the session that the fast way opened.
        tried: the keys that were sent, for people.
    """

    target: Target
    keys: Keys
    fast: bool
    session: Channel | None = None
    tried: list[Candidate] = field(default_factory=list)

    def authenticate(self, transport: TunedTransport) -> None:
        """Log in.

        Raises:
            AuthenticationFailed: no key is accepted, or more than a key is wanted.
            HostUnreachable: the connection ended.
            Surprise: the fast way failed otherwise.
        """
        for candidate in self.keys:
            self.tried.append(candidate)
            try:
                more = self._try(transport, candidate)
            except BadAuthenticationType as error:
                raise self._refused(transport, offered=error.allowed_types) from None
            except AuthenticationException as error:
                if not transport.is_active() or "timeout" in str(error):
                    raise self._cut_off(transport, candidate, error) from error
                continue
            except (SSHException, EOFError, OSError) as error:
                raise self._cut_off(transport, candidate, error) from error
            if more:
                raise self._refused(transport, more=more)
            return
        raise self._refused(transport)

    def _try(self, transport: TunedTransport, candidate: Candidate) -> list[str]:
        """What the server wants besides this key; nothing when it lets us in."""
        # after a first refusal nothing is gained any more
        if not self.fast or len(self.tried) > 1:
            return transport.log_in(self.target.user, candidate.key)
        try:
            more, self.session = transport.log_in_and_open(self.target.user, candidate.key)
        except AuthenticationException as error:
            if transport.is_active() or TOO_MANY in transport.disconnected:
                raise
            raise Surprise(error) from error
        except Exception as error:  # whatever it is, the ordinary way decides
            raise Surprise(error) from error
        return more

    def _cut_off(self, transport: TunedTransport, candidate: Candidate, error: Exception) -> TransportError:
        """There was no answer to a key."""
        if TOO_MANY in transport.disconnected or self._banner(transport):
            return self._refused(transport)
        if "sign" in str(error) or "agent" in str(error):
            return AuthenticationFailed(
                f"the ssh agent did not sign for {candidate.source}",
                host=self.target.name,
                evidence=(str(error),),
                hint="Is it locked, or waiting for you to confirm?",
            )
        return failures.greeting(self.target, transport, error)

    def _banner(self, transport: TunedTransport) -> list[str]:
        banner = (transport.auth_handler and transport.auth_handler.banner) or b""
        text = banner if isinstance(banner, str) else banner.decode("utf-8", "replace")
        return [line.strip() for line in text.splitlines() if line.strip()][-5:]

    def _refused(
        self, transport: TunedTransport, *, offered: list[str] | None = None, more: list[str] | None = None
    ) -> AuthenticationFailed:
        target = self.target
        where = f"{target.label} (the jump host)" if target.jump else target.label
        evidence = [*(f"tried {candidate}" for candidate in self.tried), *self.keys.notes]
        evidence += [f"the server says: {line}" for line in self._banner(transport)]
        hint = None
        if offered is not None:
            message = f"{where} does not take keys at all, only {', '.join(offered) or 'nothing'}"
            hint = "On the server, in sshd_config: PubkeyAuthentication yes"
            evidence = evidence[len(self.tried) :]
        elif more:
            message = f"{where} accepts the key, but wants more: {', '.join(more)}"
            hint = "A second factor needs a person; exempt this user from it (Match User in sshd_config)."
        elif not self.tried:
            message = f"no SSH key to log in with as {where}"
            hint = "Make one with ssh-keygen -t ed25519, or name yours: identity_file in the inventory."
        elif TOO_MANY in transport.disconnected:
            message = f"{where} stopped listening after {len(self.tried)} keys"
            hint = "Name the right one: identity_file in the inventory."
        else:
            message = f"{where} accepts none of our keys"
            hint = self._hint()
        return AuthenticationFailed(message, host=target.name, evidence=evidence, hint=hint)

    def _hint(self) -> str:
        hint = f"Is it the right user, and is the public key in ~{self.target.user}/.ssh/authorized_keys?"
        if self.target.user == "root":
            hint += " Many servers let nobody log in as root; then it is user: ubuntu, debian or admin."
        return hint
