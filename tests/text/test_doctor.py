"""The doctor tells everything that is odd about a text, and forbids training only where it cannot work."""

import gzip
import json
import random
from pathlib import Path

import pytest

from inkwright.config import TextConfig
from inkwright.errors import TextError
from inkwright.text.corpus import Corpus, Document, Note, read, split
from inkwright.text.doctor import Report, examine, findings, summary

CONFIG = TextConfig()


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def lines(count: int, seed: int = 0) -> str:
    """Lines of 30 characters, no two alike."""
    rng = random.Random(seed)
    return "".join("".join(rng.choices("abcdefgh ij", k=22)).strip() + f"{i:08}\n" for i in range(count))


def corpus_of(*texts: str) -> Corpus:
    return Corpus("test", tuple(Document(f"{i}.txt", text) for i, text in enumerate(texts)), (), ())


def noted(corpus: Corpus, validation: Corpus | None = None, **config: object) -> str:
    settings = TextConfig(**config)  # type: ignore[arg-type]
    return "\n".join(note.message for note in examine(corpus, split(corpus, settings, validation), settings))


def forbidden(corpus: Corpus, validation: Corpus | None = None, **config: object) -> TextError:
    settings = TextConfig(**config)  # type: ignore[arg-type]
    with pytest.raises(TextError) as caught:
        examine(corpus, split(corpus, settings, validation), settings)
    return caught.value


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "0.txt is empty (0 characters); training needs at least 100"),
        (" \n\t\u3000" * 50, "0.txt is only whitespace (200 characters); training needs at least 100"),
        ("x", "0.txt is too short (1 characters); training needs at least 100"),
        ("x" * 99, "0.txt is too short (99 characters); training needs at least 100"),
    ],
)
def test_too_little_text_forbids_training(text: str, message: str) -> None:
    error = forbidden(corpus_of(text))
    assert (error.message, error.exit_code) == (message, 3)


def test_a_hundred_characters_are_enough() -> None:
    assert noted(corpus_of("x" * 100)) == "100 characters are few: expect a model that memorises"


def test_a_validation_part_without_a_character_forbids_training() -> None:
    assert "validation part is empty" in forbidden(corpus_of("x" * 200), corpus_of("")).message
    assert "nothing is left to train on" in forbidden(corpus_of("x" * 200), val_fraction=0.999).message


def test_an_honest_text_has_nothing_odd_about_it() -> None:
    assert noted(corpus_of(lines(2000))) == ""


def test_too_large_an_alphabet_forbids_a_character_model_only() -> None:
    text = "".join(map(chr, range(0x20000, 0x20000 + 20_000))) * 2
    assert noted(corpus_of(text)) == ""
    error = forbidden(corpus_of(text + "!"))
    assert error.message == "20,001 different characters; a character model would be mostly embedding table"
    assert error.hint == "--tokenizer bpe"
    assert "different characters;" not in noted(corpus_of(text + "!"), tokenizer="bpe")


def test_validation_lines_that_training_has_seen_are_a_leak() -> None:
    corpus = corpus_of(lines(1000))
    seen, unseen = lines(1000)[: 31 * 100], lines(400, seed=1)
    share = seen.count("\n") / (seen + unseen).count("\n")
    assert 0.19 < share < 0.21
    assert noted(corpus, corpus_of(seen + unseen)) == "20% of the validation part also occurs in the training part"


@pytest.mark.parametrize("leaked, told", [(4, False), (5, True)])
def test_a_leak_is_told_from_five_percent_up(leaked: int, told: bool) -> None:
    train = lines(1000)
    validation = "".join(train.splitlines(keepends=True)[:leaked]) + lines(100 - leaked, seed=1)
    assert ("also occurs" in noted(corpus_of(train), corpus_of(validation))) is told


def test_short_lines_and_line_ends_do_not_decide_what_a_leak_is() -> None:
    short = "Enter HAMLET\n" * 1000
    assert noted(corpus_of(lines(1000) + short), corpus_of(lines(100, seed=1) + short)) == ""
    windows = lines(100).replace("\n", "\r\n")
    assert "100% of the validation part" in noted(corpus_of(lines(1000)), corpus_of(windows))


@pytest.mark.parametrize("repeats, told", [(190, False), (210, True)])
def test_repeated_lines_are_told_from_a_fifth_up(repeats: int, told: bool) -> None:
    text = lines(1000 - repeats) + "the same old line, again and again\n" * (repeats + 1)
    assert ("of the lines are repeats" in noted(corpus_of(text))) is told


def test_characters_that_only_validation_has_are_counted() -> None:
    assert "2 different characters stand only in the validation part" in noted(corpus_of(lines(1000) + "éß"))


def test_the_tail_of_several_files_is_told_to_be_the_last_ones_only() -> None:
    two = corpus_of(lines(300), lines(300, seed=1))
    told = "the validation part is the end of the last file(s) only"
    assert told in noted(two)
    assert told not in noted(two, split="documents")
    assert told not in noted(two, validation=corpus_of(lines(300, seed=2)))
    assert told not in noted(corpus_of(lines(600)))


def test_what_reading_noted_comes_first() -> None:
    Path("input.txt").write_bytes(b"\xef\xbb\xbf" + lines(500).encode())
    corpus = read(["input.txt"], CONFIG)
    notes = examine(corpus, split(corpus, CONFIG), CONFIG)
    assert notes[0] == Note("byte-order mark dropped from input.txt")


def test_a_summary_is_plain_json_with_every_fact() -> None:
    Path("a.txt").write_text(lines(400) + "é", encoding="utf-8")
    Path("b.txt.gz").write_bytes(gzip.compress(b"Z" * 200 + b"\n"))
    corpus = read(["a.txt", "b.txt.gz"], CONFIG)
    facts = json.loads(json.dumps(summary(corpus, split(corpus, CONFIG))))
    text = "".join(document.text for document in corpus.documents)
    assert facts["characters"] == facts["train_characters"] + facts["val_characters"] == len(text)
    assert facts["bytes"] == Path("a.txt").stat().st_size + Path("b.txt.gz").stat().st_size
    assert facts["documents"] == 2
    assert facts["lines"] == 402
    assert facts["distinct_characters"] == len(set(text))
    assert facts["unusual_characters"][0] == {
        "character": "é", "name": "LATIN SMALL LETTER E WITH ACUTE", "count": 1,
    }  # fmt: skip
    counts = [entry["count"] for entry in facts["unusual_characters"]]
    assert len(counts) == 10 and counts == sorted(counts)
    assert facts["repeated_line_share"] == facts["leak_share"] == 0
    assert facts["fingerprint"] == corpus.fingerprint


def test_one_line_of_ten_megabytes_is_fine() -> None:
    corpus = corpus_of("abc " * 2_500_000)
    assert noted(corpus) == ""
    assert summary(corpus, split(corpus, CONFIG))["lines"] == 1


# ---------------------------------------------------------------- the whole report


def told(report: Report) -> list[tuple[str, str, int]]:
    return [(finding.level, finding.message, finding.exit_code) for finding in report.findings]


def test_a_report_lists_every_error_and_every_note() -> None:
    Path("good.txt").write_text("\ufeff" + lines(300), encoding="utf-8")
    Path("wide.txt").write_text(lines(300), encoding="utf-16")
    report = findings(["good.txt", "gone.txt", "wide.txt"], CONFIG)
    assert told(report)[:3] == [
        ("error", "no such file: gone.txt", 3),
        ("error", "wide.txt is not UTF-8: byte 0xff at offset 0 (looks like UTF-16)", 3),
        ("note", "byte-order mark dropped from good.txt", 0),
    ]
    assert report.exit_code == 3
    assert report.summary is not None and report.summary["characters"] == len(lines(300))


def test_a_report_with_notes_only_exits_with_zero() -> None:
    Path("small.txt").write_text(lines(30))
    report = findings(["small.txt"], CONFIG)
    assert (report.exit_code, [finding.level for finding in report.findings]) == (0, ["note"])


@pytest.mark.parametrize(
    "texts, config, exit_code, message",
    [
        ([], {}, 2, "which text?"),
        (["text.txt"], {"encoding": "klingon"}, 2, "encoding must be a text encoding (got klingon)"),
        (["gone.txt"], {}, 3, "no such file: gone.txt"),
        (["text.txt"], {"val": "gone.txt"}, 3, "no such file: gone.txt"),
        (["empty.txt"], {}, 3, "empty.txt is empty (0 characters); training needs at least 100"),
        (["text.txt"], {"split": "documents"}, 3, "--split documents needs at least 2 documents; there is 1"),
        (["text.txt"], {"max_bytes": 10}, 3, "text.txt makes the text larger than --max-bytes 10"),
    ],
)
def test_a_report_never_raises(texts: list[str], config: dict[str, object], exit_code: int, message: str) -> None:
    Path("text.txt").write_text(lines(300))
    Path("empty.txt").touch()
    report = findings(texts, TextConfig(**config))  # type: ignore[arg-type]
    assert told(report)[0] == ("error", message, exit_code)
    assert report.exit_code == exit_code


def test_a_split_that_cannot_be_does_not_hide_the_other_findings() -> None:
    Path("text.txt").write_text("".join(map(chr, range(0x20000, 0x20000 + 20_001))), encoding="utf-8")
    messages = [message for _, message, _ in told(findings(["text.txt"], TextConfig(split="documents")))]
    assert messages[0].startswith("--split documents needs") and messages[1].startswith("20,001 different")


def test_a_report_judges_against_the_validation_text_that_is_given() -> None:
    Path("text.txt").write_text(lines(600))
    report = findings(["text.txt"], TextConfig(val="text.txt"))
    assert "100% of the validation part also occurs in the training part" in [message for _, message, _ in told(report)]
    assert report.summary is not None
    assert report.summary["train_characters"] == report.summary["val_characters"] == report.summary["characters"]
