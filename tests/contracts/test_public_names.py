"""What can be imported is named, and what is named is explained."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import inkwright
from inkwright.config import HIDDEN, PRESETS, SampleConfig, resolve, settable

ROOT = Path(inkwright.__file__).parent


@pytest.mark.parametrize("name", inkwright.__all__)
def test_a_public_name_resolves_and_is_explained(name: str) -> None:
    assert (getattr(inkwright, name).__doc__ or "").strip()


def test_the_public_list_is_sorted_and_complete() -> None:
    assert inkwright.__all__ == sorted(set(inkwright.__all__))
    assert set(inkwright.__all__) - {"__version__"} == inkwright._HOMES.keys()


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        inkwright.trian  # noqa: B018


def undocumented(tree: ast.Module, name: str) -> Iterator[str]:
    """Public functions, classes and methods without a docstring; what lies inside a function is its own business."""

    def walk(body: list[ast.stmt], name: str) -> Iterator[str]:
        for node in body:
            named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            if named and not node.name.startswith("_"):
                if not ast.get_docstring(node):
                    yield f"{name}.{node.name}"
                if isinstance(node, ast.ClassDef):
                    yield from walk(node.body, f"{name}.{node.name}")

    if tree.body and not ast.get_docstring(tree):
        yield name
    yield from walk(tree.body, name)


def test_everything_public_has_a_docstring() -> None:
    trees = [(path.relative_to(ROOT), ast.parse(path.read_text("utf-8"))) for path in sorted(ROOT.rglob("*.py"))]
    assert [name for path, tree in trees for name in undocumented(tree, path.as_posix())] == []


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_can_be_asked_for(preset: str) -> None:
    config = resolve({}, preset)
    flat = {name: value for section in config.model_dump().values() for name, value in section.items()}
    assert {name: flat[name] for name in PRESETS[preset]} == dict(PRESETS[preset])


def test_every_setting_says_what_it_is() -> None:
    fields = {name: field for name, (_, field) in settable().items()} | dict(SampleConfig.model_fields)
    assert [name for name, field in fields.items() if not field.description] == []


def test_no_two_sections_share_the_name_of_a_setting() -> None:
    sections = resolve({}).model_dump().values()
    assert sum(len(section) for section in sections) == len(settable()) + len(HIDDEN)
