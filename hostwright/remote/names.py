"""Users and groups, by name and number (getpwnam(3), getgrnam(3)). A part of System."""

from __future__ import annotations

import grp
import pwd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional


class Names:
    """What names and numbers mean on the server."""

    def user(self, name: str) -> Optional[tuple[int, int, str, str]]:
        """(uid, primary gid, home, shell) of a user, or None."""
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            return None
        return found.pw_uid, found.pw_gid, found.pw_dir, found.pw_shell

    def group(self, name: str) -> Optional[tuple[int, tuple[str, ...]]]:
        """(gid, members) of a group, or None."""
        try:
            found = grp.getgrnam(name)
        except KeyError:
            return None
        return found.gr_gid, tuple(found.gr_mem)

    def user_name(self, uid: int) -> str:
        """The user's name, or the number as text when nobody has it."""
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return str(uid)

    def group_name(self, gid: int) -> str:
        """The group's name, or the number as text when none has it."""
        try:
            return grp.getgrgid(gid).gr_name
        except KeyError:
            return str(gid)
