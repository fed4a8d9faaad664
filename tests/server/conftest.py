"""A real server process on a real socket, and models so small that a token takes less than a millisecond."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed: the extra `serve`")
pytest.importorskip("uvicorn", reason="uvicorn is not installed: the extra `serve`")

from inkwright.app.cli import run
from tests.lossless.harness import PATIENCE, cpu_seconds

TINY = """
    --n-layer 1 --n-head 2 --n-embd 16 --block-size 32 --batch-size 4 --warmup-steps 2 --sample-every 0
    --threads 1 --dtype float32 --steps 30 --eval-every 10 --checkpoint-every 10
""".split()


class Reply(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """What is in the envelope, which has exactly these four keys."""
        found = json.loads(self.body)["error"]
        assert found.keys() == {"message", "type", "param", "code"} and found["message"]
        return found

    @property
    def events(self) -> list[Any]:
        """The events of a stream; [DONE] as a text."""
        lines = [part.removeprefix(b"data: ") for part in self.body.split(b"\n\n") if part]
        return [line.decode() if line == b"[DONE]" else json.loads(line) for line in lines]


class Client:
    """Requests to a server on this machine."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        try:
            connection.request(method, path, raw, kind | (headers or {}))
            found = connection.getresponse()
            return Reply(found.status, {k.lower(): v for k, v in found.getheaders()}, found.read())
        finally:
            connection.close()

    def complete(self, model: str = "char", **fields: Any) -> Reply:
        """POST /v1/completions."""
        return self.ask("POST", "/v1/completions", {"model": model} | fields)

    def connect(self) -> socket.socket:
        """A socket to it."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def begin(self, path: str = "/v1/completions", **fields: Any) -> socket.socket:
        """A request that was sent and whose answer nobody has read yet."""
        raw = json.dumps({"model": "char"} | fields).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
        found = self.connect()
        found.sendall(f"{head}Content-Length: {len(raw)}\r\n\r\n".encode() + raw)
        return found

    def number(self, name: str) -> float:
        """One of /metrics."""
        text = self.ask("GET", "/metrics").body.decode()
        return float(re.findall(rf"^inkwright_{re.escape(name)} (\S+)$", text, re.MULTILINE)[0])


class Server(Client):
    """A process of `inkwright serve`."""

    def __init__(self, log: Path, *args: object, env: dict[str, str] | None = None) -> None:
        self.log = log
        command = [sys.executable, "-m", "inkwright", "serve", *map(str, args), "--port", "0"]
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=file,
                env={**os.environ, "OMP_NUM_THREADS": "1", **(env or {})},
            )  # fmt: skip
        assert self.process.stdout is not None
        found = None
        while found is None:
            assert self.process.poll() is None, log.read_text()
            time.sleep(0.02)
            found = re.search(r"page +http://\S+:(\d+)\n.*API", log.read_text(), re.DOTALL)
        super().__init__(int(found[1]))

    def stop(self, patience: float = PATIENCE) -> int:
        """Ask it to stop; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(patience)

    @property
    def cpu_seconds(self) -> float:
        """What it has computed so far; how long things take on a machine that has nothing else to do."""
        return cpu_seconds(self.process.pid) or time.monotonic()

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory, tiny_text: str) -> dict[str, Path]:
    """Runs called char, bare and bpe."""
    place = tmp_path_factory.mktemp("served")
    (place / "book.txt").write_text(tiny_text[:4000], encoding="utf-8")
    kinds = {"char": [], "bare": ["--alphabet", "bare"], "bpe": ["--tokenizer", "bpe", "--vocab-size", "300"]}
    for kind, flags in kinds.items():
        assert run(["train", str(place / "book.txt"), "--run", str(place / kind), *TINY, *flags]) == 0
    return {kind: place / kind for kind in kinds}


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """`start(folder, "--running", 2)`: a server, ended at the latest with the tests."""
    started: list[Server] = []

    def begin(*args: object, **options: Any) -> Server:
        started.append(Server(tmp_path_factory.mktemp("server") / "log", *args, **options))
        return started[-1]

    yield begin
    for server in started:
        server.process.kill()
        server.process.communicate()


@pytest.fixture(scope="session")
def server(start: Callable[..., Server], models: dict[str, Path]) -> Iterator[Server]:
    """One that serves char, bare and bpe; at the end it must have met nothing unexpected."""
    found = start(*models.values())
    yield found
    assert found.process.poll() is None
    assert found.stop() == 0
    assert "Traceback" not in found.said and "internal error" not in found.said
    assert re.search(r" 500 \d", found.said) is None
