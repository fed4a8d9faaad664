"""A sweep: ordinary runs on one held-out text, stopped anywhere and gone on with; the advice and the page."""

import json
import re
from pathlib import Path

import pytest

from inkwright import interrupt
from inkwright.app.cli import run as command
from inkwright.app.cli.scale import advise
from inkwright.run.folder import Run
from inkwright.session import sweep as sweeps
from inkwright.session.law import Estimate
from inkwright.session.sweep import Advice, plan_sweep
from inkwright.text.tokens import read

pytestmark = pytest.mark.long
SIZES = {"1x8": (1, 8), "1x16": (1, 16), "1x24": (1, 24), "2x32": (2, 32)}
GIVEN = {"threads": 1}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_text: str) -> Path:
    """An empty folder with a short text, and sizes that are trained in a moment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweeps, "SIZES", SIZES)
    (tmp_path / "book.txt").write_text("<script>alert(1)</script>\n" * 20 + tiny_text[:3000], encoding="utf-8")
    return tmp_path


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, tiny_text: str) -> Path:
    """A place with a finished sweep."""
    place = tmp_path_factory.mktemp("swept")
    (place / "book.txt").write_text("<script>alert(1)</script>\n" * 20 + tiny_text[:3000], encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(sweeps, "SIZES", SIZES)
        assert scale() == 0
    return place


@pytest.fixture
def there(swept: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the finished sweep, in whose place the test is."""
    monkeypatch.chdir(swept)
    monkeypatch.setattr(sweeps, "SIZES", SIZES)
    return swept / "runs" / "scale-book"


def scale(*arguments: str, minutes: float = 0.05) -> int:
    return command(["scale", "book.txt", "--threads", "1", "--minutes", str(minutes), *arguments])


def test_a_sweep_trains_each_point_once_and_ends_in_advice(there: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in there.glob("*/*")}
    assert len(list(there.glob("*/run.json"))) == 14
    assert scale("--json") == 0  # nothing is left to train
    assert before == {path: path.stat().st_mtime_ns for path in there.glob("*/*")}
    *lines, advice = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["training"] * 14 and advice["event"] == "advice"
    longs = {line["size"]: line["bits_per_char"] for line in lines if line["part"] == "long"}
    assert list(longs) == list(SIZES)
    best = min(longs, key=longs.__getitem__)
    assert [(line["size"], line["share"]) for line in lines[-2:]] == [(best, 0.5), (best, 0.25)]
    assert advice["size"] in SIZES and advice["parameters"]["low"] <= advice["parameters"]["high"]


def test_all_are_judged_on_the_same_text_and_a_share_is_its_end(there: Path) -> None:
    runs = {path.name: Run.open(path) for path in there.iterdir() if path.is_dir()}
    facts = {name: read(run.tokens_folder).facts for name, run in runs.items()}
    assert len({fact["val"]["characters"] for fact in facts.values()}) == 1
    whole = next(fact["train"]["characters"] for name, fact in facts.items() if "long" in name)
    for part, share in (("half", 0.5), ("quarter", 0.25)):
        name = next(name for name in runs if part in name)
        assert facts[name]["train"]["characters"] == pytest.approx(whole * share, abs=1)
        assert runs[name].config.text.train_fraction == share
    assert len({run.config.model.block_size for run in runs.values()}) == 1


def test_a_sweep_that_was_stopped_goes_on_and_ends_as_if_it_had_not_been(here: Path) -> None:
    one = plan_sweep(["book.txt"], here / "a", 0.05, 3, GIVEN)
    other = sweeps.Sweep(["book.txt"], here / "b", one.record, GIVEN)  # the same plan
    (here / "b").mkdir()
    first = next(one.points())
    for progress in (steps := iter(one.begin(first))):
        if progress.step == 3:
            steps.close()
            break
    assert one.result_of(first) is None
    again = plan_sweep(["book.txt"], here / "a", 0.05, 3, GIVEN)
    assert again.record == one.record
    ends = [[progress.step for progress in each.begin(next(each.points()))][-1] for each in (again, other)]
    assert ends[0] == ends[1] > 3
    resumed, unbroken = again.result_of(first), other.result_of(next(other.points()))
    assert resumed is not None and unbroken is not None and resumed.bits_per_char == unbroken.bits_per_char


def test_a_stop_signal_ends_the_sweep_with_its_code_and_a_way_on(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    plan_sweep(["book.txt"], None, 0.05, 1337, GIVEN)
    monkeypatch.setattr(interrupt, "requested", lambda: 2)
    assert scale() == 130
    assert "the same command goes on" in capfd.readouterr().out


@pytest.mark.parametrize("arguments", [["--seed", "7"], ["--tokenizer", "byte"]])
def test_another_sweep_in_the_same_folder_is_refused(
    there: Path, arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert scale(*arguments) == scale(minutes=0.06) == 7
    assert "holds a sweep with other settings" in capfd.readouterr().err


def test_the_table_fits_80_columns(there: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert scale() == 0
    assert max(map(len, capfd.readouterr().out.splitlines())) <= 80


@pytest.mark.parametrize("arguments", [["--minutes", "0"], ["--minutes", "nan"], ["--seed", "-1"], ["--steps", "3"]])
def test_what_cannot_be_asked_for_is_a_usage_error(here: Path, arguments: list[str]) -> None:
    assert command(["scale", "book.txt", *arguments]) == 2
    assert not (here / "runs").exists()


def test_a_sweep_of_standard_input_is_refused_and_one_of_too_little_text_leaves_nothing(here: Path) -> None:
    assert command(["scale", "-"]) == 2
    (here / "little.txt").write_text("abcdefgh" * 4)
    assert command(["scale", "little.txt", "--minutes", "0.01"]) == 3
    assert not (here / "runs").exists()


# ---------------------------------------------------------------- the advice


def advice(**changes: object) -> Advice:
    figures = {
        "size": "4x128", "parameters": Estimate(9e5, 5e5, 2e6), "bits_per_char": Estimate(2.0, 1.9, 2.1),
        "twice_the_time": Estimate(0.96, 0.95, 0.97), "half_the_text": Estimate(1.02, 1.01, 1.03),
        "edge": None, "told": True,
    }  # fmt: skip
    return Advice(**{**figures, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "4x128 for a training of 20 minutes: the best has 500k to 2.0M"),
        ({"told": False}, "not told for a training of 20 minutes: any from 500k to 2.0M may be the best"),
        ({"edge": "largest"}, "4x128, the largest tried, is best for a training of 20 minutes; larger"),
        ({"edge": "smallest"}, "smaller may be better still"),
        ({}, "twice as long: 4.0% less loss (3.0% to 5.0%)"),
        ({"twice_the_time": Estimate(0.99, 0.95, 1.01)}, "no gain that this sweep could tell"),
        ({}, "half of the text costs 2.0% (1.0% to 3.0%); twice as much can be expected to gain less"),
        ({"half_the_text": Estimate(1.01, 0.99, 1.03)}, "half of the text did as well, as far as this can tell"),
    ],
)  # fmt: skip
def test_the_advice_says_how_sure_it_is(changes: dict[str, object], said: str) -> None:
    lines = list(advise(advice(**changes), 20.0))
    assert said in " ".join(sentence for _, sentence in lines)
    assert all(len(label) <= 10 and len(sentence) <= 69 for label, sentence in lines)


# ---------------------------------------------------------------- the page


def test_the_page_is_one_file_that_fetches_nothing_and_shows_every_training(there: Path) -> None:
    page = (there / "scale.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert not re.search(r"""(src|href)=["'](?!data:,)|url\(|@import|https?://""", page)
    assert page.count("<circle") == 14 and page.count("<polyline") == 3 and page.count("<polygon") == 1
    assert all(f"<td>{size} long, seed 1337</td>" in page for size in SIZES)
    assert "more text" in page and "nan" not in page
