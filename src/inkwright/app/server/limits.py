"""What the server takes on at most. Every limit is a setting, so that a test can shrink it. Imports no torch."""

from pydantic import Field

from inkwright.config import Record


class Limits(Record):
    """How much at once, how large and how long."""

    running: int = Field(default=8, ge=1, le=256, description="Texts written at the same time")
    waiting: int = Field(default=64, ge=0, le=10_000, description="Requests that may wait; the next one is told 429")
    body_bytes: int = Field(default=1 << 20, ge=1, le=1 << 30, description="Largest body of a request")
    header_seconds: float = Field(default=10.0, gt=0, le=3600, description="Time for the head of a request to arrive")
    body_seconds: float = Field(default=30.0, gt=0, le=3600, description="Time for its body to arrive")
    stall_seconds: float = Field(default=30.0, gt=0, le=3600, description="How long a client may not read its answer")
    request_seconds: float = Field(default=60.0, gt=0, le=86_400, description="Time for one request, waiting included")
    stop_seconds: float = Field(default=10.0, ge=0, le=3600, description="Time for the last texts once asked to stop")


MAX_TOKENS = 4096  # a larger max_tokens is cut to this, and finish_reason says so
LARGEST = 10**18  # of any whole number
MAX_PROMPTS = 32
MAX_PROMPT_CHARACTERS = 1_000_000
MAX_CHOICES = 8
MAX_MESSAGES = 500
MAX_STOPS, MAX_STOP_CHARACTERS = 4, 256
MAX_TOP = 20  # alternatives named for each token
MAX_BIASES = 300
MAX_NESTING = 64
