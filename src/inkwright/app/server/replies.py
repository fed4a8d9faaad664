"""What goes back to a client: a whole record, or a text piece by piece while the writer writes it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from inkwright.app.server.asking import Asked
from inkwright.app.server.metrics import Metrics
from inkwright.app.server.refusal import Refused, dumps
from inkwright.app.server.shapes import Answer, event
from inkwright.app.server.writing import Job, Writer, as_refusal

FLUSH_SECONDS = 0.02  # tokens of a stream that come this close together travel together


def record(found: Mapping[str, Any]) -> Response:
    """A JSON answer."""
    return Response(dumps(found), media_type="application/json")


def refusal(refused: Refused) -> Response:
    """A refusal as a whole answer."""
    return Response(dumps(refused.envelope), refused.status, refused.all_headers, "application/json")


class Stream(Response):
    """A text as server-sent events. After an error it ends without [DONE]."""

    def __init__(self, asked: Asked, job: Job, writer: Writer, metrics: Metrics) -> None:
        super().__init__(media_type="text/event-stream")
        del self.headers["content-length"]  # nobody knows it yet
        self.asked, self.job, self.writer, self.metrics = asked, job, writer, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the text ends or the client leaves."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        answer, begun = Answer(self.asked), False
        async with watched(self.job, receive, self.writer):
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
async def watched(job: Job, receive: Receive, writer: Writer) -> AsyncIterator[None]:
    """Take a job that was submitted back when its client leaves before the end."""

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


async def pieces_of(job: Job, receive: Receive, writer: Writer, metrics: Metrics | None = None) -> list[Any]:
    """Everything that the writer makes of a job, once it is at its end.

    Raises: Refused   the queue is full, the writer gave up, or the client left: then nobody hears it
    """
    writer.submit(job)
    pieces: list[Any] = []
    async with watched(job, receive, writer):
        while found := await job.read():
            if not pieces and metrics is not None:
                metrics.first_token(asyncio.get_running_loop().time() - job.began)
            pieces += found
        if job.dropped:
            raise Refused(499, "client_left", "The client left before the end.")
    return pieces
