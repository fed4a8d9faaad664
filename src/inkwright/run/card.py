"""The README.md that stands in every model folder: what this model is, for whoever finds it. Knows no files."""

from collections.abc import Mapping
from typing import Any

from inkwright.config import ModelConfig, RunConfig
from inkwright.errors import quoted
from inkwright.run.layout import model_type

ONE_LAYER = {"bigram", "linear", "averaging", "one-head", "many-heads", "feed-forward"}  # --n-layer means nothing

CARD = """---
library_name: {library}
pipeline_tag: text-generation
tags: [inkwright, from-scratch, small]
---
# {name}

A small language model, trained from scratch with Inkwright on one text.

| | |
|---|---|
| text | {name}, {characters:,} characters train, {val_characters:,} validate ({split}) |
| sha256 of the text | `{fingerprint}` |
| tokenizer | {tokenizer}, {vocab_size:,} tokens |
| shape | {shape} |
| parameters | {parameters:,} |
| training | step {step:,} of {steps:,}, {batch_size} windows of {block_size} tokens a step, seed {seed} |
| validation loss | {loss} |

It knows nothing but this text, and may repeat passages of it word for word.

## How to load it

```
inkwright sample FOLDER --prompt "Once"
```

```python
import inkwright
print(inkwright.load("FOLDER").generate("Once"))
```
{others}"""

TRANSFORMERS = """
```python
from transformers import AutoModelForCausalLM, AutoTokenizer
model, tokenizer = AutoModelForCausalLM.from_pretrained("FOLDER"), AutoTokenizer.from_pretrained("FOLDER")
```
"""
NO_STOCK_CLASS = """
No stock class of transformers holds this shape; `--shape modern` or `--shape classic` trains one that it loads.
"""


def card(config: RunConfig, tokens: dict[str, Any], step: int, parameters: int, val: dict[str, float] | None) -> str:
    """The text of the card; `tokens` are the facts of the token folder, `val` those of the last evaluation."""
    stock = model_type(config.model) != "inkwright"
    return CARD.format(
        library="transformers" if stock else "inkwright",
        name=tokens["name"],
        characters=tokens["train"]["characters"],
        val_characters=tokens["val"]["characters"],
        split=quoted(config.text.val) if config.text.val else f"split: {config.text.split}",
        fingerprint=tokens["fingerprint"],
        tokenizer=config.text.tokenizer + (", bare alphabet" if config.text.alphabet == "bare" else ""),
        vocab_size=config.model.vocab_size,
        shape=describe(config.model),
        parameters=parameters,
        step=step,
        steps=config.train.steps,
        batch_size=config.train.batch_size,
        block_size=config.model.block_size,
        seed=config.train.seed,
        loss=figures(val) if val else "not measured at this step",
        others=TRANSFORMERS if stock else NO_STOCK_CLASS,
    )


def figures(val: Mapping[str, float]) -> str:
    """A validation loss in words: `1.5123 ± 0.0071 nats per token, 2.1818 bits per character`."""
    loss = f"{val['val_loss']:.4f} ± {val['val_loss_stderr']:.4f} nats per token"
    return f"{loss}, {val['bits_per_char']:.4f} bits per character"


def describe(config: ModelConfig) -> str:
    """A shape in one line: `modern GPT, 4 layers, 4 heads, width 128, context 128`."""
    parts = [f"{config.ngram_order}-gram"] if config.model in ("counts", "hybrid") else []
    if config.model not in {"counts", *ONE_LAYER}:
        parts += [f"{config.n_layer} layers", f"{config.n_head} heads", f"width {config.n_embd}"]
    elif config.model not in {"counts", "bigram"}:
        parts += [f"width {config.n_embd}"]
    parts += [f"context {config.block_size}"] + [f"dropout {config.dropout}"] * bool(config.dropout)
    return ", ".join([f"{config.shape} GPT" if config.model == "gpt" else config.model, *parts])
