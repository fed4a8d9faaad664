"""A corpus off the net, pinned by its hash: looked for here first, downloaded once, kept. Knows bytes only."""

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import platformdirs

from inkwright import storage
from inkwright.errors import TextError, quoted

SCHEMES = ("https",)
EXTRA = 1.05  # the most that is read, over the expected size
CHUNK_BYTES = 65_536
SILENCE_SECONDS = 20.0  # with nothing heard for so long, the other side is taken for dead
DOWNLOAD_SECONDS = 300.0  # and a drip is not waited for either


@dataclass(frozen=True)
class Download:
    """Where a file lies on the net and on this machine, and the only content that it may have."""

    url: str
    path: str  # below the folder of corpora
    size: int
    sha256: str


def obtain(name: str, row: Download, schemes: Collection[str] = SCHEMES) -> bytes:
    """The bytes of `row`: from $INKWRIGHT_CORPORA, else from the cache folder, else downloaded and kept there.

    Raises: TextError   not to be had, or not the expected bytes; MachineError   the cache folder cannot be written
    """
    own_folder = os.environ.get("INKWRIGHT_CORPORA")
    if own_folder and (path := Path(own_folder) / row.path).exists():
        content = _read(path, row)
        _require(content, row, f"{name}: {quoted(path)}", "it was left alone")
        return content
    kept = cache_folder() / "corpora" / row.path
    if kept.exists() and _sha256(content := _read(kept, row)) == row.sha256:
        return content
    content = download(name, row, schemes)
    storage.make_folder(kept.parent)
    storage.replace(kept, content)
    return content


def cache_folder() -> Path:
    """Where downloads are kept: $INKWRIGHT_HOME, else where this system keeps caches."""
    return Path(os.environ.get("INKWRIGHT_HOME") or platformdirs.user_cache_dir("inkwright"))


def download(
    name: str, row: Download, schemes: Collection[str] = SCHEMES, silence_seconds: float = SILENCE_SECONDS
) -> bytes:
    """The bytes at the URL of `row`; no more than 1.05 times the expected size is ever read.

    Raises: TextError   another scheme (a redirect counts), no network, an error, other bytes than expected
    """
    _require_scheme(row.url, schemes)
    opener = urllib.request.build_opener(_SameSchemes(schemes))
    try:
        with opener.open(row.url, timeout=silence_seconds) as response:
            content = _read_response(response, int(row.size * EXTRA))
    except (OSError, http.client.HTTPException) as error:  # URLError and TimeoutError are OSErrors
        reason = error.reason if isinstance(error, urllib.error.URLError) else str(error) or type(error).__name__
        status = f"{error.code} " if isinstance(error, urllib.error.HTTPError) else ""
        message = f"{name} cannot be downloaded from {urlsplit(row.url).netloc}: {status}{quoted(reason)}"
        hint = f"put the file at corpora/{row.path} and set INKWRIGHT_CORPORA=corpora; pydocs needs no network"
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it is the answer as well, with an open connection
        raise TextError(message, hint) from None
    _require(content, row, name, "the file was not kept")
    return content


def _read(path: Path, row: Download) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(row.size + 1)  # one byte too many is enough to be wrong
    except OSError as error:
        raise TextError(f"cannot read {quoted(path)}: {(error.strerror or str(error)).lower()}") from None


def _read_response(response: Any, limit: int) -> bytes:
    content = bytearray()
    deadline = time.monotonic() + DOWNLOAD_SECONDS
    while len(content) < limit and (chunk := response.read1(min(CHUNK_BYTES, limit - len(content)))):
        content += chunk
        if time.monotonic() > deadline:
            raise TimeoutError(f"not complete after {DOWNLOAD_SECONDS:.0f} seconds")
    return bytes(content)


def _require(content: bytes, row: Download, name: str, outcome: str) -> None:
    found = _sha256(content)
    if found != row.sha256:
        sizes = "" if len(content) == row.size else f" ({len(content):,} bytes instead of {row.size:,})"
        raise TextError(f"{name}: expected sha256 {row.sha256[:8]}..., got {found[:8]}...{sizes}; {outcome}")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _require_scheme(url: str, schemes: Collection[str]) -> None:
    scheme = urlsplit(url).scheme
    if scheme not in schemes:
        raise TextError(f"{quoted(url)} is not downloaded: only {', '.join(schemes)} is, not {quoted(scheme)}")


class _SameSchemes(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to the schemes that the first address may have."""

    def __init__(self, schemes: Collection[str]) -> None:
        self.schemes = schemes

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        try:
            _require_scheme(newurl, self.schemes)
        except TextError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)
