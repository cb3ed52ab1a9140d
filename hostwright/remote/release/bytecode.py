"""Bytecode of a new environment: from one that is there, where a source is the same, and compiled where not.

Compiling takes longer than all else of a build from the cache, and most of it is what the environment before has too.
It is done in the build's sandbox, by the build's user: what root takes over is no more trusted than if uv had made it.
A file of bytecode holds a hash of its source (unchecked-hash, PEP 552), and importlib tells the code where it lies.
"""

from __future__ import annotations

import sys

# argv: the environment that is there, the new one
PROGRAM = """\
import compileall, functools, os, py_compile, sys
from concurrent.futures import ProcessPoolExecutor
from importlib.util import MAGIC_NUMBER, cache_from_source, source_hash

MANY = 50
old, new = sys.argv[1:]

def taken(source):
    made = cache_from_source(source)
    try:
        with open(old + made[len(new):], "rb") as file:
            code = file.read()
    except OSError:
        return False
    with open(source, "rb") as file:
        if code[:16] != MAGIC_NUMBER + bytes((1, 0, 0, 0)) + source_hash(file.read()):
            return False
    os.makedirs(os.path.dirname(made), exist_ok=True)
    with open(made, "wb") as file:
        file.write(code)
    return True

left = []
for folder, folders, files in os.walk(new + "/lib"):
    sources = [os.path.join(folder, name) for name in files if name.endswith(".py")]
    left += [source for source in sources if not taken(source)]
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
compiled = functools.partial(compileall.compile_file, force=True, quiet=2, invalidation_mode=mode)
if len(left) < MANY:
    for source in left:
        compiled(source)
else:
    with ProcessPoolExecutor() as pool:
        list(pool.map(compiled, left, chunksize=8))
"""


def command(old: str, new: str) -> tuple[str, ...]:
    """The argv that makes the bytecode of a new environment; a source that does not compile is nobody's business.

    Args:
        old: the folder of an environment that is there.
        new: of the new one, without bytecode.
    """
    return (sys.executable, "-I", "-S", "-B", "-c", PROGRAM, old, new)
