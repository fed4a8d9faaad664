"""Who may ask, and how much: what stands before every route. A page that you visit cannot use your server."""

import asyncio
import hmac
import ipaddress
import logging
import re
import time
from collections.abc import MutableMapping
from typing import Any

from starlette.types import Receive, Scope, Send

from inkwright.app.server.limits import Limits
from inkwright.app.server.metrics import Metrics
from inkwright.app.server.refusal import Refused
from inkwright.app.server.replies import refusal
from inkwright.app.server.writing import as_refusal
from inkwright.errors import quoted

LOG = logging.getLogger("inkwright.serve")

HEADERS = (
    (b"content-security-policy", b"default-src 'self'; script-src 'self'; object-src 'none'; base-uri 'none'; "
                                 b"form-action 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)  # fmt: skip
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::(?P<port>\d{1,5}))?", re.IGNORECASE)
OPEN_TO_ALL = ("/health",)
DISCARDED_BYTES = 8 << 20  # of a body that is too large are read, so that its sender hears the answer


class Guard:
    """An ASGI application around another one: it lets through what may pass and answers everything else itself."""

    def __init__(
        self, app: Any, limits: Limits, metrics: Metrics, hosts: tuple[str, ...] = LOOPBACK, any_address: bool = False,
        key: str | None = None, page: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self.app, self.limits, self.metrics = app, limits, metrics
        self.hosts, self.any_address = tuple(host.lower() for host in hosts), any_address
        self.key = None if key is None else key.encode()
        self.page = page
        self.stopping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        began, status = time.monotonic(), 0

        async def tell(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], *HEADERS]}
            await send(message)

        try:
            self.check(scope)
            await self.app(scope, receive, tell)
        except Exception as error:
            if not status:
                await refusal(as_refusal(error))(scope, receive, tell)
        finally:
            self.metrics.answered(status)
            spent = time.monotonic() - began
            LOG.info("%s %s %d %.3f s", quoted(scope["method"], 12), quoted(scope["path"], 60), status, spent)

    def check(self, scope: Scope) -> None:
        """Raises: Refused   421, 403, 401, 503, in this order"""
        path = scope["path"]
        if not path.startswith("/"):
            raise Refused(421, "host_not_allowed", "Ask for a path, not for a whole address.")
        self.check_host(scope)
        is_page = scope["method"] in ("GET", "HEAD") and path in self.page
        self.check_origin(scope, is_page)
        if self.key is not None and path not in OPEN_TO_ALL and not is_page:
            given = values(scope, b"authorization")
            expected = b"Bearer " + self.key
            if len(given) != 1 or not hmac.compare_digest(given[0], expected):
                raise Refused(
                    401, "invalid_api_key", "A valid API key is needed: Authorization: Bearer KEY.", None,
                    {"WWW-Authenticate": "Bearer"},
                )  # fmt: skip
        if self.stopping:
            raise Refused(503, "shutting_down", "The server is stopping.")

    def check_host(self, scope: Scope) -> None:
        """Only names that are ours: another one means that a page has made its own name point here."""
        given = values(scope, b"host")
        text = given[0].decode("latin-1") if len(given) == 1 else ""
        found = HOST.fullmatch(text)
        if found and int(found["port"] or 0) < 65536:
            name = found["name"].lower()
            if name in self.hosts or (self.any_address and is_address(name)):
                return
        allowed = ", ".join(self.hosts) + " and any IP address" * self.any_address
        raise Refused(403, "host_not_allowed", f'Host "{quoted(text, 60)}" is not served here. Allowed: {allowed}')

    def check_origin(self, scope: Scope, is_page: bool) -> None:
        """Only our own page may ask from within a browser."""
        own = {scheme + values(scope, b"host")[0].lower() for scheme in (b"http://", b"https://")}
        foreign = any(origin.lower() not in own for origin in values(scope, b"origin"))
        site = values(scope, b"sec-fetch-site")
        if foreign or (site and not is_page and site[0].lower() not in (b"same-origin", b"none")):
            raise Refused(403, "origin_not_allowed", "Requests from other web pages are blocked.")


def is_address(name: str) -> bool:
    """An IP address in its usual spelling."""
    try:
        return str(ipaddress.ip_address(name.strip("[]"))) == name.strip("[]")
    except ValueError:
        return False


def values(scope: Scope, name: bytes) -> list[bytes]:
    """All values of a header."""
    return [value for key, value in scope["headers"] if key == name]


async def read_body(scope: Scope, receive: Receive, limits: Limits) -> bytes:
    """The body of a JSON request, counted while it is read.

    Raises: Refused   415 not JSON or compressed; 413 too large; 408 too slow
    """
    kind = b",".join(values(scope, b"content-type")).split(b";")[0].strip().lower()
    if kind != b"application/json":
        shown = quoted(kind.decode("latin-1"), 60) or "nothing"
        raise Refused(415, "unsupported_media_type", f"Content-Type must be application/json (got {shown}).")
    if any(value.strip().lower() != b"identity" for value in values(scope, b"content-encoding")):
        raise Refused(415, "unsupported_encoding", "A compressed body is not read; send it as it is.")
    declared = values(scope, b"content-length")
    expects = bool(values(scope, b"expect"))
    too_large = Refused(413, "body_too_large", f"Body is larger than {limits.body_bytes} bytes.")
    if (
        declared
        and declared[0].isdigit()
        and len(declared[0]) < 20
        and int(declared[0]) > limits.body_bytes
        and expects
    ):
        raise too_large
    parts: list[bytes] = []
    size, more = 0, True
    try:
        async with asyncio.timeout(limits.body_seconds):
            while more and size <= limits.body_bytes + DISCARDED_BYTES:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refused(408, "timeout", "The body did not arrive.")
                part, more = message.get("body", b""), message.get("more_body", False)
                size += len(part)
                if size <= limits.body_bytes:
                    parts.append(part)
    except TimeoutError:
        if size <= limits.body_bytes:
            raise Refused(408, "timeout", f"The body did not arrive within {limits.body_seconds:g} s.") from None
    if size > limits.body_bytes:
        raise too_large
    return b"".join(parts)
