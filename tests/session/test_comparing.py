"""Two models on the same bytes: what each needs, and how far the difference can be trusted."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from inkwright.config import ModelConfig, TextConfig
from inkwright.errors import ModelError, TextError
from inkwright.language_model import LanguageModel
from inkwright.model import build
from inkwright.model.counts import Counts
from inkwright.session.comparing import Comparison, Side, _weigh, common_text, compare, t_quantile
from inkwright.text.tokenizer import Tokenizer


def side(kind: str, text: str, order: int = 0, block_size: int = 16, counted: int = 10_000) -> Side:
    """A model of counts of the beginning of a text, with its own tokenizer."""
    settings = {"alphabet": "bare"} if kind == "bare" else {"tokenizer": kind, "vocab_size": 300}
    tokenizer = Tokenizer.fit(TextConfig(**settings), [text])  # type: ignore[arg-type]
    V = tokenizer.vocab_size
    model = build(ModelConfig(model="counts", ngram_order=order, vocab_size=V, block_size=block_size))
    assert isinstance(model, Counts)
    model.count(tokenizer.encode(text[:counted]))
    return Side(Path(f"{kind}-{order}"), LanguageModel(model.eval(), tokenizer))


def judged(a: Side, b: Side, folder: Path, *texts: str) -> Comparison:
    """Both on some new texts, each a document."""
    paths = [folder / f"{i}.txt" for i in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    return compare(a, b, common_text(a, b, [str(path) for path in paths], TextConfig()))


def test_a_model_is_the_same_as_itself(tiny_text: str, tmp_path: Path) -> None:
    one = side("char", tiny_text, order=3)
    found = judged(one, one, tmp_path, tiny_text[10_000:])
    assert found.verdict == "same" and (found.difference, found.low, found.high) == (0, 0, 0)
    assert found.a_blocks == found.b_blocks == 0 and found.blocks == 16


@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_a_model_that_saw_more_is_better_whichever_comes_first(tiny_text: str, tmp_path: Path, kind: str) -> None:
    more, less = (side(kind, tiny_text, order=3, counted=counted) for counted in (10_000, 1_000))
    first, second = (judged(*pair, tmp_path, tiny_text[10_000:]) for pair in ((more, less), (less, more)))
    assert (first.verdict, second.verdict) == ("a", "b")
    assert first.difference == -second.difference > 0 and (first.low, first.high) == (-second.high, -second.low)
    assert first.a_blocks == second.b_blocks == 16


@pytest.mark.parametrize("texts", [1, 3])
def test_models_that_know_nothing_score_what_their_tokens_cost(tiny_text: str, tmp_path: Path, texts: int) -> None:
    text = tiny_text[:6000]
    char, byte = side("bare", text), side("byte", text)
    found = judged(char, byte, tmp_path, *[text] * texts)
    size = len(text.encode()) * texts
    scored_characters = len(text) * texts - 1  # the first is one byte for both
    assert found.bytes == size - 1
    assert found.a.bits_per_byte == pytest.approx(
        math.log2(char.lm.tokenizer.vocab_size) * scored_characters / found.bytes
    )
    assert found.b.bits_per_byte == pytest.approx(
        math.log2(257)
    )  # ends of documents are not scored: one cannot say them
    assert found.difference == pytest.approx(found.b.bits_per_byte - found.a.bits_per_byte)


def test_tokens_of_unequal_length_are_judged_on_the_same_bytes(tiny_text: str, tmp_path: Path) -> None:
    text = tiny_text[10_000:]
    char, bpe = side("char", tiny_text, order=2), side("bpe", tiny_text, order=1, block_size=7)
    found = judged(char, bpe, tmp_path, text)
    ids = bpe.lm.tokenizer.encode(text)
    skipped = len(bpe.lm.tokenizer.token_bytes[int(ids[0])])
    assert found.bytes == len(text.encode()) - skipped
    logprobs = bpe.lm.score(text).logprobs
    bits = -sum(logprob for logprob in logprobs if logprob is not None) / math.log(2)
    assert found.b.bits_per_byte == pytest.approx(bits / found.bytes, rel=1e-5)


def test_noise_in_the_weights_is_told(tiny_model, tiny_text: str, tmp_path: Path) -> None:
    tokenizer = Tokenizer.fit(TextConfig(alphabet="bare"), [tiny_text])
    quiet, noisy = (tiny_model("modern", torch.float32, vocab_size=tokenizer.vocab_size) for _ in range(2))
    with torch.no_grad():
        quiet.lm_head.weight *= (
            0.1  # nearly indifferent: about ln V; sure of itself without having learned, it is worse
        )
    sides = [Side(Path(name), LanguageModel(model, tokenizer)) for name, model in (("quiet", quiet), ("noisy", noisy))]
    found = judged(*sides, tmp_path, tiny_text)
    assert found.verdict == "a" and found.low > 0


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng, hits, trials = np.random.default_rng(1), 0, 2000
    sizes = np.full(16, 1000)
    for _ in range(trials):
        found = _weigh(np.zeros(16), rng.normal(3.0, 5.0, 16), sizes)
        hits += found.low <= 0.003 <= found.high
    assert 0.94 < hits / trials < 0.96


@pytest.mark.parametrize(("degrees", "value"), [(4, 2.776), (7, 2.365), (15, 2.131), (30, 2.042), (1000, 1.962)])
def test_the_quantiles_of_t_are_those_of_the_tables(degrees: int, value: float) -> None:
    assert t_quantile(degrees) == pytest.approx(value, abs=0.01)


def test_what_would_be_needed_is_the_text_at_whose_length_the_interval_ends_at_nothing() -> None:
    rng = np.random.default_rng(3)
    more = rng.normal(0.3, 1.0, 16)
    found = _weigh(np.zeros(16), more, np.full(16, 1000))
    assert found.verdict == "open" and found.needed_bytes is not None
    times = found.needed_bytes / found.bytes
    half = (found.high - found.low) / 2
    assert half / math.sqrt(times) == pytest.approx(abs(found.difference))
    assert _weigh(np.zeros(16), more - more.mean(), np.full(16, 1000)).needed_bytes is None


@pytest.mark.parametrize("texts", [("a",), ("ab",), ("", ""), ("abcdefg",)])
def test_a_text_of_a_few_bytes_is_refused(tiny_text: str, tmp_path: Path, texts: tuple[str, ...]) -> None:
    one = side("char", tiny_text, order=2)
    with pytest.raises(TextError, match="too short to compare on"):
        judged(one, one, tmp_path, *texts)


def test_a_model_without_a_text_of_its_own_needs_one(tiny_text: str) -> None:
    one = side("char", tiny_text)
    with pytest.raises(ModelError, match="no text of its own") as told:
        common_text(one, one, [], TextConfig())
    assert told.value.hint == "inkwright compare A B TEXT"
