"""The scale that a loss is read against: its lines are what they say, on what a model would be judged on."""

import gzip
import lzma
import math

import numpy as np
import pytest

from inkwright.config import ModelConfig, TextConfig
from inkwright.model.counts import Counts
from inkwright.text.tokenizer import Tokenizer
from inkwright.text.windows import Windows
from inkwright.train.baseline import baseline, ngram_nats
from inkwright.train.loss import evaluate


@pytest.fixture(scope="module")
def split(tiny_text: str) -> tuple[Tokenizer, np.ndarray, np.ndarray, str]:
    cut = len(tiny_text) * 9 // 10
    tokenizer = Tokenizer.fit(TextConfig(), [tiny_text[:cut]])
    return tokenizer, tokenizer.encode(tiny_text[:cut]), tokenizer.encode(tiny_text[cut:]), tiny_text


def test_every_line_is_there_in_one_unit(split) -> None:
    tokenizer, train, val, text = split
    lines = baseline(train, val, tokenizer, len(val) - 1)
    assert [line["name"] for line in lines] == ["uniform", "unigram", "bigram", "ngram", "gzip", "xz"]
    assert [line["order"] for line in lines[:3]] == [0, 1, 2] and lines[3]["order"] > 2
    assert lines[4]["order"] is lines[5]["order"] is None
    for line in lines:
        assert line["bits_per_char"] == pytest.approx(line["loss"] / math.log(2))  # a token is a character here
    losses = [line["loss"] for line in lines]
    assert losses[0] == pytest.approx(math.log(len(set(text))))
    assert losses[0] > losses[1] > losses[2] > losses[3]


def test_a_packer_is_judged_on_what_the_validation_text_adds(split) -> None:
    tokenizer, train, val, text = split
    lines = {line["name"]: line for line in baseline(train, val, tokenizer, len(val) - 1)}
    cut = len(text) * 9 // 10
    before, whole = text[:cut].encode(), text.encode()
    for name, pack in (("gzip", gzip.compress), ("xz", lzma.compress)):
        bits = 8 * (len(pack(whole)) - len(pack(before)))
        assert lines[name]["bits_per_char"] * (len(val) - 1) == pytest.approx(bits, abs=8 * 20)  # gzip's own header


@pytest.mark.parametrize("block_size", [8, 64])
def test_the_lines_of_a_context_are_what_a_count_model_of_that_context_is_judged_by(split, block_size: int) -> None:
    tokenizer, train, val, _ = split
    V = tokenizer.vocab_size
    nats = ngram_nats(train, val, V, 4, block_size) / (len(val) - 1)
    model = Counts(ModelConfig(model="counts", ngram_order=4, vocab_size=V, block_size=block_size))
    model.count(train)
    assert nats[4] == pytest.approx(evaluate(model, Windows(val, block_size)).loss, abs=1e-5)
    assert nats[4] > ngram_nats(train, val, V, 4, None)[4] / (len(val) - 1)  # cut short, it knows less


def test_the_order_can_be_given(split) -> None:
    tokenizer, train, val, _ = split
    lines = baseline(train, val, tokenizer, len(val) - 1, ngram_order=3)
    assert lines[3]["order"] == 3
    unigram, ngram = baseline(train, val, tokenizer, len(val) - 1, ngram_order=1)[1:4:2]
    assert unigram["loss"] == ngram["loss"]
