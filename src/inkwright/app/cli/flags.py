"""The settings of a run as flags: one for each field of the records in config.py. Knows no verb."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter
from pydantic import BaseModel, ConfigDict, create_model

from inkwright import config as configs
from inkwright.errors import InkwrightError, SettingError

STDIN = "<stdin>"
"""What a lone - becomes before parsing, where it would be taken for a flag."""

NAMES = {"max_new_tokens": "tokens"}
"""Fields whose flag has another name."""

GROUPS = {
    section: Group(f"{title} settings", sort_key=i)
    for i, (section, title) in enumerate(
        {"text": "Text", "model": "Model", "train": "Training", "machine": "Machine"}.items(), 10
    )
}


def _model(name: str, fields: dict[str, Any]) -> type[BaseModel]:
    return create_model(name, __config__=ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False), **fields)


Flags = _model(
    "Flags",
    {
        name: (Annotated[field.annotation, Parameter(group=GROUPS[section])], field)
        for name, (section, field) in configs.settable().items()
    },
)
"""Every setting of a run, flat. Which of them a person gave is in `model_fields_set`."""

SampleFlags = _model(
    "SampleFlags",
    {NAMES.get(name, name): (field.annotation, field) for name, field in configs.SampleConfig.model_fields.items()},
)
"""Every setting of sampling."""


def sample_config(flags: BaseModel) -> configs.SampleConfig:
    """The record that the flags of `sample` describe."""
    return configs.build(
        configs.SampleConfig,
        {name: getattr(flags, NAMES.get(name, name)) for name in configs.SampleConfig.model_fields},
    )


def flag(setting: str) -> str:
    """How a setting is spelled on the command line."""
    return "--" + NAMES.get(setting, setting).replace("_", "-")


def in_flags(error: InkwrightError) -> InkwrightError:
    """The same error, with a setting called by its flag."""
    if isinstance(error, SettingError):
        return InkwrightError(f"{flag(error.setting)} {error.problem}", error.hint)
    return error


def gather(flags: BaseModel | None, config: str | None) -> configs.ConfigFile:
    """All that was set, by a flag, by the environment or in a file, in that order."""
    file = configs.from_file(Path(config)) if config else configs.ConfigFile(settings={})
    given = {name: getattr(flags, name) for name in flags.model_fields_set} if flags else {}
    settings = {**file.settings, **configs.from_environment(), **given}
    return file.model_copy(update={"settings": settings})
