"""Disks to put in place of storage.disk: one that fails, fills up or kills at a call, one that remembers; and what a

power loss leaves of what was remembered. Knows the disk's calls and no checkpoints."""

import errno
import itertools
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from inkwright.storage import Disk

ERRORS = [errno.EIO, errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EINTR, errno.EMFILE]
CALLS = [name for name in vars(Disk) if not name.startswith("_")]


class Watched(Disk):
    """Tells of each call before it is made."""

    def __init__(self, before: Callable[[str, tuple[Any, ...]], None]) -> None:
        for name in CALLS:
            setattr(self, name, self._watching(name, getattr(super(), name), before))

    @staticmethod
    def _watching(name: str, real: Callable[..., Any], before: Callable[[str, tuple[Any, ...]], None]) -> Any:
        def call(*args: Any) -> Any:
            before(name, args)
            return real(*args)

        return call


class Failing(Watched):
    """Fails at the n-th call, once."""

    def __init__(self, at: int, number: int) -> None:
        self.count, self.happened = 0, ""

        def before(name: str, args: tuple[Any, ...]) -> None:
            self.count += 1
            if self.count == at:
                self.happened = name
                if name != "clear":  # taking away as far as that goes never fails: it leaves things
                    raise OSError(number, os.strerror(number))

        super().__init__(before)


class Killing(Watched):
    """Ends the process without a word at the n-th call."""

    def __init__(self, at: int) -> None:
        self.count = 0

        def before(name: str, args: tuple[Any, ...]) -> None:
            self.count += 1
            if self.count == at:
                os.kill(os.getpid(), signal.SIGKILL)

        super().__init__(before)


class Full(Disk):
    """Takes so many bytes and no more."""

    def __init__(self, room: int, number: int = errno.ENOSPC) -> None:
        self.room, self.number = room, number

    def write(self, file: BinaryIO, data: Any) -> int:
        size = memoryview(data).nbytes
        written = super().write(file, bytes(data[: self.room]) if size > self.room else data)
        self.room -= written
        if written < size:
            raise OSError(self.number, os.strerror(self.number))
        return written


# ---------------------------------------------------------------- power loss

Step = tuple[Any, ...]


class Remembering(Disk):
    """Writes down every call that changes something, and makes it."""

    def __init__(self) -> None:
        self.log: list[Step] = []

    def make(self, folder: Path) -> None:
        there = folder.is_dir()
        super().make(folder)
        if not there:
            self.log.append(("make", folder))

    def open(self, path: Path, mode: str) -> BinaryIO:
        there = path.exists()
        file = super().open(path, mode)
        if not there:
            self.log.append(("create", path))
        return file

    def write(self, file: BinaryIO, data: Any) -> int:
        self.log.append(("write", Path(file.name), bytes(data)))
        return super().write(file, data)

    def sync(self, file: BinaryIO) -> None:
        super().sync(file)
        self.log.append(("sync", Path(file.name)))

    def sync_folder(self, folder: Path) -> None:
        super().sync_folder(folder)
        self.log.append(("sync folder", folder))

    def rename(self, old: Path, new: Path) -> None:
        super().rename(old, new)
        self.log.append(("rename", old, new))

    def unlink(self, path: Path) -> None:
        super().unlink(path)
        self.log.append(("unlink", path))

    def unmake(self, folder: Path) -> None:
        super().unmake(folder)
        self.log.append(("unlink", folder))

    def clear(self, folder: Path) -> None:
        super().clear(folder)
        self.log.append(("unlink", folder))


class File:
    """Bytes that were written, and how many of them are surely on the disk."""

    def __init__(self, data: bytes = b"") -> None:
        self.data, self.safe = data, len(data)

    def after(self, fate: str) -> bytes:
        """What may be left: what is not safe is lost, torn, zeroed or there."""
        tail = self.data[self.safe :]
        kept = {"lost": b"", "torn": tail[: len(tail) // 2], "zeroed": bytes(len(tail)), "whole": tail}[fate]
        return self.data[: self.safe] + kept


class Folder:
    """Names that are surely on the disk, and changes that may or may not have come there, in order."""

    def __init__(self) -> None:
        self.safe: dict[str, Any] = {}
        self.pending: list[dict[str, Any]] = []

    def names(self, changes: int | None = None) -> dict[str, Any]:
        """The names, with so many of the pending changes made (None: all)."""
        names = dict(self.safe)
        for change in self.pending[:changes]:
            names.update(change)
        return {name: node for name, node in names.items() if node is not None}


def of(path: Path) -> Folder | File:
    """What lies on the disk now, all of it safe."""
    if path.is_dir():
        folder = Folder()
        folder.safe = {child.name: of(child) for child in path.iterdir()}
        return folder
    return File(path.read_bytes())


def play(root: Folder, top: Path, log: list[Step]) -> None:
    """Do to a picture of the disk what the log says; `top` is where `root` stands."""

    def find(path: Path) -> Any:
        node: Any = root
        for part in path.relative_to(top).parts:
            node = node.names()[part]
        return node

    for call, path, *rest in log:
        parent = find(path.parent) if path != top else None
        if call in ("make", "create"):
            parent.pending.append({path.name: Folder() if call == "make" else File()})
        elif call == "write":
            find(path).data += rest[0]
        elif call == "sync":
            find(path).safe = len(find(path).data)
        elif call == "sync folder":
            folder = find(path)
            folder.safe, folder.pending = folder.names(), []
        elif call == "rename":
            parent.pending.append({path.name: None, rest[0].name: find(path)})
        elif call == "unlink" and path.name in parent.names():
            parent.pending.append({path.name: None})


def folders_in(root: Folder) -> list[Folder]:
    """All folders that can be reached, by a name that is safe or pending."""
    found, todo = [root], [root]
    while todo:
        folder = todo.pop()
        nodes = [*folder.safe.values(), *(node for change in folder.pending for node in change.values())]
        new = [node for node in nodes if isinstance(node, Folder) and node not in found]
        found += new
        todo += new
    return found


def after_power_loss(root: Folder) -> Iterator[dict[str, bytes | None]]:
    """Each legal state: path -> bytes (None: a folder). Pending changes of a folder may be made up to any; folders do not

    wait for each other, nor names for bytes."""
    uncertain = [folder for folder in folders_in(root) if folder.pending]
    seen: set[int] = set()
    for counts in itertools.product(*(range(len(folder.pending) + 1) for folder in uncertain)):
        made = dict(zip(map(id, uncertain), counts, strict=True))
        for fate in ("lost", "torn", "zeroed", "whole"):
            state: dict[str, bytes | None] = {}

            def lay(folder: Folder, path: str, fate: str, made: dict[int, int], state: dict[str, bytes | None]) -> None:
                for name, node in folder.names(made.get(id(folder), 0)).items():
                    if isinstance(node, File):
                        state[path + name] = node.after(fate)
                    else:
                        state[path + name] = None
                        lay(node, path + name + "/", fate, made, state)

            lay(root, "", fate, made, state)
            mark = hash(frozenset(state.items()))
            if mark not in seen:
                seen.add(mark)
                yield state


def lay_out(state: dict[str, bytes | None], place: Path) -> None:
    """Make a state real, in place of what is there."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for name, data in state.items():
        if data is None:
            (place / name).mkdir()
        else:
            (place / name).write_bytes(data)
