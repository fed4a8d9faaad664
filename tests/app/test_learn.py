"""Lessons in a terminal of 80 columns."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inkwright.app.cli import run
from inkwright.lessons import chapters as lessons
from inkwright.lessons.chapters import chapters
from inkwright.lessons.exercises import EXERCISES

Ink = Callable[..., Any]
DEMO = """# %% [markdown] seconds=1
# # A demonstration
#
# Some *words*, and `code`, and **more**; a paragraph that is longer than eighty columns has to be broken into two lines.
#
#     a * b * c
#     / d

# %%
from inkwright.lessons.kit import claim, compare

print("y" * 200)
compare("one", notebook=1, here={one})
compare("a draw", notebook="abc", here="abd", platform_dependent=True)
claim("it holds", True)

# %% tags=["plot"]
raise AssertionError("only a notebook draws")
"""


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """`demo(2)`: there is one chapter, and it finds 2 where the notebook printed 1."""

    def make(one: int) -> None:
        (tmp_path / "01_demo.py").write_text(DEMO.format(one=one))
        monkeypatch.setattr(lessons, "IN_A_WHEEL", tmp_path)
        monkeypatch.setattr(lessons, "chapters", lambda: chapters.__wrapped__())

    return make


def test_the_list_names_every_chapter_in_80_columns(ink: Ink) -> None:
    said = ink("learn", "list")
    assert said.code == 0
    assert all(f"  {id} " in said.out for id in chapters())
    assert max(map(len, said.out.splitlines())) <= 80


def test_learn_alone_is_the_list(ink: Ink) -> None:
    assert ink("learn") == ink("learn", "list")


@pytest.mark.parametrize("id", chapters())
def test_showing_a_chapter_fits_80_columns_and_runs_nothing(ink: Ink, id: str) -> None:
    said = ink("learn", "show", id)
    assert said.code == 0 and said.out.startswith(chapters()[id].title + "\n===")
    assert max(map(len, said.out.splitlines())) <= 80
    assert not any(line.startswith("  | ") for line in said.out.splitlines())


@pytest.mark.parametrize("id", ["averaging", "attention", "scaling", "masks", "sampling"])
def test_running_a_chapter_fits_80_columns(ink: Ink, id: str) -> None:
    said = ink("learn", "run", id)
    assert said.code == 0 and "  | " in said.out and (" equal\n" in said.out or "yes, it holds\n" in said.out)
    assert max(map(len, said.out.splitlines())) <= 80


def test_a_chapter_is_plain_text_its_code_and_what_it_printed(ink: Ink, demo: Callable[[int], None]) -> None:
    demo(1)
    out = ink("learn", "run", "demo").out
    assert "\nSome words, and code, and more; a paragraph" in out
    assert '\n    print("y" * 200)\n' in out and "\n    a * b * c\n    / d\n" in out
    assert "\n  | " + "y" * 76 + "\n  | " + "y" * 76 + "\n  | " + "y" * 48 + "\n" in out
    assert "\n  | one                          notebook 1          here 1          equal\n" in out
    assert "differs here" in out and "only a notebook draws" not in out


def test_a_chapter_ends_with_the_exercises_that_go_with_it(ink: Ink) -> None:
    out = ink("learn", "run", "sampling").out
    own = [each.id for each in EXERCISES.values() if each.chapter == "sampling"]
    assert own and all(f"exercise   inkwright learn start {id}" in out for id in own)
    assert "one-head" not in out


def test_an_unknown_chapter_is_an_error_with_a_hint(ink: Ink) -> None:
    said = ink("learn", "run", "attentoin")
    assert (said.code, said.err) == (2, "error: there is no chapter 'attentoin'\nhint: did you mean attention?\n")


def test_a_replay_is_a_table_and_a_draw_that_differs_is_not_counted(ink: Ink, demo: Callable[[int], None]) -> None:
    demo(1)
    said = ink("learn", "--replay")
    assert said.code == 0 and said.out.endswith("\n1 of 1 figures are equal, 1 of 1 claims hold.\n")
    assert said.out.splitlines()[1].split() == ["demo", "one", "1", "1", "yes"]
    assert said.err.startswith("warning: torch ") and "a draw" in said.err
    assert max(map(len, said.out.splitlines())) <= 80


def test_a_replay_fails_when_a_figure_differs(demo: Callable[[int], None], capsys: pytest.CaptureFixture[str]) -> None:
    demo(2)
    assert run(["learn", "--replay"]) == 1
    assert "error: not equal: one\n" in capsys.readouterr().err


def test_a_replay_in_json_is_a_line_for_each_figure(ink: Ink, demo: Callable[[int], None]) -> None:
    demo(1)
    rows = [json.loads(line) for line in ink("learn", "--replay", "--json").out.splitlines()]
    assert rows[0] == {
        "chapter": "demo", "quantity": "one", "notebook": 1, "here": 1, "equal": True, "platform_dependent": False,
    }  # fmt: skip
    assert rows[1]["platform_dependent"] and not rows[1]["equal"]


def test_json_without_replay_is_refused(ink: Ink) -> None:
    assert ink("learn", "--json").code == 2


def test_an_exercise_is_started_checked_and_hinted(
    ink: Ink, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    id = next(iter(EXERCISES))
    assert all(f"  {id} " in ink("learn", "list").out for id in EXERCISES)
    assert ink("learn", "start", id, "--folder", tmp_path).code == 0
    (file,) = tmp_path.iterdir()
    assert run(["learn", "check", str(file)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and "\nhint: " in said
    assert ink("learn", "hint", id).out.strip()
