"""How well a model knows a text. Prints nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inkwright.config import RunConfig, TextConfig
from inkwright.errors import DamagedError, ModelError, TextError, quoted
from inkwright.language_model import LanguageModel
from inkwright.run.folder import Run, not_a_model
from inkwright.session.fitting import require_tokens
from inkwright.session.prepare import make_tokenizer, read_text
from inkwright.text import corpus as corpora
from inkwright.text import tokens
from inkwright.text.corpus import Corpus, Note, Piece
from inkwright.text.windows import Windows
from inkwright.train.baseline import Line, baseline
from inkwright.train.loss import evaluate


@dataclass(frozen=True)
class Passage:
    """A text as the model reads it."""

    ids: Any
    """(N,)"""
    size: dict[str, int]
    """Its tokens, characters and bytes, and those of the first token, which is never scored."""
    notes: tuple[Note, ...] = ()


def held_out(folder: Path) -> Passage:
    """What the run in `folder` (or of that checkpoint) validates on.

    Raises: ModelError   there is no run around this model
    """
    run = run_of(folder)
    if run is None:
        raise ModelError(f"{folder} has no text of its own to be judged on", f"inkwright eval {folder} TEXT")
    try:
        text = tokens.read(run.tokens_folder)
    except DamagedError as error:
        raise DamagedError(error.message, f"inkwright eval {folder} TEXT") from None
    return Passage(text.val, text.facts["val"])


def passage(lm: LanguageModel, folder: Path, texts: Sequence[str], config: TextConfig) -> Passage:
    """Any other text; what the model cannot know of it is noted.

    Raises: TextError   it cannot be read, or is too short to score
    """
    corpus = corpora.read(texts, config)
    pieces = [Piece(document.text, True) for document in corpus.documents]
    ids = tokens.encode_pieces(pieces, lm.tokenizer, separate=len(pieces) > 1)
    count = len(ids) if corpus.characters else 0  # of nothing but ends of documents nothing is scored
    if count < 2:
        raise TextError(f"{count} token{'s' * (count != 1)} is too short to score; at least 2 are needed")
    return Passage(ids, tokens.size(ids, pieces, lm.tokenizer), (*corpus.notes, *_strangeness(lm, folder, corpus)))


def judge(lm: LanguageModel, text: Passage) -> dict[str, Any]:
    """The exact loss of a model on a text, as one record."""
    T = lm.model.config.block_size
    found = evaluate(lm.model, Windows(text.ids, T))
    characters = tokens.scored_characters(text.size)
    return {
        "loss": found.loss,
        "loss_stderr": found.stderr,
        "bits_per_char": found.bits_per(characters),
        "bits_per_byte": found.bits_per(text.size["bytes"] - text.size["unscored_bytes"]),
        "tokens": found.tokens,
        "characters": characters,
        "block_size": T,
        "metric": f"block@{T}",
    }


def scale(lm: LanguageModel, folder: Path, text: Passage, own: bool) -> list[Line]:
    """The lines that the loss of a model on a text is read against, counted on what its run was trained on.

    `own`: the text is what the run validates on, and its record has them. None where no run, or no intact text of it, is
    around the model.
    """
    run = run_of(folder)
    if run is None:
        return []
    if own and "baseline" in run.record:
        return run.record["baseline"]
    try:
        train = tokens.read(run.tokens_folder).train
    except DamagedError:  # the model can be judged without
        return []
    return baseline(train, text.ids, lm.tokenizer, tokens.scored_characters(text.size), lm.model.config.block_size)


def scale_of(
    texts: Sequence[str], config: RunConfig, block_size: int | None
) -> tuple[Corpus, dict[str, dict[str, int]], list[Line]]:
    """A text, how much of it trains and validates, and the lines that any loss on it is read against.

    Raises: TextError   it cannot be read, or is too short
    """
    corpus, split = read_text(texts, config.text)
    tokenizer = make_tokenizer(config, split, None)
    parts = {"train": split.train, "val": split.val}
    separate = len(corpus.documents) > 1
    ids = {name: tokens.encode_pieces(pieces, tokenizer, separate) for name, pieces in parts.items()}
    sizes = {name: tokens.size(ids[name], pieces, tokenizer) for name, pieces in parts.items()}
    require_tokens(ids["train"], ids["val"], block_size or 1)
    characters = tokens.scored_characters(sizes["val"])
    return (
        corpus,
        sizes,
        baseline(ids["train"], ids["val"], tokenizer, characters, block_size, config.model.ngram_order),
    )


def run_of(folder: Path) -> Run | None:
    """The run that a run folder or one of its checkpoints belongs to."""
    for candidate in (folder, folder.absolute().parent.parent):
        if (candidate / "run.json").is_file():
            return Run.open(candidate)
    return None


def the_run_of(folder: Path) -> Run:
    """The same, where there must be one.

    Raises: ModelError   there is no run around this model
    """
    run = run_of(folder)
    if run is None:
        if not folder.is_dir() or not (folder / "config.json").is_file():
            raise not_a_model(folder)
        raise ModelError(
            f"{quoted(folder)} is a model without its run: what it was trained on is not known", "give a run"
        )
    return run


def _strangeness(lm: LanguageModel, folder: Path, corpus: Corpus) -> list[Note]:
    notes: list[Note] = []
    run = run_of(folder)
    if run is not None and corpus.fingerprint == run.record["fingerprint"]:
        notes.append(Note("this is the text the model was trained on; the score measures memory, not skill"))
    unknown = unknown_note(lm, [document.text for document in corpus.documents])
    return notes if unknown is None else [*notes, unknown]


def unknown_note(lm: LanguageModel, texts: Sequence[str]) -> Note | None:
    """What to say of characters that a model has never seen; None where it knows all."""
    unknown = set().union(*(lm.tokenizer.unknown(text) for text in texts))
    if not unknown:
        return None
    count = sum(text.count(char) for text in texts for char in unknown)
    share = count / sum(map(len, texts))
    return Note(
        f"{count:,} of {sum(map(len, texts)):,} characters ({share:.1%}) were never seen in training; "
        "they are scored as bytes and raise the loss"
    )
