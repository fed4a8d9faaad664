"""The server as a process: its socket, its time limits on a connection, its orderly end."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from inkwright import interrupt
from inkwright.app.server import runs
from inkwright.app.server.guard import LOOPBACK, Guard
from inkwright.app.server.limits import Limits
from inkwright.app.server.metrics import Metrics
from inkwright.app.server.refusal import Refused, dumps
from inkwright.app.server.routes import Desk
from inkwright.app.server.served import Shelf
from inkwright.app.server.writing import Writer
from inkwright.errors import MachineError, quoted

LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")
ALL_ADDRESSES = ("0.0.0.0", "::")
SWITCH_SECONDS = 0.001  # the event loop waits this long for the thread that writes, and not Python's 5 ms
POLL_SECONDS = 0.05
LAST_SECONDS = 1.0  # for the last events to be read


class Service:
    """A shelf of models on a socket."""

    def __init__(
        self, shelf: Shelf, limits: Limits, host: str = "127.0.0.1", port: int = 0, key: str | None = None,
        also: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self.shelf, self.limits = shelf, limits
        self.socket = listen(host, port)
        self.port: int = self.socket.getsockname()[1]
        self.address = f"http://{bracketed(host)}:{self.port}"
        self.metrics = Metrics()
        self.writer = Writer(limits, self.metrics)
        for served in shelf.values():
            self.writer.prepare(served)
        files = runs.files()
        app = Desk(shelf, limits, self.writer, self.metrics).application(files)
        own = () if host in (*LOOPBACK_HOSTS, *ALL_ADDRESSES) else (bracketed(host),)
        self.guard = Guard(
            app, limits, self.metrics, (*LOOPBACK, *own, *also), host in ALL_ADDRESSES, key, tuple(files)
        )  # fmt: skip
        config = uvicorn.Config(
            self.guard, http=protocol(limits), ws="none", lifespan="off", log_config=None, access_log=False,
            server_header=False, date_header=False, timeout_keep_alive=30, interface="asgi3", proxy_headers=False,
        )  # fmt: skip
        self.server = _Server(config)

    def run(self, asked_to_stop: Callable[[], int] = interrupt.requested) -> None:
        """Serve until asked to stop; then finish what is being written, for a while."""
        before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        try:
            asyncio.run(self._serve(asked_to_stop))
        finally:
            sys.setswitchinterval(before)
            self.socket.close()

    async def _serve(self, asked_to_stop: Callable[[], int]) -> None:
        self.writer.start()
        serving = asyncio.create_task(self.server.serve(sockets=[self.socket]))
        while not asked_to_stop() and not serving.done():
            await asyncio.sleep(POLL_SECONDS)
        self.guard.stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.limits.stop_seconds):
                while not self.writer.idle:
                    await asyncio.sleep(POLL_SECONDS)
        self.writer.stop(Refused(503, "shutting_down", "The server is stopping."))
        await asyncio.sleep(POLL_SECONDS)  # the last events leave
        self.server.should_exit = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(serving), LAST_SECONDS)
        for connection in list(self.server.server_state.connections):
            connection.transport.abort()  # who does not read, or still sends, keeps nobody here
        await serving
        await asyncio.to_thread(self.writer.join, 5)


class _Server(uvicorn.Server):
    """uvicorn's, except that signals are ours."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them to interrupt.py."""
        yield


def listen(host: str, port: int) -> socket.socket:
    """An open socket.

    Raises: MachineError   the port is taken or not ours to take; no such address
    """
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named, or asyncio leaves Nagle on
        try:
            if sys.platform != "win32":
                found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(place)
            found.listen(1024)
            return found
        except OSError:
            found.close()
            raise
    except socket.gaierror:
        raise MachineError(f"{quoted(host)} is no address of this machine", "--host 127.0.0.1") from None
    except OSError as error:
        if error.errno in (98, 48, 10048):
            raise MachineError(f"port {port} is in use", "--port 0 picks a free one") from None
        why = (error.strerror or "error").lower()
        raise MachineError(
            f"cannot listen on {quoted(host)}, port {port}: {why}", "--port 0 picks a free one"
        ) from None


def bracketed(host: str) -> str:
    """A host as it stands in an address."""
    return f"[{host}]" if ":" in host else host


def protocol(limits: Limits) -> type[H11Protocol]:
    """HTTP/1.1 with limits on the time that a head may take and that a client may not read."""

    class Patient(H11Protocol):
        """One connection."""

        _head: asyncio.TimerHandle | None = None
        _stalled: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._head = self.loop.call_later(limits.header_seconds, self._too_slow)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            between = self.conn.their_state is h11.IDLE
            if not between:
                self._stop_timers()
            elif self._head is None and self.conn.trailing_data[0]:
                self._head = self.loop.call_later(limits.header_seconds, self._too_slow)

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_timers()
            super().connection_lost(exc)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._stalled = self.loop.call_later(limits.stall_seconds, self.transport.abort)

        def resume_writing(self) -> None:
            if self._stalled is not None:
                self._stalled.cancel()
            super().resume_writing()

        def send_400_response(self, msg: str) -> None:
            """What is no HTTP is answered in our shape; in the middle of an answer the connection just ends."""
            self._refuse(Refused(400, "invalid_http", msg))

        def _too_slow(self) -> None:
            self._refuse(Refused(408, "timeout", f"No request arrived within {limits.header_seconds:g} s."))

        def _refuse(self, refused: Refused) -> None:
            if self.cycle is not None and not self.cycle.response_complete:
                self.cycle.disconnected = True  # whoever still works on an answer here may not send it after this one
                self.cycle.message_event.set()
            body = dumps(refused.envelope)
            head = [("content-type", "application/json"), ("content-length", str(len(body))), ("connection", "close")]
            try:
                answer = self.conn.send(h11.Response(status_code=refused.status, headers=head)) or b""
                self.transport.write(answer + (self.conn.send(h11.Data(data=body)) or b""))
                self.transport.close()
            except h11.LocalProtocolError:
                self.transport.abort()

        def _stop_timers(self) -> None:
            for timer in (self._head, self._stalled):
                if timer is not None:
                    timer.cancel()
            self._head = self._stalled = None

    return Patient
