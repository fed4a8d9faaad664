"""The routes: which path is for what, and what each of them does with its request."""

import asyncio
import difflib
import platform
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from inkwright.app.server import asking, runs
from inkwright.app.server.asking import Asked, Fields, shown
from inkwright.app.server.guard import read_body
from inkwright.app.server.limits import MAX_PROMPT_CHARACTERS, Limits
from inkwright.app.server.metrics import Metrics
from inkwright.app.server.refusal import Refused, bad
from inkwright.app.server.replies import Stream, pieces_of, record, refusal
from inkwright.app.server.served import Served, Shelf
from inkwright.app.server.shapes import Answer
from inkwright.app.server.strict_json import parse
from inkwright.app.server.writing import Job, Writer, as_refusal, timed
from inkwright.errors import TextError
from inkwright.version import __version__

Handler = Callable[[Request], Awaitable[Response]]
GET = ["GET", "HEAD"]  # the connection leaves the body of an answer to HEAD out
SMALL_BYTES = 16_384  # of a body: whatever it says, reading it takes no longer than some milliseconds
FEW_PIECES = 256
T = TypeVar("T")


class Desk:
    """What the routes work with, and what they do."""

    def __init__(self, shelf: Shelf, limits: Limits, writer: Writer, metrics: Metrics) -> None:
        self.shelf, self.limits, self.writer, self.metrics = shelf, limits, writer, metrics

    def application(self, files: Mapping[str, runs.File]) -> FastAPI:
        """OpenAI's routes, what tools ask for, what the page asks for, and the files of the page; no guard before them."""
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
        app.add_api_route("/v1/completions", self.completions, methods=["POST"])
        app.add_api_route("/v1/chat/completions", self.chat_completions, methods=["POST"])
        app.add_api_route("/v1/models", self.models, methods=GET)
        app.add_api_route("/v1/models/{name:path}", self.model, methods=GET)
        app.add_api_route("/health", self.health, methods=GET)
        app.add_api_route("/metrics", self.numbers, methods=GET)
        app.add_api_route("/tokenize", self.tokenize, methods=["POST"])
        app.add_api_route("/detokenize", self.detokenize, methods=["POST"])
        app.add_api_route("/api/models", self.overview, methods=GET)
        app.add_api_route("/api/runs/{name:path}", self.run, methods=GET)
        app.add_api_route("/api/next", self.distribution, methods=["POST"])
        for path, file in files.items():
            app.add_api_route(path, _page(file), methods=GET)
        app.add_exception_handler(HTTPException, _unrouted)
        app.add_exception_handler(Refused, _refused)
        app.add_exception_handler(Exception, _refused)
        return app

    # ------------------------------------------------------------ OpenAI's

    async def completions(self, request: Request) -> Response:
        """A prompt and what follows it."""
        return await self._write(request, asking.completion)

    async def chat_completions(self, request: Request) -> Response:
        """The next turn of a chat."""
        return await self._write(request, asking.chat)

    async def _write(self, request: Request, check: Callable[[dict[str, Any], Shelf], Asked]) -> Response:
        asked = await self._understood(request, lambda body: check(body, self.shelf))
        job = Job(timed(self.limits), asked)
        if asked.stream:
            self.writer.submit(job)
            return Stream(asked, job, self.writer, self.metrics)
        pieces = await pieces_of(job, request.receive, self.writer, self.metrics)
        return await apart(len(pieces) > FEW_PIECES, lambda: record(Answer(asked).whole(pieces)))

    async def models(self, request: Request) -> Response:
        """All models."""
        return record({"object": "list", "data": [_model(served) for served in self.shelf.values()]})

    async def model(self, request: Request) -> Response:
        """One model."""
        return record(_model(self.shelf.find(request.path_params["name"])))

    # ------------------------------------------------------------ for tools

    async def health(self, request: Request) -> Response:
        """Whether the server is there."""
        return record({"status": "ok", "version": __version__, "python": platform.python_version()})

    async def numbers(self, request: Request) -> Response:
        """Counters for Prometheus."""
        text = self.metrics.text(self.writer.running, self.writer.waiting)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def tokenize(self, request: Request) -> Response:
        """A text as ids."""
        return await self._understood(request, self._ids)

    async def detokenize(self, request: Request) -> Response:
        """Ids as a text."""
        return await self._understood(request, self._text)

    def _ids(self, body: dict[str, Any]) -> Response:
        fields = Fields(body)
        served = self._named(fields)
        content = fields.take("content")
        if not isinstance(content, str):
            raise bad("content", f"content must be a text (got {shown(content)}).")
        try:
            return record({"tokens": served.lm.tokenizer.encode(content).tolist()})
        except TextError as error:
            raise bad("content", f"{error.message}.") from None

    def _text(self, body: dict[str, Any]) -> Response:
        fields = Fields(body)
        served = self._named(fields)
        tokens, vocab_size = fields.take("tokens"), served.lm.tokenizer.vocab_size
        known = isinstance(tokens, list) and len(tokens) <= MAX_PROMPT_CHARACTERS
        if not known or not all(type(token) is int and 0 <= token < vocab_size for token in tokens):
            raise bad("tokens", f"tokens must be a list of ids from 0 to {vocab_size - 1} (got {shown(tokens)}).")
        return record({"content": served.lm.tokenizer.decode(tokens)})

    # ------------------------------------------------------------ for the page

    async def overview(self, request: Request) -> Response:
        """All models in a few facts."""
        return record({"models": [runs.describe(served) for served in self.shelf.values()]})

    async def run(self, request: Request) -> Response:
        """Where the run of a model stands."""
        return record(await asyncio.to_thread(runs.progress, self.shelf.find(request.path_params["name"])))

    async def distribution(self, request: Request) -> Response:
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
    async def send(request: Request) -> Response:
        return Response(file.body, media_type=file.kind)

    return send


def _model(served: Served) -> dict[str, Any]:
    return {"id": served.name, "object": "model", "created": served.created, "owned_by": "inkwright"}


async def _unrouted(request: Request, error: Exception) -> Response:
    """What FastAPI has no route for, in our words."""
    path = request.scope["path"]
    if isinstance(error, HTTPException) and error.status_code == 405:
        allow = ", ".join(sorted((error.headers or {})["Allow"].split(", ")))  # which come as a set
        message = f"{path[:60]!a} takes {allow}."
        return refusal(Refused(405, "method_not_allowed", message, headers={"Allow": allow}))
    known = sorted(route.path_format for route in request.app.routes if isinstance(route, APIRoute))
    near = difflib.get_close_matches(path[:200], known, n=1, cutoff=0.0)
    return refusal(Refused(404, "not_found", f"There is nothing at {path[:60]!a}; the nearest route is {near[0]}."))


async def _refused(request: Request, error: Exception) -> Response:
    return refusal(as_refusal(error))
