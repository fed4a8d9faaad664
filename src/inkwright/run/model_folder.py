"""A model as a folder that others read too: Hugging Face's files, the tokenizer beside the weights. No pickle anywhere."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from inkwright import storage
from inkwright.config import ModelConfig
from inkwright.errors import ModelError, quoted
from inkwright.model import MODELS, LogitModel
from inkwright.run.layout import from_stock, our_config, stock_config, to_stock
from inkwright.text.tokenizer import END_OF_TEXT, Tokenizer
from inkwright.train.device import parameter_estimate

SLACK = 100  # an estimate may be wrong, but not by so much


@dataclass(frozen=True)
class ModelFolder:
    """What was read from a folder."""

    model: LogitModel
    tokenizer: Tokenizer
    unseen: tuple[int, ...]
    facts: dict[str, Any] | None
    """The manifest; None where the folder was made elsewhere and damage cannot be told."""


def contents(model: LogitModel, tokenizer: Tokenizer, unseen: list[int], card: str) -> dict[str, bytes]:
    """The files of a model folder: name -> bytes."""
    end_id = tokenizer.end_id
    special = {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT} if end_id is not None else {}
    return {
        "model.safetensors": safetensors.torch.save(to_stock(model), metadata={"format": "pt"}),
        "config.json": _json(stock_config(model.config, end_id)),
        "generation_config.json": _json(
            {"do_sample": True, "temperature": 1.0, "top_k": 0, "bos_token_id": end_id, "eos_token_id": end_id}
            | {"suppress_tokens": unseen or None}
        ),
        "tokenizer.json": tokenizer.to_json().encode(),
        "tokenizer_config.json": _json(
            {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
            | {"model_max_length": model.config.block_size, "split_special_tokens": True}
            | special
        ),
        "README.md": card.encode(),
    }


def read(folder: Path) -> ModelFolder:
    """The model in a folder: a checkpoint of ours, proved whole, or a stock folder made elsewhere.

    Raises: DamagedError, ModelError
    """
    facts = storage.verify(folder) if (folder / storage.MANIFEST).exists() else None

    def file(name: str) -> bytes:
        if facts is not None:
            if name not in facts["files"]:
                raise ModelError(f"{folder} has no {name}")
            return storage.read_verified(folder, facts, name)
        try:
            return (folder / name).read_bytes()
        except OSError as error:
            raise ModelError(f"{folder} has no readable {name} ({(error.strerror or 'error').lower()})") from None

    def fields(name: str) -> dict[str, Any]:
        try:
            found = json.loads(file(name))
        except (ValueError, RecursionError) as error:
            raise ModelError(f"{folder}/{name} is not JSON: {quoted(error)}") from None
        if not isinstance(found, dict):
            raise ModelError(f"{folder}/{name} is not a JSON object")
        return found

    config = our_config(fields("config.json"))
    try:
        tensors = safetensors.torch.load(file("model.safetensors"))
    except SafetensorError as error:
        raise ModelError(f"{folder}/model.safetensors is not a safetensors file: {quoted(error)}") from None
    held, described = sum(tensor.numel() for tensor in tensors.values()), parameter_estimate(config)
    if described > SLACK * (held + 1_000_000):  # before room is made for them
        raise ModelError(f"{folder}/config.json describes {described:,} parameters, model.safetensors holds {held:,}")
    model = build_empty(config)
    from_stock(tensors, model)
    refuse_not_finite(model)
    tokenizer = Tokenizer.from_json(file("tokenizer.json").decode(errors="replace"))
    if tokenizer.vocab_size > model.config.vocab_size:
        raise ModelError(
            f"{folder}: the tokenizer has {tokenizer.vocab_size} tokens, the model {model.config.vocab_size}"
        )
    has_generation = facts is not None or (folder / "generation_config.json").exists()
    unseen = _never_drawn(fields("generation_config.json") if has_generation else {}, model, tokenizer)
    return ModelFolder(model.eval(), tokenizer, unseen, facts)


def _never_drawn(generation: dict[str, Any], model: LogitModel, tokenizer: Tokenizer) -> tuple[int, ...]:
    """The ids that generation_config.json suppresses, and the rows of padding that some stock models carry."""
    listed, known = generation.get("suppress_tokens"), range(tokenizer.vocab_size)
    unseen = [i for i in listed if type(i) is int and i in known] if isinstance(listed, list) else []
    return (*unseen, *range(tokenizer.vocab_size, model.config.vocab_size))


def build_empty(config: ModelConfig) -> LogitModel:
    """A model whose weights are about to be filled."""
    return MODELS[config.model](config)


def refuse_not_finite(model: LogitModel) -> None:
    """Raises: ModelError   a weight is nan or infinite; names where"""
    for name, tensor in model.state_dict().items():
        if not torch.isfinite(tensor).all():
            value = "nan" if tensor.isnan().any() else "inf"
            place = ".".join(name.split(".")[:3])
            raise ModelError(f"the model produced no finite probabilities (weights contain {value} in {place})")


def _json(record: dict[str, Any]) -> bytes:
    return json.dumps(record, indent=2).encode() + b"\n"
