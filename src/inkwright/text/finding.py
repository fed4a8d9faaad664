"""Which files a text argument stands for. Looks at names and links, opens nothing."""

import difflib
import glob
import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from inkwright.errors import TextError, quoted
from inkwright.text.reading import cannot_read

TEXT_SUFFIXES = (".txt", ".txt.gz", ".txt.xz", ".txt.zst")  # what is read out of a folder
PATH_LIMIT = 300  # characters of a path in a message: its end is what tells it from others


@dataclass(frozen=True)
class Place:
    """One thing to read: a path, or where there is none, standard input or a known corpus."""

    name: str
    path: str | None = None

    @property
    def identity(self) -> str:
        """The same for the same file, by whatever name or link it was given."""
        return os.path.realpath(self.path) if self.path else self.name


def places(text: str, known: Collection[str]) -> Iterator[Place | TextError]:
    """What one argument stands for, in the order it is read; an error stands where something cannot be.

    `known` are the names that stand for a corpus where no path of that name exists.
    """
    if text == "-":
        yield Place("stdin")
    elif os.path.isdir(text):
        yield from _inside(text)
    elif os.path.lexists(text):
        yield Place(quoted(text, PATH_LIMIT), text)
    elif text in known:
        yield Place(text)
    elif glob.has_magic(text) and "\0" not in text:
        matches = sorted(path for path in glob.glob(text, recursive=True) if not os.path.isdir(path))
        yield from (Place(quoted(path, PATH_LIMIT), path) for path in matches)
        if not matches:
            yield TextError(f"no file matches {quoted(text)}")
    else:
        yield TextError(f"no such file: {quoted(text)}", _near(text, known))


def short_name(texts: Sequence[str]) -> str:
    """A name for all of them, safe as a file name: `book` for books/book.txt.gz, `book-and-2-more` for three texts."""
    first = texts[0]
    if first == "-":
        stem = "stdin"
    elif glob.has_magic(first) and not os.path.lexists(first):
        fixed = re.split(r"[*?\[]", first, maxsplit=1)[0]
        stem = Path(os.path.dirname(fixed)).resolve().name
    elif os.path.isdir(first):
        stem = Path(first).resolve().name
    else:
        stem = Path(re.sub(r"\.(gz|xz|zst)$", "", os.path.basename(first))).stem
    more = f"-and-{len(texts) - 1}-more" if len(texts) > 1 else ""
    return (re.sub(r"[^\w.-]+", "-", stem).strip("-.")[:60] or "text") + more


def _near(text: str, known: Collection[str]) -> str | None:
    """The hint for a path that is not there."""
    parent = os.path.dirname(text)
    try:
        names = os.listdir(parent or ".")
    except (OSError, ValueError):
        names = []
    if near := difflib.get_close_matches(os.path.basename(text), names, n=1):
        return f"did you mean {quoted(os.path.join(parent, near[0]))}?"
    near = difflib.get_close_matches(text, known, n=1)
    return f"did you mean {near[0]}?" if near else f"corpora that need no file: {', '.join(known)}"


def _inside(folder: str) -> Iterator[Place | TextError]:
    """Every text below a folder, sorted by its path in it; a link that leads out of it, or round, is an error."""
    found: list[str] = []
    others: Counter[str] = Counter()
    errors: list[TextError] = []
    for parent, folders, files in os.walk(folder, onerror=lambda error: errors.append(_unreadable(error))):
        for name in files + folders:
            path = os.path.join(parent, name)
            is_text = name in files and name.lower().endswith(TEXT_SUFFIXES)
            error = _bad_link(path, folder, is_text) if os.path.islink(path) else None
            if error:
                errors.append(error)
            elif is_text:
                found.append(Path(path).relative_to(folder).as_posix())
            elif name in files:
                others[Path(name).suffix or "without a suffix"] += 1
    yield from errors
    for name in sorted(found):
        path = os.path.join(folder, name)
        yield Place(quoted(path, PATH_LIMIT), path)
    if not found and not errors:
        kinds = ", ".join(f"{count:,} {suffix}" for suffix, count in others.most_common(4)) or "nothing"
        yield TextError(f"no .txt files in {quoted(folder).rstrip('/')}/ (found {kinds})")


def _unreadable(error: OSError) -> TextError:
    return cannot_read(quoted(error.filename), error)


def _bad_link(path: str, folder: str, is_text: bool) -> TextError | None:
    """Why a link below a folder is refused; None for one that stays inside, or that would not be read anyway."""
    try:
        target = os.path.realpath(path, strict=True)
    except OSError as error:
        return cannot_read(quoted(path), error) if is_text or not isinstance(error, FileNotFoundError) else None
    if not (is_text or os.path.isdir(target)):
        return None
    if not Path(target).is_relative_to(os.path.realpath(folder)):
        hint = "give what it points to as a text of its own"
        return TextError(f"{quoted(path)} is a link that leads out of {quoted(folder)}", hint)
    if Path(os.path.realpath(os.path.dirname(path))).is_relative_to(target):
        return TextError(f"{quoted(path)} is a link that leads back to itself")
    return None
