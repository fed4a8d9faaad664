"""What a request asks for: each field checked, each refusal with the field, the value and what is allowed."""

import math
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from inkwright.app.server import limits as at_most
from inkwright.app.server.refusal import Refused, bad
from inkwright.app.server.served import Served, Shelf
from inkwright.config import SampleConfig
from inkwright.errors import TextError, quoted
from inkwright.text.tokenizer import name_characters

UNSUPPORTED = (
    "suffix", "tools", "tool_choice", "functions", "function_call", "response_format", "audio", "modalities",
    "prediction",
)  # fmt: skip
NOTHING: tuple[Any, ...] = (None, "", [], {}, {"type": "text"}, ["text"], "none")  # what such a field may say
ACCEPTED = {"user", "model", "strict", "unknown"}
ROLES = ("system", "developer", "user", "assistant")
CHAT_NOTE = "this model continues text; turns are joined as lines of 'role: content', and it goes on after 'assistant:'"


@dataclass(frozen=True)
class Asked:
    """One request, checked and in tokens."""

    served: Served
    prompts: tuple[tuple[int, ...], ...]
    config: SampleConfig
    max_tokens: int
    """May be 0, which a SampleConfig may not: then the prompt is only scored."""
    n: int = 1
    top: int | None = None
    """Alternatives named for each token; None: no log-probabilities at all."""
    echo: bool = False
    stream: bool = False
    include_usage: bool = False
    ignore_end: bool = False
    with_ids: bool = False
    chat: bool = False
    warnings: tuple[str, ...] = ()


class Fields:
    """The fields of a body, taken out one by one; what was never taken is unknown. Null is the same as absent."""

    def __init__(self, body: dict[str, Any]) -> None:
        self._body = body
        self._taken: set[str] = set(ACCEPTED)

    def take(self, name: str) -> Any:
        """A field as it came; None where it did not."""
        self._taken.add(name)
        return self._body.get(name)

    def number(self, name: str, default: float, low: float, high: float, above: bool = False) -> float:
        """A finite number in a closed range; with `above`, the lower end itself is outside."""
        value = self.take(name)
        if value is None:
            return default
        if type(value) not in (int, float) or not low <= value <= high or (above and value == low):
            span = f"above {low:g} and at most {high:g}" if above else f"from {low:g} to {high:g}"
            raise bad(name, f"{name} must be a number {span} (got {shown(value)}).")
        return float(value)

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number in a closed range."""
        value = self.take(name)
        if value is None:
            return default
        if type(value) is not int or not low <= value <= high:
            raise bad(name, f"{name} must be {low} to {high} (got {shown(value)}).")
        return value

    def flag(self, name: str) -> bool:
        """True or false; false where it is absent."""
        value = self.take(name)
        if value is not None and type(value) is not bool:
            raise bad(name, f"{name} must be true or false (got {shown(value)}).")
        return bool(value)

    def refuse_unsupported(self) -> None:
        """Fields that would change the answer and that we cannot honour."""
        for name in UNSUPPORTED:
            value = self.take(name)
            if value not in NOTHING:
                raise Refused(400, "unsupported", f"{name} is not supported here; leave it out.", name)

    def unknown(self) -> list[str]:
        """What to say of the fields that nobody took.

        Raises: Refused   there are some, and the request is `strict`
        """
        names = [name for name in self._body if name not in self._taken]
        if names and self.flag("strict"):
            raise Refused(400, "unknown_field", f"{quoted(names[0])} is not a field of this request.", quoted(names[0]))
        return [f"{quoted(name)} is not known here and was ignored" for name in names[:20]]


def completion(body: dict[str, Any], shelf: Shelf) -> Asked:
    """What `POST /v1/completions` asks for.

    Raises: Refused
    """
    served = shelf.find(body.get("model"))
    fields = Fields(body)
    top = fields.take("logprobs")
    if top is not None:
        top = fields.whole("logprobs", 0, 0, at_most.MAX_TOP)
    echo = fields.flag("echo")
    texts, warnings = _prompts(fields.take("prompt"), served, body.get("unknown"), echo)
    return _asked(fields, served, texts, warnings, top=top, echo=echo, default_tokens=16)


def chat(body: dict[str, Any], shelf: Shelf) -> Asked:
    """What `POST /v1/chat/completions` asks for.

    Raises: Refused
    """
    served = shelf.find(body.get("model"))
    fields = Fields(body)
    top = fields.whole("top_logprobs", 0, 0, at_most.MAX_TOP)
    prompt = joined(_turns(fields.take("messages")))
    ids, warnings = _encode(prompt, served, body.get("unknown"), "messages")
    wanted = fields.flag("logprobs")
    prompts, cut = _cut([ids], served, served.lm.model.config.block_size)
    return _asked(
        fields,
        served,
        prompts,
        [CHAT_NOTE, *warnings, *cut],
        top=top if wanted else None,
        default_tokens=256,
        chat=True,
    )


def joined(turns: Iterable[tuple[str, str]]) -> str:
    """The turns of a chat as one text to continue: a plain template, for a model that never saw one."""
    return "".join(f"{role}: {content}\n" for role, content in turns) + "assistant:"


def _asked(
    fields: Fields, served: Served, prompts: Sequence[Sequence[int]], warnings: list[str], top: int | None,
    default_tokens: int, echo: bool = False, chat: bool = False,
) -> Asked:  # fmt: skip
    fields.refuse_unsupported()
    n = fields.whole("n", 1, 1, at_most.MAX_CHOICES)
    best_of = fields.whole("best_of", n, 1, at_most.MAX_CHOICES)
    if best_of != n:
        raise Refused(400, "unsupported", "best_of is not supported here; leave it out.", "best_of")
    newer = chat and fields.take("max_completion_tokens") is not None
    asked_tokens = fields.whole(
        "max_completion_tokens" if newer else "max_tokens", default_tokens, 0 if echo else 1, at_most.LARGEST
    )
    max_tokens = min(asked_tokens, at_most.MAX_TOKENS)
    stops = _stops(fields.take("stop"))
    config = SampleConfig(
        max_new_tokens=max(1, max_tokens),
        temperature=fields.number("temperature", 1.0, 0, 5),
        top_k=fields.whole("top_k", 0, 0, 10**9),
        top_p=fields.number("top_p", 1.0, 0, 1, above=True),
        min_p=fields.number("min_p", 0.0, 0, 1),
        repetition_penalty=fields.number("repetition_penalty", 1.0, 0, 10, above=True),
        presence_penalty=fields.number("presence_penalty", 0.0, -2, 2),
        frequency_penalty=fields.number("frequency_penalty", 0.0, -2, 2),
        logit_bias=_biases(fields.take("logit_bias"), served),
        seed=fields.whole("seed", secrets.randbits(62), 0, 2**63 - 1),
        stop=stops or (("\nuser:",) if chat else ()),
    )
    stream = fields.flag("stream")
    options = fields.take("stream_options")
    if options is not None and not isinstance(options, dict):
        raise bad("stream_options", f"stream_options must be an object (got {shown(options)}).")
    include_usage = Fields(options or {}).flag("include_usage")
    ignore_end, with_ids = fields.flag("ignore_eos"), fields.flag("return_token_ids")
    return Asked(
        served, tuple(map(tuple, prompts)), config, max_tokens, n, top, echo, stream, include_usage, ignore_end,
        with_ids, chat, (*warnings, *fields.unknown()),
    )  # fmt: skip


# ---------------------------------------------------------------- prompts


def _prompts(
    value: Any, served: Served, unknown: Any, echo: bool
) -> tuple[list[Sequence[int]], list[str]]:  # ids of each prompt, and what to say about them
    ids, warnings = [], []
    for part in _split(value):
        if isinstance(part, str):
            found, said = _encode(part, served, unknown, "prompt")
        else:
            found, said = _known_ids(part, served), []
        ids.append(found)
        warnings += said
    prompts, cut = _cut(ids, served, at_most.MAX_TOKENS if echo else served.lm.model.config.block_size)
    return prompts, list(dict.fromkeys(warnings)) + cut


def _split(value: Any) -> list[str | list[int]]:
    """One or several prompts, each a text or a list of ids."""
    if value is None or isinstance(value, str):
        parts: list[Any] = [value or ""]
    elif _all(value, int):
        parts = [value]
    elif _all(value, str) or (_all(value, list) and all(_all(item, int) for item in value)):
        parts = value
    else:
        raise bad("prompt", f"prompt must be a text, a list of texts, ids or a list of ids lists (got {shown(value)}).")
    if len(parts) > at_most.MAX_PROMPTS:
        raise bad("prompt", f"at most {at_most.MAX_PROMPTS} prompts at once (got {len(parts):,}).")
    size = sum(map(len, parts))
    if size > at_most.MAX_PROMPT_CHARACTERS:
        raise bad("prompt", f"prompt may have {at_most.MAX_PROMPT_CHARACTERS:,} characters (got {size:,}).")
    return parts


def _all(value: Any, kind: type) -> bool:
    """A list of things of one kind, at least one."""
    return isinstance(value, list) and bool(value) and all(type(item) is kind for item in value)


def prompt_ids(value: Any, served: Served) -> list[int]:
    """A list of ids, perhaps empty, that the model has.

    Raises: Refused
    """
    if not isinstance(value, list) or not all(type(item) is int for item in value):
        raise bad("ids", f"ids must be a list of ids (got {shown(value)}).")
    return _known_ids(value, served) or served.lm.prompt_ids("")


def _known_ids(ids: list[int], served: Served) -> list[int]:
    vocab_size = served.lm.tokenizer.vocab_size
    stranger = next((token_id for token_id in ids if not 0 <= token_id < vocab_size), None)
    if stranger is not None:
        raise bad("prompt", f"prompt ids must be 0 to {vocab_size - 1} (got {shown(stranger)}).")
    return ids


def _encode(text: str, served: Served, unknown: Any, param: str) -> tuple[list[int], list[str]]:
    tokenizer, warnings = served.lm.tokenizer, []
    strangers = tokenizer.unknown(text)
    if unknown not in (None, "skip"):
        raise bad("unknown", f'unknown must be "skip" (got {shown(unknown)}).')
    if strangers and (unknown == "skip" or tokenizer.kind == "char"):
        what = "dropped" if unknown == "skip" else "read as bytes"
        warnings = [f"never seen: {name_characters(strangers)}, {what}"]
    if strangers and unknown == "skip":
        text = text.translate({ord(char): None for char in strangers})
    try:
        return served.lm.prompt_ids(text), warnings
    except TextError as error:
        if not strangers:
            raise bad(param, f"{param}: {error.message}.") from None
        named = name_characters(strangers)
        raise bad(param, f'This model does not know {named}; send "unknown": "skip" to drop it.') from None


def _cut(prompts: list[list[int]], served: Served, most: int) -> tuple[list[Sequence[int]], list[str]]:
    """The end of each prompt, as much as fits."""
    longest = max(map(len, prompts))
    said = [f"only the last {most:,} of {longest:,} tokens of the prompt were used"] if longest > most else []
    return [ids[-most:] for ids in prompts], said


def _turns(messages: Any) -> list[tuple[str, str]]:
    if not isinstance(messages, list) or not 0 < len(messages) <= at_most.MAX_MESSAGES:
        raise bad("messages", f"messages must be a list of 1 to {at_most.MAX_MESSAGES} messages.")
    turns = []
    for i, message in enumerate(messages):
        role, content = (message.get("role"), message.get("content")) if isinstance(message, dict) else (None, None)
        if role not in ROLES:
            raise bad("messages", f"messages[{i}].role must be one of {', '.join(ROLES)} (got {shown(role)}).")
        if isinstance(content, list) and all(
            isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
            for part in content
        ):
            content = "".join(part["text"] for part in content)
        if not isinstance(content, str):
            raise bad("messages", f"messages[{i}].content must be text (got {shown(content)}).")
        turns.append((role, content))
    size = sum(len(content) for _, content in turns)
    if size > at_most.MAX_PROMPT_CHARACTERS:
        raise bad("messages", f"messages may have {at_most.MAX_PROMPT_CHARACTERS:,} characters (got {size:,}).")
    return turns


# ---------------------------------------------------------------- the rest


def _stops(value: Any) -> tuple[str, ...]:
    stops = [value] if isinstance(value, str) else ([] if value is None else value)
    if (
        not isinstance(stops, list)
        or len(stops) > at_most.MAX_STOPS
        or not all(isinstance(stop, str) and 0 < len(stop) <= at_most.MAX_STOP_CHARACTERS for stop in stops)
        or any("\ud800" <= char <= "\udfff" for stop in stops for char in stop)
    ):
        most, length = at_most.MAX_STOPS, at_most.MAX_STOP_CHARACTERS
        raise bad("stop", f"stop must be up to {most} texts of 1 to {length} characters (got {shown(value)}).")
    return tuple(stops)


def _biases(value: Any, served: Served) -> dict[int, float]:
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > at_most.MAX_BIASES:
        raise bad("logit_bias", f"logit_bias must be an object of at most {at_most.MAX_BIASES} ids.")
    vocab_size = served.lm.tokenizer.vocab_size
    biases: dict[int, float] = {}
    for key, bias in value.items():
        if not (key.isascii() and key.isdecimal() and len(key) < 12 and int(key) < vocab_size):
            raise bad("logit_bias", f"logit_bias keys must be ids from 0 to {vocab_size - 1} (got {shown(key)}).")
        if type(bias) not in (int, float) or not -100 <= bias <= 100:
            raise bad("logit_bias", f"logit_bias values must be numbers from -100 to 100 (got {shown(bias)}).")
        biases[int(key)] = float(bias)
    return biases


def shown(value: Any) -> str:
    """A value as JSON writes it, cut to a line."""
    if value is None or type(value) is bool:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return f'"{quoted(value, 40)}"'
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return quoted(value, 40) if not isinstance(value, float) or math.isfinite(value) else "no number"
