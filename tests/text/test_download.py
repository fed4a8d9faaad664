"""A download is the expected bytes, from a real server, or it is refused and leaves nothing behind."""

import hashlib
import http.server
import socket
import threading
from pathlib import Path

import pytest

from inkwright.errors import MachineError, TextError
from inkwright.text import corpus as corpora
from inkwright.text.download import Download, download, obtain

PROSE = "It was a dark and stormy night; the rain fell in torrents.\n" * 4


class Site(http.server.BaseHTTPRequestHandler):
    """A real server with one page for each thing that can go wrong."""

    def do_GET(self) -> None:
        page = self.path.strip("/")
        if page in ("to-file", "to-ftp", "to-here"):
            target = {"to-file": "file:///etc/passwd", "to-ftp": "ftp://127.0.0.1/x", "to-here": "/good"}[page]
            self.answer(302, b"", Location=target)
        elif page in ("500", "404"):
            self.answer(int(page), b"oh")
        elif page == "hang":
            self.server.released.wait()  # type: ignore[attr-defined]
        elif page == "short":
            self.answer(200, PROSE.encode()[:50], length=len(PROSE))
        elif page == "large":
            self.answer(200, PROSE.encode() * 10)
        elif page == "wrong":
            self.answer(200, PROSE.upper().encode())
        elif page == "garbage":
            self.wfile.write(b"this is no HTTP\r\n\r\n")
        else:
            self.answer(200, PROSE.encode())

    def answer(self, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("INKWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("INKWRIGHT_CORPORA", raising=False)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.asked, server.released = [], threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.released.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()
    thread.join()


def page(site: http.server.HTTPServer, name: str) -> Download:
    sha256 = hashlib.sha256(PROSE.encode()).hexdigest()
    return Download(f"http://127.0.0.1:{site.server_port}/{name}", "dark/night.txt", len(PROSE), sha256)


def kept_files(tmp_path: Path) -> list[str]:
    return [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ["good", "to-here"])
def test_a_download_is_kept_and_asked_for_once(site, tmp_path: Path, name: str) -> None:
    for _ in range(2):
        assert obtain("night", page(site, name), ("http",)) == PROSE.encode()
    assert kept_files(tmp_path) == ["home/corpora/dark/night.txt"]
    assert site.asked.count("/good") == 1


def test_a_damaged_download_in_the_cache_is_fetched_again(site, tmp_path: Path) -> None:
    kept = tmp_path / "home/corpora/dark/night.txt"
    kept.parent.mkdir(parents=True)
    kept.write_text("damaged")
    assert obtain("night", page(site, "good"), ("http",)) == PROSE.encode()
    assert kept.read_text() == PROSE


@pytest.mark.parametrize(
    "name, told",
    [
        ("wrong", "; the file was not kept"),
        ("short", "(50 bytes instead of"),
        ("large", f"({int(len(PROSE) * 1.05)} bytes instead of"),  # and the other 90 % are never read
        ("to-file", "is not allowed"),
        ("to-ftp", "only http is, not ftp"),
        ("500", "500 Internal Server Error"),
        ("404", "404 Not Found"),
        ("hang", "timed out"),
        ("garbage", "cannot be downloaded"),
    ],
)
def test_a_download_that_is_not_the_expected_bytes_is_refused_and_not_kept(
    site, tmp_path: Path, name: str, told: str
) -> None:
    with pytest.raises(TextError) as caught:
        download("night", page(site, name), ("http",), silence_seconds=0.2 if name == "hang" else 60)
    assert told in caught.value.message
    if name != "hang":
        with pytest.raises(TextError):
            obtain("night", page(site, name), ("http",))
    assert kept_files(tmp_path) == []


def test_only_https_is_downloaded(site) -> None:
    assert all(row.url.startswith("https://") for row in corpora.DOWNLOADS.values())
    with pytest.raises(TextError, match="only https is, not http"):
        obtain("night", page(site, "good"))
    assert site.asked == []


def test_without_network_the_error_says_where_to_put_the_file(site) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        row = Download(f"http://127.0.0.1:{unused.getsockname()[1]}/x", "dark/night.txt", 1, "0" * 64)
        with pytest.raises(TextError, match="night cannot be downloaded from 127") as caught:
            obtain("night", row, ("http",))
    assert caught.value.hint == (
        "put the file at corpora/dark/night.txt and set INKWRIGHT_CORPORA=corpora; pydocs needs no network"
    )


def test_a_cache_folder_that_cannot_be_made_is_told(site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("INKWRIGHT_HOME", str(tmp_path / "file"))
    with pytest.raises(MachineError, match="cannot write to"):
        obtain("night", page(site, "good"), ("http",))
