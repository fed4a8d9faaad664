"""A GPT packed for the kernels, and the slots its texts are written in. Needs numba, the extra `fast`."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inkwright.config import ModelConfig, SampleConfig
from inkwright.errors import ModelError
from inkwright.model.gpt import GPT, SwiGLU, hidden_size
from inkwright.model.swift import Swift
from inkwright.sample import kernels
from inkwright.sample.draw import Pen
from inkwright.sample.engine import Precision

AHEAD = 64  # random numbers drawn at once: the same ones as one at a time
ROWS = 48  # tokens that are read at once
SHARE = 4  # texts that make a thread worth its start


def aligned(shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    """Zeros that begin where a cache line does."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)


def pack(matrices: Sequence[Tensor], precision: Precision) -> tuple[np.ndarray, np.ndarray]:
    """Matrices (outputs, depth) of one size as panels: side by side the weights of PANEL outputs, and their scales."""
    width = kernels.PANEL
    outputs, depth = matrices[0].shape
    panels = -(-outputs // width)
    padded = np.zeros((len(matrices), panels * width, depth), np.float32)
    for layer, matrix in enumerate(matrices):
        padded[layer, :outputs] = matrix.detach().float().numpy()
    scale = np.ones(padded.shape[:2], np.float32)
    if precision == "int8":
        scale = np.maximum(np.abs(padded).max(-1), 1e-30) / 127
        padded = np.round(padded / scale[:, :, None])
    ordered = padded.reshape(len(matrices), panels, width, depth).swapaxes(2, 3)
    if precision == "bfloat16":
        ordered = pairs(ordered)
    kept = aligned(ordered.shape, np.int8 if precision == "int8" else ordered.dtype)
    kept[:] = ordered
    return kept, scale


def pairs(weights: np.ndarray) -> np.ndarray:
    """Weights (..., depth, PANEL) as bfloat16, those of two neighbours in the depth as one word: the first one below."""
    halves = torch.from_numpy(np.ascontiguousarray(weights)).bfloat16().view(torch.int16).numpy().view(np.uint16)
    if weights.shape[-2] % 2:
        halves = np.concatenate([halves, np.zeros_like(halves[..., :1, :])], -2)
    return halves[..., 0::2, :].astype(np.uint32) | halves[..., 1::2, :].astype(np.uint32) << np.uint32(16)


Part = tuple[Tensor, Tensor | None]
"""A matrix (outputs, depth) and its bias, if it has one."""


def layer(layers: Sequence[Sequence[Part]], precision: Precision) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One linear layer of every block, of parts that are side by side: weights, scales and biases; no bias is zeros."""
    weights, scale = pack([torch.cat([matrix for matrix, _ in parts]) for parts in layers], precision)
    found = np.zeros_like(scale)
    for row, parts in zip(found, layers, strict=True):
        start = 0
        for matrix, bias in parts:
            if bias is not None:
                row[start : start + len(matrix)] = numbers(bias)
            start += len(matrix)
    return weights, scale, found


def numbers(tensor: Tensor) -> np.ndarray:
    """A tensor as float32 in order."""
    return np.ascontiguousarray(tensor.detach().float().numpy())


NOTHING = np.zeros((0, 0), np.float32)


def pack_gpt(model: GPT, precision: Precision) -> kernels.Weights:
    """A GPT as the kernels read it."""
    config = model.config
    blocks: list[Any] = list(model.blocks)
    modern = config.shape == "modern"
    activation = kernels.SWIGLU if modern else {"gelu": 0, "gelu_tanh": 1, "relu": 2}[config.activation]
    norms: list[Any] = [norm for block in blocks for norm in (block.ln_1, block.ln_2)] + [model.ln_f]
    nothing = torch.zeros(config.n_embd)
    pairs = [torch.stack([n.weight, b if (b := getattr(n, "bias", None)) is not None else nothing]) for n in norms]
    heads = [
        torch.stack([b.attn.q_norm.weight, b.attn.k_norm.weight, torch.zeros(config.head_size)])
        if modern
        else torch.zeros(3, config.head_size)
        for b in blocks
    ]

    def joined(layers: list[list[Any]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return layer([[(part.weight, part.bias) for part in parts] for parts in layers], precision)

    return kernels.Weights(
        sizes(config, hidden_size(config), activation, centred=not modern, normed_input=False),
        np.array([blocks[0].attn.q_norm.eps if modern else 0, norms[-1].eps], np.float32),
        numbers(model.tok_emb.weight), np.zeros(0, np.int64), np.zeros(1, np.int64),
        NOTHING if model.pos_emb is None else numbers(model.pos_emb.weight),
        NOTHING[None] if model.rotary is None else numbers(model.rotary),
        numbers(torch.stack(pairs)),
        numbers(torch.stack(heads)),
        *joined([[b.attn.q, b.attn.k, b.attn.v] for b in blocks]),
        *joined([[b.attn.proj] for b in blocks]),
        *joined([[b.mlp.gate, b.mlp.up] if isinstance(b.mlp, SwiGLU) else [b.mlp.fc] for b in blocks]),
        *joined([[b.mlp.proj] for b in blocks]),
        *joined([[model.lm_head]]),
    )  # fmt: skip


def pack_swift(model: Swift, precision: Precision) -> kernels.Weights:
    """A swift GPT as the kernels read it: its norms learn nothing, so their weights are 1 and their biases 0."""
    config = model.config
    blocks: list[Any] = list(model.blocks)
    L, C, size = config.n_layer, config.n_embd, config.head_size
    grams = [found.numpy() for found in model.gram_emb.grams]

    def halves(matrix: Tensor) -> Tensor:
        """Of each head the even channels first: `kernels.turn` turns a channel with the one half a head away."""
        return matrix.view(config.n_head, size // 2, 2, C).transpose(1, 2).reshape(C, C)

    def joined(layers: list[list[Tensor]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return layer([[(matrix, None) for matrix in parts] for parts in layers], precision)

    return kernels.Weights(
        sizes(config, 4 * C, kernels.RELU_SQUARED, centred=True, normed_input=True),
        np.array([EPS, EPS], np.float32),
        numbers(model.gram_emb.weight),
        np.concatenate([np.zeros(0, np.int64), *grams]),
        np.cumsum([0, *map(len, grams)]),
        NOTHING,
        numbers(model.turns.permute(2, 0, 1)),
        np.broadcast_to(np.array([[1], [0]], np.float32), (2 * L + 1, 2, C)).copy(),
        np.broadcast_to(np.array([[1], [1], [0]], np.float32), (L, 3, size)).copy(),
        *joined([[halves(b.qkv[0]), halves(b.qkv[1]), b.qkv[2]] for b in blocks]),
        *joined([[b.proj.weight] for b in blocks]),
        *joined([[b.fc.weight] for b in blocks]),
        *joined([[b.mlp_proj.weight] for b in blocks]),
        *joined([[model.lm_head.weight]]),
    )


EPS = 1e-5  # of torch's layer_norm, where nothing else is said


def sizes(config: ModelConfig, hidden: int, activation: int, centred: bool, normed_input: bool) -> kernels.Sizes:
    """A model's numbers."""
    return kernels.Sizes(
        config.n_embd, config.n_head, config.head_size, hidden, config.block_size, config.vocab_size,
        activation, centred, normed_input,
    )  # fmt: skip


class FastSlots:
    """Texts that are written by the kernels."""

    def __init__(self, model: GPT | Swift, slots: int, precision: Precision = "float32") -> None:
        self.weights = pack_gpt(model, precision) if isinstance(model, GPT) else pack_swift(model, precision)
        config = model.config
        V, T, size = config.vocab_size, config.block_size, config.head_size
        self.vocab_size, self.block_size = V, T
        cache = (slots, config.n_layer, config.n_head, T, -(-size // kernels.LANES) * kernels.LANES)
        self.texts = kernels.Texts(
            aligned(cache), aligned(cache),
            np.zeros((slots, T + 1), np.int64), np.zeros((slots, T, len(self.weights.gram_ends)), np.int64),
            np.zeros(slots, np.int64), np.zeros(slots, np.int64),
            np.zeros((slots, 7)), np.zeros((slots, V), np.float32), np.zeros((slots, V), np.bool_),
            np.zeros((slots, V), np.float32), np.zeros((slots, AHEAD)), np.zeros(slots, np.int64),
            np.zeros((slots, V), np.float32), np.zeros(slots, np.int64), np.zeros(slots),
        )  # fmt: skip
        self.rooms = [self._room() for _ in range(max(1, min(torch.get_num_threads(), slots // SHARE)))]
        self.helpers = ThreadPoolExecutor(len(self.rooms))  # none is started before there is work for it
        self.generators: dict[int, torch.Generator] = {}
        self.step([])  # compiles the kernels where no one has yet

    def _room(self) -> kernels.Room:
        """Where one thread computes."""
        w, C = self.weights, self.weights.tokens.shape[1]

        def space(matrix: np.ndarray) -> np.ndarray:
            return aligned((ROWS, matrix.shape[1] * kernels.PANEL))

        return kernels.Room(
            aligned((ROWS, C)), max(space(w.out), space(w.down), key=np.size), space(w.qkv), aligned((ROWS, C)),
            space(w.up), space(w.head), aligned((self.block_size,)), aligned(self.texts.values.shape[4:]),
            np.zeros((ROWS, 2), np.int64), np.zeros(ROWS, np.int64), np.zeros(self.vocab_size),
        )  # fmt: skip

    def begin(self, slot: int, prompt: Sequence[int], config: SampleConfig, never: Sequence[int]) -> None:
        """Put a text into a slot.

        Raises: TextError, SettingError   an id that the model does not have, or no prompt
        """
        pen = Pen(self.vocab_size, prompt, config, never)
        texts, context = self.texts, list(prompt[-self.block_size :])
        texts.context[slot, : len(context)] = context
        texts.length[slot], texts.read[slot] = len(context), 0
        texts.wishes[slot] = (
            config.temperature, config.top_k, config.top_p, config.min_p,
            config.repetition_penalty, config.presence_penalty, config.frequency_penalty,
        )  # fmt: skip
        texts.bias[slot], texts.present[slot], texts.written[slot] = pen.bias, pen.present, 0
        self.generators[slot] = pen.rng
        texts.used[slot] = AHEAD

    def step(self, slots: Sequence[int]) -> None:
        """One more token for each of these slots: `texts.ids`, `texts.logprobs` and `texts.logits` then hold it.

        Raises: ModelError   the model gives no finite probabilities
        """
        texts = self.texts
        for slot in slots:
            if texts.used[slot] == AHEAD:
                texts.points[slot] = torch.rand(AHEAD, generator=self.generators[slot], dtype=torch.float64).numpy()
                texts.used[slot] = 0
        parts = max(1, min(len(self.rooms), len(slots) // SHARE))
        shares = [np.array(slots[part::parts], np.int64) for part in range(parts)]
        mine, *others = (
            partial(kernels.advance, self.weights, texts, *work)
            for work in zip(self.rooms[:parts], shares, strict=True)
        )
        working = [self.helpers.submit(other) for other in others]
        failed = [mine(), *(other.result() for other in working)]  # side by side: the kernels hold no lock
        if max(failed) >= 0:
            raise ModelError(
                "the model gave no finite probabilities", "its weights are damaged or it diverged; train it again"
            )

    def drawn(self, slot: int) -> tuple[int, float]:
        """The token that came last, and its log-probability."""
        return int(self.texts.ids[slot]), float(self.texts.logprobs[slot])

    def logits(self, slot: int) -> Tensor:
        """What it was drawn from, (V,)."""
        return torch.from_numpy(self.texts.logits[slot])
