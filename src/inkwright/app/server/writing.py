"""One thread writes for everybody: requests join its queue, and their texts come back piece by piece. Knows no HTTP."""

import asyncio
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from inkwright.app.server.asking import Asked
from inkwright.app.server.limits import Limits
from inkwright.app.server.metrics import Metrics
from inkwright.app.server.refusal import Refused
from inkwright.app.server.served import Served
from inkwright.config import SampleConfig, change
from inkwright.errors import InkwrightError
from inkwright.language_model import split_at_stop
from inkwright.sample.engine import Engine, Event, surprises

LOG = logging.getLogger("inkwright.serve")


@dataclass(frozen=True)
class Mark:
    """One token of a text."""

    token_id: int
    logprob: float | None
    """Natural logarithm of the model's probability for it; None for the first of a prompt."""
    top: Sequence[tuple[int, float]]
    offset: int
    """Characters of the text before it."""


@dataclass(frozen=True)
class Piece:
    """What was added to one text."""

    index: int
    text: str
    marks: Sequence[Mark]
    tokens: int
    """Tokens that were drawn for it."""
    finish: str | None = None
    """Why it is the last one: "stop" or "length"."""


class Draft:
    """One text that is being written: ids go in, characters come out, none of them split."""

    def __init__(self, asked: Asked, index: int, offset: int) -> None:
        self.asked, self.index = asked, index
        self._decoder = asked.served.lm.tokenizer.streamer()
        self._held = ""
        self._marks: list[Mark] = []
        self._read = self._shown = offset  # characters decoded, and characters that were handed out

    def push(self, event: Event) -> Piece:
        """What this token adds; with `finish` set it is the last piece."""
        asked = self.asked
        if event.token_id == asked.served.lm.tokenizer.end_id and not asked.ignore_end:
            return self._last("stop", 1)
        decoded = self._decoder.push(event.token_id)
        self._marks.append(Mark(event.token_id, event.logprob, event.top, self._read))
        self._read += len(decoded)
        text, self._held, stopped = split_at_stop(self._held + decoded, asked.config.stop)
        if stopped:
            return self._piece(text, 1, "stop")
        return self._last("length", 1, text) if event.finished else self._piece(text, 1)

    def _last(self, finish: str, tokens: int, before: str = "") -> Piece:
        text, rest, stopped = split_at_stop(self._held + self._decoder.finish(), self.asked.config.stop)
        piece = self._piece(before + text + ("" if stopped else rest), tokens, "stop" if stopped else finish)
        marks = piece.marks if stopped else [*piece.marks, *self._marks]
        return Piece(piece.index, piece.text, marks, tokens, piece.finish)

    def _piece(self, text: str, tokens: int, finish: str | None = None) -> Piece:
        self._shown += len(text)
        ready = [mark for mark in self._marks if mark.offset < self._shown]
        self._marks = self._marks[len(ready) :]
        return Piece(self.index, text, ready, tokens, finish)


class Job:
    """One request in the hands of the writer. Everything here but `_pieces` belongs to the event loop that made it."""

    def __init__(self, deadline: float, asked: Asked | None = None, work: Callable[[], Any] | None = None) -> None:
        self.asked, self.work, self.deadline = asked, work, deadline
        self.began = time.monotonic()
        self.dropped = False
        self.to_begin = deque(range(len(asked.prompts) * asked.n if asked else 0))
        self.open = len(self.to_begin) or 1
        """Texts without an end."""
        self._loop = asyncio.get_running_loop()
        self._pieces: deque[Any] = deque()
        self._news = asyncio.Event()
        self._ended = asyncio.Event()

    def put(self, piece: Any, last: bool = False) -> None:
        """Hand something over, from the writer's thread; an exception is raised where it is read."""
        quiet = not self._pieces
        self._pieces.append(piece)
        if quiet or last:
            try:
                self._loop.call_soon_threadsafe(self._tell, last)
            except RuntimeError:  # the loop is closed: nobody is there to read
                self.dropped = True

    def _tell(self, last: bool) -> None:
        self._news.set()
        if last:
            self._ended.set()

    async def read(self) -> list[Any]:
        """What came since, at most up to an error; empty once all has been read.

        Raises: Refused   the writer gave up
        """
        while not self._pieces:
            if self._ended.is_set():
                return []
            self._news.clear()
            if not self._pieces:
                await self._news.wait()
        found: list[Any] = []
        while self._pieces:
            if isinstance(self._pieces[0], Exception) and found:
                break  # what was written before it is read first
            piece = self._pieces.popleft()
            if isinstance(piece, Exception):
                raise piece
            found.append(piece)
        return [piece for piece in found if piece is not None]

    async def gather(self, seconds: float) -> None:
        """Let pieces gather for a moment, unless the last one is here."""
        try:
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        except TimeoutError:
            pass


class Writer(threading.Thread):
    """The only thread that touches the models."""

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        super().__init__(name="writer", daemon=True)
        self.limits, self.metrics = limits, metrics
        self._changed = threading.Condition()
        self._jobs: list[Job] = []  # accepted and without an end, oldest first
        self._engines: dict[str, Engine] = {}
        self._drafts: dict[tuple[str, int], tuple[Job, Draft]] = {}
        self._stopping: Refused | None = None
        self._looked = 0.0

    def prepare(self, served: Served) -> None:
        """Make a model ready, before the thread begins: the first token may cost seconds of compiling."""
        engine = self._engine(served)
        engine.add(served.lm.prompt_ids(""), SampleConfig(max_new_tokens=1))
        engine.step()
        _ = served.fingerprint  # which hashes all weights: not while somebody waits

    def _engine(self, served: Served) -> Engine:
        if served.name not in self._engines:
            self._engines[served.name] = Engine(served.lm.model, self.limits.running)
        return self._engines[served.name]

    # ------------------------------------------------------------ from the event loop

    @property
    def running(self) -> int:
        """Texts that are being written."""
        return len(self._drafts)

    @property
    def waiting(self) -> int:
        """Requests of which nothing was begun."""
        with self._changed:
            return sum(len(job.to_begin) == job.open or bool(job.work) for job in self._jobs)

    @property
    def idle(self) -> bool:
        """Nobody waits for anything."""
        return not self._jobs

    def submit(self, job: Job) -> None:
        """Put a request at the end of the queue.

        Raises: Refused   429, the queue is full; 503, the server is stopping
        """
        with self._changed:
            if self._stopping is not None:
                raise self._stopping
            if len(self._jobs) >= self.limits.running + self.limits.waiting:
                seconds = 1 + len(self._jobs) // 16
                message = f"{self.limits.running} running, {self.limits.waiting} waiting; try again in {seconds} s."
                raise Refused(429, "overloaded", message, headers={"Retry-After": str(seconds)})
            self._jobs.append(job)
            self._changed.notify()

    def drop(self, job: Job) -> None:
        """Its client left: nothing more of it is computed."""
        with self._changed:
            job.dropped = True
            self._changed.notify()

    def stop(self, why: Refused) -> None:
        """End all that is open with `why`, and the thread with it."""
        with self._changed:
            self._stopping = why
            self._changed.notify()

    # ------------------------------------------------------------ in the thread

    def run(self) -> None:
        """Write until stopped."""
        while True:
            with self._changed:
                while not self._jobs and self._stopping is None:
                    self._changed.wait()
                if self._stopping is not None:
                    for job in list(self._jobs):
                        self._end(job, self._stopping)
                    return
            try:
                self._sweep()
                self._begin()
                self._advance()
            except Exception as error:  # never for one request: all that is open ends, and the next one starts afresh
                self._fail(self._jobs, error)

    def _sweep(self) -> None:
        """End what nobody waits for any more, and what took too long."""
        now = time.monotonic()
        look = now - self._looked > 0.05
        self._looked = now if look else self._looked
        for job in list(self._jobs):
            if job.dropped:
                self.metrics.count("disconnects_total")
                self._end(job, None)
            elif look and now > job.deadline:
                seconds = f"{self.limits.request_seconds:g}"
                self._end(job, Refused(408, "timeout", f"Took longer than {seconds} s; ask for fewer tokens."))

    def _begin(self) -> None:
        """Give free places to the oldest."""
        for job in list(self._jobs):
            if (work := job.work) is not None:
                self._attempt(job, lambda job=job, work=work: self._end(job, work()))
            while job.to_begin and len(self._drafts) < self.limits.running:
                if not self._attempt(job, lambda job=job: self._begin_text(job, job.to_begin.popleft())):
                    break
            if len(self._drafts) >= self.limits.running:
                return

    def _attempt(self, job: Job, action: Callable[[], None]) -> bool:
        """Do something for one request; what goes wrong ends that one only."""
        try:
            action()
            return True
        except Exception as error:
            self._fail([job], error)
            return False

    def _begin_text(self, job: Job, index: int) -> None:
        asked = job.asked
        assert asked is not None
        prompt, served, offset = asked.prompts[index // asked.n], asked.served, 0
        if asked.echo:
            piece = _echoed(asked, index, prompt)
            offset = len(piece.text)
            if not asked.max_tokens:
                self.metrics.count("prompt_tokens_total", len(prompt))
                self._deliver(job, Piece(index, piece.text, piece.marks, 0, "length"))
                return
            self._deliver(job, piece)
        config = change(asked.config, seed=(asked.config.seed + index % asked.n) % 2**63)
        never = served.lm.unseen
        handle = self._engine(served).add(prompt, config, never, asked.top or 0)
        self.metrics.count("prompt_tokens_total", len(prompt))
        self._drafts[served.name, handle] = job, Draft(asked, index, offset)

    def _advance(self) -> None:
        """One more token for every text."""
        for name, engine in list(self._engines.items()):
            if not engine.running:
                continue
            try:
                events = engine.step()
            except Exception as error:
                self._fail([job for (served, _), (job, _) in self._drafts.items() if served == name], error)
                del self._engines[name]
                continue
            self.metrics.count("generation_tokens_total", len(events))
            for event in events:
                job, draft = self._drafts[name, event.handle]
                piece = draft.push(event)
                if piece.finish is not None:
                    del self._drafts[name, event.handle]
                    engine.cancel(event.handle)
                self._deliver(job, piece)

    def _deliver(self, job: Job, piece: Piece) -> None:
        if piece.finish is not None:
            job.open -= 1
            if not job.open:
                self._end(job, piece)
                return
        job.put(piece)

    def _end(self, job: Job, last: Any) -> None:
        """The last that a request hears, and its places are free."""
        if job not in self._jobs:
            return
        with self._changed:
            self._jobs.remove(job)
        for (name, handle), (owner, _) in list(self._drafts.items()):
            if owner is job:
                del self._drafts[name, handle]
                self._engines[name].cancel(handle)
        job.put(last, last=True)

    def _fail(self, jobs: Sequence[Job], error: Exception) -> None:
        for job in list(dict.fromkeys(jobs)):
            self._end(job, as_refusal(error))


def as_refusal(error: Exception) -> Refused:
    """What a client is told of something that went wrong: never the text of an exception of ours."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, InkwrightError):
        return Refused(422, "model_error", f"{error.message}.")
    number = secrets.token_hex(4)
    LOG.error("internal error %s", number, exc_info=error)
    return Refused(500, "internal_error", f"Something went wrong here; the server's log has it under {number}.")


def _echoed(asked: Asked, index: int, prompt: Sequence[int]) -> Piece:
    """The prompt as the first piece of its text, with what the model thinks of it where that was asked for."""
    decoder, marks, text = asked.served.lm.tokenizer.streamer(), [], ""
    if asked.top is None:
        return Piece(index, asked.served.lm.tokenizer.decode(prompt), (), 0)
    for found in surprises(asked.served.lm.model, prompt, asked.top):
        marks.append(Mark(found.token_id, found.logprob, found.top, len(text)))
        text += decoder.push(found.token_id)
    return Piece(index, text + decoder.finish(), marks, 0)


def timed(limits: Limits) -> float:
    """When a request that comes now has taken too long."""
    return time.monotonic() + limits.request_seconds
