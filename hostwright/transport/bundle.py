"""Packs `remote/` for the server, and the line that starts it there.

The server keeps the agent by the hash of its sources, compiled, in a root-owned directory, so that a run
sends only its request. Where that hash is not there yet (first contact, new version, damaged copy), the boot
line asks for it over the same channel.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import hostwright.remote
from hostwright.remote import wire
from hostwright.transport.bare import bare

STATE = "/var/lib/hostwright"
RUNTIME = "/run/hostwright"

# Runs as `python3 -I -S -B -c BOOT HASH STATE RUNTIME`. It is short because it travels in every command line;
# `sudo` logs it, so nothing secret may be in it. A frame is read as wire.read_frame does.
BOOT = """\
import sys,os
h,s,r=sys.argv[1:4]
t=h+"-"+sys.implementation.cache_tag
q=None
def g(n):
 b=b""
 while len(b)<n:
  c=os.read(0,n-len(b))
  if not c:sys.exit(0)
  b+=c
 return b
def f():
 import json,zlib
 return json.loads(zlib.decompress(g(int.from_bytes(g(5)[1:],"big"))))
def load(p):
 for k in [k for k in sys.modules if k.split(".")[0]=="agent"]:del sys.modules[k]
 sys.path[:0]=[p]
 from agent.__main__ import main
 return main
m=None
for b in (s,r):
 p=b+"/agent/"+t
 if os.path.isdir(p):
  try:m=load(p);break
  except Exception:sys.path.remove(p)
if not m:
 q=f()
 os.write(1,b'\\x1e{"event":"agent_needed","agent":"%s"}\\n'%h.encode())
 d=f()
 exec(d["install"])
 m=load(install(d["files"],t,s,r))
m(h,s,r,q)
"""

# Runs once per agent version. A copy is whole and on disk before it gets its name, so it is never half there.
INSTALL = """\
def install(files, tag, *bases):
    import os, py_compile, shutil, time
    problem = None
    for base in bases:
        folder = base + "/agent"
        path = folder + "/" + tag
        new = "%s.%d" % (path, os.getpid())
        try:
            os.makedirs(base, mode=0o700, exist_ok=True)
            os.makedirs(folder, mode=0o700, exist_ok=True)
            for name, text in files.items():
                target = new + "/agent/" + name
                os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
                with open(target, "w", encoding="utf-8") as file:
                    file.write(text)
                py_compile.compile(
                    target, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
                )
            os.sync()
            shutil.rmtree(path, ignore_errors=True)
            os.rename(new, path)
        except OSError as error:
            shutil.rmtree(new, ignore_errors=True)
            problem = error
            continue
        for old in os.listdir(folder):
            # a worker of another version may still be running
            if old != tag and time.time() - os.stat(folder + "/" + old).st_mtime > 7 * 86400:
                shutil.rmtree(folder + "/" + old, ignore_errors=True)
        return path
    raise problem
"""


@dataclass(frozen=True)
class Agent:
    """The agent's sources, by path, and the name they have together."""

    digest: str
    files: dict[str, str]
    _making: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)
    _made: list[bytes] = field(default_factory=list, compare=False, repr=False)

    def argv(self, state: str = STATE, runtime: str = RUNTIME, python: str = "python3") -> tuple[str, ...]:
        """The command that starts it on the server.

        -I ignores the environment and the user's packages, -S skips site, -B writes no bytecode.
        """
        return (python, "-I", "-S", "-B", "-c", BOOT, self.digest, state, runtime)

    def frame(self) -> bytes:
        """The answer to AgentNeeded; made once, several hosts may need it."""
        with self._making:
            if not self._made:
                # the digest is that of the whole sources, so that a run which sends nothing strips nothing
                files = {name: bare(text) for name, text in self.files.items()}
                self._made.append(wire.message({"install": INSTALL, "files": files}))
            return self._made[0]

    def expect(self) -> None:
        """A server that is new to us will ask for it: make it while the login goes on."""
        threading.Thread(target=self.frame, name="agent", daemon=True).start()


@cache
def agent() -> Agent:
    """The agent of this version: everything in `remote/` and nothing else."""
    root = Path(hostwright.remote.__file__).parent
    files = {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(root.rglob("*.py"))
    }
    digest = hashlib.sha256()
    for name, text in files.items():
        digest.update(f"{name}\0{text}\0".encode())
    return Agent(digest.hexdigest()[:20], files)
