"""The routes: each turns a request into something the writer can do, and its pieces into an answer."""

import asyncio
import difflib
import platform
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from inkwright.app.server import asking, runs
from inkwright.app.server.asking import Asked, Fields, shown
from inkwright.app.server.guard import Receive, Scope, Send, read_body
from inkwright.app.server.limits import MAX_PROMPT_CHARACTERS, Limits
from inkwright.app.server.metrics import Metrics
from inkwright.app.server.refusal import Refused, bad, dumps
from inkwright.app.server.served import Shelf
from inkwright.app.server.shapes import Answer, event
from inkwright.app.server.strict_json import parse
from inkwright.app.server.writing import Job, Writer, as_refusal, timed
from inkwright.errors import TextError
from inkwright.version import __version__

FLUSH_SECONDS = 0.02  # tokens of a stream that come this close together travel together


def application(shelf: Shelf, limits: Limits, writer: Writer, metrics: Metrics, files: dict[str, runs.File]) -> FastAPI:
    """All routes, without the guard before them."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)

    async def write(request: Request, check: Callable[[dict[str, Any], Shelf], Asked]) -> Response:
        asked = check(parse(await read_body(request.scope, request.receive, limits)), shelf)
        job = Job(timed(limits), asked)
        if asked.stream:
            writer.submit(job)
            return Stream(asked, job, writer, metrics)
        pieces = []
        async with watched(job, request.receive, writer):
            while found := await job.read():
                if not pieces:
                    metrics.first_token(asyncio.get_running_loop().time() - job.began)
                pieces += found
            refuse_if_left(job)
        return record(Answer(asked).whole(pieces))

    @app.post("/v1/completions")
    async def completions(request: Request) -> Response:
        return await write(request, asking.completion)

    @app.post("/v1/chat/completions")
    async def chat_completions(request: Request) -> Response:
        return await write(request, asking.chat)

    @app.get("/v1/models")
    async def models() -> Response:
        return record({"object": "list", "data": [_model(served) for served in shelf.values()]})

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> Response:
        return record(_model(shelf.find(name)))

    @app.get("/health")
    async def health() -> Response:
        return record({"status": "ok", "version": __version__, "python": platform.python_version()})

    @app.get("/metrics")
    async def numbers() -> Response:
        text = metrics.text(writer.running, writer.waiting)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.post("/tokenize")
    async def tokenize(request: Request) -> Response:
        fields = Fields(parse(await read_body(request.scope, request.receive, limits)))
        served = _one(shelf, fields)
        content = fields.take("content")
        if not isinstance(content, str):
            raise bad("content", f"content must be a text (got {shown(content)}).")
        try:
            return record({"tokens": served.lm.tokenizer.encode(content).tolist()})
        except TextError as error:
            raise bad("content", f"{error.message}.") from None

    @app.post("/detokenize")
    async def detokenize(request: Request) -> Response:
        fields = Fields(parse(await read_body(request.scope, request.receive, limits)))
        served = _one(shelf, fields)
        tokens, vocab_size = fields.take("tokens"), served.lm.tokenizer.vocab_size
        known = isinstance(tokens, list) and len(tokens) <= MAX_PROMPT_CHARACTERS
        if not known or not all(type(token) is int and 0 <= token < vocab_size for token in tokens):
            raise bad("tokens", f"tokens must be a list of ids from 0 to {vocab_size - 1} (got {shown(tokens)}).")
        return record({"content": served.lm.tokenizer.decode(tokens)})

    @app.get("/api/models")
    async def overview() -> Response:
        return record({"models": [runs.describe(served) for served in shelf.values()]})

    @app.get("/api/runs/{name:path}")
    async def run(name: str) -> Response:
        return record(await asyncio.to_thread(runs.progress, shelf.find(name)))

    @app.post("/api/next")
    async def distribution(request: Request) -> Response:
        fields = Fields(parse(await read_body(request.scope, request.receive, limits)))
        served = shelf.find(fields.take("model"))
        ids = asking.prompt_ids(fields.take("ids"), served)
        written = fields.whole("written", 0, 0, len(ids))
        job = Job(timed(limits), work=lambda: runs.distribution(served, ids, written))
        async with watched(job, request.receive, writer):
            found = await job.read()
            refuse_if_left(job)
        return record(found[0])

    def page(file: runs.File) -> Callable[[], Any]:
        async def send() -> Response:
            return Response(file.body, media_type=file.kind)

        return send

    for path, file in files.items():
        app.get(path)(page(file))

    _errors_in_our_words(app)
    return app


class Stream(Response):
    """A text as server-sent events. After an error it ends without [DONE]."""

    def __init__(self, asked: Asked, job: Job, writer: Writer, metrics: Metrics) -> None:
        super().__init__(status_code=200, media_type="text/event-stream")
        del self.headers["content-length"]
        self.asked, self.job, self.writer, self.metrics = asked, job, writer, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the text ends or the client leaves."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        answer, begun = Answer(self.asked), False
        async with watched(self.job, receive, self.writer, submitted=True):
            try:
                while pieces := await self.job.read():
                    if not begun:
                        self.metrics.first_token(asyncio.get_running_loop().time() - self.job.began)
                    begun = True
                    await send({"type": "http.response.body", "body": answer.events(pieces), "more_body": True})
                    await self.job.gather(FLUSH_SECONDS)
                last = b"" if self.job.dropped else answer.end()
            except Exception as error:
                last = event(as_refusal(error).envelope)
        await send({"type": "http.response.body", "body": last})


@asynccontextmanager
async def watched(job: Job, receive: Receive, writer: Writer, submitted: bool = False) -> AsyncIterator[None]:
    """Hand a job to the writer, and take it back when its client leaves before the end."""
    if not submitted:
        writer.submit(job)

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        writer.drop(job)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        writer.drop(job)


def refuse_if_left(job: Job) -> None:
    """Raises: Refused   its client left before the end; there is nothing to answer with, and nobody hears this"""
    if job.dropped:
        raise Refused(499, "client_left", "The client left before the end.")


def record(found: dict[str, Any]) -> Response:
    """A JSON answer."""
    return Response(dumps(found), media_type="application/json")


def _model(served: Any) -> dict[str, Any]:
    return {"id": served.name, "object": "model", "created": served.created, "owned_by": "inkwright"}


def _one(shelf: Shelf, fields: Fields) -> Any:
    """The model a request names; the only one may stay unnamed."""
    name = fields.take("model")
    return shelf.find(next(iter(shelf)) if name is None and len(shelf) == 1 else name)


def _errors_in_our_words(app: FastAPI) -> None:
    """Whatever the framework refuses has the same shape as our own refusals, which the guard answers."""
    paths = sorted({route.path for route in app.routes if hasattr(route, "path")})  # type: ignore[attr-defined]

    async def unrouted(request: Request, error: Exception) -> Response:
        path = request.scope["path"]
        if isinstance(error, HTTPException) and error.status_code == 405:
            allow = dict(error.headers or {})
            message = f"{path[:60]!a} takes {allow.get('Allow', 'another method')}."
            return _refusal(Refused(405, "method_not_allowed", message, headers=allow))
        near = difflib.get_close_matches(path[:200], paths, n=1, cutoff=0.0)
        return _refusal(
            Refused(404, "not_found", f"There is nothing at {path[:60]!a}; the nearest route is {near[0]}.")
        )

    async def refused(request: Request, error: Exception) -> Response:
        return _refusal(as_refusal(error))

    app.add_exception_handler(HTTPException, unrouted)
    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(Exception, refused)


def _refusal(refused: Refused) -> Response:
    return Response(dumps(refused.envelope), refused.status, refused.all_headers, "application/json")
