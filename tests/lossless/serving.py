"""Rows about the server: bodies and bytes of any kind, crowds, who leaves or dawdles, a stop under load, lost files."""

import atexit
import functools
import logging
import os
import random
import re
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import inkwright
from inkwright import interrupt
from inkwright.app.server import writing
from inkwright.app.server.limits import Limits
from inkwright.app.server.running import Service
from inkwright.app.server.served import Served, Shelf
from inkwright.config import SampleConfig
from inkwright.sample.engine import Engine, Event
from tests.lossless.harness import PATIENCE, Tally, finish, fork, kill, read_log
from tests.lossless.saving import small_run
from tests.server.conftest import Client, Server
from tests.server.test_bad_values import FIELDS, HOSTILE, decent

ENDLESS = {"prompt": "ba", "max_tokens": 4096, "stream": True, "temperature": 1.0}
ROUTES = ["/v1/completions", "/v1/chat/completions", "/tokenize", "/detokenize", "/api/next"]
POST = b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BROKEN = [
    b"\r\n" * 10, b"GET\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/0.9\r\n\r\n", b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x00" * 100, b"G" * 100_000, b"GET /" + b"a" * 100_000,
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: a\r\n" % i for i in range(10_000)) + b"\r\n",
    b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", b"GET / HTTP/1.1\nHost: localhost\n\n",
    b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\nhello",
    b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0x5\r\n\r\nhello",
    b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /tokenize" + POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /tokenize" + POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello!!!!\r\n0\r\n\r\n",
    b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"GET /a\rb HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /%ff%fe%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"CONNECT evil.com:443 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]  # fmt: skip
WHOLE = b"POST /tokenize" + POST + b'Content-Length: 30\r\n\r\n{"content": "aaaaaaaaaaaaaaa"}'


# ---------------------------------------------------------------- servers


@functools.cache
def real(*flags: object) -> Server:
    """`inkwright serve` in a process of its own, which the rows of this process share."""
    place = Path(tempfile.mkdtemp(prefix="inkwright-served-"))
    server = Server(place / "log", small_run(place, "char", block_size=32), *flags)

    def end() -> None:
        server.process.kill()
        server.process.communicate()
        shutil.rmtree(place, ignore_errors=True)

    atexit.register(end)
    server.complete(prompt="a", max_tokens=50)
    return server


class Forked(Client):
    """The same in a forked child: there at once. For models that the plain loop writes: kernels' threads survive no fork."""

    engine: type[Engine] = Engine

    def __init__(self, place: Path, folder: Path, **limits: float) -> None:
        reader, writer = os.pipe()
        self.log = place / f"{folder.name}.log"
        self.pid = fork(lambda: self._serve(folder, limits, writer), self.log)
        os.close(writer)
        with open(reader, encoding="utf-8") as file:
            said = file.readline()
        assert said, self.log.read_text()
        super().__init__(int(said))

    def _serve(self, folder: Path, limits: dict[str, Any], told: int) -> None:
        logging.basicConfig(stream=sys.stderr, level=logging.WARNING, force=True)
        writing.Engine = self.engine
        service = Service(Shelf([Served("char", folder, inkwright.load(folder))]), Limits(**limits))
        with interrupt.listening():
            os.write(told, f"{service.port}\n".encode())
            os.close(told)
            service.run()

    def ask_to_stop(self) -> None:
        """By a signal."""
        os.kill(self.pid, signal.SIGTERM)

    def ended(self) -> int:
        """Its exit code, once it has left, and soon; it must have met nothing unexpected."""
        code, _ = finish(self.pid, patience=30)
        assert "internal error" not in read_log(self.log)
        return code


class Faulty(Engine):
    """Breaks at that token of a text which is the number of its seed."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.left: dict[int, int] = {}

    def add(self, prompt: Sequence[int], config: SampleConfig, *rest: Any) -> int:
        handle = super().add(prompt, config, *rest)
        self.left[handle] = config.seed
        return handle

    def step(self) -> list[Event]:
        if 0 in self.left.values():
            raise RuntimeError("a fault that was planted, with a SECRET")
        events = super().step()
        for event in events:
            self.left[event.handle] -= 1
        return events


class Breaking(Forked):
    """A server whose engine is faulty."""

    engine = Faulty

    def end(self) -> None:
        """Without a word."""
        kill(self.pid)


@contextmanager
def watched(server: Server, tally: Tally) -> Iterator[None]:
    """Afterwards the server is alive, and nothing unexpected stands in its log."""
    yield
    with tally.trial("afterwards"):
        assert server.ask("GET", "/health").json["status"] == "ok"
        assert "Traceback" not in server.said and "internal error" not in server.said, server.said[-2000:]


def until(claim: Callable[[], bool]) -> float:
    """How long it took to come true."""
    began = time.monotonic()
    while not claim():
        assert time.monotonic() - began < PATIENCE, "it did not come true"
        time.sleep(0.005)
    return time.monotonic() - began


def rest(found: socket.socket) -> bytes:
    """All that still comes."""
    with found, found.makefile("rb") as file:
        return file.read()


def memory(server: Server) -> float:
    """MiB that the process holds."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def handles(server: Server) -> tuple[int, int]:
    """Open files, and threads."""
    process = Path(f"/proc/{server.process.pid}")
    return len(list((process / "fd").iterdir())), len(list((process / "task").iterdir()))


def is_idle(server: Client) -> bool:
    """Nothing is written, and nobody waits."""
    return server.number("num_requests_waiting") + server.number("num_requests_running") == 0


def is_at_rest(server: Client) -> bool:
    """Nothing more is written. Not `is_idle`: what is on its way to the server when its client leaves is counted later."""
    written = server.number("generation_tokens_total")
    time.sleep(0.1)
    return is_idle(server) and server.number("generation_tokens_total") == written


def high(values: list[float]) -> float:
    """Only one in a hundred is higher."""
    return sorted(values)[int(0.99 * len(values))]


# ---------------------------------------------------------------- what is asked


def bodies_of_any_kind(place: Path, tally: Tally) -> None:
    """S1. Any body on any route: an answer or a whole refusal, never a 500."""
    server = real()
    with watched(server, tally):
        while tally.more():
            body = _body(tally.random)
            with tally.trial(body[:200]):
                decent(server.ask("POST", tally.random.choice(ROUTES), body))


def _body(rng: random.Random) -> bytes:
    """Something like JSON, with fields of ours in it."""

    def value(depth: int) -> str:
        kind = rng.random()
        if depth > 3 or kind < 0.6:
            return rng.choice([*HOSTILE, '"char"', "NaN", "1e999", "tru", "'"])
        if kind < 0.8:
            return "[" + ",".join(value(depth + 1) for _ in range(rng.randrange(4))) + "]"
        return "{" + ",".join(f'"{rng.choice(FIELDS)}": {value(depth + 1)}' for _ in range(rng.randrange(4))) + "}"

    names = rng.sample(FIELDS, rng.randrange(1, 8))
    given = {"model": '"char"', "max_tokens": "1"} | {name: value(0) for name in names}
    body = bytearray("{" + ",".join(f'"{name}": {raw}' for name, raw in given.items()) + "}", "utf-8")
    if rng.random() < 0.3:
        body[rng.randrange(len(body))] = rng.randrange(256)
    return bytes(body)


def bytes_of_any_kind(place: Path, tally: Tally) -> None:
    """S3. What is no HTTP is refused or cut off, and nothing hangs."""
    server, rng = real(), tally.random
    with watched(server, tally):
        while tally.more():
            at = tally.trials
            sent = bytearray(BROKEN[at] if at < len(BROKEN) else rng.choice([WHOLE, *BROKEN]))
            for _ in range(0 if at < len(BROKEN) else rng.randrange(1, 6)):
                sent[rng.randrange(len(sent))] = rng.randrange(256)
            with tally.trial(bytes(sent[:80])):
                answer = b""
                with server.connect() as found, suppress(ConnectionError):
                    found.sendall(sent)
                    found.shutdown(socket.SHUT_WR)
                    while part := found.recv(65536):
                        answer += part
                assert not answer or answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 4")), answer[:200]


# ---------------------------------------------------------------- how much at once


def crowds(place: Path, tally: Tally) -> None:
    """S4. Of 500 endless streams at once 72 are taken on and end as they should, the rest is told 429; memory stays.

    While nothing more fits, /health and a refusal are there at once: their times are without the time for which the
    machine gave others the core.
    """
    server, health, refused = real("--request-seconds", 20), [], []
    with watched(server, tally):
        while tally.more():
            before = memory(server)
            with tally.trial("a crowd"), ThreadPoolExecutor(500) as pool:
                taken = [server.begin(**ENDLESS | {"n": 8}) for _ in range(72)]
                ends = [pool.submit(rest, stream) for stream in taken]
                crowd = [server.begin(**ENDLESS) for _ in range(428)]
                for said in pool.map(rest, crowd):
                    head = said.split(b"\r\n\r\n")[0].lower()
                    assert head.startswith(b"http/1.1 429 ") and b"\r\nretry-after: " in head, said[:200]
                assert server.number("num_requests_running") <= 8
                for _ in range(40):
                    health.append(undisturbed(server, lambda: server.ask("GET", "/health").status == 200))
                    refused.append(undisturbed(server, lambda: server.complete(**ENDLESS).status == 429))
                for said in (end.result() for end in ends):
                    assert said.startswith(b"HTTP/1.1 200 "), said[:200]
                    assert (b"data: [DONE]" in said) != (b'"code":"timeout"' in said), said[-300:]
                assert memory(server) - before <= 64
        with tally.trial("who is refused hears it at once"):
            tally.note(f"/health {1e3 * high(health):.0f} ms, 429 {1e3 * high(refused):.0f} ms at p99")
            assert high(health) <= 0.1 and high(refused) <= 0.05


def undisturbed(server: Server, claim: Callable[[], bool]) -> float:
    """The seconds until something came true, without those that the server or we waited for a core."""
    began, waited = time.monotonic(), _waited(server.process.pid) + _waited(os.getpid())
    assert claim()
    waited = _waited(server.process.pid) + _waited(os.getpid()) - waited
    return max(0.0, time.monotonic() - began - waited)


def _waited(pid: int) -> float:
    """Seconds that a process was ready to run and others ran; of its threads, the first one's."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    return 0.0


def who_leaves(place: Path, tally: Tally) -> None:
    """S5. While it streams, before its first token, waiting for its turn or for a whole answer: the place is free again."""
    server, rng = real(), tally.random
    start_handles, waits = handles(server), []
    with watched(server, tally):
        while tally.more():
            with tally.trial(f"leaving {tally.trials}"):
                crowd = [server.begin(**ENDLESS) for _ in range(10)] if tally.trials % 10 == 9 else []
                stream = server.begin(**ENDLESS | {"stream": tally.trials % 3 != 0})
                if tally.trials % 3 == 1:
                    stream.recv(1 + rng.randrange(2000))
                for each in (stream, *crowd):
                    each.close()
                waits.append(until(lambda: server.number("num_requests_running") == 0))
        with tally.trial("nothing is written for nobody, and nothing is kept of them"):
            until(lambda: is_at_rest(server))
            until(lambda: handles(server)[0] <= start_handles[0] + 1)
            assert handles(server)[1] <= start_handles[1] + 1
    tally.note(f"free after {1e3 * high(waits):.0f} ms at p99")


def alone_and_in_a_crowd(place: Path, tally: Tally) -> None:
    """S6. The same prompt and seed: the same text, alone and beside requests that come and leave."""
    server, leave = real(), threading.Event()
    kinds = [("ba", 1.0), ("ci", 0.0), ("us. ", 1.5), ("Fa", 0.7)] * 4
    wishes = [
        {"prompt": prompt, "max_tokens": 70, "seed": seed, "temperature": temperature, "logprobs": 1}
        for seed, (prompt, temperature) in enumerate(kinds)
    ]
    alone = [server.complete(**wish).json["choices"][0] for wish in wishes]

    def disturb(number: int) -> None:
        rng = random.Random(number)
        while not leave.is_set():
            with server.begin(prompt=f"CANARY{number}", max_tokens=rng.randrange(5, 60), stream=True) as stream:
                stream.recv(1 + rng.randrange(500))

    with watched(server, tally), ThreadPoolExecutor(24) as pool:
        noise = [pool.submit(disturb, number) for number in range(8)]
        try:
            while tally.more():
                for found, expected in zip(pool.map(lambda wish: server.complete(**wish), wishes), alone, strict=True):
                    with tally.trial("a text in a crowd"):
                        choice = found.json["choices"][0]
                        assert choice["text"] == expected["text"] and "CANARY" not in choice["text"]
                        pairs = zip(*(c["logprobs"]["token_logprobs"] for c in (choice, expected)), strict=True)
                        assert max(abs(a - b) for a, b in pairs) <= 1e-4
        finally:
            leave.set()
        for each in noise:
            each.result()


def who_dawdles(place: Path, tally: Tally) -> None:
    """S7. 200 that send a byte now and then and 100 that never read: cut off, and nobody else waits for them."""
    server = real("--header-seconds", 1, "--body-seconds", 2, "--stall-seconds", 2)
    head = b"POST /v1/completions" + POST + b"Content-Length: 400\r\n\r\n"
    while tally.more():
        with tally.trial("dawdlers"), watched(server, tally):
            slow = [server.connect() for _ in range(200)]
            for i, each in enumerate(slow):
                each.sendall(head if i % 2 else head[:20])
            deaf = [server.begin(**ENDLESS) for _ in range(100)]
            waits = []
            for _ in range(20):
                for each in slow:
                    with suppress(OSError):
                        each.send(b"x")
                began = time.monotonic()
                assert server.ask("GET", "/health").status == 200
                waits.append(time.monotonic() - began)
                time.sleep(0.1)
            until(lambda slow=slow: all(_is_cut(each) for each in slow))
            for each in (*slow, *deaf):
                each.close()
            until(lambda: is_idle(server))
            tally.note(f"/health {1e3 * high(waits):.0f} ms at p99")


def _is_cut(found: socket.socket) -> bool:
    """The server has told it 408 or closed it."""
    found.settimeout(0.01)
    try:
        answer = found.recv(4096)
        assert not answer or b" 408 " in answer, answer
        return True
    except TimeoutError:
        return False
    except OSError:
        return True


def mixed_traffic(place: Path, tally: Tally) -> None:
    """S20. Whatever comes for a long time: no file and no memory is kept of it."""
    server = real()
    measured: list[tuple[float, float, int]] = []
    with watched(server, tally), ThreadPoolExecutor(4) as pool:
        while tally.more():
            wishes = [tally.random.randrange(2**31) for _ in range(40)]
            for done in pool.map(lambda seed: _some_request(server, random.Random(seed)), wishes):
                with tally.trial("a request"):
                    assert done < 500
            until(lambda: is_idle(server))
            measured.append((time.monotonic(), memory(server), handles(server)[0]))
        with tally.trial("the same files, and no more memory"):
            settled = measured[len(measured) // 3 :]  # by then, nearly all that is made once is made
            hours = (settled[-1][0] - settled[0][0]) / 3600
            eighths = [settled[(len(settled) - 1) * part // 8][1] for part in range(9)]
            steps = sorted(after - before for before, after in pairwise(eighths))
            steady = 8 * (steps[3] + steps[4]) / 2  # the median, for what is made once may still come late
            grown = settled[-1][1] - settled[0][1]
            assert settled[-1][2] <= settled[0][2] + 4
            assert steady <= max(1.0, hours), f"{steady:.1f} MiB of steady growth in {60 * hours:.0f} minutes"
            assert grown <= max(16.0, hours), f"{grown:.1f} MiB more after {60 * hours:.0f} minutes"
            tally.note(f"memory +{grown:.1f} MiB in {60 * hours:.1f} minutes, {steady:.2f} of it steadily")


def _some_request(server: Server, rng: random.Random) -> int:
    """A request of any kind, and the status it got; 0 where the client left first."""
    kind = rng.random()
    if kind < 0.2:
        return server.ask("POST", rng.choice(ROUTES), _body(rng)).status
    if kind < 0.4:
        with server.begin(**ENDLESS) as stream:
            stream.recv(rng.randrange(1, 3000))
        return 0
    return server.complete(
        prompt="ba", max_tokens=rng.randrange(1, 60), stream=kind < 0.7, n=rng.randrange(1, 4)
    ).status


# ---------------------------------------------------------------- the end, and lost files


def stopped_under_load(place: Path, tally: Tally) -> None:
    """S9. Asked to stop: what is written ends whole or with an error event, what is new gets 503, the exit code is 0.

    Beside them one client that never reads and one that never ends its request, on a server with all the patience.
    """
    run, rng = small_run(place, model="layernorm", block_size=32), tally.random
    patience = dict(stall_seconds=300, body_seconds=300, running=2)
    while tally.more():
        with tally.trial(f"stop {tally.trials}"):
            server = Forked(place, run, stop_seconds=rng.choice([0.2, 1.0]), **patience)
            deaf, slow = server.connect(), server.connect()
            deaf.settimeout(0.2)
            with suppress(TimeoutError):
                deaf.sendall(b"GET /page/app.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3000)
            slow.sendall(b"POST /tokenize" + POST + b"Content-Length: 400\r\n\r\n{")
            streams = [server.begin(prompt="ba", max_tokens=rng.choice([5, 100, 4096]), stream=True) for _ in range(6)]
            assert b"200 OK" in streams[0].recv(15)
            time.sleep(rng.random() * 0.2)
            server.ask_to_stop()
            with suppress(ConnectionError):
                assert server.complete(prompt="a", max_tokens=1).status in (200, 503)
            for said in map(rest, streams):
                whole, broken = b"data: [DONE]" in said, b'"code":"shutting_down"' in said
                assert whole != broken, said[-300:]
            assert server.ended() == 0
            for each in (deaf, slow):
                each.close()


def broken_at_a_token(place: Path, tally: Tally) -> None:
    """S19. A text that breaks at any token: an error event, never [DONE]; unstreamed a 500. Others are served on."""
    server = Breaking(place, small_run(place, model="layernorm", block_size=32))
    try:
        while tally.more():
            at = tally.trials
            with tally.trial(f"a fault at token {at}"):
                wish = {"prompt": "ba", "max_tokens": 60, "seed": at, "return_token_ids": True}
                stream = server.complete(**wish, stream=True)
                *pieces, last = stream.events
                written = sum(len(choice["token_ids"]) for piece in pieces for choice in piece["choices"])
                whole = server.complete(**wish)
                assert (stream.status, whole.status, written) == (200, 500, at)
                for told in (last["error"], whole.error):
                    number = re.fullmatch(r".*the server's log has it under ([0-9a-f]{8})\.", told["message"])
                    assert told["code"] == "internal_error" and number and number[1] in server.log.read_text()
                assert b"[DONE]" not in stream.body and b"SECRET" not in stream.body + whole.body
                assert (
                    server.complete(prompt="ba", max_tokens=3, seed=10).json["choices"][0]["finish_reason"] == "length"
                )
    finally:
        server.end()


def files_taken_away(place: Path, tally: Tally) -> None:
    """S10. Whatever happens to its files, a server goes on with the weights that it has."""
    run, rng = small_run(place, model="layernorm", block_size=32), tally.random
    wish = {"prompt": "ba", "max_tokens": 40, "seed": 1}
    while tally.more():
        with tally.trial(f"files {tally.trials}"):
            folder = Path(shutil.copytree(run, place / f"copy-{tally.trials}"))
            server = Forked(place, folder)
            before = server.complete(**wish).json
            damage = threading.Thread(target=_spoil, args=(folder, rng.randrange(4), rng.randbytes(50)))
            damage.start()
            for _ in range(5):
                after = server.complete(**wish).json
                assert after["choices"] == before["choices"]
                assert after["system_fingerprint"] == before["system_fingerprint"]
                assert server.ask("GET", "/api/runs/char").status == 200
            damage.join()
            server.ask_to_stop()
            assert server.ended() == 0
            shutil.rmtree(folder, ignore_errors=True)


def _spoil(folder: Path, how: int, junk: bytes) -> None:
    if how == 0:
        shutil.rmtree(folder)
        return
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            if how == 1:
                path.unlink()
            else:
                path.write_bytes(junk if how == 2 else path.read_bytes()[:-7])
