"""The keys of people, from where the inventory says they are: read or fetched on this machine, once in a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from hostwright.errors import HostwrightError, UsageError
from hostwright.inventory.host import Host
from hostwright.inventory.trusted import display_name, read_trusted
from hostwright.inventory.users import check_public_key

Fetch = Callable[[str], str]
# seconds for one URL; bytes that a list of keys may have
TIMEOUT, LARGEST = 10.0, 64 * 1024


class UserKeys:
    """Finds keys.

    Args:
        environ: `SUDO_UID` names the person behind sudo.
        fetch: gives what is at a URL; raises HostwrightError.
    """

    def __init__(self, environ: Mapping[str, str], fetch: Fetch | None = None) -> None:
        self._environ = environ
        self._fetch = fetch or fetch_keys
        self._found: dict[str | Path, tuple[str, ...]] = {}

    def of(self, host: Host) -> dict[str, tuple[str, ...]]:
        """Lines of authorized_keys by user, each key once.

        Raises:
            HostwrightError: a file or a URL that has no keys, or cannot be had; a user with sudo and without keys.
        """
        found = {}
        for name, user in host.users.items():
            keys = [key for source in user.keys for key in self._keys(source, f"users.{name}")]
            found[name] = tuple({key.split()[1]: key for key in keys}.values())
            if user.sudo and not keys and name != host.user:
                raise UsageError(
                    f"{host.name}: users.{name} has sudo, but no key to log in with",
                    hint=f"users: {{{name}: {{keys: [~/.ssh/{name}.pub], sudo: true}}}}",
                )
        return found

    def _keys(self, source: str | Path, whose: str) -> tuple[str, ...]:
        if source not in self._found:
            if isinstance(source, Path):
                where = display_name(source)
                text = read_trusted(source, self._environ, missing=f"{whose} names it in the inventory.")
                self._found[source] = parse(text.splitlines(), f"{whose}: {where}")
            elif "://" in source:
                self._found[source] = parse(self._fetch(source).splitlines(), f"{whose}: {source}")
            else:
                self._found[source] = (source,)
        return self._found[source]


def parse(lines: Iterable[str], where: str) -> tuple[str, ...]:
    """The keys in the lines of a .pub file or of an authorized_keys.

    Raises:
        UsageError: there is none, or something else.
    """
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            found.append(check_public_key(line.strip()))
        except ValueError as error:
            raise UsageError(f"{where}:{number}: {error}") from None
    if not found:
        raise UsageError(f"{where} has no keys in it", hint="Nobody could log in with it.")
    return tuple(found)


def fetch_keys(url: str) -> str:
    """What is at an https URL.

    Raises:
        HostwrightError: it cannot be had, it leads elsewhere, or it is no list of keys.
    """
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    class Stay(HTTPRedirectHandler):
        """Keys come from where the inventory says, or not at all."""

        def redirect_request(self, *_: object, **__: object) -> None:
            return None

    request = Request(url, headers={"User-Agent": "hostwright", "Accept": "text/plain"})  # noqa: S310 - https only
    try:
        with build_opener(Stay).open(request, timeout=TIMEOUT) as answer:
            content: bytes = answer.read(LARGEST + 1)
    except HTTPError as error:
        error.close()
        where = f" and leads to {error.headers.get('Location')}" if 300 <= error.code < 400 else ""
        hint = "Is the name right?" if error.code == 404 else "Open it in a browser."
        raise HostwrightError(f"{url} answers {error.code}{where}", hint=hint) from None
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise HostwrightError(
            f"{url} cannot be fetched: {reason}", hint="Try again, or name a file."
        ) from None
    if len(content) > LARGEST:
        raise HostwrightError(f"{url} is no list of keys: it has more than {LARGEST // 1024} KiB")
    return content.decode("utf-8", "replace")
