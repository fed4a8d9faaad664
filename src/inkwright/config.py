"""What a run can be asked for: four small frozen records, the presets, and how they are filled. Imports no torch.

A value is looked for in this order: a flag, the environment (INKWRIGHT_LEARNING_RATE=3e-4), a TOML file or an earlier
run (--config), the preset, the default written here. Every field below is a flag, a TOML key and a variable.
"""

import difflib
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from inkwright.errors import ModelError, SettingError, UsageError, quoted

GIBIBYTE = 1024**3


class Record(BaseModel):
    """A frozen set of settings; an unknown name, a wrong type or a number that is not finite is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


class TextConfig(Record):
    """How a text is read, split and cut into tokens."""

    tokenizer: Literal["char", "byte", "bpe"] = Field(default="char", description="What a token is")
    vocab_size: int = Field(default=1024, ge=257, le=1_000_000, description="Size of a BPE vocabulary (bpe only)")
    alphabet: Literal["open", "bare"] = Field(
        default="open",
        description="bare: only the characters of the text, as in the lecture; open: any other in bytes (char only)",
    )
    val: str | None = Field(default=None, description="A text of its own to validate on; all of TEXT then trains")
    val_fraction: float = Field(default=0.1, gt=0, lt=1, description="Share of the characters that validate")
    train_fraction: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Share of what is left that trains, its end: to see what more text is worth",
    )
    split: Literal["tail", "documents", "blocks"] = Field(
        default="tail",
        description="What validates: the end of the text, whole documents, or the end of each tenth of the text",
    )
    encoding: str = Field(default="utf-8", description="Encoding of the files")
    normalize: Literal["NFC", "NFD", "NFKC", "NFKD"] | None = Field(
        default=None, description="Unicode normal form to bring the text to"
    )
    max_bytes: int = Field(default=2 * GIBIBYTE, ge=1, description="Refuse a text that is larger, once decompressed")


Model = Literal[
    "gpt", "swift", "hybrid", "bigram", "linear", "averaging", "one-head", "many-heads", "feed-forward", "no-residual",
    "residual", "projection", "wide", "layernorm", "counts",
]  # fmt: skip

SWIFT = {"swift", "hybrid"}  # models that are a swift GPT, or hold one

HEADLESS = {"bigram", "linear", "averaging", "one-head", "counts"}  # models in which --n-head means nothing


class ModelConfig(Record):
    """The shape of a model."""

    model: Model = Field(
        default="gpt",
        description="gpt; swift: a GPT that learns fast on a CPU; counts: an n-gram model; hybrid: these two, mixed; or a "
        "rung that leads to the GPT: bigram, linear, averaging, one-head ... layernorm",
    )
    shape: Literal["classic", "modern", "lecture"] = Field(
        default="modern",
        description="classic: GPT-2's parts; modern: Qwen3's (RoPE, RMSNorm, QK-norm, SwiGLU); lecture: the lecture's",
    )
    n_layer: int = Field(default=4, ge=1, le=10_000, description="Blocks")
    n_head: int = Field(default=4, ge=1, le=10_000, description="Attention heads in a block")
    n_embd: int = Field(default=128, ge=1, le=1_000_000, description="Channels: width of the residual stream")
    block_size: int = Field(default=128, ge=1, le=10_000_000, description="Context: the most tokens the model can see")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Share of activations dropped in training")
    input_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="Share of the first activations dropped in training (swift and hybrid)"
    )
    gram_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="Share of the grams hidden in training (swift and hybrid)"
    )
    activation: Literal["gelu", "gelu_tanh", "relu"] = Field(
        default="gelu_tanh",
        description="Of the MLP (classic and lecture): nanoGPT's gelu, GPT-2's gelu_tanh, the lecture's relu",
    )
    bias: bool = Field(default=False, description="Biases in linear layers and norms (classic only)")
    ngram_order: int | None = Field(
        default=None,
        ge=0,
        le=20,
        description="Tokens in the longest gram of counts, swift, and the counts in a hybrid "
        "[default: chosen on the training text; swift 5]",
    )
    vocab_size: int = Field(
        default=0, ge=0, description="Number of different tokens: the tokenizer's, never set by hand"
    )

    @property
    def head_size(self) -> int:
        """Channels of one head."""
        return self.n_embd // self.n_head

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        modern = self.model == "gpt" and self.shape == "modern"
        if modern and (self.bias or self.activation != "gelu_tanh"):
            setting = "bias" if self.bias else "activation"
            raise SettingError(setting, "is not for --shape modern, which has SwiGLU and no biases", "--shape classic")
        step = self.n_head * (2 if modern else 1)  # RoPE turns channels in pairs
        if self.model not in HEADLESS and self.n_embd % step:
            below, above = self.n_embd // step * step, -(-self.n_embd // step) * step
            raise SettingError(
                "n_embd",
                f"{self.n_embd} is not divisible by --n-head {self.n_head}"
                + (" x 2 (RoPE turns pairs)" if step > self.n_head else ""),
                f"{below} or {above}" if below else f"{above}",
            )
        return self


class Plan(Record):
    """From which step on a run with minutes meant to make how many, and what it knew then."""

    step: int = Field(ge=0)
    """Steps done when it was made; it is for those after."""
    steps: int = Field(ge=1)
    """Steps planned in all."""
    seconds: float = Field(ge=0)
    """Spent on training when it was made."""
    done: float | None = Field(default=None, ge=0, le=1)
    """How much of the schedule is done where it begins, where more time was given; None: as much as by the plan before."""


class TrainConfig(Record):
    """How a model is trained."""

    steps: int = Field(default=2000, ge=1, le=1_000_000_000, description="Optimizer updates")
    minutes: float | None = Field(
        default=None, gt=0, le=100_000, description="Instead of --steps: as many as end then; what is not set is chosen"
    )
    plan: tuple[Plan, ...] = Field(
        default=(), description="How the steps of a run with minutes were planned, oldest first; written by the run"
    )
    batch_size: int = Field(default=8, ge=1, le=10_000_000, description="Windows in a step")
    micro_batch_size: int | None = Field(
        default=None, ge=1, le=10_000_000, description="Windows at once, to save memory [default: all of them]"
    )
    order: Literal["random", "epoch"] = Field(
        default="random",
        description="Windows at random places, or each once before any comes twice; swift then learns its grams anew",
    )
    optimizer: Literal["adamw", "muon"] = Field(
        default="muon", description="adamw, or Muon for the matrices and AdamW for the rest"
    )
    learning_rate: float = Field(default=6e-3, gt=0, description="Peak learning rate")
    min_learning_rate: float = Field(default=0.0, ge=0, description="Learning rate at the end of the schedule")
    warmup_steps: int = Field(default=20, ge=0, le=1_000_000_000, description="Steps of linear warm-up")
    schedule: Literal["cosine", "linear", "constant"] = Field(
        default="linear", description="How the learning rate falls afterwards"
    )
    weight_decay: float = Field(default=0.1, ge=0, description="Decoupled weight decay of the matrices")
    beta1: float = Field(default=0.9, ge=0, lt=1, description="AdamW's first moment")
    beta2: float = Field(default=0.99, ge=0, lt=1, description="AdamW's second moment")
    grad_clip: float = Field(default=1.0, ge=0, description="Largest norm of the gradient; 0 is off")
    eval_every: int = Field(default=250, ge=1, description="Steps between two exact evaluations")
    checkpoint_every: int = Field(
        default=250, ge=1, description="Steps between two saves; a new best is saved in any case"
    )
    report_every: int = Field(default=10, ge=1, description="Steps between two lines in metrics.jsonl")
    sample_every: int = Field(default=500, ge=0, description="Steps between two samples shown while training; 0 is off")
    patience: int = Field(default=0, ge=0, description="Stop after this many evaluations without a new best; 0 is off")
    seed: int = Field(default=1337, ge=0, lt=2**63, description="Seed of the weights, the batches and dropout")
    on_nan: Literal["stop", "skip", "rewind"] = Field(
        default="stop",
        description="When the loss is not finite: stop, skip the step, or go back and lower the learning rate",
    )


class MachineConfig(Record):
    """What computes, and how."""

    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1, mps ...")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="auto: bfloat16 where it is faster, measured"
    )
    compile: Literal["auto", "on", "off"] = Field(default="auto", description="torch.compile; auto: on a GPU")
    threads: int | None = Field(default=None, ge=1, le=4096, description="CPU threads [default: all cores]")


class RunConfig(Record):
    """All that was asked of a run, resolved."""

    text: TextConfig = TextConfig()
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    machine: MachineConfig = MachineConfig()


class SampleConfig(Record):
    """How a text is drawn from a model."""

    max_new_tokens: int = Field(default=300, ge=1, le=100_000, description="How many tokens to write")
    temperature: float = Field(
        default=1.0, ge=0, le=5, description="0 always takes the likeliest token; 1 draws as the model says"
    )
    top_k: int = Field(default=0, ge=0, description="Draw only among the k likeliest tokens; 0 is off")
    top_p: float = Field(
        default=1.0, gt=0, le=1, description="Draw only among the likeliest tokens that hold this probability"
    )
    min_p: float = Field(
        default=0.0, ge=0, le=1, description="Draw only tokens at least this probable, relative to the likeliest"
    )
    repetition_penalty: float = Field(
        default=1.0, gt=0, le=10, description="Above 1: tokens of the text so far, prompt included, become less likely"
    )
    presence_penalty: float = Field(
        default=0.0, ge=-2, le=2, description="Taken off the logit of every token that was already written"
    )
    frequency_penalty: float = Field(
        default=0.0, ge=-2, le=2, description="Taken off that logit once for each time it was written"
    )
    logit_bias: dict[int, Annotated[float, Field(ge=-100, le=100)]] = Field(
        default={}, description="Added to the logits of these ids"
    )
    seed: int = Field(default=1337, ge=0, lt=2**63, description="Same seed, same text")
    stop: tuple[str, ...] = Field(default=(), description="Stop before this text; may be given several times")
    until_end: bool = Field(default=False, description="Stop where the model ends the document")
    allow_unseen: bool = Field(default=False, description="Also draw tokens that never occurred in training")


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "laptop": {},  # the defaults above
    "nanogpt-cpu": dict(
        alphabet="bare", shape="classic", activation="gelu", n_layer=4, n_head=4, n_embd=128, block_size=64, dropout=0.0,
        steps=2000, batch_size=12, optimizer="adamw", learning_rate=1e-3, min_learning_rate=1e-4, warmup_steps=100,
        schedule="cosine", beta2=0.99,
    ),
    "nanogpt-gpu": dict(
        alphabet="bare", shape="classic", activation="gelu", n_layer=6, n_head=6, n_embd=384, block_size=256, dropout=0.2,
        steps=5000, batch_size=64, optimizer="adamw", learning_rate=1e-3, min_learning_rate=1e-4, warmup_steps=100,
        schedule="cosine", beta2=0.99,
    ),
    "lecture-small": dict(
        alphabet="bare", shape="lecture", activation="relu", n_layer=3, n_head=4, n_embd=32, block_size=8, dropout=0.0,
        steps=5000, batch_size=32, optimizer="adamw", learning_rate=1e-3, min_learning_rate=1e-3, warmup_steps=0,
        schedule="constant", weight_decay=0.01, beta2=0.999, grad_clip=0.0, eval_every=500, checkpoint_every=5000,
    ),
    "lecture": dict(
        alphabet="bare", shape="lecture", activation="relu", n_layer=6, n_head=6, n_embd=384, block_size=256, dropout=0.2,
        steps=5000, batch_size=64, optimizer="adamw", learning_rate=3e-4, min_learning_rate=3e-4, warmup_steps=0,
        schedule="constant", weight_decay=0.01, beta2=0.999, grad_clip=0.0, eval_every=500, checkpoint_every=500,
    ),
    "sprint": dict(
        alphabet="bare", model="swift", n_layer=1, n_head=2, n_embd=64, block_size=64, steps=40, batch_size=32, order="epoch",
        learning_rate=0.0133, warmup_steps=2, weight_decay=0.0, beta2=0.95, grad_clip=0.0, eval_every=40, checkpoint_every=40,
        report_every=10, sample_every=0,
    ),
}  # fmt: skip
"""Settings by name. nanogpt-*: nanoGPT's two Shakespeare recipes (train.py, config/train_shakespeare_char.py and the
README's CPU line at commit 3adf61e). lecture: the last script of ng-video-lecture (gpt.py at commit 5220142);
lecture-small: its settings on the way there."""

SECTIONS: Mapping[str, type[Record]] = {
    "text": TextConfig, "model": ModelConfig, "train": TrainConfig, "machine": MachineConfig,
}  # fmt: skip
HIDDEN = {("model", "vocab_size"), ("train", "plan")}  # the tokenizer's and the run's to say, not a person's


def settable() -> dict[str, tuple[str, FieldInfo]]:
    """Every setting a person may give for a run: name -> (section, field)."""
    return {
        name: (section, field)
        for section, record in SECTIONS.items()
        for name, field in record.model_fields.items()
        if (section, name) not in HIDDEN
    }


def resolve(settings: Mapping[str, Any], preset: str | None = None) -> RunConfig:
    """The records of a run: `settings` over the preset over the defaults.

    Raises: SettingError   an unknown name or a value out of bounds; UsageError   an unknown preset
    """
    if preset is not None and preset not in PRESETS:
        raise UsageError(f"--preset must be one of {', '.join(PRESETS)} (got {quoted(preset)})")
    known = settable()
    sections: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for name, value in {**PRESETS[preset or "laptop"], **settings}.items():
        if name not in known:
            raise SettingError(name, "is not a setting", did_you_mean(name, known))
        sections[known[name][0]][name] = value
    return RunConfig.model_validate({section: build(SECTIONS[section], values) for section, values in sections.items()})


R = TypeVar("R", bound=Record)


def build(record: type[R], values: Mapping[str, Any]) -> R:
    """A record from values; a value that cannot be is told in one sentence.

    Raises: SettingError   names the setting, the value given and what is allowed
    """
    try:
        return record(**values)
    except ValidationError as error:
        raise setting_error(error, record.model_fields) from None


def change(record: R, **changes: Any) -> R:
    """A new record with some fields changed, validated again."""
    return build(type(record), record.model_dump() | changes)


def with_settings(config: RunConfig, settings: Mapping[str, Any]) -> RunConfig:
    """The same configuration with some settings of any of its records changed.

    Raises: SettingError
    """
    changes = {
        section: {k: v for k, v in settings.items() if k in SECTIONS[section].model_fields} for section in SECTIONS
    }
    return RunConfig(**{name: change(getattr(config, name), **changes[name]) for name in SECTIONS})


def setting_error(error: ValidationError, fields: Mapping[str, FieldInfo]) -> SettingError:
    """What pydantic found first, in our words: `learning_rate must be a finite number > 0 (got nan)`."""
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if name not in fields:
        return SettingError(name, "is not a setting", did_you_mean(name, fields))
    return SettingError(name, f"must be {_allowed(fields[name])} (got {quoted(first['input']) or 'nothing'})")


def _allowed(field: FieldInfo) -> str:
    """The values a field may have, in words."""
    annotation = field.annotation
    parts = [a for a in get_args(annotation) if a is not type(None)] if get_origin(annotation) is not Literal else []
    kind = parts[0] if parts and type(None) in get_args(annotation) else annotation
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(map(str, get_args(kind)))
    if get_origin(kind) is dict:
        return "ids with biases between -100 and 100"
    bounds = {
        name: getattr(m, name.lower()) for m in field.metadata if (name := type(m).__name__) in ("Ge", "Gt", "Le", "Lt")
    }
    low, high = bounds.get("Ge"), bounds.get("Le")
    if kind is int:
        return f"{low} to {high}" if low is not None and high is not None else _bounded("a whole number", bounds)
    if kind is float:
        return (
            f"between {low} and {high}" if low is not None and high is not None else _bounded("a finite number", bounds)
        )
    return {bool: "true or false", str: "a text"}.get(kind, "a list of texts")  # type: ignore[arg-type]


def _bounded(noun: str, bounds: Mapping[str, Any]) -> str:
    signs = {"Ge": ">=", "Gt": ">", "Le": "<=", "Lt": "<"}
    return " ".join([noun, " and ".join(f"{signs[name]} {value}" for name, value in bounds.items())]).strip()


def did_you_mean(name: str, known: Mapping[str, Any]) -> str:
    """A hint: the nearest name, or all of them where nothing is near."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else "known: " + ", ".join(known)


def from_environment() -> dict[str, str]:
    """Settings given as INKWRIGHT_<NAME>."""
    return {name: os.environ[key] for name in settable() if (key := f"INKWRIGHT_{name.upper()}") in os.environ}


class ConfigFile(BaseModel):
    """What --config named: settings, and perhaps the preset and the text."""

    KEYS: ClassVar = ("preset", "texts")
    settings: dict[str, Any]
    preset: str | None = None
    texts: tuple[str, ...] = ()


def from_file(path: Path) -> ConfigFile:
    """Settings from a TOML file (`learning_rate = 1e-3`, a key a line) or from an earlier run's folder.

    Raises: UsageError   the file does not exist or is not TOML; ModelError   the run's record is damaged
    """
    try:
        if (path / "run.json").is_file():
            return _from_run(path)
        if path.exists() and not path.is_file() and not path.is_dir():
            raise UsageError(f"--config {quoted(path)} is not a regular file", "a TOML file or the folder of a run")
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or "error").lower() if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(
            f"--config {quoted(path)} cannot be read: {reason}", "a TOML file or the folder of a run"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"--config {quoted(path)} is not TOML: {error}", "one `name = value` a line") from None
    texts = table.pop("text", ())
    settings = {name.replace("-", "_"): value for name, value in table.items() if name != "preset"}
    try:
        return ConfigFile(
            preset=table.get("preset"), texts=(texts,) if isinstance(texts, str) else texts, settings=settings
        )
    except ValidationError as error:
        name, kind = (
            ("preset", "a name") if error.errors()[0]["loc"][0] == "preset" else ("text", "a text or a list of them")
        )
        raise UsageError(f"--config {quoted(path)}: {name} must be {kind}") from None


def _from_run(folder: Path) -> ConfigFile:
    """What an earlier run was asked for; how many steps fitted into its minutes is known by now."""
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        known = settable()
        flat = {
            k: v
            for section in SECTIONS
            for k, v in record["config"][section].items()
            if k in known and known[k][0] == section
        }
        del flat["minutes"]
        return ConfigFile(settings=flat, texts=record["texts"])
    except (ValueError, KeyError, TypeError, AttributeError):  # a ValidationError is a ValueError
        raise ModelError(f"{quoted(folder.name)} is damaged (run.json: not as written)") from None
