"""The report and the novelty of a run on the command line: what is said, where it is written, what cannot be."""

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from inkwright.app.page.report import again, marked
from inkwright.run.folder import Run
from inkwright.text.novelty import find

pytestmark = pytest.mark.long


@pytest.mark.parametrize("kind", ["char", "bare", "byte", "bpe"])
def test_a_report_answers_in_sentences_and_says_where_the_page_is(
    here: Path, ink: Callable, copied: Callable, kind: str
) -> None:
    run = copied(kind)
    said = ink("report", run)
    assert said.code == 0 and max(map(len, said.out.replace(str(run), "RUN").splitlines())) <= 80
    assert "verdict    " in said.out and "overfit" in said.out and "copies" in said.out
    assert f"page       {run / 'report.html'}" in said.out and (run / "report.html").is_file()
    assert (
        json.loads(ink("info", run, "--json").out)["findings"]
        == json.loads(ink("report", run, "--json").out)["findings"]
    )


def test_the_page_can_be_written_elsewhere_and_says_where_it_cannot(
    here: Path, ink: Callable, copied: Callable
) -> None:
    run = copied()
    assert ink("report", run, "--out", "page.html").code == 0
    assert (here / "page.html").is_file() and not (run / "report.html").exists()
    said = ink("report", run, "--out", "nowhere/page.html")
    assert said.code == 5 and "cannot write to nowhere/page.html" in said.err
    for folder in (".", "/", here / "folder"):
        (here / "folder").mkdir(exist_ok=True)
        said = ink("report", run, "--out", folder)
        assert said.code == 5 and f"cannot write to {folder}" in said.err
        assert not list(here.rglob(".tmp-*"))


def test_a_run_that_was_stopped_never_judged_or_only_counts_has_a_report(
    here: Path, ink: Callable, tiny: list[str]
) -> None:
    ink("train", "book.txt", "--run", "once", "--steps", 3, *tiny)
    ink("train", "book.txt", "--run", "counts", "--model", "counts", "--sample-every", 0)
    often = [2 if before == "--sample-every" else word for before, word in zip(["", *tiny], tiny, strict=False)]
    ink("train", "book.txt", "--run", "rung", "--model", "bigram", "--steps", 4, *often)
    assert "judged once" in " ".join(ink("report", "once").out.split())
    assert ink("report", "counts").code == ink("report", "rung").code == 0
    assert "Step 2" in Path("rung/report.html").read_text() and "Step 4" in Path("rung/report.html").read_text()
    Path("once/metrics.jsonl").write_text("")
    assert "was not judged" in " ".join(ink("report", "once").out.split())


def test_without_its_text_a_run_has_a_report_and_no_novelty(here: Path, ink: Callable, copied: Callable) -> None:
    run = copied()
    tokens = next((run / "tokens").iterdir())
    (tokens / "train.npy").write_bytes(b"x")
    said = ink("report", run)
    assert said.code == 0 and "how much is copied was not measured" in said.err
    assert "Not measured" in (run / "report.html").read_text()
    assert ink("novelty", run).code == 4


@pytest.mark.parametrize("verb", ["report", "novelty"])
def test_a_model_without_its_run_and_what_is_no_run_are_refused(
    here: Path, ink: Callable, copied: Callable, verb: str
) -> None:
    alone = shutil.copytree(max((copied() / "checkpoints").iterdir()), here / "alone")
    said = ink(verb, alone)
    assert said.code == 4 and "is a model without its run" in said.err
    assert ink(verb, "nothing").code == 4 and ink(verb, "book.txt").code == 4


def test_a_planted_passage_is_found_and_told_with_its_line(here: Path, ink: Callable, finished: Callable) -> None:
    run, book = finished("char"), (here / "book.txt").read_text(encoding="utf-8")
    passage = book[1000:1090]
    (here / "mine.txt").write_text(f"0123456789 {passage} 9876543210", encoding="utf-8")
    found = json.loads(ink("novelty", run, "mine.txt", "--json").out)
    longest = found["texts"][0]["longest"]
    assert passage in longest["text"] and longest["line"] == book.count("\n", 0, longest["place"]) + 1
    assert book[longest["place"] :].startswith(longest["text"])
    assert 90 / 112 <= found["share"] < 1 and 0 <= found["unseen_share"] < found["share"]
    said = ink("novelty", run, "mine.txt").out
    assert f"in line {longest['line']}:" in " ".join(said.split()) and "It copies more" in said
    assert max(map(len, said.splitlines())) <= 80


def test_samples_are_judged_with_the_seeds_that_wrote_them(here: Path, ink: Callable, finished: Callable) -> None:
    asked = ["--tokens", 60, "--seed", 5]
    found = json.loads(ink("novelty", finished("bpe"), "--count", 2, "--prompt", "Ba", *asked, "--json").out)
    texts = [json.loads(line)["text"] for line in
             ink("sample", finished("bpe"), "--count", 2, "--prompt", "Ba", *asked, "--json").out.splitlines()]  # fmt: skip
    assert [text["text"] for text in found["texts"]] == texts
    assert ink("novelty", finished("bpe"), "book.txt", "--prompt", "x").code == 2
    assert ink("novelty", finished("bpe"), "--count", 0).code == 2


def test_the_command_of_the_report_makes_the_same_weights(here: Path, ink: Callable, tiny: list[str]) -> None:
    odd = [
        "--steps",
        6,
        "--tokenizer",
        "bpe",
        "--vocab-size",
        280,
        "--dropout",
        0.1,
        "--split",
        "blocks",
        "--optimizer",
        "adamw",
    ]
    ink("train", "book.txt", "--run", "a", *tiny, *odd)
    command = shlex.split(again(Run.open(Path("a")).record))
    assert command[:2] == ["inkwright", "train"]
    assert ink(*command[1:], "--run", "b").code == 0
    weights = [Path(run, "checkpoints/step-00000006/model.safetensors").read_bytes() for run in "ab"]
    assert weights[0] == weights[1]


def test_the_longest_passage_is_underlined_and_the_copied_ones_shaded_as_text() -> None:
    copied = find("abc <b>&bold</b> xyz", ["<<b>&bold</b>>xy"])[0]
    assert marked(copied, 8) == "&lt;<mark><u>&lt;b&gt;&amp;bold&lt;/b&gt;</u></mark>&gt;xy"
    assert marked(copied, 20) == "&lt;<u>&lt;b&gt;&amp;bold&lt;/b&gt;</u>&gt;xy"
    assert marked(find("abc", [""])[0], 8) == "" and "\u202e" not in marked(find("abc", ["a\u202eb"])[0], 8)
