"""sample --interactive: a conversation with a model."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inkwright.app.cli.interactive import FIELDS, HELP


def test_each_line_is_a_beginning_and_settings_change_on_the_way(ink: Any, finished: Callable[[str], Path]) -> None:
    typed = b"/temperature 0\nThe\nThe\n/tokens 9\nThe\n/quit\nThe\n"
    said = ink("sample", finished("char"), "--interactive", "--tokens", 5, stdin=typed)
    parts = said.out.split("> ")
    assert said.code == 0 and len(parts) == 7  # what follows /quit is not read
    assert parts[1] == "--temperature is 0.0\n" and parts[4] == "--tokens is 9\n"
    assert parts[2] == parts[3] and parts[2].startswith("The") and len(parts[2]) == 3 + 5 + 1
    assert parts[5].startswith(parts[2][:-1]) and len(parts[5]) == 3 + 9 + 1


def test_each_text_has_a_seed_of_its_own(ink: Any, finished: Callable[[str], Path]) -> None:
    said = ink("sample", finished("char"), "--interactive", "--seed", 4, stdin=b"The\nThe\n/seed 4\nThe\n/seed\n")
    _, first, second, _, third, seed, _ = said.out.split("> ")
    assert first == third != second and seed == "--seed is 5\n"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("/temperature hot", "--temperature must be between 0 and 5 (got hot)"),
        ("/temprature 1", "/temprature is not a command"),
        ("/stop x", "/stop is not a command"),
    ],
)
def test_what_cannot_be_is_told_and_the_conversation_goes_on(
    typed: str, message: str, ink: Any, finished: Callable[[str], Path]
) -> None:
    said = ink("sample", finished("char"), "--interactive", "--tokens", 5, stdin=f"{typed}\n/tokens\n".encode())
    assert message in said.out and said.out.endswith("--tokens is 5\n> \n") and said.err == ""


def test_bytes_that_are_no_text_are_written_on_like_any_line(ink: Any, finished: Callable[[str], Path]) -> None:
    said = ink("sample", finished("char"), "--interactive", "--tokens", 5, stdin=b"\xff\xfeThe\nThe\n")
    assert said.code == 0 and said.out.split("> ")[1].startswith("\ufffd\ufffdThe")


def test_without_standard_input_it_says_so(finished: Callable[[str], Path]) -> None:
    closed = f'exec "{sys.executable}" -m inkwright sample "$0" --interactive <&-'
    said = subprocess.run(["sh", "-c", closed, finished("char")], capture_output=True, text=True, timeout=120)
    assert said.returncode == 2 and "there is none" in said.stderr and "Traceback" not in said.stderr


def test_the_help_fits_80_columns() -> None:
    assert max(map(len, HELP.splitlines())) <= 80 and all(f"/{name}" in HELP for name in FIELDS)


def test_it_is_for_a_person(ink: Any) -> None:
    for flags in (["--json"], ["--count", "2"], ["--prompt", "x"]):
        said = ink("sample", "gone", "--interactive", *flags)
        assert (said.code, said.out) == (2, "") and "--interactive does not go with" in said.err
