"""What sudo and sudo-rs say, captured from Debian 12, Debian 13 and sudo-rs 0.2, and the errors made of it."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from hostwright.transport import refusals, sudo
from hostwright.transport.base import PythonMissing

NEEDS = "sudo needs the password of ada"
WRONG = "sudo did not accept the password of ada"
MAY_NOT = "ada may not use sudo"

CASES = [
    # sudo 1.9.13 and 1.9.16
    ("sudo: a password is required", NEEDS),
    ("sudo: unable to resolve host web1: Name or service not known\nsudo: a password is required", NEEDS),
    ("Sorry, try again.\nsudo: no password was provided\nsudo: 1 incorrect password attempt", WRONG),
    ("sudo: 3 incorrect password attempts", WRONG),
    ("ada is not in the sudoers file.", MAY_NOT),
    ("ada is not in the sudoers file.  This incident will be reported.", MAY_NOT),
    ("ada is not in the sudoers file.\nThis incident has been reported to the administrator.", MAY_NOT),
    ("Sorry, user ada is not allowed to execute '/usr/bin/python3 -I' as root on web1.", MAY_NOT),
    ("Sorry, user ada may not run sudo on web1.", MAY_NOT),
    ("ada is not allowed to run sudo on web1.", MAY_NOT),
    ("sudo: sorry, you must have a tty to run sudo", "sudo insists on a terminal (requiretty)"),
    # sudo 1.8
    ("sudo: no tty present and no askpass program specified", NEEDS),
    (
        "sudo: a terminal is required to read the password; either use the -S option to read from standard input"
        " or configure an askpass helper\nsudo: a password is required",
        NEEDS,
    ),
    # sudo-rs 0.2.5, 0.2.8 and later
    ("sudo-rs: interactive authentication is required", NEEDS),
    ("sudo: interactive authentication is required", NEEDS),
    ("sudo: Interaction is required", NEEDS),
    ("sudo: Authentication failed, try again.", WRONG),
    ("sudo-rs: Maximum 3 incorrect authentication attempts", WRONG),
    ("sudo: Incorrect authentication attempt", WRONG),
    ("sudo-rs: I'm sorry ada. I'm afraid I can't do that", MAY_NOT),
    ("sudo: Sorry, user ada is not allowed to execute '/usr/bin/python3' as root on web1.", MAY_NOT),
    ("sudo: Sorry, user ada may not run /usr/bin/python3 on web1.", MAY_NOT),
    ("sudo: Account validation failure, is your account locked?", "the account of ada is locked or expired"),
    # no sudo at all: env, dash, bash
    ("env: 'sudo': No such file or directory", "ada is not root, and sudo is not installed"),
    ("env: ‘sudo’: No such file or directory", "ada is not root, and sudo is not installed"),
    ("sh: 1: sudo: not found", "ada is not root, and sudo is not installed"),
    ("bash: line 1: sudo: command not found", "ada is not root, and sudo is not installed"),
    # something new
    ("sudo: a wizard is required", "sudo failed for ada"),
]


@pytest.mark.parametrize(("said", "message"), CASES)
def test_what_sudo_says(said: str, message: str) -> None:
    lines = said.splitlines()
    assert sudo.speaks(lines)
    error = sudo.explain(lines, "ada")
    assert error.message == message
    assert error.evidence == tuple(line for line in lines if "unable to resolve" not in line)


@pytest.mark.parametrize(("said", "message"), CASES)
def test_a_password_is_tried_only_where_it_may_help(said: str, message: str) -> None:
    helps = message in (NEEDS, WRONG, "sudo failed for ada", "the account of ada is locked or expired")
    assert sudo.worth_a_password(said.splitlines()) is helps


@pytest.mark.parametrize(
    "said",
    [
        "",
        "Traceback (most recent call last):\nValueError: x",
        "sudo: unable to resolve host web1: Name or service not known",
        "bash: warning: setlocale: LC_ALL: cannot change locale",
    ],
)
def test_what_is_not_sudos_failure(said: str) -> None:
    assert not sudo.speaks(said.splitlines())
    assert not sudo.worth_a_password(said.splitlines())


def test_hints_say_what_to_do() -> None:
    assert sudo.explain(["sudo: a password is required"], "ada").hint == (
        "In the inventory: sudo_password: ask. Or in a file of /etc/sudoers.d: ada ALL=(ALL) NOPASSWD:ALL"
    )
    assert sudo.explain(["ada is not in the sudoers file."], "ada").hint == (
        "As root on the server: usermod -aG sudo ada, or log in as another user."
    )
    assert sudo.explain(["sudo: 1 incorrect password attempt"], "ada").hint == (
        "It was tried once only: wrong guesses lock accounts."
    )
    assert sudo.explain(["sudo: sorry, you must have a tty to run sudo"], "ada").hint == (
        "In the server's sudoers: Defaults:ada !requiretty"
    )
    assert sudo.explain(["sh: 1: sudo: not found"], "ada").hint == "Log in as root: user: root"


PYTHON = ("/usr/bin/python3", "-I", "-c", "print()")


@pytest.mark.parametrize(
    ("user", "code", "said"),
    [
        ("root", 127, "bash: line 1: python3: command not found"),
        ("root", 127, "bash: line 1: python3: Kommando nicht gefunden."),
        ("root", 127, "sh: 1: python3: not found"),
        ("ada", 1, "sudo: python3: command not found"),
        ("ada", 1, "sudo-rs: 'python3': command not found"),
        ("ada", 127, ": 1: exec: python3: not found"),
        ("ada", 127, "env: 'python3': No such file or directory"),
    ],
)
def test_no_python(user: str, code: int, said: str) -> None:
    error = refusals.explain(PYTHON, code, [said], user=user, root=True)
    assert isinstance(error, PythonMissing)
    assert error.message == "the server has no python3"
    assert error.evidence == (said,)
    # another command that is missing is none of our business
    assert not isinstance(refusals.explain(("git",), code, [said], user=user, root=True), PythonMissing)


def test_no_sudo_is_not_no_python() -> None:
    error = refusals.explain(PYTHON, 127, ["env: 'sudo': No such file or directory"], user="ada", root=True)
    assert error
    assert error.message == "ada is not root, and sudo is not installed"


@pytest.mark.parametrize(
    ("code", "said"), [(0, "sudo: a password is required"), (None, ""), (1, "ValueError: x")]
)
def test_a_command_that_ran_is_not_explained(code: int | None, said: str) -> None:
    assert refusals.explain(PYTHON, code, [said], user="ada", root=True) is None


def test_root_is_never_told_about_sudo() -> None:
    assert refusals.explain(("sh",), 1, ["sudo: a password is required"], user="root", root=True) is None
    assert refusals.explain(("sh",), 1, ["sudo: a password is required"], user="ada", root=False) is None


def test_an_expired_password() -> None:
    said = ["WARNING: Your password has expired.", "Password change required but no TTY available."]
    error = refusals.explain(PYTHON, 1, said, user="root", root=True)
    assert error
    assert str(error) == (
        "the password of root has expired, and the server wants a new one first\n"
        "  | WARNING: Your password has expired.\n  | Password change required but no TTY available.\n"
        "  Log in once by hand (ssh root@...) and set it."
    )


def test_a_user_without_a_shell() -> None:
    error = refusals.explain(PYTHON, 1, ["This account is currently not available."], user="ada", root=True)
    assert error
    assert error.message == "ada has no shell on this server"


def test_a_cloud_image_that_wants_another_user() -> None:
    error = refusals.other_user('Please login as the user "ubuntu" rather than the user "root".')
    assert error
    assert str(error) == (
        'this server is for the user "ubuntu", not "root"\n  In the inventory: user: ubuntu'
    )
    assert refusals.other_user("Welcome to Ubuntu") is None


NASTY = ("printf", "%s|", "a b", "it's", '"', "$HOME", "`id`", "\\", "", "*", "-n", ";true")


def run(argv: tuple[str, ...], tmp_path: Path, **environment: str) -> str:
    """As a login shell would, with a sudo that only drops its own options."""
    fake = tmp_path / "sudo"
    fake.write_text(
        "#!/bin/sh\nwhile :; do case $1 in -p) shift 2;; -*) shift;; *) break;; esac; done\n"
        'unset SSH_AUTH_SOCK\nexec "$@"\n'
    )
    fake.chmod(0o755)
    path = f"{tmp_path}:/usr/bin:/bin"
    done = subprocess.run(
        ("sh", "-c", shlex.join(argv)),
        env={"PATH": path, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("keep_agent", [False, True])
def test_arguments_arrive_as_they_are(keep_agent: bool, tmp_path: Path) -> None:
    expected = "".join(f"{word}|" for word in NASTY[2:])
    prompt = sudo.Prompt.new("ada")
    for argv in (
        sudo.without_password(NASTY, keep_agent=keep_agent),
        prompt.argv(NASTY, keep_agent=keep_agent),
    ):
        assert run(argv, tmp_path, SSH_AUTH_SOCK="/tmp/x y") == expected


@pytest.mark.parametrize("keep_agent", [False, True])
def test_the_agent_is_kept_when_asked_for(keep_agent: bool, tmp_path: Path) -> None:
    show = ("sh", "-c", 'echo "[$SSH_AUTH_SOCK]"')
    prompt = sudo.Prompt.new("ada")
    for argv in (
        sudo.without_password(show, keep_agent=keep_agent),
        prompt.argv(show, keep_agent=keep_agent),
    ):
        wanted = "[/tmp/x y]\n" if keep_agent else "[]\n"
        assert run(argv, tmp_path, SSH_AUTH_SOCK="/tmp/x y") == wanted


def test_a_prompt_is_new_each_time() -> None:
    one, two = sudo.Prompt.new("ada"), sudo.Prompt.new("ada")
    assert one.asks not in (one.runs, two.asks, two.runs)
