"""Text in, text out: whatever the tokens are, what is shown are whole characters, up to the first stop."""

import functools

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from inkwright.config import ModelConfig, SampleConfig, TextConfig
from inkwright.errors import SettingError, TextError
from inkwright.language_model import LanguageModel, Scores, split_at_stop
from inkwright.model import build
from inkwright.sample.generate import generate
from inkwright.text.tokenizer import Tokenizer
from inkwright.text.windows import Windows
from inkwright.train.loss import evaluate

KINDS = ["char", "byte", "bpe", "bare"]
TEXT = "The cat sat. Das Gebäude fällt — là-bas, 中文!\nThe end.\n" * 3


@functools.cache
def talking(kind: str, model: str = "bigram") -> LanguageModel:
    """A tiny model with wild weights: it writes nonsense, half characters and all, and never stops."""
    how = TextConfig(alphabet="bare") if kind == "bare" else TextConfig(tokenizer=kind, vocab_size=300)  # type: ignore[arg-type]
    tokenizer = Tokenizer.fit(how, [TEXT])
    config = ModelConfig(model=model, vocab_size=tokenizer.vocab_size, n_layer=2, n_head=4, n_embd=32, block_size=16)  # type: ignore[arg-type]
    built = build(config, 3)
    rng = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in built.parameters():
            weight += torch.randn(weight.shape, generator=rng) * (0.2 if model == "gpt" else 1)
    return LanguageModel(built.eval(), tokenizer)


def first_stop(text: str, stops: tuple[str, ...]) -> str:
    """What stands before the stop that is complete first; of two that end together the longer one."""
    ends = [(at + len(stop), at) for stop in stops if stop and (at := text.find(stop)) >= 0]
    return text[: min(ends)[1]] if ends else text


def through_the_gate(pieces: list[str], stops: tuple[str, ...]) -> str:
    """What `split_at_stop` lets through when the text comes in pieces."""
    shown, held = "", ""
    for piece in pieces:
        text, held, stopped = split_at_stop(held + piece, stops)
        shown += text
        if stopped:
            return shown
    return shown + held


# ---------------------------------------------------------------- stopping


@given(
    pieces=st.lists(st.text("ab\n", max_size=4)),
    stops=st.lists(st.text("ab\n", max_size=4), max_size=3).map(tuple),
)
@example(pieces=["a", "b", "c"], stops=("abc", "b"))
@example(pieces=["abc"], stops=("abc", "b"))
@example(pieces=["aa", "ab"], stops=("aab",))
@settings(max_examples=400)
def test_a_stop_is_found_however_the_text_is_cut_into_pieces(pieces: list[str], stops: tuple[str, ...]) -> None:
    assert through_the_gate(pieces, stops) == first_stop("".join(pieces), stops)


@given(text=st.text("ab", max_size=12), stops=st.lists(st.text("ab", min_size=1, max_size=4), max_size=3).map(tuple))
def test_nothing_waits_longer_than_it_must(text: str, stops: tuple[str, ...]) -> None:
    shown, held, stopped = split_at_stop(text, stops)
    if not stopped:
        assert shown + held == text
        assert not held or any(stop.startswith(held) for stop in stops)
        assert not any(stop.startswith(text[i:]) for stop in stops for i in range(len(shown)))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(data=st.data(), seed=st.integers(0, 3))
def test_a_text_ends_before_its_first_stop_and_is_otherwise_the_same(kind: str, data: st.DataObject, seed: int) -> None:
    lm = talking(kind)
    whole = lm.generate("The", max_new_tokens=40, seed=seed)
    starts = st.integers(0, max(0, len(whole) - 1))
    inside = st.builds(lambda at, n: whole[at : at + n], starts, st.integers(1, 6)).filter(bool)
    stops = tuple(data.draw(st.lists(inside | st.text("abc", min_size=1), min_size=1, max_size=3)))
    assert lm.generate("The", max_new_tokens=40, seed=seed, stop=stops) == first_stop(whole, stops)


# ---------------------------------------------------------------- writing


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_pieces_of_a_text_are_the_text_of_its_tokens(kind: str, seed: int) -> None:
    lm, config = talking(kind), SampleConfig(max_new_tokens=60, seed=seed)
    written = list(lm.write("The", config))
    ids = list(generate(lm.model, lm.prompt_ids("The"), config))
    whole = lm.tokenizer.decode(ids)
    assert "".join(piece.text for piece in written) == whole == lm.generate("The", **config.model_dump())
    assert [piece.tokens for piece in written] == [*range(1, 61), 60]
    pieces = list(lm.stream("The", max_new_tokens=60, seed=seed))
    assert "".join(pieces) == whole and all(pieces)


def test_a_character_of_several_tokens_is_shown_once_it_is_whole() -> None:
    lm = talking.__wrapped__("byte")  # one of its own: it is about to learn
    _spell(lm, "中文é", "中")
    assert list(lm.stream("中", max_new_tokens=5, temperature=0)) == ["文", "é"]
    assert [w.text for w in lm.write("中", SampleConfig(max_new_tokens=4, temperature=0))] == [
        "",
        "",
        "文",
        "",
        "\ufffd",
    ]


def _spell(lm: LanguageModel, text: str, prompt: str) -> None:
    """Teach a bigram table one text, each of whose bytes has one follower."""
    ids = lm.tokenizer.encode(text).tolist()
    with torch.no_grad():
        for one, following in zip(ids[len(prompt.encode()) - 1 :], ids[len(prompt.encode()) :], strict=False):
            lm.model.table.weight[one] = 0.0  # type: ignore[union-attr, index, operator]
            lm.model.table.weight[one, following] = 50.0  # type: ignore[union-attr, index, operator]


def test_until_the_end_stops_where_the_model_ends_the_document() -> None:
    lm = talking("char", "bigram")
    end = lm.tokenizer.end_id
    texts = {until: lm.generate("T", max_new_tokens=200, until_end=until, seed=5) for until in (True, False)}
    assert "<|endoftext|>" in texts[False] and end is not None
    assert texts[True] == texts[False].split("<|endoftext|>")[0]


def test_unseen_tokens_are_written_only_when_allowed() -> None:
    lm = talking("char")
    seen = set(lm.tokenizer.encode(TEXT).tolist())
    shy = LanguageModel(lm.model, lm.tokenizer, tuple(set(range(lm.tokenizer.vocab_size)) - seen))
    text = shy.generate("T", max_new_tokens=300)
    assert len(text) == 300 and set(text) <= set(TEXT)
    assert shy.generate("T", max_new_tokens=300, allow_unseen=True) == lm.generate("T", max_new_tokens=300)


@pytest.mark.parametrize("setting", [{"temprature": 1}, {"temperature": -1}, {"top_p": 0}, {"max_new_tokens": 0}])
def test_a_setting_that_cannot_be_is_refused_by_name(setting: dict[str, float]) -> None:
    with pytest.raises(SettingError) as caught:
        talking("char").generate("T", **setting)
    assert caught.value.setting == next(iter(setting))


# ---------------------------------------------------------------- prompts


def test_an_empty_prompt_starts_as_a_document_does() -> None:
    char, bare = talking("char"), talking("bare")
    newline = char.tokenizer.encode("\n").tolist()
    assert char.prompt_ids("") == [char.tokenizer.end_id]
    assert LanguageModel(char.model, char.tokenizer, (char.tokenizer.end_id or 0,)).prompt_ids("") == newline
    assert bare.prompt_ids("") == bare.tokenizer.encode("\n").tolist()
    one_line = Tokenizer.fit(TextConfig(alphabet="bare"), ["abc"])
    assert LanguageModel(bare.model, one_line).prompt_ids("") == [0]


def test_a_prompt_that_a_bare_alphabet_cannot_spell_is_refused() -> None:
    with pytest.raises(TextError, match="'Q'"):
        talking("bare").generate("Q")


# ---------------------------------------------------------------- scoring


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", ["bigram", "gpt"])
def test_a_score_is_the_log_probability_of_every_token_but_the_first(kind: str, model: str) -> None:
    lm = talking(kind, model)
    scores = lm.score(TEXT)
    ids = lm.tokenizer.encode(TEXT)
    assert scores.logprobs[0] is None and len(scores.logprobs) == len(scores.tokens) == len(ids)
    for at in (1, 2, 16, 17, 40):
        start = (at - 1) // 16 * 16  # the context starts anew with every window
        with torch.no_grad():
            row = lm.model(torch.tensor(ids[None, start:at].astype(int)))[0, -1].log_softmax(-1)
        assert scores.logprobs[at] == pytest.approx(row[ids[at]].item(), abs=1e-4)
    assert scores.loss == pytest.approx(evaluate(lm.model, Windows(ids, 16)).loss, rel=1e-5)


def test_the_tokens_of_a_score_spell_the_text() -> None:
    assert "".join(talking("char").score("The cät").tokens) == "The cät"
    assert talking("byte").score("é!").tokens == ["\ufffd", "\ufffd", "!"]


@pytest.mark.parametrize(("text", "said"), [("", "0 tokens is"), ("T", "1 token is")])
def test_less_than_two_tokens_cannot_be_scored(text: str, said: str) -> None:
    with pytest.raises(TextError, match=f"^{said} too short to score; at least 2 are needed$"):
        talking("char").score(text)


def test_the_loss_of_scores_is_their_mean_surprise() -> None:
    assert Scores(["a", "b", "c"], [None, -1.0, -2.0]).loss == 1.5


def test_scoring_ids_is_scoring_their_text() -> None:
    lm = talking("bpe")
    ids = lm.tokenizer.encode("The cat")
    assert lm.score_ids(np.asarray(ids)) == lm.score("The cat")
