"""Why apt or dpkg failed, told from what they printed (in English: LC_ALL=C.UTF-8). Pure functions.

Both give exit code 100 (apt) or 1 and 2 (dpkg) for everything, so the text is all there is.
"""

from __future__ import annotations

from .resources.base import Failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Sequence

    from .system import Result

# what can be done about it: wait for the lock, refresh the lists, finish what dpkg left, nothing; and nothing
# because the disk is full, which apt-get update does not count as a failure
LOCKED, STALE, INTERRUPTED, FINAL, FULL = "locked", "stale", "interrupted", "final", "full"

LOCK_TEXTS = (
    "Could not get lock ",
    "Unable to acquire the dpkg frontend lock",
    "Unable to lock directory",
    "Unable to lock the download directory",
    "lock was locked by another process",
    "is locked by another process",
)
NETWORK_TEXTS = (
    "Temporary failure resolving",
    "Could not resolve",
    "Could not connect",
    "Unable to connect",
    "Connection timed out",
    "Connection failed",
    "Network is unreachable",
    "Failed to fetch",
)


class Trouble:
    """A failed apt or dpkg: `kind` says what can be done, `failed` what to tell when nothing helps."""

    def __init__(self, kind: str, failed: Failed) -> None:
        self.kind = kind
        self.failed = failed


def diagnose(result: Result) -> Trouble:
    """What a command that failed was about."""
    lines = (result.out + "\n" + result.err).splitlines()
    for kind, explain in (
        (LOCKED, _locked),
        (INTERRUPTED, _interrupted),
        (FULL, _no_space),
        (FINAL, _would_remove),
        (FINAL, _held),
        (FINAL, _virtual_package),
        (STALE, _no_such_package),
        (STALE, _network),
        (STALE, _unmet),
        (FINAL, _package_script),
    ):
        failed = explain(result, lines)
        if failed:
            return Trouble(kind, failed)
    reasons = [line[3:] for line in lines if line.startswith("E: ")] or ["exit code %d" % result.exit_code]
    return Trouble(FINAL, _failed(result, "%s failed: %s" % (result.argv[0], reasons[0]), "", lines))


def fetch_problems(result: Result) -> list[str]:
    """The lines of `apt-get update` that tell what could not be had; it ends with 0 even when all failed."""
    lines = (result.out + "\n" + result.err).splitlines()
    found = []
    for number, line in enumerate(lines):
        if line.startswith("Err:"):
            found.append(line)
            if number + 1 < len(lines) and lines[number + 1].startswith("  "):
                found.append(lines[number + 1])
    return found or [line for line in lines if line.startswith(("E:", "W: Failed to fetch", "W: GPG error"))]


def first_problem(result: Result) -> str:
    """The first of them in one line: which source, and why."""
    problems = fetch_problems(result)
    if not problems:
        return "exit code %d" % result.exit_code
    # "Err:3 http://mirror.test bookworm InRelease", and below it why
    source = problems[0].partition(" ")[2] if problems[0].startswith("Err:") else problems[0]
    why = problems[1].strip() if len(problems) > 1 and problems[1].startswith("  ") else ""
    return ": ".join(part for part in (source, why) if part)


def unreachable(result: Result) -> Failed:
    """No package list could be had."""
    return _failed(
        result,
        "the package lists could not be fetched: the server cannot reach its package mirrors",
        "Look at the server's network, DNS, proxy and /etc/apt: sudo apt-get update",
        fetch_problems(result),
    )


def _failed(result: Result, message: str, hint: str, lines: Sequence[str], last: bool = True) -> Failed:
    shown = [line for line in lines if line.strip()]
    shown = shown[-15:] if last else shown[:15]
    # apt-get update ends with 0 even when it got nothing
    return Failed(message, hint, tail=shown, argv=result.argv, exit_code=result.exit_code or None)


def _with(lines: Sequence[str], *texts: str) -> list[str]:
    return [line for line in lines if any(text in line for text in texts)]


def _locked(result: Result, lines: Sequence[str]) -> Optional[Failed]:
    found = _with(lines, *LOCK_TEXTS)
    if not found:
        return None
    return _failed(result, "another process uses apt", "Wait for it, then run this again.", found)


def _interrupted(result: Result, lines: Sequence[str]) -> Optional[Failed]:
    found = _with(lines, "dpkg was interrupted", "apt --fix-broken install")
    if not found:
        return None
    hint = "Look at: sudo dpkg --audit; sudo apt-get --fix-broken install"
    return _failed(result, "an earlier installation on this server is only half done", hint, found)


def _no_space(result: Result, lines: Sequence[str]) -> Optional[Failed]:
    found = _with(lines, "No space left on device", "You don't have enough free space", "not enough space")
    if not found:
        return None
    hint = "Look at: df -h; df -i. `sudo apt-get clean` frees what apt has downloaded."
    return _failed(result, "the server's disk is full", hint, found)


def _would_remove(result: Result, lines: Sequence[str]) -> Optional[Failed]:
    if not _with(lines, "Packages need to be removed but remove is disabled"):
        return None
    names, shown = _listed(lines, "will be REMOVED")
    return _failed(
        result,
        "apt would have to remove %s, which we leave to you" % (" ".join(names) or "packages"),
        "If they are not needed: sudo apt-get remove %s" % " ".join(names),
        shown,
        last=False,
    )


def _held(result: Result, lines: Sequence[str]) -> Optional[Failed]:
    if not _with(lines, "Held packages were changed and -y was used"):
        return None
    names, shown = _listed(lines, "held packages will be changed")
    them = "package is" if len(names) == 1 else "packages are"
    return _failed(
        result,
        "the %s on hold on this server: %s" % (them, " ".join(names)),
        "If they need not be: sudo apt-mark unhold %s" % " ".join(names),
        shown,
        last=False,
    )


def _listed(lines: Sequence[str], head: str) -> tuple[list[str], Sequence[str]]:
    """The packages that apt names, indented, below a heading; and those lines."""
    begin = next((n for n, line in enumerate(lines) if head in line), len(lines))
    names: list[str] = []
    for line in lines[begin + 1 :]:
        if not line.startswith("  "):
            break
        names += line.split()
    return names, lines[begin : begin + 10]


def _virtual_package(result: Result, lines: Sequence[str]) -> Optional[Failed]:
    for number, line in enumerate(lines):
        name, found, _ = line.partition(" is a virtual package provided by:")
        if found:
            name = name.split()[-1]
            providers = lines[number + 1 :]
            end = providers.index("") if "" in providers else len(providers)
            message = "%s is not one package but several that do the same: choose one" % name
            hint = "Put one of these names in the place of %s." % name
            return _failed(result, message, hint, providers[:end], last=False)
    return None


def _no_such_package(result: Result, lines: Sequence[str]) -> Optional[Failed]:
    names = []
    for line in _with(lines, "E: Unable to locate package ", "E: Couldn't find any package by "):
        names.append(line.split()[-1].strip("'\""))
    for line in _with(lines, "' has no installation candidate"):
        names.append(line.partition("'")[2].partition("'")[0])
    if not names:
        return None
    names = list(dict.fromkeys(names))
    what = "package" if len(names) == 1 else "packages"
    return _failed(
        result,
        "this server's package sources have no %s %s" % (what, ", ".join(names)),
        "Look for the right name with: apt-cache search %s" % names[0].rstrip("0123456789."),
        _with(lines, *names),
    )


def _network(result: Result, lines: Sequence[str]) -> Optional[Failed]:
    if not _with(lines, *NETWORK_TEXTS):
        return None
    shown = fetch_problems(result) or _with(lines, *NETWORK_TEXTS)
    return _failed(
        result,
        "packages could not be downloaded",
        "Look at the server's network, DNS, proxy and /etc/apt: sudo apt-get update",
        shown,
        last=False,
    )


def _unmet(result: Result, lines: Sequence[str]) -> Optional[Failed]:
    for number, line in enumerate(lines):
        if "The following packages have unmet dependencies" in line or "held broken packages" in line:
            message = "apt finds no versions that fit together"
            hint = "Held packages: apt-mark showhold. Versions and their sources: apt-cache policy NAME"
            return _failed(result, message, hint, lines[number:], last=False)
    return None


def _package_script(result: Result, lines: Sequence[str]) -> Optional[Failed]:
    names = []
    for line in _with(lines, "dpkg: error processing package ", "dpkg: error processing archive "):
        names.append(line.split()[4])
    if not names:
        return None
    return _failed(
        result,
        "dpkg could not install %s" % ", ".join(dict.fromkeys(names)),
        "When its cause is gone, run this again: dpkg goes on where it stopped.",
        lines,
    )
