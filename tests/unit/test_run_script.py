"""The `run` script, in trees where python3, pip, apt-get and sudo are small fakes that record their calls."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("cat", "cksum", "cp", "env", "ln", "mkdir", "readlink", "rm", "sleep", "tail", "touch")

# `-c` goes to the real interpreter, except the question whether it can make virtual environments
PYTHON3 = """#!/bin/sh
printf 'python3 %s\\n' "$*" >>"$FAKES/calls"
case "$*" in
  "-c import venv"*) [ -z "${NO_VENV_MODULE-}" ] || [ -e "$FAKES/installed" ] ;;
  "-c "*) exec "$REAL_PYTHON" "$@" ;;
  "-m venv --clear "*)
    sleep "${VENV_TAKES-0}"
    rm -rf "$4" && mkdir -p "$4/bin" && ln -s "$FAKES/python3" "$4/bin/python" ;;
  "-m pip install "*)
    sleep "${PIP_TAKES-0}"
    if [ -n "${PIP_FAILS-}" ]; then cat "$FAKES/pip-output"; exit 1; fi
    cp "$FAKES/inv" "${0%/*}/inv" && echo "pip is done" >>"$FAKES/calls" ;;
  *) echo "unexpected: python3 $*" >&2; exit 99 ;;
esac
"""
OLD_PYTHON3 = '#!/bin/sh\n[ "$1" = -V ] || exit 1\necho "Python 3.9.2"\n'
INV = '#!/bin/sh\nprintf "<%s>" "$@"\nexit 7\n'
APT_GET = """#!/bin/sh
printf 'apt-get %s\\n' "$*" >>"$FAKES/calls"
case "$*" in
  *update) [ -z "${APT_FAILS-}" ] ;;
  *install*) echo "E: apt says why"; [ -z "${APT_FAILS-}" ] && touch "$FAKES/installed" ;;
esac
"""
SUDO = '#!/bin/sh\nprintf "sudo %s\\n" "$*" >>"$FAKES/calls"\nexec "$@"\n'
ID = '#!/bin/sh\necho "${FAKE_UID-0}"\n'


@dataclass
class Tree:
    """A checkout with `run` in it, and a PATH that holds nothing but our fakes and a few plain tools."""

    project: Path
    fakes: Path

    def fake(self, name: str, text: str) -> None:
        path = self.fakes / name
        path.write_text(text)
        path.chmod(0o755)

    def start(
        self, *arguments: str, cwd: Path | None = None, program: Path | None = None, **environment: str
    ) -> subprocess.Popen[str]:
        ours = {"PATH": str(self.fakes), "FAKES": str(self.fakes), "REAL_PYTHON": sys.executable}
        return subprocess.Popen(
            (str(program or self.project / "run"), *arguments),
            cwd=cwd or self.project,
            env=ours | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(
        self, *arguments: str, cwd: Path | None = None, program: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, cwd=cwd, program=program, **environment)
        out, err = process.communicate(timeout=30)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def calls(self, *words: str) -> list[str]:
        """The recorded calls that hold all the words, oldest first."""
        path = self.fakes / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if all(word in line for word in words)]

    def wait_for_call(self, *words: str) -> None:
        deadline = time.monotonic() + 10
        while not self.calls(*words):
            assert time.monotonic() < deadline, f"no call with {words}"
            time.sleep(0.01)

    @property
    def builds(self) -> int:
        return len(self.calls("-m venv"))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path / "a project", tmp_path / "fakes")
    tree.project.mkdir()
    tree.fakes.mkdir()
    shutil.copy(ROOT / "run", tree.project)
    (tree.project / "requirements.txt").write_text("something==1\n")
    for tool in TOOLS:
        (tree.fakes / tool).symlink_to(shutil.which(tool) or pytest.fail(f"no {tool} here"))
    for name, text in (("python3", PYTHON3), ("inv", INV), ("id", ID)):
        tree.fake(name, text)
    return tree


def test_the_first_run_builds_and_starts_inv(tree: Tree) -> None:
    result = tree.run("deploy")
    assert result.stdout == f"<--search-root><{tree.project}><deploy>"
    assert result.stderr == "run: Setting up .venv (once, about 20 s) ...\n"
    assert result.returncode == 7, "inv's own exit code"
    (pip,) = tree.calls("-m pip install")
    assert "--require-hashes" in pip
    assert pip.endswith(f"-r {tree.project}/requirements.txt")


def test_the_second_run_is_silent_and_starts_no_python(tree: Tree) -> None:
    tree.run()
    before = tree.calls()
    result = tree.run("--list")
    assert (result.stdout, result.stderr) == (f"<--search-root><{tree.project}><--list>", "")
    assert tree.calls() == before


def test_arguments_arrive_unchanged(tree: Tree) -> None:
    arguments = ("run", "two  words", "", "*", "$HOME", "it's", '"q"', "--", "-x", "\\n", "a\nb")
    expected = "".join(f"<{argument}>" for argument in arguments)
    assert tree.run(*arguments).stdout == f"<--search-root><{tree.project}>{expected}"


def test_changed_requirements_build_again(tree: Tree) -> None:
    tree.run()
    (tree.project / "requirements.txt").write_text("something==2\n")
    assert "Setting up .venv" in tree.run().stderr
    assert tree.run().stderr == ""
    assert tree.builds == 2


def test_a_python_that_was_upgraded_or_removed_builds_again(tree: Tree) -> None:
    tree.run()
    (tree.fakes / "python3").rename(tree.fakes / "python3.99")
    (tree.fakes / "python3").symlink_to("python3.99")
    assert "Setting up .venv" in tree.run().stderr, "python3 is another interpreter now"
    (tree.project / ".venv/bin/python").unlink()
    (tree.project / ".venv/bin/python").symlink_to("/nonexistent/python3")
    assert "Setting up .venv" in tree.run().stderr
    assert tree.builds == 3


def test_a_moved_checkout_builds_again(tree: Tree) -> None:
    tree.run()
    tree.project = tree.project.rename(tree.project.with_name("elsewhere"))
    result = tree.run()
    assert "Setting up .venv" in result.stderr, "the scripts of a venv hold absolute paths"
    assert result.stdout == f"<--search-root><{tree.project}>"


@pytest.mark.parametrize(("step", "takes"), [("-m venv", "VENV_TAKES"), ("-m pip", "PIP_TAKES")])
def test_an_interrupted_build_is_not_trusted(tree: Tree, step: str, takes: str) -> None:
    tree.run()
    (tree.project / "requirements.txt").write_text("something==2\n")
    (tree.fakes / "calls").unlink()
    process = tree.start(**{takes: "60"})
    tree.wait_for_call(step)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=10)
    (tree.project / "requirements.txt").write_text("something==1\n")  # what the good build was made from
    result = tree.run()
    assert "Setting up .venv" in result.stderr
    assert result.returncode == 7


def test_two_at_once_build_once(tree: Tree) -> None:
    processes = [tree.start("deploy", PIP_TAKES="0.4") for _ in range(3)]
    results = [(*process.communicate(timeout=30), process.returncode) for process in processes]
    assert [result[0] for result in results] == [f"<--search-root><{tree.project}><deploy>"] * 3
    assert tree.builds == 1
    said = sorted(result[1] for result in results)
    waiting = "run: Another run is setting up .venv; waiting for it ...\n"
    assert said == [waiting, waiting, "run: Setting up .venv (once, about 20 s) ...\n"]


def test_a_killed_run_leaves_no_stale_lock_and_its_pip_is_waited_for(tree: Tree) -> None:
    process = tree.start(PIP_TAKES="0.6")
    tree.wait_for_call("-m pip")
    process.kill()  # only the shell: its pip goes on, and still holds the lock
    result = tree.run()
    process.communicate()
    assert "waiting for it" in result.stderr
    assert result.returncode == 7
    steps = [call for call in tree.calls() if "-m venv" in call or call == "pip is done"]
    assert [step == "pip is done" for step in steps] == [False, True, False, True], (
        "made again, after that pip"
    )


def test_it_works_from_any_directory_and_through_a_link(tree: Tree, tmp_path: Path) -> None:
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    link = elsewhere / "hw"
    link.symlink_to(tree.project / "run")
    expected = f"<--search-root><{tree.project}><status>"
    assert tree.run("status", cwd=elsewhere).stdout == expected
    assert tree.run("status", cwd=elsewhere, program=Path("../a project/run")).stdout == expected
    assert tree.run("status", cwd=elsewhere, program=link).stdout == expected
    assert (tree.builds, list(elsewhere.iterdir())) == (1, [link])


def test_no_python(tree: Tree) -> None:
    (tree.fakes / "python3").unlink()
    result = tree.run("deploy")
    assert result.stderr == (
        "run: needs Python 3.10 or newer; python3 here is missing.\n"
        "run: On Debian and Ubuntu: apt-get install python3\n"
    )
    assert (result.returncode, result.stdout) == (1, "")


def test_a_python_that_is_too_old(tree: Tree) -> None:
    tree.fake("python3", OLD_PYTHON3)
    result = tree.run("deploy")
    assert result.stderr.startswith("run: needs Python 3.10 or newer; python3 here is Python 3.9.2.\n")
    assert result.returncode == 1


def test_a_newer_python_beside_an_old_python3_is_found(tree: Tree) -> None:
    (tree.fakes / "python3").rename(tree.fakes / "python3.12")
    tree.fake("python3", OLD_PYTHON3)
    tree.fake("python3.12", PYTHON3.replace("$FAKES/python3", "$FAKES/python3.12"))
    assert tree.run("deploy").returncode == 7


def test_pips_last_lines_are_shown_when_it_fails(tree: Tree) -> None:
    (tree.fakes / "pip-output").write_text("".join(f"pip line {number}\n" for number in range(40)))
    result = tree.run("deploy", PIP_FAILS="1")
    assert result.returncode == 1
    assert result.stdout == ""
    assert "pip line 24\n" not in result.stderr
    assert result.stderr.endswith(
        "pip line 39\nrun: pip could not install requirements.txt; its last lines are above.\n"
    )
    assert tree.run("deploy").returncode == 7, "the next run tries again"


@pytest.mark.parametrize(("uid", "sudo"), [("0", 0), ("1000", 2)])
def test_without_the_venv_module_it_is_installed_saying_so(tree: Tree, uid: str, sudo: int) -> None:
    tree.fake("apt-get", APT_GET)
    tree.fake("sudo", SUDO)
    result = tree.run("deploy", NO_VENV_MODULE="1", FAKE_UID=uid)
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    assert result.stderr.splitlines() == [
        f"run: Installing {package} with apt: python3 cannot make virtual environments without it ...",
        "run: Setting up .venv (once, about 20 s) ...",
    ]
    assert result.returncode == 7
    apt = [call for call in tree.calls() if call.startswith("apt-get")]
    assert [call.split()[-1] for call in apt] == ["update", package]
    assert len(tree.calls("sudo env DEBIAN_FRONTEND=noninteractive")) == sudo


def test_when_apt_fails_its_words_and_the_command_to_type_are_shown(tree: Tree) -> None:
    tree.fake("apt-get", APT_GET)
    result = tree.run("deploy", NO_VENV_MODULE="1", APT_FAILS="1")
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    assert result.stderr.splitlines()[1:] == [
        "run: apt-get update failed; trying with the lists that are there.",
        "E: apt says why",
        f"run: Install it by hand: sudo apt-get install {package}",
    ]
    assert (result.returncode, tree.builds) == (1, 0)


def test_without_apt_it_says_what_to_install(tree: Tree) -> None:
    result = tree.run("deploy", NO_VENV_MODULE="1")
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert result.stderr == (
        "run: python3 cannot make virtual environments. "
        f"Install its venv and ensurepip modules (often named python{version}-venv).\n"
    )
    assert (result.returncode, tree.builds) == (1, 0)


def test_ci_runs_the_tests_with_no_input(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci")
    stub = tmp_path / "run"
    stub.write_text('#!/bin/sh\npwd -P\nprintf "<%s>" "$@"\ncat\nexit 3\n')
    stub.chmod(0o755)
    argv = ("bash", str(tmp_path / ".ci/run"))
    result = subprocess.run(argv, cwd="/", input="typed", capture_output=True, text=True, check=False)
    assert (result.stdout, result.returncode) == (f"{tmp_path.resolve()}\n<test>", 3)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing() -> None:
    argv = ("shellcheck", str(ROOT / "run"), str(ROOT / ".ci/run"))
    result = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (result.stdout, result.returncode) == ("", 0)
