"""inkwright sample"""

import sys
import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from inkwright.app.cli.console import Output, safe
from inkwright.app.cli.flags import STDIN, SampleFlags, sample_config
from inkwright.app.cli.interactive import converse
from inkwright.config import change
from inkwright.errors import SettingError, TextError, UsageError, quoted

MAX_PROMPT_BYTES = 1 << 24  # an endless one is not waited for


def sample(
    run: Path,
    /,
    *,
    prompt: Annotated[str, Parameter(allow_leading_hyphen=True)] = "",
    count: int = 1,
    interactive: bool = False,
    raw: bool = False,
    strict: bool = False,
    json: bool = False,
    flags: Annotated[Any, Parameter(name="*")] = None,
) -> int:
    """Let a model write.

    Parameters
    ----------
    run
        A run (its best checkpoint), a checkpoint, or a Hugging Face folder.
    prompt
        What the text begins with; FILE:name reads it from a file, - from standard input.
    count
        How many texts, each with its own seed.
    interactive
        Read beginnings line by line; /help there says more.
    raw
        Write control characters to a terminal as they are.
    strict
        Refuse when a checkpoint is damaged, instead of using another.
    json
        One JSON object a text.
    """
    if not 1 <= count <= 10_000:
        raise SettingError("count", f"must be 1 to 10000 (got {quoted(count)})")
    if interactive and (json or prompt or count > 1):
        raise UsageError("--interactive does not go with --json, --prompt or --count", "type the prompts instead")
    sampling = sample_config(flags or SampleFlags())
    beginning = read_prompt(prompt)
    out = Output(json)

    from inkwright.app.cli.loading import load, tell_unknown

    lm = load(run, out, strict)
    shown = (lambda text: text) if raw or not sys.stdout.isatty() else safe
    if interactive:
        return converse(lm, sampling, out, shown)
    tell_unknown(lm, beginning, out)
    for number in range(count):
        config = change(sampling, seed=(sampling.seed + number) % 2**63)
        if count > 1 and not json:
            out.say(f"--- {number + 1} of {count}, seed {config.seed}")
        pieces: list[str] = []
        tokens, started = 0, time.perf_counter()
        if not json:
            print(shown(beginning), end="", flush=True)
        for written in lm.write(beginning, config):
            tokens = written.tokens
            pieces.append(written.text)
            if not json:
                print(shown(written.text), end="", flush=True)
        if not json:
            print()
        seconds = round(time.perf_counter() - started, 4)
        out.record(prompt=beginning, text="".join(pieces), tokens=tokens, seconds=seconds, seed=config.seed)
    return 0


def read_prompt(prompt: str) -> str:
    """The prompt itself, from a file or from standard input.

    Raises: TextError   bytes that are not UTF-8, or no such file
    """
    try:
        if prompt.startswith("FILE:"):
            with Path(prompt[5:]).open("rb") as file:
                return _decoded(file.read(MAX_PROMPT_BYTES + 1))
        if prompt == STDIN:
            if sys.stdin is None:
                raise TextError("- reads standard input, and there is none", "--prompt FILE:name reads a file")
            return _decoded(sys.stdin.buffer.read(MAX_PROMPT_BYTES + 1))
        prompt.encode()
    except OSError as error:
        reason = (error.strerror or "error").lower()
        raise TextError(f"the prompt {quoted(prompt[5:])} cannot be read: {reason}") from None
    except UnicodeError as error:
        position = getattr(error, "start", 0)
        raise TextError(f"prompt has bytes that are not UTF-8 (position {position})") from None
    return prompt


def _decoded(raw: bytes) -> str:
    if len(raw) > MAX_PROMPT_BYTES:
        raise TextError(f"the prompt is larger than {MAX_PROMPT_BYTES:,} bytes", "a model reads only its last tokens")
    return raw.decode()


sample.__annotations__["flags"] = Annotated[SampleFlags, Parameter(name="*")]
