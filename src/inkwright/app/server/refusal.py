"""What the server answers when it does not do what it was asked: one shape for every refusal."""

import json
from collections.abc import Mapping
from typing import Any

KINDS = {
    401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error",
    500: "server_error", 503: "server_error",
}  # fmt: skip
"""OpenAI's `type` of an error; any other status is an invalid_request_error."""


class Refused(Exception):
    """A request that is answered with an error; `code` is for programs, `message` for people."""

    def __init__(
        self, status: int, code: str, message: str, param: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.param = status, code, message, param
        self.headers = dict(headers or {})

    @property
    def all_headers(self) -> dict[str, str]:
        """The headers of the answer; where a body may still be on its way, the connection ends with it."""
        return self.headers | ({"Connection": "close"} if self.status in (408, 413, 415, 503) else {})

    @property
    def envelope(self) -> dict[str, Any]:
        """The body of the answer, and the event that ends a stream."""
        kind = KINDS.get(self.status, "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


def bad(param: str, message: str) -> Refused:
    """A field with a value that it cannot have."""
    return Refused(400, "invalid_value", message, param)


def dumps(record: Any) -> bytes:
    """A record as JSON in ASCII: a lone surrogate is an escape there, and no error."""
    return json.dumps(record, separators=(",", ":"), allow_nan=False).encode()
