"""One writer for each run folder. The kernel frees the lock of a process that dies, however it dies."""

import contextlib
import json
import os
import socket
import time
from pathlib import Path
from typing import IO

from inkwright.errors import MachineError, OccupiedError
from inkwright.storage import explain


def acquire(folder: Path) -> IO[bytes]:
    """Hold `folder` until the file that is given back is closed.

    Raises: OccupiedError   names the process that holds it; MachineError   the folder cannot be written to
    """
    path = folder / ".lock"
    try:
        file = path.open("a+b")
    except OSError as error:
        raise MachineError(*explain(error, folder)) from None
    try:
        _lock(file)
        if os.name != "nt" and not os.path.samestat(os.fstat(file.fileno()), path.stat()):
            raise FileExistsError  # whoever held it took the file away: another may hold the new one
    except OSError:
        holder = _holder(file)
        file.close()
        raise OccupiedError(
            f"{folder} is being trained by {holder}", "wait for it, or give another --run folder"
        ) from None
    file.truncate(0)
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M")}
    file.write(json.dumps(holder).encode())
    file.flush()
    return file


def is_held(folder: Path) -> bool:
    """Whether a process holds `folder` just now. Leaves no trace; who asks does not stand in another asker's way."""
    try:
        file = (folder / ".lock").open("rb")
    except OSError:  # nobody ever held it, or it is not for us to know
        return False
    with file:
        try:
            _lock(file, shared=True)
        except OSError:
            return True
    return False


def _holder(file: IO[bytes]) -> str:
    with contextlib.suppress(ValueError, KeyError, TypeError, OSError):
        file.seek(0)
        holder = json.loads(file.read())
        return f"process {holder['pid']} on host {holder['host']} since {holder['since']}"
    return "another process"


def _lock(file: IO[bytes], shared: bool = False) -> None:
    if os.name == "nt":
        import msvcrt

        file.seek(1 << 20)  # Windows locks are mandatory: far behind the text that others may want to read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
