"""A request's body as a JSON object, or what is wrong with it. Nothing in it is left to the reader's taste."""

import json
import math
import re
from collections import Counter
from typing import Any, NoReturn

from inkwright.app.server.limits import MAX_NESTING
from inkwright.app.server.refusal import Refused
from inkwright.errors import quoted

LONGEST_INTEGER = 40  # digits
BRACKETS = re.compile(rb"[\[\]{}]")
STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)


class _Unwanted(ValueError):
    """JSON that Python would take and we do not."""


def parse(body: bytes) -> dict[str, Any]:
    """The object in a body.

    Raises: Refused   400 invalid_json
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise _refused(f"byte {error.start} is not UTF-8") from None
    _check_nesting(body)
    try:
        found = json.loads(
            text, parse_constant=_no_constant, parse_float=_float, parse_int=_int, object_pairs_hook=_unique
        )
    except _Unwanted as error:
        raise _refused(str(error)) from None
    except json.JSONDecodeError as error:
        raise _refused(error.msg, f" at line {error.lineno} column {error.colno}") from None
    if not isinstance(found, dict):
        raise _refused("the body must be an object, {...}")
    return found


def _refused(why: str, place: str = "") -> Refused:
    return Refused(400, "invalid_json", f"Not valid JSON{place}: {why}.")


def _check_nesting(body: bytes) -> None:
    depth = 0
    for bracket in BRACKETS.finditer(STRINGS.sub(b"", body)):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > MAX_NESTING:
            raise _refused(f"nested deeper than {MAX_NESTING}")


def _no_constant(name: str) -> NoReturn:
    raise _Unwanted(f"{name} is not allowed")


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _Unwanted(f"{quoted(digits)} is too large")
    return value


def _int(digits: str) -> int:
    if len(digits) > LONGEST_INTEGER:
        raise _Unwanted(f"a number of {len(digits):,} digits")
    return int(digits)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise _Unwanted(f'the key "{quoted(twice)}" stands there twice')
    return found
