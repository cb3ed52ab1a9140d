"""Can this commit be deployed? What we do not carry is refused by name. Pure; used by both sides."""

from __future__ import annotations

import posixpath

from .requirements import Problem, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Mapping, Optional

    Read = Callable[[str], Optional[bytes]]

SUBMODULE, SYMLINK = "160000", "120000"


def inspect(modes: Mapping[str, str], read: Read, *, directory: str, module: str, requirements: str) -> None:
    """Check a commit.

    Args:
        modes: path -> mode of every file, as `git ls-tree -r` prints it.
        read: the content of one of them.
        directory: the app's import root in the repository.
        module: package.module:attribute.
        requirements: path of the requirements in the repository.

    Raises:
        Problem: what cannot be deployed, and what to do.
    """
    submodules = [path for path, mode in modes.items() if mode == SUBMODULE]
    if submodules:
        raise Problem(
            ".gitmodules",
            "submodules are not carried to the server: %s" % _some(submodules),
            "Make it a dependency in the requirements, or merge its files: git subtree add --prefix=%s URL REF"
            % submodules[0],
        )
    _check_lfs(modes, read)
    linked = [path for path, mode in modes.items() if mode == SYMLINK and path.endswith("__pycache__")]
    if linked:
        raise Problem(linked[0], "a symlink where Python writes bytecode")
    if directory != "." and not any(path.startswith(directory + "/") for path in modes):
        raise Problem(
            directory, "there is no such directory in this commit", "See `directory:` in the inventory."
        )
    _check_module(modes, directory, module)
    _check_requirements(modes, read, requirements)


def _check_lfs(modes: Mapping[str, str], read: Read) -> None:
    for path in modes:
        if posixpath.basename(path) != ".gitattributes":
            continue
        for line in (read(path) or b"").decode("utf-8", "replace").splitlines():
            words = line.split()
            if words and not words[0].startswith("#") and "filter=lfs" in words[1:]:
                raise Problem(
                    path,
                    "Git LFS files are not carried to the server: %s" % words[0],
                    "Keep such files elsewhere, or store them in git itself: git lfs migrate export --include=%r"
                    % words[0],
                )


def _check_module(modes: Mapping[str, str], directory: str, module: str) -> None:
    name = module.partition(":")[0]
    path = posixpath.normpath(posixpath.join(directory, *name.split(".")))
    candidates = (path + ".py", path + "/__init__.py", path + "/__main__.py")
    if any(candidate in modes for candidate in candidates):
        return
    compiled = [file for file in modes if file.startswith(path + ".") and file.endswith((".so", ".pyc"))]
    if compiled:
        return
    others = sorted(file for file in modes if file.endswith("/" + path.rpartition("/")[2] + ".py"))
    hint = "See `module:` and `directory:` in the inventory."
    if others:
        hint += " The commit has %s." % _some(others)
    raise Problem(name, "there is no %s in this commit" % candidates[0], hint)


def _check_requirements(modes: Mapping[str, str], read: Read, requirements: str) -> None:
    if requirements not in modes:
        names = ("requirements.txt", "pyproject.toml")
        others = sorted(file for file in modes if posixpath.basename(file) in names)
        hint = "See `requirements:` in the inventory."
        if others:
            hint += " The commit has %s." % _some(others)
        raise Problem(requirements, "there is no such file in this commit", hint)
    if posixpath.basename(requirements) == "pyproject.toml":
        return
    local = parse(read, requirements).local
    if local:
        raise Problem(
            local[0][0],
            "a dependency that is a path is not carried: %s" % local[0][1],
            "Code of this repository needs no requirement: `directory:` is its import root. "
            "Other packages need an index or a git URL.",
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" and %d more" % (len(names) - 3) if len(names) > 3 else "")
