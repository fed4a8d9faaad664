"""What the server counts, as the plain text that Prometheus reads. Counts no words of anybody's."""

import threading
from collections import Counter
from collections.abc import Mapping

BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
HELP = {
    "prompt_tokens_total": "Tokens of prompts that were read.",
    "generation_tokens_total": "Tokens that were written.",
    "disconnects_total": "Requests whose client left before the end.",
}


class Metrics:
    """Counters that any thread may move."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._statuses: Counter[int] = Counter()
        self._first: Counter[float] = Counter()
        self._first_sum = 0.0

    def count(self, name: str, more: int = 1) -> None:
        """Add to a counter."""
        with self._lock:
            self._counts[name] += more

    def answered(self, status: int) -> None:
        """One more answer with this status."""
        with self._lock:
            self._statuses[status] += 1

    def first_token(self, seconds: float) -> None:
        """How long a request waited for its first token."""
        with self._lock:
            self._first_sum += seconds
            self._first[next((bucket for bucket in BUCKETS if seconds <= bucket), float("inf"))] += 1

    def text(self, running: int, waiting: int) -> str:
        """Everything, in Prometheus' text format."""
        with self._lock:
            lines = _family("num_requests_running", "gauge", "Texts that are being written.", {"": running})
            lines += _family("num_requests_waiting", "gauge", "Requests that wait for their turn.", {"": waiting})
            for name, meaning in HELP.items():
                lines += _family(name, "counter", meaning, {"": self._counts[name]})
            by_status = {f'{{status="{status}"}}': number for status, number in sorted(self._statuses.items())}
            lines += _family("http_responses_total", "counter", "Answers by status.", by_status)
            name, total, buckets = "time_to_first_token_seconds", 0, {}
            for bucket in (*BUCKETS, float("inf")):
                total += self._first[bucket]
                edge = "+Inf" if bucket == float("inf") else f"{bucket:g}"
                buckets[f'_bucket{{le="{edge}"}}'] = total
            buckets |= {"_sum": self._first_sum, "_count": total}
            lines += _family(name, "histogram", "From the request to its first token.", buckets)
        return "\n".join(lines) + "\n"


def _family(name: str, kind: str, meaning: str, values: Mapping[str, float]) -> list[str]:
    name = f"inkwright_{name}"
    return [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"] + [
        f"{name}{suffix} {value:g}" if isinstance(value, float) else f"{name}{suffix} {value}"
        for suffix, value in values.items()
    ]
