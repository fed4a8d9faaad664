"""One seed, many independent streams. Whoever draws says what for, so that no one can disturb another's numbers."""

import hashlib


def derive(seed: int, purpose: str, *numbers: int) -> int:
    """The seed of one draw: the same for the same (seed, purpose, numbers), unrelated for any other.

    A fixed hash and not Python's `hash()`, which changes from process to process. What is drawn at a step is then a
    pure function of the run's seed and the step: a resumed run needs no generator state to draw what it would have.
    """
    key = ":".join([str(seed), purpose, *map(str, numbers)])
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little") >> 1
