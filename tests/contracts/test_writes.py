"""Every byte that is kept is written in storage.py: no other file changes the disk, but for the few named here."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import inkwright

ROOT = Path(inkwright.__file__).parent
WRITER = "storage.py"
ALLOWED = {
    ("run/lock.py", "path.open"): "a lock lives in an open file; what is written there is only read to name who holds it",
    ("run/lock.py", "file.truncate"): "the same file",
    ("app/cli/__init__.py", "open"): "the null device, in place of an output whose reader left",
    ("app/cli/console.py", "open"): "the null device, in place of an output that was never there",
    ("app/cli/__init__.py", "tempfile.NamedTemporaryFile"): "the log of a bug of ours, which may be one of storage itself",
    ("text/reading.py", "os.open"): "opens a text for reading, in a way that does not wait for a pipe",
}  # fmt: skip
"""(file, call) -> why it need not go through storage."""

OF_MODULES = {
    "os": {
        "chmod", "chown", "ftruncate", "link", "makedirs", "mkdir", "mkfifo", "mknod", "open", "remove", "removedirs",
        "rename", "renames", "replace", "rmdir", "symlink", "truncate", "unlink", "utime", "write",
    },
    "shutil": {
        "chown", "copy", "copy2", "copyfile", "copyfileobj", "copymode", "copystat", "copytree", "make_archive", "move",
        "rmtree", "unpack_archive",
    },
    "tempfile": {
        "NamedTemporaryFile", "SpooledTemporaryFile", "TemporaryDirectory", "TemporaryFile", "mkdtemp", "mkstemp",
    },
}  # fmt: skip
"""What changes the disk in these modules."""
METHODS = {
    "FileHandler", "chmod", "extractall", "hardlink_to", "memmap", "mkdir", "open_memmap", "rename", "rmdir", "rmtree",
    "save", "save_file", "save_model", "save_pretrained", "savefig", "savetxt", "savez", "savez_compressed", "symlink_to",
    "tofile", "touch", "truncate", "unlink", "write_bytes", "write_text",
}  # fmt: skip
"""What changes it, whatever it is called on; `replace` and `open` hang on how they are called."""
SAVES_NOTHING = {"checkpoint.save", "safetensors.torch.save"}  # through storage.publish; gives bytes
OPENERS = {"open", "io.open", "gzip.open", "bz2.open", "lzma.open"}  # their mode comes second, and a path's comes first


def changes_of_the_disk(source: str) -> Iterator[tuple[int, str]]:
    """(line, call) of everything in a file's source that may write, make, rename or take away."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module in OF_MODULES:
            names = [alias.name for alias in node.names if alias.name in OF_MODULES[node.module]]
            yield from ((node.lineno, f"from {node.module} import {name}") for name in names)
        elif isinstance(node, ast.Attribute) and node.attr in OF_MODULES.get(ast.unparse(node.value), ()):
            yield node.lineno, ast.unparse(node)  # called here, or handed on
        elif isinstance(node, ast.Call) and _writes(node):
            yield node.lineno, ast.unparse(node.func)


def _writes(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    owner, _, method = name.rpartition(".")
    if owner in OF_MODULES or name in SAVES_NOTHING:
        return False
    if method == "open":
        at = 1 if name in OPENERS else 0
        modes = [*call.args[at : at + 1], *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
        known = [mode.value for mode in modes if isinstance(mode, ast.Constant)]
        chosen = name in OPENERS and len(known) < len(modes)  # a mode that is computed may be any
        return chosen or any(set("wax+") & set(str(mode)) for mode in known)
    if method == "replace":  # of a path: one argument; of a text: two; of a record: names
        return len(call.args) == 1 and not call.keywords
    return bool(owner) and method in METHODS


def found() -> set[tuple[str, str]]:
    paths = {path.relative_to(ROOT).as_posix(): path for path in ROOT.rglob("*.py")}
    return {
        (name, call)
        for name, path in paths.items()
        if name != WRITER
        for _, call in changes_of_the_disk(path.read_text(encoding="utf-8"))
    }


def test_nothing_outside_storage_changes_the_disk_but_what_is_named_here() -> None:
    assert found() - ALLOWED.keys() == set()


def test_every_exception_is_still_needed() -> None:
    assert ALLOWED.keys() - found() == set()


@pytest.mark.parametrize(
    "line",
    [
        "open('a', 'w')", "path.open('a+b')", "open('a', mode=chosen)", "path.write_text('x')", "numpy.save('a', x)",
        "torch.save(state, 'a')", "shutil.move('a', 'b')", "shutil.rmtree('a')", "os.replace('a', 'b')", "path.replace(new)",
        "os.unlink('a')", "path.rename(new)", "from os import replace", "tempfile.mkdtemp()", "path.mkdir()",
        "gzip.open('a', 'wb')", "later(os.remove)", "tokenizer.save('a')", "model.save_pretrained('a')",
        "x.tofile('a')", "tempfile.TemporaryFile()",
    ],
)  # fmt: skip
def test_a_write_is_noticed(line: str) -> None:
    assert len(list(changes_of_the_disk(line))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "open('a')", "path.open('rb')", "text.replace('a', 'b')", "replace(record, x=1)", "os.path.exists('a')",
        "storage.replace(path, content)", "safetensors.torch.save(x)", "os.environ.get('A')", "Run.open(folder)",
        "opener.open(row.url)",
    ],
)  # fmt: skip
def test_what_only_reads_is_not_taken_for_a_write(line: str) -> None:
    assert list(changes_of_the_disk(line)) == []
