"""A web page you visit cannot use your server, and nobody without the key can."""

import json
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inkwright.app.cli import run
from inkwright.app.server.runs import files

pytestmark = pytest.mark.long
KEY = "sesame-0123456789"

FOREIGN = [
    "evil.com", "127.0.0.1.evil.com", "localhost.evil.com", "evil.com:80", "0.0.0.0", "0.0.0.0:80", "0x7f000001",
    "2130706433", "127.1", "127.0.1", "0177.0.0.1", "127.0.0.1.", "localhost.", "127.0.0.2", "[::]", "[::2]", "::1",
    "[::1", "::1]", "[::1]evil", "[::1]:8000:9", "[::ffff:127.0.0.1]", "[0:0:0:0:0:0:0:1]", "localhost:", "localhost:x",
    "localhost:99999", "localhost:-1", "localhost@evil.com", "evil.com@localhost", "user:pw@localhost", "localhost/evil",
    "localhost#evil", "localhost?evil", "localhost,evil.com", "localhost evil.com", "evil.com\tlocalhost", "", " ", ".",
    "*", "_", "local host", "localhost\x00", "ⓛocalhost", "localhost%00", "%6cocalhost", "127.0.0.1:80:80", "1", "-",
    "localhost;evil", "http://localhost", "//localhost", "127。0。0。1", "local-host", "LOCALHOST.", "xn--localhost", "[]",
    "[v1.localhost]", "[::1%25lo]", "[::1%lo]",
]  # fmt: skip


def eventually(claim: Callable[[], bool]) -> None:
    """A line of the log may come after the answer."""
    until = time.monotonic() + 60
    while not claim() and time.monotonic() < until:
        time.sleep(0.01)


def raw(server: Any, text: str | bytes) -> bytes:
    """What comes back for these very bytes."""
    with server.connect() as found:
        found.sendall(text if isinstance(text, bytes) else text.encode())
        found.shutdown(socket.SHUT_WR) if not text else None
        answer = b""
        while part := found.recv(65536):
            answer += part
        return answer


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "[::1]", "localhost:8000", "127.0.0.1:1", "[::1]:8000", "LOCALHOST:80"]
)
def test_our_own_names_are_served(server: Any, host: str) -> None:
    assert status(raw(server, f"GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")) == 200


def test_no_other_name_is_served(server: Any) -> None:
    for host in FOREIGN:
        answer = raw(server, f"GET /v1/models HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
        assert status(answer) in (400, 403) and b"char" not in answer, host
    two = "GET /v1/models HTTP/1.1\r\nHost: localhost\r\nHost: evil.com\r\nConnection: close\r\n\r\n"
    none = "GET /v1/models HTTP/1.0\r\nConnection: close\r\n\r\n"
    whole = "GET http://evil.com/v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert [status(raw(server, text)) for text in (two, none, whole)] == [400, 403, 421]


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.com"}, {"Origin": "null"}, {"Origin": "file://"}, {"Origin": "http://localhost:1"},
     {"Origin": "http://localhost.evil.com"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
)  # fmt: skip
def test_another_page_gets_nothing_and_nothing_is_written_for_it(server: Any, headers: dict[str, str]) -> None:
    before = server.number("generation_tokens_total")
    reply = server.ask("POST", "/v1/completions", {"model": "char", "prompt": "a"}, headers)
    assert (reply.status, reply.error["code"]) == (403, "origin_not_allowed")
    assert not [name for name in reply.headers if name.startswith("access-control-")]
    assert server.ask("GET", "/v1/models", headers=headers).status == 403
    assert server.number("generation_tokens_total") == before


def test_our_own_page_may_ask(server: Any) -> None:
    own = {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
    assert server.ask("POST", "/v1/completions", {"model": "char", "prompt": "a", "max_tokens": 1}, own).status == 200


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/jsonp"],
)
def test_a_form_of_another_page_is_not_read(server: Any, kind: str) -> None:
    body = json.dumps({"model": "char", "prompt": "a"}).encode()
    reply = server.ask("POST", "/v1/completions", body, {"Content-Type": kind})
    assert (reply.status, reply.error["code"]) == (415, "unsupported_media_type")
    zipped = server.ask("POST", "/v1/completions", body, {"Content-Encoding": "gzip"})
    assert (zipped.status, zipped.error["code"]) == (415, "unsupported_encoding")


def test_every_answer_carries_the_headers_that_keep_a_page_in_its_place(server: Any) -> None:
    for reply in (server.ask("GET", "/"), server.ask("GET", "/nothing"), server.complete(prompt="a", max_tokens=1)):
        assert "default-src 'self'" in reply.headers["content-security-policy"]
        assert "unsafe" not in reply.headers["content-security-policy"]
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["cross-origin-resource-policy"] == "same-origin"
        assert reply.headers["cache-control"] == "no-store"


def test_an_unknown_path_names_the_nearest_and_a_wrong_method_the_right_one(server: Any) -> None:
    lost = server.ask("GET", "/v1/model")
    assert (lost.status, lost.error["code"]) == (404, "not_found") and "/v1/models" in lost.error["message"]
    wrong = server.ask("GET", "/v1/completions")
    assert (wrong.status, wrong.error["code"], wrong.headers["allow"]) == (405, "method_not_allowed", "POST")
    wrong = server.ask("PUT", "/health")
    assert (wrong.headers["allow"], wrong.error["message"]) == ("GET, HEAD", "'/health' takes GET, HEAD.")


def test_head_is_get_without_its_body(server: Any) -> None:
    for path in ("/", "/health", "/v1/models/char", "/nothing"):
        full, head = server.ask("GET", path), server.ask("HEAD", path)
        assert (head.status, head.headers, head.body) == (full.status, full.headers, b"")


ROOTS = [
    "..",
    "%2e%2e",
    "..%5c",
    "..%2f",
    "....//",
    "/etc/passwd",
    "C:\\boot.ini",
    "\\\\host\\share",
    "%00",
    "con",
    "~",
]


def test_no_name_leads_to_a_file(server: Any) -> None:
    tails = ["", "/etc/passwd", "/../etc/passwd", "%2fetc%2fpasswd", "/run.json", "/index.html"]
    for front in ("/page/", "/api/runs/", "/v1/models/", "/"):
        for root in ROOTS:
            for tail in tails:
                path = (front + root + tail).replace("\\", "%5C").replace(" ", "%20")
                reply = server.ask("GET", path)
                assert reply.status in (404, 400, 421), (path, reply)
                assert b"root:" not in reply.body


# ---------------------------------------------------------------- the key


@pytest.fixture(scope="module")
def locked(start: Callable[..., Any], models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server that asks for a key."""
    path = tmp_path_factory.mktemp("key") / "key"
    path.write_text(KEY + "\n")
    path.chmod(0o600)
    return start(models["char"], "--api-key-file", path)


def test_every_route_but_health_and_the_page_asks_for_the_key(locked: Any) -> None:
    routes = [("GET", "/v1/models"), ("GET", "/v1/models/char"), ("GET", "/metrics"), ("GET", "/api/models"),
              ("GET", "/api/runs/char"), ("POST", "/v1/completions"), ("POST", "/v1/chat/completions"),
              ("POST", "/tokenize"), ("POST", "/detokenize"), ("POST", "/api/next"), ("GET", "/nothing"),
              ("DELETE", "/health/"), ("POST", "/")]  # fmt: skip
    wrong: list[dict[str, str]] = [
        {}, {"Authorization": ""}, {"Authorization": "Bearer"}, {"Authorization": "Bearer "}, {"Authorization": KEY},
        {"Authorization": f"Bearer {KEY[:-1]}"}, {"Authorization": f"Bearer {KEY}x"}, {"Authorization": f"bearer  {KEY}"},
        {"Authorization": "Bearer s\xe9same"}, {"Authorization": f"Basic {KEY}"}, {"X-Api-Key": KEY},
        {"Authorization": "Bearer " + "x" * 10_000},
    ]  # fmt: skip
    for method, path in routes:
        for headers in wrong:
            reply = locked.ask(method, path, {"model": "char"} if method == "POST" else None, headers)
            assert (reply.status, reply.error["code"]) == (401, "invalid_api_key"), (method, path, headers)
            assert reply.headers["www-authenticate"] == "Bearer"
    for path in ("/health", *files()):
        assert locked.ask("GET", path).status == 200


def test_the_key_opens_and_two_of_them_do_not(locked: Any) -> None:
    assert locked.ask("GET", "/v1/models", headers={"Authorization": f"Bearer {KEY}"}).status == 200
    twice = f"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n{f'Authorization: Bearer {KEY}' + chr(13) + chr(10)}" * 1
    double = twice + f"Authorization: Bearer {KEY}\r\nConnection: close\r\n\r\n"
    assert status(raw(locked, double)) == 401


def test_neither_key_nor_prompt_reaches_the_log_and_one_request_is_one_line(locked: Any) -> None:
    lines = len(locked.said.splitlines())
    auth = {"Authorization": f"Bearer {KEY}"}
    for i in range(15):
        locked.ask("POST", "/v1/completions", {"model": "char", "prompt": f"CANARY\n{i}\r\n", "max_tokens": 1}, auth)
        locked.ask("GET", f"/x%0d%0aFORGED%20{i}%1b[31m", headers=auth | {"User-Agent": f"CANARY {i}"})
    eventually(lambda: len(locked.said.splitlines()) >= lines + 30)
    said = locked.said
    assert len(said.splitlines()) == lines + 30
    assert "CANARY" not in said and KEY not in said and "\x1b" not in said
    assert not re.search(r"^FORGED", said, re.MULTILINE)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5"])
def test_leaving_the_loopback_without_a_key_is_refused(models: dict[str, Path], host: str, capsys: Any) -> None:
    assert run(["serve", str(models["char"]), "--host", host]) == 2
    assert "needs an API key" in capsys.readouterr().err


def test_on_all_addresses_a_name_that_is_no_address_is_refused(
    start: Callable[..., Any], models: dict[str, Path], tmp_path: Path
) -> None:
    """A page can make its own name point anywhere, but not make an address of it."""
    (tmp_path / "key").write_text(KEY)
    server = start(models["char"], "--host", "0.0.0.0", "--api-key-file", tmp_path / "key", "--allow-host", "box.lan")
    hosts = {"box.lan": 200, "10.1.2.3": 200, "[fe80::1]": 200, "evil.com": 403, "010.1.2.3": 403, "0x7f.1": 403}
    assert {host: server.ask("GET", "/health", headers={"Host": host}).status for host in hosts} == hosts
    assert server.stop() == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [([], 2, "which run?"), (["nowhere"], 4, "no such folder"), (["CHAR", "--port", "99999"], 2, "must be 0 to 65535"),
     (["CHAR", "--running", "0"], 2, "--running must be 1 to 256"), (["CHAR", "--api-key", "two words"], 2, "printable"),
     (["CHAR", "--api-key-file", "nowhere"], 3, "cannot be read"),
     (["CHAR", "--host", "no.such.host.invalid", "--api-key", "k"], 5, "no address")],
)  # fmt: skip
def test_what_cannot_be_served_is_said_before_anything_is(
    models: dict[str, Path], arguments: list[str], code: int, said: str, capsys: Any
) -> None:
    assert run(["serve", *(str(models["char"]) if a == "CHAR" else a for a in arguments)]) == code
    assert said in capsys.readouterr().err


def test_a_port_that_is_taken_is_said(models: dict[str, Path], server: Any, capsys: Any) -> None:
    assert run(["serve", str(models["char"]), "--port", str(server.port)]) == 5
    assert f"port {server.port} is in use" in capsys.readouterr().err


def test_the_page_never_writes_markup() -> None:
    """Text reaches it through textContent alone."""
    source = b"".join(file.body for file in files().values())
    dangers = """innerHTML outerHTML insertAdjacentHTML document.write eval( Function( srcdoc style= DOMParser
        createContextualFragment http:// https:// Math.random"""
    for danger in dangers.encode().split():
        assert danger not in source.replace(b"http://www.w3.org/2000/svg", b""), danger
