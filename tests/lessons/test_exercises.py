"""The exercises: every right answer passes, and every wrong one that is known fails for the right reason.

`answers/` has a file for each exercise: a right answer, then `WRONG`, a list of rows

    (a word that the verdict must have, old, new, ...)

each of which is that answer with `old` replaced by `new`, and `ALSO_RIGHT`, rows of (old, new) that must pass.
"""

import ast
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from inkwright.errors import OccupiedError, TextError, UsageError
from inkwright.lessons.exercises import EXERCISES, Verdict, check, exercise, hint, running, start

HERE = Path(__file__).parent / "answers"
NEEDS_TEXT = {"encode-decode", "shifted-batch", "bigram-by-counting", "finetune"}
CHAPTERS = (
    "text tokens split batches bigram training generating averaging attention scaling masks positions heads "
    "feedforward residuals normalisation dropout gpt sampling tokenizers"
).split()


def answer(id: str) -> str:
    """The right answer of an exercise, as a learner would hand it in."""
    text = (HERE / f"{id.replace('-', '_')}.py").read_text("utf-8")
    return f"{running.MARKER}{id}\n{text.partition('WRONG = ')[0]}"


def rows(id: str, name: str) -> list[tuple[str, ...]]:
    """The list called `name` in an answer's file."""
    tree = ast.parse((HERE / f"{id.replace('-', '_')}.py").read_text("utf-8"))
    lists = {node.targets[0].id: node.value for node in tree.body if isinstance(node, ast.Assign)}  # type: ignore
    return ast.literal_eval(lists[name]) if name in lists else []


def changed(source: str, *pairs: str) -> str:
    """Text with old replaced by new, for each (old, new)."""
    for old, new in zip(pairs[::2], pairs[1::2], strict=True):
        assert source.count(old) >= 1, f"not in the answer: {old}"
        source = source.replace(old, new)
    return source


def cases(name: str) -> Iterator[object]:
    for id in EXERCISES:
        for number, row in enumerate(rows(id, name)):
            marks = [pytest.mark.long] if id in NEEDS_TEXT else []
            yield pytest.param(id, row, id=f"{id}-{number}-{row[0][:30]}", marks=marks)


@pytest.fixture
def judge(tmp_path: Path, request: pytest.FixtureRequest) -> object:
    """judge(id, source) writes a learner's file and checks it."""

    def run(id: str, source: str) -> Verdict:
        if id in NEEDS_TEXT:
            request.getfixturevalue("shakespeare")
        path = tmp_path / "answer.py"
        path.write_text(source, "utf-8")
        return check(path)

    return run


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize("id", EXERCISES)
def test_a_right_answer_passes(id: str, judge) -> None:
    verdict = judge(id, answer(id))
    assert verdict.message.startswith("Right: ")
    assert verdict == Verdict(True, verdict.message, None)


@pytest.mark.parametrize(("id", "row"), [*cases("ALSO_RIGHT")])
def test_another_right_answer_passes(id: str, row: tuple[str, ...], judge) -> None:
    verdict = judge(id, changed(answer(id), *row))
    assert verdict.passed, verdict.message


@pytest.mark.parametrize(("id", "row"), [*cases("WRONG")])
def test_a_wrong_answer_fails_and_is_told_why(id: str, row: tuple[str, ...], judge) -> None:
    verdict = judge(id, changed(answer(id), *row[1:]))
    assert not verdict.passed
    assert row[0] in verdict.message
    assert verdict.hint == hint(id)


@pytest.mark.parametrize("id", EXERCISES)
def test_every_exercise_knows_several_wrong_answers(id: str) -> None:
    assert len(rows(id, "WRONG")) >= 3


# ---------------------------------------------------------------- beginning


@pytest.mark.parametrize("id", EXERCISES)
def test_a_file_that_was_just_begun_is_not_filled_in_yet(id: str, tmp_path: Path, request) -> None:
    if id in NEEDS_TEXT:
        request.getfixturevalue("shakespeare")
    path = start(id, tmp_path / "mine")
    assert path == tmp_path / "mine" / f"{id.replace('-', '_')}.py"
    assert "not filled in yet" in check(path).message


@pytest.mark.parametrize("id", EXERCISES)
def test_an_exercise_fits_80_columns_and_has_a_hint_and_a_chapter(id: str) -> None:
    lines = [*EXERCISES[id].starter.splitlines(), f"{running.MARKER}{id}"]
    assert [line for line in lines if len(line) > 79] == []
    assert len(hint(id)) > 20
    assert EXERCISES[id].chapter in CHAPTERS


def test_the_exercises_come_in_the_order_of_the_chapters() -> None:
    places = [CHAPTERS.index(each.chapter) for each in EXERCISES.values()]
    assert places == sorted(places)


def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    path = start("averaging", tmp_path)
    path.write_text("an evening's work")
    with pytest.raises(OccupiedError, match="already there"):
        start("averaging", tmp_path)
    assert path.read_text() == "an evening's work"


def test_an_exercise_that_does_not_exist_is_named_with_its_neighbour(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no exercise one_haed\nhint: did you mean one-head\?"):
        start("one_haed", tmp_path)
    with pytest.raises(UsageError, match="there are: encode-decode, shifted-batch"):
        hint("zzz")


# ---------------------------------------------------------------- files that go wrong

MASK = "def causal_weights(scores):\n"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (MASK + "    return (scores\n", "line 3 is not Python yet: '(' was never closed"),
        (MASK + "return scores\n", "line 3 is not Python yet: expected an indented block"),
        (MASK + "    return scores[99, 99]\n", "line 3 stops with an IndexError: index 99 is out of bounds"),
        ("\0\n", "the file is not Python yet: source code string cannot contain null bytes"),
        ("1 / 0\n", "line 2 stops with a ZeroDivisionError: division by zero (`1 / 0`)"),
        ("import torhc\n", "line 2 stops with a ModuleNotFoundError: No module named 'torhc'"),
        ("def causal(scores):\n    pass\n", "there is no causal_weights(scores) in the file"),
        ("causal_weights = 3\n", "causal_weights is an int; a function is expected"),
        (
            "def causal_weights(a, b):\n    pass\n",
            "causal_weights must take (scores): missing a required argument: 'b'",
        ),
        (MASK + "    scores.tril()\n", "weights is None (is a `return` missing?)"),
        (MASK + "    return scores.tolist()\n", "weights is a list; a tensor of shape (1, 4, 4) is expected"),
        (MASK + "    return scores[0]\n", "weights has shape (4, 4), expected (1, 4, 4)"),
        (MASK + "    return scores * float('nan')\n", "weights[0, 0, 0] is nan"),
        (MASK + "    return scores.to_sparse()\n", "the check could not use what it was given"),
        (MASK + "    import sys\n    sys.exit(0)\n", "line 4 ends the program (`sys.exit(0)`)"),
        ("exit()\n", "line 2 ends the program"),
        (MASK + "    return causal_weights(scores)\n", "causal_weights calls itself without end"),
        (MASK + "    return scores + int(input())\n", "line 3 stops with an EOFError"),
        (MASK + "    raise KeyboardInterrupt\n", "line 3 stops with a KeyboardInterrupt"),
    ],
)
def test_whatever_goes_wrong_in_a_file_is_a_verdict_in_words(body: str, said: str, judge, capfd) -> None:
    verdict = judge("causal-mask", f"{running.MARKER}causal-mask\n{body}")
    assert not verdict.passed
    assert said in verdict.message
    assert "Traceback" not in verdict.message
    assert capfd.readouterr() == ("", "")


def test_what_a_file_prints_is_shown_as_far_as_anyone_would_read(judge, capfd) -> None:
    body = MASK + "    print('here', scores.shape)\n    print('x' * 10**7)\n"
    verdict = judge("causal-mask", f"{running.MARKER}causal-mask\n{body}")
    assert "\nYour file printed:\nhere torch.Size([1, 4, 4])\nxxx" in verdict.message
    assert verdict.message.endswith("x ...")
    assert len(verdict.message) < 600
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("loop", ["while True:\n        pass", "while True:\n        print('again')"])
def test_a_loop_that_never_ends_is_ended(loop: str, judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "PATIENCE_SECONDS", 1.0)
    verdict = judge("causal-mask", f"{running.MARKER}causal-mask\n{MASK}    {loop}\n")
    assert "is there a loop that never ends? It was at line " in verdict.message
    assert [thread.name for thread in threading.enumerate() if thread.name == "exercise"] == []


def test_a_file_cannot_change_what_comes_after_it(judge) -> None:
    import torch

    before, state = sys.stdin, torch.get_rng_state()
    judge("causal-mask", f"{running.MARKER}causal-mask\nimport torch\ntorch.set_default_dtype(torch.float64)\n")
    assert torch.get_default_dtype() == torch.float32
    assert bool((torch.get_rng_state() == state).all())
    assert sys.stdin is before


def test_a_file_without_its_first_line_says_which_line_to_add(tmp_path: Path) -> None:
    path = tmp_path / "one_head.py"
    path.write_text("def one_head(x, head_size): ...\n")
    with pytest.raises(UsageError, match=r"put this line first: # inkwright exercise: one-head"):
        check(path)
    path.write_text("# inkwright exercise: causl-mask\n")
    with pytest.raises(UsageError, match=r"put this line first: # inkwright exercise: causal-mask"):
        check(path)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not there"):
        check(tmp_path / "nothing.py")
    with pytest.raises(UsageError, match="is a folder"):
        check(tmp_path)
    (tmp_path / "latin.py").write_bytes(b"# inkwright exercise: averaging \xe9\n")
    with pytest.raises(TextError, match="is not UTF-8"):
        check(tmp_path / "latin.py")


def test_a_windows_editor_spoils_nothing(tmp_path: Path) -> None:
    path = tmp_path / "answer.py"
    path.write_bytes(b"\xef\xbb\xbf" + answer("causal-mask").replace("\n", "\r\n").encode())
    assert check(path).passed


def test_a_check_runs_from_a_notebook() -> None:
    with pytest.raises(exercise.Wrong, match=r"row 0 gives 0\.0855"):
        EXERCISES["causal-mask"].check(lambda scores: scores.softmax(-1))
    assert EXERCISES["causal-mask"].check(causal_weights=exercise.causal).startswith("Right")


def test_a_text_that_only_has_the_name_is_not_taken_for_shakespeare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shakespeare").write_text("not he")
    (tmp_path / "answer.py").write_text(answer("encode-decode"))
    monkeypatch.chdir(tmp_path)
    exercise.shakespeare.cache_clear()
    with pytest.raises(TextError, match=r"is not tiny Shakespeare.*\n.*another folder"):
        check(Path("answer.py"))
