"""Asks a CA for a certificate with certbot: once dry where the names are new, then in earnest, and never in a loop."""

from __future__ import annotations

import os

from ..resources.base import Failed
from ..system import CommandFailed
from . import certbot, x509
from .attempts import Attempts
from .explain import Refusal, said, understand
from .lineage import Before, Lineage
from .preflight import WEBROOT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Sequence

    from ..resources.base import Context
    from ..resources.certificate import Certificate
    from ..system import Result, System

# of certbot's that people see
LINES = 100
# a CA's trouble with its staging directory is none of the real one
NOT_OURS = ("unreachable", "untrusted", "server", "busy")


class Issue:
    """One attempt to get one certificate.

    Args:
        system: the server.
        wanted: the certificate.
        context: for words to the user.
        changed: what differs (attributes of the certificate's state).
    """

    def __init__(self, system: System, wanted: Certificate, context: Context, changed: Sequence[str]) -> None:
        self._system = system
        self._wanted = wanted
        self._context = context
        self._changed = tuple(changed)
        self._names = (*wanted.domains, *wanted.addresses)
        self._lineage = Lineage(system, wanted.name)
        self._told = 0
        self._book = Attempts(system, wanted.name, wanted.directory)

    def run(self) -> None:
        """Get it.

        Raises:
            Failed: why there is none; what was there before is there still.
        """
        self._book.refuse(self._names)
        certbot.tidy(self._system)
        self._tidy()
        if self._wanted.preflight:
            from .preflight import check

            check(self._system, self._wanted, self._context)
        secret = self._account_file()
        try:
            if self._wanted.staging and "names" in self._changed:
                self._dry(secret)
            self._issue(secret)
        finally:
            if secret:
                self._system.unlink(secret)

    def _tidy(self) -> None:
        """Half a certificate, left by an attempt of ours that was cut short, goes; anybody else's is an error."""
        lineage = self._lineage
        if not lineage.there or lineage.whole:
            return
        if not self._book.begun:
            raise Failed(
                "certbot's files for %s are not whole: one of %s, %s, %s is missing or damaged"
                % (self._wanted.name, lineage.live, lineage.archive, lineage.conf),
                "Move all three away, so that they can be made anew; with half of them every certbot here fails.",
            )
        lineage.remove()

    # -- certbot's command line ----------------------------------------------------------------------------

    def words(self, directory: str, secret: str) -> list[str]:
        """For this certificate from a directory; `secret` is the file with the account binding, if there is one."""
        wanted = self._wanted
        words = ["certonly", "--non-interactive", "--agree-tos", "--no-directory-hooks"]
        words += ["--cert-name", wanted.name, "--server", directory, "--key-type", wanted.key_type]
        words += (
            ["--email", wanted.email, "--no-eff-email"]
            if wanted.email
            else ["--register-unsafely-without-email"]
        )
        words += ["--config", secret] if secret else []
        accounts = self._lineage.accounts(directory)
        # it would ask which
        words += ["--account", accounts[0]] if len(accounts) > 1 else []
        if wanted.dns_auth:
            words += ["--manual", "--preferred-challenges", "dns", "--manual-auth-hook", wanted.dns_auth]
            words += ["--manual-cleanup-hook", wanted.dns_cleanup] if wanted.dns_cleanup else []
        else:
            words += ["--webroot", "--webroot-path", WEBROOT]
        words += ["--preferred-profile", wanted.profile] if wanted.profile else []
        for domain in wanted.domains:
            words += ["--domain", domain]
        for address in wanted.addresses:
            words += ["--ip-address", address]
        return words

    def _account_file(self) -> str:
        """The external account binding in a file that only root reads: command lines are everybody's to see."""
        wanted = self._wanted
        if not wanted.eab_kid:
            return ""
        if self._system.stat(certbot.RUNTIME) is None:
            self._system.mkdir(certbot.RUNTIME, mode=0o700)
        path = "%s/account-%s.ini" % (certbot.RUNTIME, os.urandom(4).hex())
        content = "eab-kid = %s\neab-hmac-key = %s\n" % (wanted.eab_kid, wanted.eab_hmac)
        self._system.write_atomic(path, content.encode(), mode=0o600)
        return path

    # -- the CA --------------------------------------------------------------------------------------------

    def _dry(self, secret: str) -> None:
        """A try that costs nothing: what fails there fails with the real one too, and that one counts it."""
        self._context.say("a dry try at %s first" % self._wanted.staging)
        refusal = self._ask([*self.words(self._wanted.staging, secret), "--dry-run"])
        if refusal is None:
            return
        if refusal.kind in NOT_OURS:
            self._context.notice("the dry try was left out: %s" % refusal.message)
            return
        refusal.message = "a dry try failed: %s" % refusal.message
        raise refusal.failed()

    def _issue(self, secret: str) -> None:
        before = Before(self._system, self._lineage)
        self._book.begin(before.fresh)
        # names are certbot's to compare; it does not see that the CA, the profile, the key or the challenge is another
        force = set(self._changed) - {"names"} and not before.fresh
        words = [
            *self.words(self._wanted.directory, secret),
            "--force-renewal" if force else "--keep-until-expiring",
        ]
        try:
            refusal = self._ask(words)
        except BaseException:
            before.restore()
            raise
        if refusal is not None:
            if before.restore():
                self._context.say("what the failed attempt left was taken away")
            self._book.failed(self._names, refusal)
            raise refusal.failed()
        self._verify()
        self._book.succeeded()

    def _ask(self, words: Sequence[str]) -> Optional[Refusal]:
        """Why there is none, or None. Once more where a connection broke, never where the CA has looked and said no."""
        refusal = self._once(words)
        if refusal is not None and refusal.passing:
            self._context.say("%s; once more" % refusal.message)
            self._system.sleep(2.0)
            refusal = self._once(words)
        return refusal

    def _once(self, words: Sequence[str]) -> Optional[Refusal]:
        try:
            result: Result = certbot.run(self._system, words, say=self._tell)
        except CommandFailed as error:
            raise Failed(
                "certbot was ended: it took longer than %d min" % (certbot.LONGEST / 60),
                "Where does it wait? sudo tail /var/log/letsencrypt/letsencrypt.log",
                tail=error.tail,
                argv=error.argv,
            ) from None
        return None if result.ok else understand(result, self._names)

    def _tell(self, line: str) -> None:
        """Hand on a line of certbot that says something; where it cannot write its log, it says that for ever."""
        for told in said(line):
            self._told += 1
            if self._told <= LINES:
                self._context.say(told)

    def _verify(self) -> None:
        """certbot's word is not enough.

        Raises:
            Failed: the files are not there, or not for the names.
        """
        found = x509.read(self._system, self._lineage.chain)
        if found is None or not self._lineage.whole:
            raise Failed(
                "certbot says that all is well, but %s is no certificate" % self._lineage.chain,
                "sudo /opt/certbot/bin/certbot certificates shows what it has.",
            )
        missing = [name for name in self._names if not found.covers(name)]
        if missing:
            raise Failed(
                "the CA's certificate is not for %s" % ", ".join(missing),
                "It is for %s. Does the CA leave out what it does not certify?" % ", ".join(found.names),
            )
