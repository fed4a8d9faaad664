"""The settings of a run as flags: one for each field of the records in config.py. Knows no verb."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter
from pydantic import BaseModel, ConfigDict, create_model

from inkwright import config as configs
from inkwright.app.cli.console import STDIN as STDIN
from inkwright.errors import InkwrightError, SettingError, UsageError

NAMES = {"max_new_tokens": "tokens"}
"""Fields whose flag has another name."""

RIVALS = {"minutes": "steps", "steps": "minutes"}
"""Two ways to say one thing: the one that was said later, nearer to the command, wins."""

GROUPS = {
    section: Group(f"{title} settings", sort_key=i)
    for i, (section, title) in enumerate(
        {"text": "Text", "model": "Model", "train": "Training", "machine": "Machine"}.items(), 10
    )
}


def _model(name: str, fields: dict[str, Any]) -> type[BaseModel]:
    return create_model(name, __config__=ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False), **fields)


def _flags_of(*sections: str) -> dict[str, Any]:
    return {
        name: (Annotated[field.annotation, Parameter(group=GROUPS[section])], field)
        for name, (section, field) in configs.settable().items()
        if section in sections
    }


Flags = _model("Flags", _flags_of(*configs.SECTIONS))
"""Every setting of a run, flat. Which of them a person gave is in `model_fields_set`."""

GroundFlags = _model("GroundFlags", _flags_of("text", "machine"))
"""What a model stands on: the settings of the text and of the machine."""

SampleFlags = _model(
    "SampleFlags",
    {
        NAMES.get(name, name): (field.annotation, field)
        for name, field in configs.SampleConfig.model_fields.items()
        if name != "logit_bias"  # ids are for programs
    },
)
"""Every setting of sampling that a person would type."""

FLAGGED = Flags.model_fields.keys() | SampleFlags.model_fields.keys() | NAMES.keys() | {"count"}
"""What is called by its flag in a message."""


def sample_config(flags: BaseModel) -> configs.SampleConfig:
    """The record that the flags of `sample` describe."""
    fields = configs.SampleConfig.model_fields.keys() - {"logit_bias"}
    values = {name: getattr(flags, NAMES.get(name, name)) for name in fields}
    return configs.build(configs.SampleConfig, values | {"stop": tuple(as_given(text) for text in values["stop"])})


def as_given(text: Any) -> Any:
    """A value as the person wrote it: a lone - was renamed for the parser."""
    return "-" if text == STDIN else text


def flag(setting: str) -> str:
    """How a setting is spelled on the command line."""
    return "--" + NAMES.get(setting, setting).replace("_", "-")


def in_flags(error: InkwrightError) -> InkwrightError:
    """The same error, with a setting called by its flag."""
    if isinstance(error, SettingError) and error.setting in FLAGGED:
        return UsageError(f"{flag(error.setting)} {error.problem}", error.hint)
    return error


def gather(flags: BaseModel | None, config: str | None) -> configs.ConfigFile:
    """All that was set, by a flag, by the environment or in a file, in that order."""
    file = configs.from_file(Path(config)) if config is not None else configs.ConfigFile(settings={})
    given = {name: as_given(getattr(flags, name)) for name in flags.model_fields_set} if flags else {}
    settings: dict[str, Any] = {}
    for layer in (file.settings, configs.from_environment(), given):
        for name, rival in RIVALS.items():
            if name in layer:
                settings.pop(rival, None)
        settings |= layer
    return file.model_copy(update={"settings": settings})
