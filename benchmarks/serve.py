"""What HTTP adds: a real server process beside the bare engine of the same model, and what the server keeps of its visitors.

python -m benchmarks.serve [--rounds 5] [--size nanogpt-cpu] [--threads N]

Fresh weights, temperature 0.8, seed by seed the same texts on both sides. One visitor: from the request to its first
token. Eight at once: all their tokens by the time of the last. Visitors: 100 streams at once, then 200 that leave early.
"""

import argparse
import http.client
import json
import os
import re
import statistics
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import torch

from benchmarks import machine
from inkwright import config as configs
from inkwright.model import LogitModel, build
from inkwright.run import model_folder
from inkwright.sample.engine import Engine
from inkwright.text.tokenizer import Tokenizer

ALPHABET = (string.ascii_letters + " \n.,:;!?'-&3$")[:65]
PROMPT, TOKENS, AT_ONCE = "The quality of mercy is not ", 256, 8
ASKS = 10  # in a round, for the middle one's first token


def main() -> None:
    """Print three figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", default="nanogpt-cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch, on both sides")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(machine.describe())
    report(arguments.size, arguments.rounds, arguments.threads)


def report(size: str, rounds: int, threads: int) -> None:
    """The three figures for a preset's model: median (lowest to highest) of the rounds."""
    model = build(configs.change(configs.resolve({}, size).model, vocab_size=65, dropout=0.0), 1337).eval()
    tokenizer = Tokenizer.fit(configs.TextConfig(alphabet="bare"), [ALPHABET])
    prompt = tokenizer.encode(PROMPT).tolist()
    engine = Engine(model, AT_ONCE)
    print(f"\nserving {size}: {model.parameter_count / 1e6:.1f} M parameters, {rounds} rounds")
    with tempfile.TemporaryDirectory() as place, serving(model, tokenizer, Path(place), threads) as visitor:
        first, rates = [], []
        for _ in range(rounds + 1):
            asks = [(visitor.first_token(), first_token(engine, prompt)) for _ in range(ASKS)]
            first.append(tuple(map(statistics.median, zip(*asks, strict=True))))
            rates.append((visitor.rate(range(AT_ONCE)), rate(engine, prompt)))
        compare("first token, ms", [(1e3 * a, 1e3 * b) for a, b in first[1:]], 2)  # the round before them warms up
        compare(f"{AT_ONCE} streams, tokens/s", rates[1:], 0)
        before = visitor.memory()
        visitor.rate(range(100))
        after = visitor.memory()
        for seed in range(200):
            visitor.leave(seed)
        visitor.rate(range(1))  # by then all of them are gone
        print(f"memory of the server, MiB: {before:.0f}, after 100 streams at once {after:.0f}, ", end="")
        print(f"after 200 that left {visitor.memory():.0f}")


def compare(name: str, pairs: Sequence[tuple[float, float]], digits: int) -> None:
    """One line: over HTTP, bare, and one by the other."""
    over, bare = zip(*pairs, strict=True)
    ratio = machine.spread([a / b for a, b in pairs])
    print(f"{name:22} HTTP {machine.spread(over, digits)}, bare {machine.spread(bare, digits)}, {ratio} x")


# ---------------------------------------------------------------- bare


def asked(seed: int, tokens: int = TOKENS) -> configs.SampleConfig:
    """What every text is asked for."""
    return configs.SampleConfig(max_new_tokens=tokens, temperature=0.8, seed=seed)


def first_token(engine: Engine, prompt: Sequence[int]) -> float:
    """Seconds until one text has its first token."""
    began = time.perf_counter()
    handle = engine.add(prompt, asked(0))
    engine.step()
    took = time.perf_counter() - began
    engine.cancel(handle)
    return took


def rate(engine: Engine, prompt: Sequence[int]) -> float:
    """Tokens per second of eight texts together."""
    began = time.perf_counter()
    for seed in range(AT_ONCE):
        engine.add(prompt, asked(seed))
    while engine.running:
        engine.step()
    return AT_ONCE * TOKENS / (time.perf_counter() - began)


# ---------------------------------------------------------------- over HTTP


@contextmanager
def serving(model: LogitModel, tokenizer: Tokenizer, place: Path, threads: int) -> Iterator["Visitor"]:
    """`inkwright serve` with this model, in a process of its own, with room for everybody."""
    folder, log = place / "model", place / "log"
    folder.mkdir()
    for name, raw in model_folder.contents(model, tokenizer, [], "").items():
        (folder / name).write_bytes(raw)
    command = [sys.executable, "-m", "inkwright", "serve", str(folder), "--port", "0", "--quiet", "--waiting", "100"]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stderr=file, env=os.environ | {"OMP_NUM_THREADS": str(threads)})
    try:
        while not (found := re.search(r"page +http://\S+:(\d+)\n.*API", log.read_text(), re.DOTALL)):
            if process.poll() is not None:
                sys.exit(f"the server ended:\n{log.read_text()}")
            time.sleep(0.05)
        yield Visitor(int(found[1]), process.pid)
    finally:
        process.terminate()
        process.wait()


class Visitor:
    """Who asks the server."""

    def __init__(self, port: int, pid: int) -> None:
        self.port, self.pid = port, pid

    @contextmanager
    def stream(self, seed: int) -> Iterator[http.client.HTTPResponse]:
        """One text as it comes."""
        fields = asked(seed).model_dump(include={"temperature", "seed"}) | {"prompt": PROMPT, "max_tokens": TOKENS}
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        body = json.dumps(fields | {"model": "model", "stream": True})
        connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            sys.exit(f"the server said {response.status}: {response.read()[:300]!r}")
        yield response
        connection.close()

    def first_token(self) -> float:
        """Seconds from the request to the first event."""
        began = time.perf_counter()
        with self.stream(0) as response:
            response.readline()
            took = time.perf_counter() - began
            response.read()
        return took

    def rate(self, seeds: Sequence[int]) -> float:
        """Tokens per second of so many streams at once, all together."""

        def whole(seed: int) -> None:
            with self.stream(seed) as response:
                assert response.read().endswith(b"data: [DONE]\n\n")

        with ThreadPoolExecutor(len(seeds)) as pool:
            began = time.perf_counter()
            list(pool.map(whole, seeds))
            return len(seeds) * TOKENS / (time.perf_counter() - began)

    def leave(self, seed: int) -> None:
        """Read a little and go."""
        with self.stream(seed) as response:
            response.read(1 + seed % 500)

    def memory(self) -> float:
        """MiB that the server holds; nan where the system does not tell."""
        status = Path(f"/proc/{self.pid}/status")
        found = re.search(r"VmRSS:\s+(\d+)", status.read_text()) if status.exists() else None
        return int(found[1]) / 1024 if found else float("nan")


if __name__ == "__main__":
    main()
