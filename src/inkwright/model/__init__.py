"""Ids to logits. Has never heard of text, files or loss."""

import numpy as np

from inkwright.config import ModelConfig
from inkwright.model.base import LogitModel
from inkwright.model.counts import Counts
from inkwright.model.gpt import GPT
from inkwright.model.hybrid import Hybrid
from inkwright.model.ladder import RUNGS
from inkwright.model.swift import Swift

MODELS: dict[str, type[LogitModel]] = {"gpt": GPT, "swift": Swift, "hybrid": Hybrid, **RUNGS, "counts": Counts}


def build(config: ModelConfig, seed: int = 0, train_ids: np.ndarray | None = None) -> LogitModel:
    """The model of a configuration, with fresh weights, made for a training text of (N,) ids."""
    model = MODELS[config.model](config)
    if train_ids is not None:
        model.look_through(train_ids)
    model.initialize(seed)
    return model
