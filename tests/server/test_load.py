"""Load is shed and not absorbed, who leaves is noticed, and no request changes another's text."""

import contextlib
import json
import select
import shutil
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.lossless.harness import PATIENCE
from tests.lossless.serving import ENDLESS, POST, is_idle, memory, rest, until

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def busy(start: Callable[..., Any], models: dict[str, Path]) -> Any:
    """A server of its own, to be crowded."""
    found = start(models["char"], "--body-bytes", 5000)
    found.complete(prompt="a", max_tokens=50)
    return found


def test_what_is_more_than_8_and_64_is_told_to_come_back(busy: Any) -> None:
    before = memory(busy)
    streams = [busy.begin(**ENDLESS) for _ in range(100)]
    heads = []
    with ThreadPoolExecutor(100) as pool:
        heads = list(pool.map(lambda stream: stream.recv(1 << 16), streams[72:]))
    refused = [head for head in heads if b" 429 " in head.split(b"\r\n", 1)[0]]
    assert len(refused) >= 20 and all(b"retry-after: " in head.lower() for head in refused)
    before_health = busy.cpu_seconds
    assert busy.ask("GET", "/health").status == 200 and busy.cpu_seconds - before_health < 1
    assert busy.number("num_requests_running") <= 8 and busy.number("num_requests_waiting") <= 64
    for stream in streams:
        stream.close()
    until(lambda: is_idle(busy))
    assert memory(busy) - before <= 64


def test_every_stream_that_was_taken_on_ends_whole(busy: Any) -> None:
    with ThreadPoolExecutor(40) as pool:
        wishes = [dict(prompt="ba", max_tokens=30, stream=True, seed=seed) for seed in range(40)]
        replies = list(pool.map(lambda wish: busy.complete(**wish), wishes))
    assert [reply.events[-1] for reply in replies] == ["[DONE]"] * 40


def test_a_body_that_takes_long_to_read_keeps_nobody_waiting(server: Any) -> None:
    """Strange characters are the slowest to encode; the body is as large as one may be."""
    content = "".join(chr(0x4E00 + i % 20_000) for i in range(170_000))
    large = [server.begin("/tokenize", content=content) for _ in range(2)]
    answered = 0
    while len(select.select(large, [], [], 0)[0]) < 2:
        assert server.ask("GET", "/health").status == 200
        answered += 1
    assert answered >= 10  # 2 or 3 where each waits for them
    for each in large:
        assert each.recv(15).startswith(b"HTTP/1.1 200")
        each.close()


@pytest.fixture(scope="module")
def hasty(start: Callable[..., Any], models: dict[str, Path]) -> Any:
    """A server with short patience."""
    limits = {"header": 0.5, "body": 0.7, "stall": 1.0, "request": 1.5, "stop": 1.0}
    flags = [part for name, value in limits.items() for part in (f"--{name}-seconds", value)]
    return start(models["char"], *flags, "--running", 2, "--waiting", 2)


@pytest.mark.parametrize("sent", [b"", b"GET /health HT", b"GET /health HTTP/1.1\r\nHost: loc"])
def test_a_slow_head_is_cut_off(hasty: Any, sent: bytes) -> None:
    began = time.monotonic()
    with hasty.connect() as found:
        found.sendall(sent)
        assert found.recv(4096).startswith(b"HTTP/1.1 408") and found.recv(4096) == b""
        assert time.monotonic() - began > 0.3


def test_a_slow_second_head_is_cut_off_too(hasty: Any) -> None:
    with hasty.connect() as found:
        found.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        first = b""
        while not first.endswith(b"}"):
            first += found.recv(4096)
        time.sleep(0.7)  # between two requests there is no hurry
        found.sendall(b"GET /hea")
        assert found.recv(4096).startswith(b"HTTP/1.1 408")


def test_a_slow_body_is_cut_off_and_a_slow_crowd_keeps_nobody_waiting(hasty: Any) -> None:
    head = b"POST /v1/completions" + POST + b"Content-Length: 400\r\n\r\n"
    slow = [hasty.connect() for _ in range(100)]
    for each in slow:
        each.sendall(head)
    dripping = slow[:50]
    for _ in range(3):
        for each in dripping:
            with contextlib.suppress(OSError):  # cut off already
                each.sendall(b"x")
        assert hasty.ask("GET", "/health").status == 200
        time.sleep(0.1)
    for each in slow:
        with each:
            try:
                assert each.recv(4096).startswith(b"HTTP/1.1 408")
            except ConnectionError:  # its last drop came when there was nobody any more
                assert each in dripping


def test_who_never_reads_is_cut_off(hasty: Any) -> None:
    """The answer is larger than what the system holds back for a reader."""
    with hasty.connect() as found:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        try:
            for _ in range(3000):
                found.sendall(b"GET /page/index.html HTTP/1.1\r\nHost: localhost\r\n\r\n")
        except OSError:  # the server has stopped reading, or gone
            pass
        until(lambda: len(list(Path(f"/proc/{hasty.process.pid}/fd").iterdir())) < 40)
    assert hasty.ask("GET", "/health").status == 200


def test_a_request_that_takes_too_long_ends_and_the_next_one_is_served(hasty: Any) -> None:
    slow = {"prompt": ["a"] * 32, "n": 8, "max_tokens": 4096}
    reply = hasty.complete(**slow)
    assert (reply.status, reply.error["code"]) == (408, "timeout")
    *_, last = hasty.complete(**slow, stream=True).events
    assert last["error"]["code"] == "timeout"
    until(lambda: hasty.complete(prompt="a", max_tokens=2).status == 200)


@pytest.mark.parametrize(("size", "status"), [(4999, 200), (5000, 200), (5001, 413), (40_000, 413)])
def test_a_body_is_counted_whatever_it_declares(busy: Any, size: int, status: int) -> None:
    fields = '{"model": "char", "max_tokens": 1, "prompt": "'
    body = (fields + "a" * (size - len(fields) - 2) + '"}').encode()
    assert len(body) == size
    assert busy.ask("POST", "/v1/completions", body).status == status
    with busy.connect() as found:
        head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
        found.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        for at in range(0, size, 1000):
            part = body[at : at + 1000]
            found.sendall(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        found.sendall(b"0\r\n\r\n")
        assert int(found.recv(4096).split()[1]) == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_orderly_stop_finishes_what_is_written_and_takes_on_nothing_new(
    start: Callable[..., Any], models: dict[str, Path], number: int
) -> None:
    server = start(models["char"], "--stop-seconds", 3, "--running", 2)
    endless = server.begin(prompt=["a"] * 32, n=8, max_tokens=4096, stream=True)
    assert b"200 OK" in endless.recv(100)
    server.process.send_signal(number)
    while (reply := server.complete(prompt="a", max_tokens=1)).status == 200:  # until the signal is heard
        pass
    assert (reply.status, reply.error["code"]) == (503, "shutting_down")
    said = rest(endless)
    assert b'"code":"shutting_down"' in said and b"[DONE]" not in said
    assert server.process.wait(PATIENCE) == 0
    assert "Traceback" not in server.said and " 500 " not in server.said


def test_the_model_that_was_loaded_goes_on_whatever_happens_to_its_files(
    start: Callable[..., Any], models: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(models["char"], tmp_path / "run"))
    server = start(folder, "--quiet")
    wish = {"prompt": "ba", "max_tokens": 40, "seed": 1}
    before = server.complete("run", **wish).json
    for path in folder.rglob("*.safetensors"):
        path.write_bytes(b"not any more")
    (folder / "run.json").write_text("{")
    assert server.ask("GET", "/api/runs/run").json == {"run": None}
    shutil.rmtree(folder)
    after = server.complete("run", **wish).json
    assert after["choices"] == before["choices"] and after["system_fingerprint"] == before["system_fingerprint"]
    assert server.ask("GET", "/api/runs/run").json == {"run": None}
    assert json.loads(server.ask("GET", "/api/models").body)["models"][0]["name"] == "run"
    assert server.stop() == 0 and "Traceback" not in server.said
