"""A model for the verbs that read one, and what a person should know about it first."""

import unicodedata
from pathlib import Path

from inkwright.app.cli.console import Output
from inkwright.language_model import LanguageModel
from inkwright.run.folder import read_model
from inkwright.text.tokenizer import name_characters


def load(folder: Path, out: Output, strict: bool = False) -> LanguageModel:
    """The model in a folder; damage that was worked around is told.

    Raises: ModelError, DamagedError
    """
    found, path, damaged = read_model(folder, strict)
    for error in damaged:
        out.warn(f"{error.message}; using {path.name}")
    if found.facts is None:
        out.note("no manifest.json here, so damage cannot be detected")
    return LanguageModel(found.model, found.tokenizer, found.unseen)


def tell_unknown(lm: LanguageModel, prompt: str, out: Output) -> None:
    """Say what in a prompt the model cannot know, where a long one is cut, and how an empty one begins."""
    unknown = lm.tokenizer.unknown(prompt) if lm.tokenizer.kind == "char" else []
    if unknown:
        size = "2 bytes" if all(len(c.encode()) == 2 for c in unknown) else "bytes"
        composed = unicodedata.normalize("NFC", prompt)
        known = len(lm.tokenizer.unknown(composed)) < len(unknown)
        hint = "it is written as several characters here; in the form NFC it would be known" if known else None
        out.note(
            f"this model has never seen {name_characters(unknown)}; it is read as {size}, so expect a weak continuation",
            hint,
        )
    ids = lm.prompt_ids(prompt)
    if not prompt:
        first = "the end-of-text token" if ids == [lm.tokenizer.end_id] else repr(lm.tokenizer.decode(ids))
        out.note(f"the prompt is empty; the text starts after {first}")
    block_size = lm.model.config.block_size
    if len(ids) > block_size:
        out.note(f"using the last {block_size:,} of {len(ids):,} tokens of the prompt")
