"""The swift GPT: its grams, and the parts of it that have a way back of their own."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor

from inkwright.config import ModelConfig, TextConfig, TrainConfig
from inkwright.errors import ModelError
from inkwright.model import build
from inkwright.model.attention import attend, short_attention
from inkwright.model.swift import Swift, relu_squared, sum_of_rows
from inkwright.run import model_folder
from inkwright.text.tokenizer import Tokenizer
from inkwright.text.windows import Windows
from inkwright.train.loop import gradients
from inkwright.train.row_adagrad import coalesced

V, ORDER = 7, 4
CONFIG = ModelConfig(model="swift", n_layer=1, n_head=2, n_embd=8, block_size=12, ngram_order=ORDER, vocab_size=V)
TEXT = np.random.default_rng(5).integers(V, size=300)


@pytest.fixture
def swift() -> Swift:
    model = build(CONFIG, 1, TEXT)
    assert isinstance(model, Swift)
    return model


def test_each_gram_that_the_text_repeats_has_a_row_of_its_own_and_no_other_has(swift: Swift) -> None:
    seen = Counter(tuple(TEXT[i : i + k].tolist()) for k in range(2, ORDER + 1) for i in range(len(TEXT) - k + 1))
    repeated = {gram for gram, count in seen.items() if count > 1}
    assert swift.gram_emb.row_count == V + len(repeated) + ORDER - 1
    rows: dict[tuple[int, ...], int] = {}
    for start in range(len(TEXT) - ORDER + 1):
        window = TEXT[start : start + ORDER]
        found = swift.gram_emb.rows(torch.from_numpy(window)[None])[0, -1].tolist()
        for k in range(2, ORDER + 1):
            gram = tuple(window[-k:].tolist())
            assert rows.setdefault(gram, found[k - 1]) == found[k - 1]
    own = [row for gram, row in rows.items() if gram in repeated]
    others = {row for gram, row in rows.items() if gram not in repeated}
    assert len(set(own)) == len(own) and not others & set(own)
    assert len(others) <= ORDER - 1  # one row for all others of a length


def test_a_gram_never_begins_before_its_window(swift: Swift) -> None:
    window = torch.from_numpy(TEXT[:6])[None]
    alone, after = swift.gram_emb.rows(window[:, 2:]), swift.gram_emb.rows(window)[:, 2:]
    assert not torch.equal(alone, after) and torch.equal(alone[:, ORDER - 1 :], after[:, ORDER - 1 :])


def test_the_gradient_of_a_table_is_that_of_adding_its_rows(swift: Swift) -> None:
    table = torch.randn(20, 3, dtype=torch.float64, requires_grad=True)
    rows, wanted = torch.randint(20, (9, 4)), torch.randn(9, 3, dtype=torch.float64)
    (sparse,) = torch.autograd.grad(sum_of_rows(table, rows), table, wanted)
    (dense,) = torch.autograd.grad(table[rows].sum(1), table, wanted)
    assert sparse.is_sparse and torch.allclose(sparse.to_dense(), dense, atol=1e-12)


def test_a_batch_in_parts_has_the_gradient_of_the_whole(swift: Swift) -> None:
    for weight in swift.parameters():
        weight.data.normal_()
    batch = Windows(TEXT, 12).random(0, 6, 1)
    found = []
    for size in (None, 2):
        gradients(swift, batch, TrainConfig(batch_size=6, micro_batch_size=size), 0)
        gradient = swift.gram_emb.weight.grad
        assert gradient is not None
        found.append(coalesced(gradient).to_dense())
    assert torch.allclose(*found, atol=1e-5) and found[0].any()


@pytest.mark.parametrize("what", ["attention", "relu"])
def test_a_way_back_of_our_own_is_the_one_that_differences_show(what: str) -> None:
    q, k, v = (torch.randn(2, 2, 5, 4, dtype=torch.float64, requires_grad=True) for _ in range(3))
    if what == "attention":
        assert torch.allclose(short_attention(q, k, v), F.scaled_dot_product_attention(q, k, v, is_causal=True))
        assert torch.autograd.gradcheck(short_attention, (q, k, v))
    else:
        assert torch.autograd.gradcheck(lambda x: relu_squared(x.clone()), q)


def test_attention_is_the_same_in_training_and_in_writing() -> None:
    q, k, v = (torch.randn(2, 3, 9, 4) for _ in range(3))
    learning: Tensor = attend(q.clone().requires_grad_(), k, v)
    assert torch.allclose(learning, attend(q, k, v), atol=1e-6)


def test_a_part_of_the_grams_is_hidden_in_training_only() -> None:
    model = build(CONFIG.model_copy(update={"gram_dropout": 0.5}), 1, TEXT)
    assert isinstance(model, Swift)
    window = torch.from_numpy(TEXT[:12])[None]
    shown, others = model.eval().gram_emb.rows(window), model.train().gram_emb.rows(window)
    assert torch.equal(shown[..., 0], others[..., 0]) and not torch.equal(shown, others)


def test_a_model_that_starts_from_one_with_fewer_characters_predicts_the_same(swift: Swift) -> None:
    for weight in swift.parameters():
        weight.data.normal_()
    wider = build(CONFIG.model_copy(update={"vocab_size": V + 3}), 2)
    wider.inherit(swift)
    idx = torch.from_numpy(TEXT[:12])[None]
    assert torch.allclose(wider.eval()(idx)[..., :V], swift.eval()(idx), atol=1e-5)


def test_a_model_with_its_grams_is_read_back_as_it_was(tmp_path: Path, swift: Swift) -> None:
    tokenizer = Tokenizer.from_json(Tokenizer.fit(_text_config(), ["abcdefg"], []).to_json())
    swift.gram_emb.weight.data.normal_()
    for name, raw in model_folder.contents(swift, tokenizer, [], "").items():
        (tmp_path / name).write_bytes(raw)
    idx = torch.from_numpy(TEXT[:12])[None]
    assert torch.equal(model_folder.read(tmp_path).model(idx), swift.eval()(idx))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("gram_emb.grams_3", lambda grams: grams.flip(0)),
        ("gram_emb.grams_2", lambda grams: grams + V * V),
        ("gram_emb.grams_2", lambda grams: grams.float()),
        ("gram_emb.grams_4", None),
        ("gram_emb.weight", lambda weight: weight[1:]),
    ],
)
def test_grams_that_are_none_are_refused(tmp_path: Path, swift: Swift, name: str, change: Callable | None) -> None:
    tokenizer = Tokenizer.fit(_text_config(), ["abcdefg"], [])
    files = model_folder.contents(swift, tokenizer, [], "")
    tensors = safetensors.torch.load(files["model.safetensors"])
    tensors[name] = change(tensors[name]) if change else tensors.pop(name)[:0]
    if change is None:
        del tensors[name]
    for file, raw in (files | {"model.safetensors": safetensors.torch.save(tensors)}).items():
        (tmp_path / file).write_bytes(raw)
    with pytest.raises(ModelError, match=name.split(".")[1]):
        model_folder.read(tmp_path)


def _text_config() -> TextConfig:
    return TextConfig(alphabet="bare")
