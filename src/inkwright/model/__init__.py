"""Ids to logits. Has never heard of text, files or loss."""

from inkwright.config import ModelConfig
from inkwright.model.base import LogitModel
from inkwright.model.counts import Counts
from inkwright.model.gpt import GPT
from inkwright.model.ladder import RUNGS

MODELS: dict[str, type[LogitModel]] = {"gpt": GPT, **RUNGS, "counts": Counts}


def build(config: ModelConfig, seed: int = 0) -> LogitModel:
    """The model of a configuration, with fresh weights."""
    model = MODELS[config.model](config)
    model.initialize(seed)
    return model
