"""What apps do, and what an app must not be able to do: put beside the sample app, and asked over HTTP."""

from __future__ import annotations

# app/probes.py on the server; needs what the sample app needs, and asyncpg
CODE = '''\
"""name -> what came of it."""

import asyncio
import concurrent.futures
import ctypes
import mmap
import multiprocessing
import os
import pathlib
import socket
import sqlite3
import ssl
import subprocess
import tempfile
import urllib.request

import asyncpg

from app.main import app

NAME = os.environ["HTTPS"].split("/")[2]


def tried(do):
    try:
        return str(do())
    except BaseException as error:
        return "%s: %s" % (type(error).__name__, error)


def written():
    with sqlite3.connect(os.path.expanduser("~/app.db")) as db:
        mode = db.execute("pragma journal_mode=wal").fetchone()[0]
        db.execute("create table if not exists t(x)")
        db.execute("insert into t values (1)")
    return mode


def https():
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    with urllib.request.urlopen(os.environ["HTTPS"], timeout=5, context=trusting) as answer:
        return answer.status


def datagram():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.connect((os.environ["ADDRESS"], 53))
        return link.getsockname()[0] == os.environ["ADDRESS"]


def processes():
    return sum(name.isdigit() for name in os.listdir("/proc"))


def does():
    """What must work."""
    return {
        "sqlite": tried(written),
        "https": tried(https),
        "datagram": tried(datagram),
        "names": tried(lambda: socket.getaddrinfo(NAME, 80)[0][4][0] == os.environ["ADDRESS"]),
        "subprocess": tried(lambda: subprocess.run(["/bin/echo", "hi"], capture_output=True, text=True).stdout),
        "threads": tried(lambda: concurrent.futures.ThreadPoolExecutor(2).submit(lambda: 3).result()),
        "fork": tried(lambda: multiprocessing.get_context("spawn").Pool(1).map(len, ["four"])),
        "temporary": tried(lambda: tempfile.TemporaryFile().write(b"x")),
        "memory": tried(lambda: "MemTotal" in open("/proc/meminfo").read()),
        "callback": tried(lambda: ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 7)()),
    }


def must_not():
    """What must not."""
    code = pathlib.Path(__file__)
    return {
        "machine code": tried(lambda: mmap.mmap(-1, 4096, prot=7)),
        "write /etc": tried(lambda: open("/etc/hostwright.probe", "w")),
        "write code": tried(lambda: open(code, "a")),
        "write data": tried(lambda: open("/data/probe", "w")),
        "home": tried(lambda: os.listdir("/home")),
        "keys": tried(lambda: os.listdir("/etc/ssh")),
        "own env file": tried(lambda: open(code.parent.parent / "env").read()),
        "raw socket": tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
        "netlink": tried(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)),
        "namespace": tried(lambda: called("unshare", 1 << 28)),
        "setuid file": tried(setuid_file),
        "device": tried(lambda: open("/dev/net/tun", "rb", buffering=0)),
        "kernel": tried(lambda: open("/proc/sys/vm/swappiness", "w")),
        "other processes": processes() > 20,
    }


def setuid_file():
    with tempfile.NamedTemporaryFile() as file:
        os.chmod(file.name, 0o4755)


def called(name, *numbers):
    c = ctypes.CDLL(None, use_errno=True)
    if getattr(c, name)(*numbers):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


async def postgres():
    try:
        link = await asyncio.wait_for(asyncpg.connect(os.environ["POSTGRES"]), 5)
        try:
            return str(await link.fetchval("select 42"))
        finally:
            await link.close()
    except BaseException as error:
        return "%s: %s" % (type(error).__name__, error)


def state():
    lines = open("/proc/self/status").read().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


async def probe():
    loop = type(asyncio.get_running_loop()).__module__
    found = {"loop": loop, "postgres": await postgres(), **await asyncio.to_thread(does)}
    secrets = os.environ.get("CREDENTIALS_DIRECTORY")
    return {
        "does": found,
        "must_not": await asyncio.to_thread(must_not),
        "limits": {name: state()[name] for name in ("NoNewPrivs", "Seccomp", "CapBnd")},
        "environment": dict(os.environ),
        "secrets": {p.name: p.read_text() for p in pathlib.Path(secrets).iterdir()} if secrets else None,
    }


@app.get("/probe")
async def route():
    return await probe()


if __name__ == "__main__":
    import json
    import sys
    import time

    pathlib.Path("~/%s.json" % sys.argv[1]).expanduser().write_text(json.dumps(asyncio.run(probe())))
    if sys.argv[1] == "worker":
        time.sleep(3600)
'''
