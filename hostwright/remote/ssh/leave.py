"""sshd as it was before us: `hardening: {ssh: false}` on a server where it was on. Guarded like everything about it."""

from __future__ import annotations

from . import activation, config, known

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..system import System


def leave(system: System, drop_in: str) -> None:
    """Take away our drop-ins, give others' lines their say again, and let sshd read it. Host keys and moduli stay.

    Raises:
        CommandFailed, Failed
    """
    for path in (config.MAIN, *config.others(system)):
        lines = config.text_of(system, path).splitlines()
        back = [line[len(config.ASIDE) :] if line.startswith(config.ASIDE) else line for line in lines]
        if lines[:1] == [config.HEAD]:
            back = back[3:]
        found = system.stat(path)
        if back != lines and found is not None:
            content = "\n".join(back).encode() + b"\n"
            system.write_atomic(path, content, mode=found.mode, uid=found.uid, gid=found.gid)
    system.unlink(drop_in)
    system.unlink(activation.SOCKET_DROP_IN)
    system.unlink(known.KEPT)
    activation.put_into_use(system)
