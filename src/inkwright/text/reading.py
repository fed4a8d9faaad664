"""Bytes -> text: one file or standard input, unpacked and decoded. Knows no folders and no corpora.

Everything here refuses rather than guesses: what is no regular file is never opened, what swells is stopped, and what
is not in the given encoding is told with the byte and its place. Nothing is written to the disk.
"""

import codecs
import contextlib
import errno
import gzip
import hashlib
import io
import lzma
import os
import re
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from inkwright import interrupt
from inkwright.errors import SettingError, TextError, quoted

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MEBIBYTE = 1024**2
MAX_RATIO = 200  # a text that shrinks better than this is taken for a bomb
RATIO_FREE_BYTES = 16 * MEBIBYTE  # below this nothing can swell enough to hurt
PART_BYTES = 16 * MEBIBYTE
PACKING_BYTES = MEBIBYTE  # more than any packer adds to a text that it cannot shrink
UNPACKING_BYTES = 100 * MEBIBYTE  # memory that a packed file may ask for; xz -9 takes 65
MAX_CONTROL_SHARE = 0.01
CONTROLS = bytes((*range(9), 11, *range(14, 32), 127))  # all of C0 but \t \n \f \r, and DEL


def _opened_with(opener: Any) -> Callable[[IO[bytes]], Iterator[bytes]]:
    def chunks(packed: IO[bytes]) -> Iterator[bytes]:
        with opener(packed) as file:
            while chunk := file.read(MEBIBYTE):
                yield chunk

    return chunks


def _xz_chunks(packed: IO[bytes]) -> Iterator[bytes]:
    """What lzma.open reads, with a limit to the memory that the file may ask for."""
    left = packed.read(MEBIBYTE)
    while left:
        unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=UNPACKING_BYTES)
        while not unpacker.eof:
            if unpacker.needs_input and not left:
                raise EOFError
            yield unpacker.decompress(left, MEBIBYTE)
            left = packed.read(MEBIBYTE) if unpacker.needs_input else b""
        left = (unpacker.unused_data or packed.read(MEBIBYTE)).lstrip(b"\0")  # streams may be padded


PACKED: dict[bytes, Callable[[IO[bytes]], Iterator[bytes]]] = {
    b"\x1f\x8b": _opened_with(gzip.open),
    b"\xfd7zXZ\x00": _xz_chunks,
    b"\x28\xb5\x2f\xfd": _opened_with(zstd.open),
}
"""The first bytes of a packed file, and what unpacks it, a mebibyte at a time."""

ARCHIVES = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
    b"BZh": "bzip2",
}
BINARIES = {b"\x93NUMPY": "a NumPy array", b"%PDF-": "a PDF"} | {bytes((0x80, i)): "a pickle" for i in range(2, 6)}


@dataclass(frozen=True)
class Raw:
    """The bytes of one source: `content` is unpacked; `size` and `sha256` are of the bytes as they came."""

    content: bytes | bytearray
    size: int
    sha256: str


class Allowance:
    """How many bytes of text may still come, over all files of a corpus."""

    def __init__(self, total: int) -> None:
        self.total = self.left = total

    def take(self, size: int, name: str) -> None:
        """Count `size` bytes more.

        Raises: TextError   that would be more than `total`; nothing is counted then
        """
        if size > self.left:
            raise self.exceeded(name)
        self.left -= size

    def exceeded(self, name: str) -> TextError:
        """The error for a source that does not fit any more."""
        return TextError(
            f"{name} makes the text larger than --max-bytes {self.total:,}", "give a larger --max-bytes, or less text"
        )


# ---------------------------------------------------------------- bytes


def read_file(path: str | os.PathLike[str], name: str, allowance: Allowance) -> Raw:
    """The unpacked bytes of a regular file; `name` stands for it in messages.

    Raises: TextError   missing, not regular, not readable, changed meanwhile, too large, an archive, a bomb
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # asked before opening: to open a FIFO may wait for ever
            raise _not_regular(name)
        with open(path, "rb", opener=_open_at_once) as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise _not_regular(name)
            if before.st_size > allowance.left + PACKING_BYTES:
                raise allowance.exceeded(name)
            data = _read(file, before.st_size + 1)
            after = os.fstat(file.fileno())
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise cannot_read(name, error) from None
    if len(data) != before.st_size or (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        now = after.st_size if after.st_size != before.st_size else len(data)
        change = f"size {before.st_size:,} -> {now:,}" if now != before.st_size else "same size, other date"
        raise TextError(f"{name} changed while being read ({change})", "try again when nothing writes to it")
    return unpacked(data, name, allowance)


def read_stdin(name: str, allowance: Allowance) -> Raw:
    """The unpacked bytes of standard input, read until its end or until they are too many.

    Raises: TextError   a terminal, nothing there, too large, an archive, a bomb
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise TextError("- reads standard input, and nothing is piped into it", "cat input.txt | inkwright train -")
    data = bytearray()
    while chunk := sys.stdin.buffer.read(MEBIBYTE):
        interrupt.check()
        data += chunk
        if len(data) > allowance.left + PACKING_BYTES:
            raise allowance.exceeded(name)
    if not data:
        raise TextError("standard input is empty (0 characters); training needs at least 100")
    return unpacked(data, name, allowance)


def _read(file: IO[bytes], size: int) -> bytes | bytearray:
    """At most `size` bytes, in parts, so that a stop can be asked for in between."""
    data = bytearray()
    while len(data) < size and (chunk := file.read(min(PART_BYTES, size - len(data)))):
        interrupt.check()
        data += chunk
    return data


def cannot_read(name: str, error: Exception) -> TextError:
    """What the operating system said, in our words."""
    if isinstance(error, ValueError | FileNotFoundError | NotADirectoryError):
        return TextError(f"no such file: {name}")
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return TextError(f"{name} is a link that leads back to itself")
    reason = error.strerror if isinstance(error, OSError) else None
    return TextError(f"cannot read {name}: {(reason or str(error)).lower()}")


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # were it swapped for a FIFO by now, this still returns


def _not_regular(name: str) -> TextError:
    return TextError(f"{name} is not a regular file", "- reads standard input")


def unpacked(data: bytes | bytearray, name: str, allowance: Allowance) -> Raw:
    """What `unpack` makes of these bytes, hashed as they came, and counted.

    Raises: TextError
    """
    content = unpack(data, name, allowance)
    allowance.take(len(content), name)
    return Raw(content, len(data), hashlib.sha256(data).hexdigest())


def unpack(data: bytes | bytearray, name: str, allowance: Allowance) -> bytes | bytearray:
    """The text inside gzip, xz or zstd bytes, told by their first bytes; any other bytes unchanged.

    Raises: TextError   damaged, grown past --max-bytes or past 200 times its size, packed twice, an archive
    """
    chunks = _unpacker(data)
    if chunks is None:
        _refuse_archive(data, name)
        return data
    content = bytearray()
    try:
        for chunk in chunks(io.BytesIO(data)):
            interrupt.check()
            content += chunk
            _refuse_bomb(len(content), len(data), name, allowance)
    except (EOFError, OSError, zlib.error, lzma.LZMAError, zstd.ZstdError) as error:
        if "emory" in str(error):
            most = f"more than {UNPACKING_BYTES // MEBIBYTE} MiB of memory"
            raise TextError(f"{name} asks for {most} to be unpacked", "unpack it by hand") from None
        what = "cut off" if isinstance(error, EOFError) else "damaged"
        raise TextError(f"{name} is {what}: it cannot be unpacked to its end", "download or copy it again") from None
    if _unpacker(content) is not None:
        raise TextError(f"{name} is packed twice; only one layer is opened", "unpack it once by hand")
    _refuse_archive(content, name)
    return content


def _unpacker(data: bytes | bytearray) -> Callable[[IO[bytes]], Iterator[bytes]] | None:
    return next((chunks for magic, chunks in PACKED.items() if data.startswith(magic)), None)


def _refuse_bomb(size: int, packed_size: int, name: str, allowance: Allowance) -> None:
    if size > allowance.left:
        raise allowance.exceeded(name)
    if size >= RATIO_FREE_BYTES and size > MAX_RATIO * packed_size:
        raise TextError(
            f"{name} grew past {MAX_RATIO}x its size; stopped at {size // MEBIBYTE} MiB",
            "if it is what you want, unpack it by hand and give the plain file; --max-bytes limits that too",
        )


def _refuse_archive(data: bytes | bytearray, name: str) -> None:
    kind = next((kind for magic, kind in ARCHIVES.items() if data.startswith(magic)), None)
    if kind == "bzip2" and data[4:10] != b"1AY&SY":  # a text may begin with these three letters
        kind = None
    if kind == "zip" and (b"data.pkl" in data[:200] or b".npy" in data[:200]):  # PyTorch's and NumPy's files are zips
        raise _not_text(_control_count(data) / len(data), name)
    if data[257:262] == b"ustar":
        kind = "tar"
    if kind is not None:
        raise TextError(f"{name} is a {kind} archive; archives are not opened; unpack it first")


# ---------------------------------------------------------------- text


@dataclass(frozen=True)
class Decoded:
    """A text, and what was odd about its bytes."""

    text: str
    had_mark: bool  # a byte-order mark stood before it
    controls: int  # control characters other than \t \n \f \r


def codec_name(encoding: str) -> str:
    """The one spelling of an encoding's name: utf8, UTF-8 and U8 are `utf-8`.

    Raises: SettingError   Python knows no such encoding of text
    """
    try:
        with contextlib.suppress(UnicodeDecodeError):  # one letter is too short for UTF-16
            b"x".decode(encoding)  # knows which codecs are not for text: hex, zlib
        return codecs.lookup(encoding).name
    except (LookupError, ValueError):
        hint = "utf-8, utf-16, cp1252, ..."
        raise SettingError("encoding", f"must be a text encoding (got {quoted(encoding)})", hint) from None


def decode(content: bytes | bytearray, encoding: str, name: str) -> Decoded:
    """The text in `content`, strictly: every byte must fit `encoding`. A byte-order mark is dropped.

    Raises: TextError   not in that encoding, or more than 1 % control characters; SettingError   unknown encoding
    """
    codec = codec_name(encoding)
    try:
        text = content.decode(codec)
        utf8 = content if codec == "utf-8" else text.encode("utf-8")
    except UnicodeEncodeError as error:  # some codecs, UTF-7 for one, let half characters (lone surrogates) pass
        raise TextError(f"{name} is not {_label(codec)}: half a character at character {error.start:,}") from None
    except UnicodeDecodeError as error:
        raise _undecodable(content, codec, name, error.start) from None
    except UnicodeError:
        raise TextError(f"{name} is not {_label(codec)}") from None
    controls = _control_count(utf8)
    if controls > MAX_CONTROL_SHARE * len(utf8):
        likely = _zero_pattern(content) if codec == "utf-8" else None
        if likely:
            raise _wrong_encoding(content, codec, name, content.index(0), likely)
        raise _not_text(controls / len(utf8), name)
    marked = text.startswith("\ufeff")
    return Decoded(text[1:] if marked else text, marked, controls)


def _undecodable(content: bytes | bytearray, codec: str, name: str, offset: int) -> TextError:
    """Why these bytes are not text of this codec, and the likely encoding where one stands out."""
    wide = _byte_order_mark(content) or _zero_pattern(content)
    if codec != "utf-8" or wide:
        return _wrong_encoding(content, codec, name, offset, wide if codec == "utf-8" else None)
    share = _control_count(content) / len(content)
    if share > MAX_CONTROL_SHARE:
        return _not_text(share, name)
    for magic, kind in BINARIES.items():
        if content.startswith(magic):
            return TextError(f"{name} is {kind}, not text", "save it as plain text")
    return _wrong_encoding(content, codec, name, offset, _western(content))


def _wrong_encoding(content: bytes | bytearray, codec: str, name: str, offset: int, likely: str | None) -> TextError:
    looks = f" (looks like {_label(likely)})" if likely else ""
    message = f"{name} is not {_label(codec)}: byte 0x{content[offset]:02x} at offset {offset:,}{looks}"
    return TextError(message, f"--encoding {likely}" if likely else "--encoding NAME, if it is in another encoding")


def _label(codec: str) -> str:
    return codec.upper() if codec.startswith("utf") else codec


def _byte_order_mark(content: bytes | bytearray) -> str | None:
    if content.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    return "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else None


def _zero_pattern(content: bytes | bytearray) -> str | None:
    """UTF-16 without a mark: in the scripts of Europe every second byte is zero, and hardly any other."""
    head = content[:4096]
    even, odd = head[0::2].count(0) * 2 / len(head), head[1::2].count(0) * 2 / len(head)
    if even < 0.1 and odd > 0.7:
        return "utf-16-le"
    return "utf-16-be" if odd < 0.1 and even > 0.7 else None


def _western(content: bytes | bytearray) -> str | None:
    """One byte a letter, the accented ones few, and not UTF-8 with a wound: then most accents would be whole pairs."""
    head = bytes(content[:MEBIBYTE])
    accents = sum(head.count(byte) for byte in range(0x80, 0x100))
    whole_pairs = len(re.findall(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}", head))
    if accents == 0 or accents > 0.2 * len(head) or whole_pairs * 4 > accents:
        return None
    if not any(byte in head for byte in range(0x80, 0xA0)):
        return "latin-1"
    return None if any(byte in head for byte in b"\x81\x8d\x8f\x90\x9d") else "cp1252"


def _control_count(content: bytes | bytearray) -> int:
    slices = (content[start : start + MEBIBYTE] for start in range(0, len(content), MEBIBYTE))
    return sum(len(part) - len(part.translate(None, CONTROLS)) for part in slices)


def _not_text(share: float, name: str) -> TextError:
    shown = f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"
    return TextError(f"{shown} of the bytes are not text - is {name} the right file?")
