"""Answers in the shapes of OpenAI's API: the completion with its legacy log-probabilities, the chat, and their streams."""

import secrets
import time
from collections.abc import Sequence
from typing import Any

from inkwright.app.server.asking import Asked
from inkwright.app.server.refusal import dumps
from inkwright.app.server.writing import Mark, Piece
from inkwright.text.tokenizer import Tokenizer

DONE = b"data: [DONE]\n\n"


class Answer:
    """Turns the pieces of one request into what its client expects."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self._tokens = 0
        self._begun: set[int] = set()
        kind = ("chat.completion" if asked.chat else "text_completion") + (
            ".chunk" if asked.chat and asked.stream else ""
        )
        self._head = {
            "id": ("chatcmpl-" if asked.chat else "cmpl-") + secrets.token_hex(12),
            "object": kind,
            "created": int(time.time()),
            "model": asked.served.name,
            "system_fingerprint": asked.served.fingerprint,
        }

    # ------------------------------------------------------------ whole

    def whole(self, pieces: Sequence[Piece]) -> dict[str, Any]:
        """The answer at once."""
        texts = [[piece for piece in pieces if piece.index == i] for i in range(len(self.asked.prompts) * self.asked.n)]
        choices = [self._choice(_joined(parts), "message") for parts in texts]
        return self._head | {"choices": choices, "usage": self._usage()} | self._warned()

    # ------------------------------------------------------------ streamed

    def events(self, pieces: Sequence[Piece]) -> bytes:
        """Pieces as they come: those of one text that came together are one event."""
        first = not self._begun
        events = []
        for i in sorted({piece.index for piece in pieces}):
            piece = _joined([piece for piece in pieces if piece.index == i])
            if piece.text or piece.marks or piece.finish:
                events.append(self._head | {"choices": [self._choice(piece, "delta")]})
                self._begun.add(i)
            else:
                self._tokens += piece.tokens
        if events and first:
            events[0] |= self._warned()
        return b"".join(event(record) for record in events)

    def end(self) -> bytes:
        """What follows the last piece."""
        usage = event(self._head | {"choices": [], "usage": self._usage()}) if self.asked.include_usage else b""
        return usage + DONE

    # ------------------------------------------------------------ parts

    def _choice(self, piece: Piece, part: str) -> dict[str, Any]:
        self._tokens += piece.tokens
        asked, tokenizer = self.asked, self.asked.served.lm.tokenizer
        choice: dict[str, Any] = {"index": piece.index}
        if asked.chat:
            role = {"role": "assistant"} if part == "message" or piece.index not in self._begun else {}
            choice[part] = role | {"content": piece.text}
            choice["logprobs"] = None if asked.top is None else {"content": _chat_marks(piece.marks, tokenizer)}
        else:
            choice["text"] = piece.text
            choice["logprobs"] = None if asked.top is None else _legacy_marks(piece.marks, tokenizer, asked.top)
        if asked.with_ids:
            choice["token_ids"] = [mark.token_id for mark in piece.marks]
        return choice | {"finish_reason": piece.finish}

    def _usage(self) -> dict[str, int]:
        prompt = sum(map(len, self.asked.prompts))
        return {"prompt_tokens": prompt, "completion_tokens": self._tokens, "total_tokens": prompt + self._tokens}

    def _warned(self) -> dict[str, Any]:
        return {"warnings": list(self.asked.warnings)} if self.asked.warnings else {}


def event(record: dict[str, Any]) -> bytes:
    """One event of a stream."""
    return b"data: " + dumps(record) + b"\n\n"


def spelled(token_id: int, tokenizer: Tokenizer) -> str:
    """A token as text; one that is no whole character gets a name for each byte: two never look the same."""
    raw = tokenizer.token_bytes[token_id]
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "".join(f"<0x{byte:02X}>" for byte in raw)


def _joined(pieces: Sequence[Piece]) -> Piece:
    if len(pieces) == 1:
        return pieces[0]
    marks = [mark for piece in pieces for mark in piece.marks]
    text, tokens = "".join(piece.text for piece in pieces), sum(piece.tokens for piece in pieces)
    return Piece(pieces[-1].index, text, marks, tokens, pieces[-1].finish)


def _legacy_marks(marks: Sequence[Mark], tokenizer: Tokenizer, top: int) -> dict[str, Any]:
    def alternatives(mark: Mark) -> dict[str, float] | None:
        if mark.logprob is None:
            return None
        named = {spelled(token_id, tokenizer): logprob for token_id, logprob in reversed(mark.top)}
        return dict(reversed(named.items()))

    return {
        "tokens": [spelled(mark.token_id, tokenizer) for mark in marks],
        "token_logprobs": [mark.logprob for mark in marks],
        "top_logprobs": [alternatives(mark) for mark in marks] if top else None,
        "text_offset": [mark.offset for mark in marks],
    }


def _chat_marks(marks: Sequence[Mark], tokenizer: Tokenizer) -> list[dict[str, Any]]:
    def one(token_id: int, logprob: float | None) -> dict[str, Any]:
        raw = tokenizer.token_bytes[token_id]
        return {"token": spelled(token_id, tokenizer), "logprob": logprob, "bytes": list(raw)}

    return [
        one(mark.token_id, mark.logprob) | {"top_logprobs": [one(token_id, value) for token_id, value in mark.top]}
        for mark in marks
    ]
