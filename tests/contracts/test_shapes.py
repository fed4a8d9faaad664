"""Every `Shape:` line in a docstring is run: one that is wrong fails, and so does one that nothing checks."""

import ast
import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import inkwright
from inkwright.config import ModelConfig, SampleConfig, change
from inkwright.model import build
from inkwright.model.attention import Attention, rotary_table
from inkwright.model.counts import Counts
from inkwright.model.encoder import Classifier, DecoderBlock, Embedding, Encoder, EncoderDecoder
from inkwright.model.gpt import MLP, Block, SwiGLU
from inkwright.model.ladder import ResidualBlock, RungBlock
from inkwright.model.norm import RMSNorm
from inkwright.model.swift import GramEmbedding, SwiftBlock, sum_of_rows, turns
from inkwright.sample.draw import Pen, draw, probabilities
from inkwright.sample.generate import next_logits
from inkwright.text.windows import Windows

ROOT = Path(inkwright.__file__).parent
SIZES = {
    "B": 7,
    "T": 5,
    "C": 12,
    "nh": 3,
    "hs": 4,
    "V": 11,
    "orders": 6,
    "S": 8,
    "classes": 9,
    "R": 13,
    "N": 10,
    "k": 14,
}
B, T, C, nh, hs, V, orders, S, classes, R, N, k = SIZES.values()  # all different, and none is 2

GPT = ModelConfig(shape="modern", n_layer=1, n_head=nh, n_embd=C, block_size=T, vocab_size=V)
CLASSIC = ModelConfig(shape="classic", n_layer=1, n_head=nh, n_embd=C, block_size=T, vocab_size=V)
BIGRAM = ModelConfig(model="bigram", block_size=T, vocab_size=V)
LONGER = change(CLASSIC, block_size=S)
SWIFT = ModelConfig(model="swift", n_layer=1, n_head=nh, n_embd=C, block_size=T, vocab_size=V)
LECTURE = ModelConfig(shape="lecture", n_layer=1, n_head=nh, n_embd=C, block_size=T, vocab_size=V)
COUNTS = Counts(ModelConfig(model="counts", ngram_order=orders - 1, block_size=T, vocab_size=V))
COUNTS.count(np.arange(50) ** 2 % V)


def rung(name: str) -> ModelConfig:
    return change(LECTURE, model=name)


WINDOWS = Windows(np.arange(B * T + 1) % V, T)

CALLS: dict[str, Callable[..., Any]] = {
    "model.attention.rotary_table": lambda: rotary_table(T, hs, 10_000.0),
    "model.attention.Attention.forward": Attention(CLASSIC, 0),
    "model.base.LogitModel.forward": build(CLASSIC),
    "model.gpt.MLP.forward": MLP(CLASSIC),
    "model.gpt.SwiGLU.forward": SwiGLU(GPT),
    "model.gpt.Block.forward": Block(CLASSIC, 0),
    "model.gpt.GPT.forward": build(GPT),
    "model.swift.sum_of_rows": lambda table, rows: sum_of_rows(table, (R * rows).long()),
    "model.swift.GramEmbedding.forward": lambda idx: GramEmbedding(SWIFT)(idx, T),
    "model.swift.SwiftBlock.forward": lambda x: SwiftBlock(SWIFT, 0)(x, turns(T, hs)),
    "model.swift.Swift.forward": build(SWIFT),
    "model.hybrid.Hybrid.forward": build(change(SWIFT, model="hybrid", ngram_order=3)).eval(),
    "model.encoder.Embedding.forward": Embedding(CLASSIC),
    "model.encoder.Encoder.forward": Encoder(CLASSIC),
    "model.encoder.Classifier.forward": Classifier(CLASSIC, classes),
    "model.encoder.DecoderBlock.forward": DecoderBlock(CLASSIC, 0),
    "model.encoder.EncoderDecoder.forward": EncoderDecoder(LONGER),
    "model.counts.Counts.forward": COUNTS,
    "model.counts.Counts.losses": COUNTS.losses,
    "model.ladder.Bigram.forward": build(BIGRAM),
    "model.ladder.Linear.forward": build(rung("linear")),
    "model.ladder.Linear.between": lambda x: build(rung("linear")).between(x, None),
    "model.ladder.Averaging.between": lambda x: build(rung("averaging")).between(x, None),
    "model.ladder.NoResidual.between": lambda x: build(rung("no-residual")).between(x, None),
    "model.ladder.LayerNorm.between": lambda x: build(rung("layernorm")).between(x, None),
    "model.ladder.RungBlock.forward": RungBlock(LECTURE, 0),
    "model.ladder.ResidualBlock.forward": ResidualBlock(LECTURE, 0),
    "model.norm.RMSNorm.forward": RMSNorm(C),
    "sample.draw.probabilities": lambda logits: probabilities(logits, SampleConfig(top_p=0.9)),
    "sample.draw.Pen.draw": Pen(V, [0], SampleConfig()).draw,
    "sample.draw.Pen.penalized": Pen(V, [0], SampleConfig(presence_penalty=1)).penalized,
    "sample.draw.draw": lambda probs: draw(probs, torch.Generator()),
    "sample.generate.next_logits": lambda: next_logits(build(GPT), [1, 2, 3], None),
    "text.windows.Windows.random": lambda: WINDOWS.random(0, B, 0),
    "text.windows.Windows.epoch": lambda: WINDOWS.epoch(0, B, 0),
    "text.windows.Windows.all": lambda: next(WINDOWS.all(B)),
}
"""How to call what is no plain function of the tensors its line names; plain functions need no row."""


def documented(path: Path) -> Iterator[tuple[str, str]]:
    """(name, shapes) of everything in a file whose docstring has a `Shape:` line."""

    def walk(node: ast.AST, name: str) -> Iterator[tuple[str, str]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = f"{name}.{child.name}"
                for line in re.findall(r"^ *Shape: *(.*)$", ast.get_docstring(child) or "", re.MULTILINE):
                    yield inner, line
                yield from walk(child, inner)

    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    yield from walk(ast.parse(path.read_text(encoding="utf-8")), module)


LINES = sorted(line for path in ROOT.rglob("*.py") for line in documented(path))


def sizes(shape: str) -> tuple[int, ...]:
    return tuple(int(letter) if letter.isdigit() else SIZES[letter] for letter in re.findall(r"\w+", shape))


def tensor(shape: str) -> torch.Tensor:
    """(B, T) and (B, S) are token ids, all else is numbers between 0 and 1."""
    return torch.randint(V, sizes(shape)) if shape in ("(B, T)", "(B, S)") else torch.rand(sizes(shape))


def resolve(name: str) -> Callable[..., Any]:
    module, _, function = name.rpartition(".")
    return getattr(importlib.import_module(f"inkwright.{module}"), function)


@pytest.mark.parametrize(("name", "line"), LINES, ids=[name for name, _ in LINES])
def test_a_shape_line_is_true(name: str, line: str) -> None:
    assert re.fullmatch(r"(\(.*\) )?-> \(.*\)", line), f"not of the form (B, T) -> (B, T, V): {line}"
    takes, gives = (re.findall(r"\([^)]*\)", side) for side in line.split("->"))
    call = CALLS[name] if name in CALLS else resolve(name)
    torch.manual_seed(0)
    given = call(*map(tensor, takes))
    found = [tuple(np.shape(value.detach() if isinstance(value, torch.Tensor) else value)) for value in _several(given)]
    assert found == [sizes(shape) for shape in gives]


def _several(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def test_no_shape_line_escapes_this_test() -> None:
    written = sum(path.read_text(encoding="utf-8").count("Shape:") for path in ROOT.rglob("*.py"))
    assert written == len(LINES) > 0


def test_every_row_of_the_table_is_for_a_line_that_exists() -> None:
    assert CALLS.keys() <= {name for name, _ in LINES}
