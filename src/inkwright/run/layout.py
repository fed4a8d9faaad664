"""The same weights under two sets of names: ours, and those of the stock architecture others know. Knows no files."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from inkwright.config import ModelConfig, build
from inkwright.errors import ModelError, SettingError, quoted
from inkwright.model import LogitModel
from inkwright.model.gpt import ROPE_BASE, hidden_size

STOCK = {"classic": "gpt2", "modern": "qwen3"}
"""Shape -> `model_type` of the Hugging Face class that computes the same; other shapes are "inkwright"."""


def model_type(config: ModelConfig) -> str:
    """What config.json calls this model."""
    return STOCK.get(config.shape, "inkwright") if config.model == "gpt" else "inkwright"


class Row(NamedTuple):
    """One stock tensor: its name, our tensors that lie in it one above the other, and whether it is kept transposed."""

    stock: str
    ours: list[str]
    transposed: bool = False


def rows(config: ModelConfig) -> Iterator[Row]:
    """How the stock tensors of a shape are made of ours."""
    if config.shape == "modern":
        yield from (Row("model.embed_tokens.weight", ["tok_emb.weight"]), Row("model.norm.weight", ["ln_f.weight"]))
        yield Row("lm_head.weight", ["lm_head.weight"])
        for i in range(config.n_layer):
            for stock, ours in MODERN_BLOCK.items():
                yield Row(f"model.layers.{i}.{stock}.weight", [f"blocks.{i}.{ours}.weight"])
        return
    yield from (Row("wte.weight", ["tok_emb.weight"]), Row("wpe.weight", ["pos_emb.weight"]))
    for kind in ("weight", "bias"):
        yield Row(f"ln_f.{kind}", [f"ln_f.{kind}"])
        for i in range(config.n_layer):
            for stock, ours in CLASSIC_BLOCK.items():
                linear = not stock.startswith("ln")
                yield Row(
                    f"h.{i}.{stock}.{kind}", [f"blocks.{i}.{o}.{kind}" for o in ours], linear and kind == "weight"
                )


ACTIVATION = {"gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu"}  # ours -> transformers' name
MODERN_BLOCK = {
    "input_layernorm": "ln_1", "post_attention_layernorm": "ln_2",
    "self_attn.q_proj": "attn.q", "self_attn.k_proj": "attn.k", "self_attn.v_proj": "attn.v", "self_attn.o_proj": "attn.proj",
    "self_attn.q_norm": "attn.q_norm", "self_attn.k_norm": "attn.k_norm",
    "mlp.gate_proj": "mlp.gate", "mlp.up_proj": "mlp.up", "mlp.down_proj": "mlp.proj",
}  # fmt: skip
CLASSIC_BLOCK = {
    "ln_1": ["ln_1"], "attn.c_attn": ["attn.q", "attn.k", "attn.v"], "attn.c_proj": ["attn.proj"],
    "ln_2": ["ln_2"], "mlp.c_fc": ["mlp.fc"], "mlp.c_proj": ["mlp.proj"],
}  # fmt: skip


def to_stock(model: LogitModel) -> dict[str, Tensor]:
    """The tensors of a model under the names, and in the form, of its stock architecture (our own where it has none)."""
    state = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    if model_type(model.config) == "inkwright":
        return {name: tensor.contiguous() for name, tensor in state.items()}
    tensors: dict[str, Tensor] = {}
    for stock, ours, transposed in rows(model.config):
        parts = [state[name] if name in state else _no_bias(state, name) for name in ours]
        joined = torch.cat(parts)
        tensors[stock] = (joined.T if transposed else joined).contiguous().clone()
    return tensors


def _no_bias(state: Mapping[str, Tensor], name: str) -> Tensor:
    """GPT-2 always has biases; a model without them has zeros there."""
    return torch.zeros(len(state[name.replace("bias", "weight")]))


def from_stock(tensors: Mapping[str, Tensor], model: LogitModel) -> None:
    """Fill a model with tensors in the form of its stock architecture.

    Raises: ModelError   one is missing, left over, or has another shape
    """
    model.make_room(tensors)
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items()}
    if model_type(model.config) == "inkwright":
        state, known = dict(tensors), set(wanted)
    else:
        state, known = {}, set[str]()
        tensors = {
            name.removeprefix("transformer."): tensor for name, tensor in tensors.items()
        }  # GPT-2's class adds it
        for stock, ours, transposed in rows(model.config):
            known.add(stock)
            if stock not in tensors:
                raise ModelError(f"model.safetensors has no tensor {stock}")
            tensor = tensors[stock].mT if transposed and tensors[stock].ndim == 2 else tensors[stock]
            if tensor.ndim == 0 or len(tensor) % len(ours):
                raise ModelError(f"model.safetensors: {stock} is {tuple(tensor.shape)}, not {len(ours)} equal parts")
            if not wanted.keys() & set(ours) and tensor.any():
                raise ModelError(f"model.safetensors: {stock} is not zero, and this model has no biases")
            state |= {name: part for name, part in zip(ours, tensor.chunk(len(ours)), strict=True) if name in wanted}
        if model.config.shape == "classic":
            state["lm_head.weight"] = state["tok_emb.weight"]
    if extra := tensors.keys() - known:
        raise ModelError(f"model.safetensors has a tensor that this shape does not have: {min(extra)}")
    for name, shape in wanted.items():
        found = tuple(state[name].shape) if name in state else "missing"
        if found != tuple(shape):
            raise ModelError(f"model.safetensors: {name} is {found}, expected {tuple(shape)}")
    model.load_state_dict(state)


def stock_config(config: ModelConfig, end_id: int | None) -> dict[str, Any]:
    """What config.json says, for the class that will read it."""
    shared: dict[str, Any] = {
        "model_type": model_type(config), "vocab_size": config.vocab_size,
        "bos_token_id": end_id, "eos_token_id": end_id,
        "torch_dtype": "float32", "dtype": "float32",  # older and newer transformers
        "inkwright": config.model_dump(),
    }  # fmt: skip
    if shared["model_type"] == "gpt2":
        return shared | {
            "architectures": ["GPT2LMHeadModel"], "n_positions": config.block_size, "n_ctx": config.block_size,
            "n_embd": config.n_embd, "n_layer": config.n_layer, "n_head": config.n_head,
            "activation_function": ACTIVATION[config.activation],
            "layer_norm_epsilon": 1e-5, "resid_pdrop": config.dropout, "embd_pdrop": config.dropout,
            "attn_pdrop": config.dropout, "tie_word_embeddings": True,
        }  # fmt: skip
    if shared["model_type"] == "qwen3":
        return shared | {
            "architectures": ["Qwen3ForCausalLM"], "hidden_size": config.n_embd,
            "intermediate_size": hidden_size(config),
            "num_hidden_layers": config.n_layer, "num_attention_heads": config.n_head,
            "num_key_value_heads": config.n_head, "head_dim": config.head_size, "hidden_act": "silu",
            "max_position_embeddings": config.block_size, "rms_norm_eps": 1e-6, "rope_theta": ROPE_BASE,
            "rope_parameters": {"rope_type": "default", "rope_theta": ROPE_BASE},
            "attention_bias": False, "attention_dropout": config.dropout, "tie_word_embeddings": False,
        }  # fmt: skip
    return shared


PLAIN: dict[str, dict[str, Any]] = {
    "gpt2": {"n_inner": None, "scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False},
    "qwen3": {"use_sliding_window": False, "rope_scaling": None},
}
"""Variants of the stock architectures that we do not have: what a config.json must say of them where it names them."""
OURS: Any = {stock: ours for ours, stock in ACTIVATION.items()}


def _own_config(stock: Mapping[str, Any]) -> ModelConfig:
    config = build(ModelConfig, stock["inkwright"])
    if config.vocab_size == 0:
        raise SettingError("vocab_size", "must be > 0 (got 0)")
    return config


def our_config(stock: Mapping[str, Any]) -> ModelConfig:
    """The shape that a config.json describes: written by us, or a stock one with every part as ours.

    Raises: ModelError   an architecture, or a variant of one, that Inkwright does not have; the reason is named
    """
    kind = stock.get("model_type")
    try:
        if isinstance(stock.get("inkwright"), dict):
            return _own_config(stock)
        if kind == "gpt2":
            config = build(ModelConfig, dict(
                shape="classic", bias=True, activation=OURS[str(stock.get("activation_function", "gelu_new"))],
                n_layer=stock["n_layer"], n_head=stock["n_head"], n_embd=stock["n_embd"],
                block_size=stock["n_positions"], vocab_size=stock["vocab_size"],
            ))  # fmt: skip
        elif kind == "qwen3":
            config = build(ModelConfig, dict(
                shape="modern", n_layer=stock["num_hidden_layers"], n_head=stock["num_attention_heads"],
                n_embd=stock["hidden_size"], block_size=stock["max_position_embeddings"], vocab_size=stock["vocab_size"],
            ))  # fmt: skip
        else:
            raise ModelError(
                f"a {quoted(repr(kind))} model is not one Inkwright reads", "it reads gpt2, qwen3 and its own"
            )
    except KeyError as missing:
        raise ModelError(f"config.json: Inkwright cannot use it without, or with, {missing}") from None
    except SettingError as error:
        raise ModelError(f"config.json: {error.message}") from None
    ours = stock_config(config, None) | PLAIN[kind]
    free = {"inkwright", "architectures", "bos_token_id", "eos_token_id", "torch_dtype", "dtype"} | {
        name for name in ours if name.endswith(("pdrop", "dropout", "n_ctx"))
    }
    for name, value in ours.items():
        if name not in free and name in stock and stock[name] != value:
            raise ModelError(f"config.json: {name} is {stock[name]!r}; Inkwright's {config.shape} shape has {value!r}")
    return config
