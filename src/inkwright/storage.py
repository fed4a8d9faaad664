"""Every byte Inkwright keeps is written here, and every byte it trusts is checked here. Knows folders and bytes only.

All of it passes through `disk`. Three ways to write, each of which leaves either the old or the new and never a torn file:

    publish   a whole folder of files: a checkpoint, the tokens of a text. The manifest, with the sha256 of every file,
              comes last; the folder appears under its name by one rename.
    replace   one small record, with its own hash in it.
    append    one line to a record; a torn last line is dropped by `read_lines`.

The manifest tells damage, not tampering: whoever can edit the files can also write a manifest that fits them.
"""

import contextlib
import errno
import hashlib
import json
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

from inkwright.errors import DamagedError, MachineError, SaveError, quoted
from inkwright.version import __version__

MANIFEST = "manifest.json"
FORMAT = 1  # of every manifest; a larger number was written by a newer Inkwright
SPACE_FACTOR = 1.2  # free space asked for, over the size to be written
SPACE_NOTE_FACTOR = 3  # with less free than this it is worth a note

Content = bytes | Callable[[BinaryIO], object]
"""The bytes of a file, or a function that writes them."""


class Disk:
    """Each call that changes the disk or trusts it. Tests put another in its place: one that remembers, one that fails."""

    def make(self, folder: Path) -> None:
        """A folder, if it is not there yet."""
        folder.mkdir(exist_ok=True)

    def open(self, path: Path, mode: str) -> BinaryIO:
        """A new file ("xb"), or one to add to ("ab")."""
        return cast(BinaryIO, path.open(mode))

    def write(self, file: BinaryIO, data: Any) -> int:
        """Some bytes more; how many."""
        return file.write(data)

    def sync(self, file: BinaryIO) -> None:
        """Wait until the bytes of a file are on the disk."""
        file.flush()
        if sys.platform == "darwin":  # there fsync reaches the drive, not the platter
            import fcntl

            fcntl.fcntl(file.fileno(), fcntl.F_FULLFSYNC)
        else:
            os.fsync(file.fileno())

    def sync_folder(self, folder: Path) -> None:
        """Wait until the names in a folder are on the disk."""
        if os.name == "nt":  # Windows cannot sync a folder
            return
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        """Another name, in place of a file or an empty folder that has it."""
        old.replace(new)

    def unlink(self, path: Path) -> None:
        """Take a file away, if it is there."""
        path.unlink(missing_ok=True)

    def unmake(self, folder: Path) -> None:
        """Take an empty folder away."""
        folder.rmdir()

    def clear(self, folder: Path) -> None:
        """Take a folder away with all in it, as far as that goes."""
        shutil.rmtree(folder, ignore_errors=True)

    def read(self, path: Path) -> bytes:
        """All bytes of a file."""
        return path.read_bytes()


disk = Disk()


# ---------------------------------------------------------------- writing


def publish(folder: Path, files: Mapping[str, Content], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write `files` as the new folder `folder`, whole or not at all; `facts` go into its manifest, which is returned.

    Order: each file written and synced, the manifest last, the folder synced, one rename, the parent synced, and all of
    it read back. A folder that is already there (one found damaged) is set aside first, and put back if this fails.

    Raises: SaveError   nothing has changed on the disk
    """
    draft = folder.parent / f".tmp-{folder.name}-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        if not folder.parent.is_dir():  # its own parent must be there: a run whose folder vanished is not written anew
            disk.make(folder.parent)
            disk.sync_folder(folder.parent.parent)
        disk.make(draft)
        sums = {name: _write_synced(draft / name, content) for name, content in files.items()}
        _write_synced(draft / MANIFEST, _sealed(_stamped({**facts, "files": sums})))
        disk.sync_folder(draft)
        return _put_in_place(draft, folder)
    except BaseException as error:
        disk.clear(draft)
        if isinstance(error, OSError):
            needed = sum(len(content) for content in files.values() if isinstance(content, bytes))
            raise SaveError(*explain(error, folder, needed)) from error
        raise


def _put_in_place(draft: Path, folder: Path) -> dict[str, Any]:
    """Give a finished draft its name and read it back; what stood under that name stands there again if that fails."""
    aside = set_aside(folder) if folder.exists() else None
    try:
        disk.rename(draft, folder)
        disk.sync_folder(folder.parent)
        return verify(folder)
    except BaseException as error:
        if not draft.exists():
            set_aside(folder) if isinstance(error, DamagedError) else disk.rename(folder, draft)
        if aside is not None:
            disk.rename(aside, folder)
        if isinstance(error, DamagedError | MachineError):
            message = f"what was written to {folder} reads back differently ({error.message})"
            raise SaveError(message, "check the disk") from None
        raise


def replace(path: Path, content: bytes) -> None:
    """Write one file, whole or not at all.

    Raises: SaveError   the file that stood there is intact
    """
    draft = path.parent / f".tmp-{path.name}-{os.getpid()}-{secrets.token_hex(4)}"  # `.` and `/` have no name to change
    try:
        _write_synced(draft, content)
        disk.rename(draft, path)
        disk.sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            disk.unlink(draft)
        raise SaveError(*explain(error, path, len(content))) from error


def write_record(path: Path, facts: Mapping[str, Any]) -> None:
    """Write some facts as JSON, sealed with their own hash.

    Raises: SaveError   the record that stood there is intact
    """
    replace(path, _sealed(_stamped(facts)))


def append(path: Path, line: Mapping[str, Any]) -> None:
    """Add one JSON line to a record. It is not synced: `sync` does that before a save that lies behind it.

    Raises: SaveError
    """
    try:
        with disk.open(path, "ab") as file:
            disk.write(file, json_line(line))
    except OSError as error:
        raise SaveError(*explain(error, path)) from error


def sync(path: Path) -> None:
    """Make sure that the lines of a record so far are on the disk.

    Raises: SaveError
    """
    try:
        with disk.open(path, "ab") as file:
            disk.sync(file)
    except OSError as error:
        raise SaveError(*explain(error, path)) from error


def json_line(line: Mapping[str, Any]) -> bytes:
    """One line of a record."""
    return json.dumps(line).encode() + b"\n"


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a record, oldest first; a torn one ends it."""
    lines: list[dict[str, Any]] = []
    for raw in path.read_bytes().split(b"\n")[:-1] if path.is_file() else []:
        try:
            line = json.loads(raw)
        except ValueError:
            break
        if not isinstance(line, dict):
            break
        lines.append(cast(dict[str, Any], line))
    return lines


def set_aside(folder: Path) -> Path:
    """Rename a damaged folder so that it is never a candidate again, and kept until the next good save."""
    aside = folder.with_name(f".damaged-{folder.name}-{secrets.token_hex(4)}")
    disk.rename(folder, aside)
    return aside


def remove(folder: Path) -> None:
    """Take a folder away: out of sight by one rename first, then its files.

    Raises: MachineError
    """
    doomed = folder.with_name(f".del-{secrets.token_hex(4)}")
    try:
        disk.rename(folder, doomed)
        disk.sync_folder(folder.parent)
    except OSError as error:
        raise MachineError(*explain(error, folder)) from error
    disk.clear(doomed)


def sweep(parent: Path, *prefixes: str) -> None:
    """Take away what an interrupted process left behind. Only for whoever holds the lock.

    Raises: MachineError
    """
    try:
        for path in parent.iterdir() if parent.is_dir() else ():
            if path.name.startswith(prefixes):
                _erase(path)
    except OSError as error:
        raise MachineError(*explain(error, parent)) from error


def withdraw(folder: Path, names: Iterable[str]) -> None:
    """Take what was begun in a folder away again, and the folder if nothing else is in it: as far as that goes."""
    for name in names:
        with contextlib.suppress(OSError):
            _erase(folder / name)
    with contextlib.suppress(OSError):
        disk.unmake(folder)


def _erase(path: Path) -> None:
    disk.clear(path) if path.is_dir() and not path.is_symlink() else disk.unlink(path)


def make_folder(path: Path) -> None:
    """Create a folder and its parents; their names are on the disk when this returns.

    Raises: MachineError
    """
    try:
        for missing in reversed([folder for folder in (path, *path.parents) if not os.path.lexists(folder)]):
            disk.make(missing)
            disk.sync_folder(missing.parent)
    except OSError as error:
        raise MachineError(*explain(error, path)) from None


def require_space(path: Path, needed_bytes: int) -> str | None:
    """Refuse early when `needed_bytes` will not fit; where they only just do, one line that says so.

    Raises: MachineError   names what is needed and what is free
    """
    while not path.exists():
        path = path.parent
    free = shutil.disk_usage(path).free
    told = f"a save needs {megabytes(needed_bytes * SPACE_FACTOR)}, {megabytes(free)} free on {path.resolve()}"
    if free < needed_bytes * SPACE_FACTOR:
        raise MachineError(told, "free some space, or give another --run folder")
    return told if free < needed_bytes * SPACE_NOTE_FACTOR else None


def megabytes(size: float) -> str:
    """A size in the unit people read: `126 MB`."""
    return (
        f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB" if size >= 1e7 else f"{size / 1e6:,.1f} MB"
    )


def explain(error: OSError, path: Path, needed_bytes: int = 0) -> tuple[str, str | None]:
    """An error of the operating system in our words: (message, hint)."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        with contextlib.suppress(OSError):
            free = shutil.disk_usage(path if path.exists() else path.parent).free
            needed = f" {megabytes(needed_bytes)} needed," if needed_bytes else ""
            return (
                f"cannot write to {path}: no space left,{needed} {megabytes(free)} free",
                "free some space, then go on",
            )
    return f"cannot write to {path}: {(error.strerror or str(error)).lower()}", None


# ---------------------------------------------------------------- reading


def verify(folder: Path) -> dict[str, Any]:
    """The manifest of a published folder, after every byte of every file was compared with it.

    Raises: DamagedError   names the file and what is wrong with it
    """
    manifest = read_record(folder / MANIFEST)
    for name in manifest["files"]:
        read_verified(folder, manifest, name)
    return manifest


def read_record(path: Path) -> dict[str, Any]:
    """The facts of a sealed record, proved to be as they were written.

    Raises: DamagedError   also where a newer Inkwright wrote it
    """
    place = path.parent.name
    raw = _read_regular(path)
    try:
        facts = cast(dict[str, Any], json.loads(raw))
        del facts["self"]
        whole = _sealed(facts) == raw
        newer = facts["format"] > FORMAT
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DamagedError(f"{place} is damaged ({path.name}: not as written)") from None
    if not whole:
        raise DamagedError(f"{place} is damaged ({path.name}: not as written)")
    if newer:
        written = f"version {quoted(facts.get('version', '?'))} (format {facts['format']})"
        raise DamagedError(f"{place} was written by {written}; this version reads up to {FORMAT}", "upgrade inkwright")
    return facts


def read_verified(folder: Path, manifest: Mapping[str, Any], name: str) -> bytes:
    """The bytes of one file, the very ones that were hashed.

    Raises: DamagedError
    """
    data = _read_regular(folder / name)
    recorded = manifest["files"][name]
    if len(data) != recorded["size"]:
        raise DamagedError(f"{folder.name} is damaged ({name}: {len(data):,} bytes instead of {recorded['size']:,})")
    if hashlib.sha256(data).hexdigest() != recorded["sha256"]:
        raise DamagedError(f"{folder.name} is damaged ({name}: hash differs)")
    return data


def _read_regular(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise DamagedError(f"{path.parent.name} is damaged ({path.name}: not a regular file)")
        return disk.read(path)
    except (FileNotFoundError, NotADirectoryError):
        raise DamagedError(f"{path.parent.name} is damaged ({path.name}: missing)") from None
    except OSError as error:
        if error.errno in (errno.EIO, errno.ELOOP):
            reason = (error.strerror or str(error)).lower()
            raise DamagedError(f"{path.parent.name} is damaged ({path.name}: {reason})") from None
        raise MachineError(f"cannot read {quoted(path)}: {(error.strerror or str(error)).lower()}") from None


def _stamped(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts, and who writes them."""
    return {"version": __version__, **facts, "format": FORMAT}


def _sealed(facts: Mapping[str, Any]) -> bytes:
    """The one way a record is spelled; any other bytes are damage."""
    seal = hashlib.sha256(_canonical(facts)).hexdigest()
    return _canonical({**facts, "self": seal})


def _canonical(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, indent=1).encode() + b"\n"


class _Hashing:
    """A file that hashes what passes."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.sha256, self.size = file, hashlib.sha256(), 0

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        self.size += memoryview(data).nbytes
        return disk.write(self.file, data)


def _write_synced(path: Path, content: Content) -> dict[str, Any]:
    with disk.open(path, "xb") as file:
        hashing = _Hashing(file)
        if isinstance(content, bytes):
            hashing.write(content)
        else:
            content(cast(BinaryIO, hashing))
        disk.sync(file)
    return {"sha256": hashing.sha256.hexdigest(), "size": hashing.size}
