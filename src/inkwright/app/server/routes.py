"""The routes: which path is for what, and what each of them does with its request."""

import asyncio
import difflib
import platform
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from inkwright.app.server import asking, runs
from inkwright.app.server.asking import Asked, Fields, shown
from inkwright.app.server.guard import read_body
from inkwright.app.server.limits import MAX_PROMPT_CHARACTERS, Limits
from inkwright.app.server.metrics import Metrics
from inkwright.app.server.refusal import Refused, bad
from inkwright.app.server.replies import Receive, Scope, Send, Stream, Whole, pieces_of, record
from inkwright.app.server.served import Served, Shelf
from inkwright.app.server.shapes import Answer
from inkwright.app.server.strict_json import parse
from inkwright.app.server.writing import Job, Writer, timed
from inkwright.errors import TextError
from inkwright.version import __version__


class Request(NamedTuple):
    """One request that the guard let pass."""

    scope: Scope
    receive: Receive
    rest: str
    """What follows the path of its route, where that is the beginning of many; else empty."""


Handler = Callable[[Request], Awaitable[Whole | Stream]]


class Route(NamedTuple):
    """A path and what answers it; one that ends in NAME is the beginning of many."""

    method: str
    path: str
    handler: Handler

    def rest(self, path: str) -> str | None:
        """What of this path is not in the route's; None where it is another path."""
        if self.path.endswith(NAME):
            beginning = self.path.removesuffix(NAME)
            return path.removeprefix(beginning) if path.startswith(beginning) else None
        return "" if path == self.path else None


NAME = "{name}"
SMALL_BYTES = 16_384  # of a body: whatever it says, reading it takes no longer than some milliseconds
FEW_PIECES = 256
T = TypeVar("T")


class Routes:
    """All routes, as an ASGI application without the guard before it."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = tuple(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request.

        Raises: Refused
        """
        route, rest = self.find(scope["method"], scope["path"])
        reply = await route.handler(Request(scope, receive, rest))
        await reply(receive, send)

    def find(self, method: str, path: str) -> tuple[Route, str]:
        """The route of a path, and what follows it. HEAD is answered like GET; the connection leaves the body out.

        Raises: Refused   404, 405
        """
        wanted = "GET" if method == "HEAD" else method
        found = [(route, rest) for route in self.routes if (rest := route.rest(path)) is not None]
        for route, rest in found:
            if route.method == wanted:
                return route, rest
        if found:
            allow = found[0][0].method.replace("GET", "GET, HEAD")
            message = f"{path[:60]!a} takes {allow}."
            raise Refused(405, "method_not_allowed", message, headers={"Allow": allow})
        near = difflib.get_close_matches(path[:200], sorted({route.path for route in self.routes}), n=1, cutoff=0.0)
        raise Refused(404, "not_found", f"There is nothing at {path[:60]!a}; the nearest route is {near[0]}.")


class Desk:
    """What the routes work with, and what they do."""

    def __init__(self, shelf: Shelf, limits: Limits, writer: Writer, metrics: Metrics) -> None:
        self.shelf, self.limits, self.writer, self.metrics = shelf, limits, writer, metrics

    def routes(self, files: Mapping[str, runs.File]) -> Routes:
        """OpenAI's, what tools ask for, what the page asks for, and the files of the page."""
        return Routes(
            [
                Route("POST", "/v1/completions", self.completions),
                Route("POST", "/v1/chat/completions", self.chat_completions),
                Route("GET", "/v1/models", self.models),
                Route("GET", "/v1/models/" + NAME, self.model),
                Route("GET", "/health", self.health),
                Route("GET", "/metrics", self.numbers),
                Route("POST", "/tokenize", self.tokenize),
                Route("POST", "/detokenize", self.detokenize),
                Route("GET", "/api/models", self.overview),
                Route("GET", "/api/runs/" + NAME, self.run),
                Route("POST", "/api/next", self.distribution),
                *(Route("GET", path, _page(file)) for path, file in files.items()),
            ]
        )

    # ------------------------------------------------------------ OpenAI's

    async def completions(self, request: Request) -> Whole | Stream:
        """A prompt and what follows it."""
        return await self._write(request, asking.completion)

    async def chat_completions(self, request: Request) -> Whole | Stream:
        """The next turn of a chat."""
        return await self._write(request, asking.chat)

    async def _write(self, request: Request, check: Callable[[dict[str, Any], Shelf], Asked]) -> Whole | Stream:
        asked = await self._understood(request, lambda body: check(body, self.shelf))
        job = Job(timed(self.limits), asked)
        if asked.stream:
            self.writer.submit(job)
            return Stream(asked, job, self.writer, self.metrics)
        pieces = await pieces_of(job, request.receive, self.writer, self.metrics)
        return await apart(len(pieces) > FEW_PIECES, lambda: record(Answer(asked).whole(pieces)))

    async def models(self, request: Request) -> Whole:
        """All models."""
        return record({"object": "list", "data": [_model(served) for served in self.shelf.values()]})

    async def model(self, request: Request) -> Whole:
        """One model."""
        return record(_model(self.shelf.find(request.rest)))

    # ------------------------------------------------------------ for tools

    async def health(self, request: Request) -> Whole:
        """Whether the server is there."""
        return record({"status": "ok", "version": __version__, "python": platform.python_version()})

    async def numbers(self, request: Request) -> Whole:
        """Counters for Prometheus."""
        text = self.metrics.text(self.writer.running, self.writer.waiting)
        return Whole(text.encode(), "text/plain; version=0.0.4; charset=utf-8")

    async def tokenize(self, request: Request) -> Whole:
        """A text as ids."""
        return await self._understood(request, self._ids)

    async def detokenize(self, request: Request) -> Whole:
        """Ids as a text."""
        return await self._understood(request, self._text)

    def _ids(self, body: dict[str, Any]) -> Whole:
        fields = Fields(body)
        served = self._named(fields)
        content = fields.take("content")
        if not isinstance(content, str):
            raise bad("content", f"content must be a text (got {shown(content)}).")
        try:
            return record({"tokens": served.lm.tokenizer.encode(content).tolist()})
        except TextError as error:
            raise bad("content", f"{error.message}.") from None

    def _text(self, body: dict[str, Any]) -> Whole:
        fields = Fields(body)
        served = self._named(fields)
        tokens, vocab_size = fields.take("tokens"), served.lm.tokenizer.vocab_size
        known = isinstance(tokens, list) and len(tokens) <= MAX_PROMPT_CHARACTERS
        if not known or not all(type(token) is int and 0 <= token < vocab_size for token in tokens):
            raise bad("tokens", f"tokens must be a list of ids from 0 to {vocab_size - 1} (got {shown(tokens)}).")
        return record({"content": served.lm.tokenizer.decode(tokens)})

    # ------------------------------------------------------------ for the page

    async def overview(self, request: Request) -> Whole:
        """All models in a few facts."""
        return record({"models": [runs.describe(served) for served in self.shelf.values()]})

    async def run(self, request: Request) -> Whole:
        """Where the run of a model stands."""
        return record(await asyncio.to_thread(runs.progress, self.shelf.find(request.rest)))

    async def distribution(self, request: Request) -> Whole:
        """What could come after some ids."""
        work = await self._understood(request, self._distribution)
        found = await pieces_of(Job(timed(self.limits), work=work), request.receive, self.writer)
        return record(found[0])

    def _distribution(self, body: dict[str, Any]) -> Callable[[], dict[str, Any]]:
        fields = Fields(body)
        served = self.shelf.find(fields.take("model"))
        ids = asking.prompt_ids(fields.take("ids"), served)
        written = fields.whole("written", 0, 0, len(ids))
        return lambda: runs.distribution(served, ids, written)

    # ------------------------------------------------------------ what they share

    async def _understood(self, request: Request, understand: Callable[[dict[str, Any]], T]) -> T:
        """What a body asks for.

        Raises: Refused   it is no JSON object, or not what `understand` takes
        """
        raw = await read_body(request.scope, request.receive, self.limits)
        return await apart(len(raw) > SMALL_BYTES, lambda: understand(parse(raw)))

    def _named(self, fields: Fields) -> Served:
        """The model a request names; the only one may stay unnamed."""
        name = fields.take("model")
        return self.shelf.find(next(iter(self.shelf)) if name is None and len(self.shelf) == 1 else name)


async def apart(is_large: bool, work: Callable[[], T]) -> T:
    """The result of some work; while large work is done, the event loop answers everybody else."""
    return await asyncio.to_thread(work) if is_large else work()


def _page(file: runs.File) -> Handler:
    reply = Whole(file.body, file.kind)

    async def send(request: Request) -> Whole:
        return reply

    return send


def _model(served: Served) -> dict[str, Any]:
    return {"id": served.name, "object": "model", "created": served.created, "owned_by": "inkwright"}
