"""The system user that database and broker run as when we are root, and its way to its files.

PostgreSQL refuses to run as root. Everything here does nothing and returns None for an ordinary user.
"""

from __future__ import annotations

import logging
import os
import pwd
import shutil
import subprocess
from pathlib import Path

log = logging.getLogger(__name__)

NAME = "liupan"


def ensure() -> str | None:
    """Return the name of the system user, which is added when missing; None when we are not root.

    RuntimeError: it cannot be added.
    """
    if os.geteuid() != 0:
        return None
    if not _exists():
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", NAME]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if not _exists():  # another process may have been faster
            raise RuntimeError(
                f"PostgreSQL does not run as root, and the system user {NAME} could not be added"
                f" ({done.stderr.strip()}): run as an ordinary user, or set LIUPAN_DATABASE_URL"
            )
        log.info("added the system user %s, because PostgreSQL does not run as root", NAME)
    return NAME


def give(path: Path, user: str | None) -> None:
    """Make the system user the owner of the file or folder, and let it pass through the folders above."""
    if user is None:
        return
    shutil.chown(path, user, user)
    open_way(path, user)


def open_tree(folder: Path, user: str | None) -> None:
    """Let the system user read what lies in the folder, when it was installed for its owner alone."""
    if user is None:
        return
    open_way(folder, user)
    if folder.stat().st_mode & 0o005 != 0o005:
        log.warning("gave the user %s the right to read %s", user, folder)
        subprocess.run(["chmod", "-R", "o+rX", str(folder)], check=True)  # noqa: S603, S607


def open_way(path: Path, user: str | None) -> None:
    """Let the system user pass through the folders above the path: o+x where it cannot yet, and say so."""
    if user is None:
        return
    account = pwd.getpwnam(user)
    for folder in reversed(path.resolve().parents):
        info = folder.stat()
        needed = 0o100 if info.st_uid == account.pw_uid else 0o010 if info.st_gid == account.pw_gid else 0o001
        if not info.st_mode & needed:
            folder.chmod(info.st_mode & 0o7777 | needed)
            log.warning("gave the user %s the way through %s (chmod o+x)", user, folder)


def _exists() -> bool:
    try:
        pwd.getpwnam(NAME)
    except KeyError:
        return False
    return True
