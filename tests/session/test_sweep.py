"""A sweep: ordinary runs on one held-out text, stopped anywhere and gone on with; the advice and the page."""

import json
import re
from pathlib import Path

import pytest

from inkwright import interrupt
from inkwright.app.cli import run as command
from inkwright.app.cli.scale import advise, folded
from inkwright.app.cli.scale import command as command_for
from inkwright.run.folder import Run
from inkwright.session.law import Estimate
from inkwright.session.sweep import Advice, Sweep, plan_sweep
from inkwright.text.tokens import read
from inkwright.train import recipe
from inkwright.train.recipe import Size

pytestmark = pytest.mark.long
ROWS = tuple(Size(1, 2, width, 16, 4, 1e-2, least) for width, least in ((8, 0), (16, 1e3), (24, 1e9), (32, 1e9)))
SIZES = ["1x8@16", "1x16@16", "1x24@16"]
TABLE = {"swift": ROWS, "gpt": ROWS}
GIVEN = {"threads": 1}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_text: str) -> Path:
    """An empty folder with a short text, and sizes that are trained in a moment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(recipe, "SIZES", TABLE)
    (tmp_path / "book.txt").write_text("<script>alert(1)</script>\n" * 20 + tiny_text[:3000], encoding="utf-8")
    return tmp_path


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, tiny_text: str) -> Path:
    """A place with a finished sweep."""
    place = tmp_path_factory.mktemp("swept")
    (place / "book.txt").write_text("<script>alert(1)</script>\n" * 20 + tiny_text[:3000], encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(recipe, "SIZES", TABLE)
        assert scale() == 0
    return place


@pytest.fixture
def there(swept: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the finished sweep, in whose place the test is."""
    monkeypatch.chdir(swept)
    monkeypatch.setattr(recipe, "SIZES", TABLE)
    return swept / "runs" / "scale-book"


def scale(*arguments: str, minutes: float = 0.05) -> int:
    return command(["scale", "book.txt", "--threads", "1", "--minutes", str(minutes), *arguments])


def test_a_sweep_trains_each_point_once_and_ends_in_advice(there: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in there.glob("*/*")}
    assert len(list(there.glob("*/run.json"))) == 11
    assert scale("--json") == 0  # nothing is left to train
    assert before == {path: path.stat().st_mtime_ns for path in there.glob("*/*")}
    *lines, advice = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["training"] * 11 and advice["event"] == "advice"
    longs = {line["size"]: line["bits_per_char"] for line in lines if line["part"] == "long"}
    assert list(longs) == SIZES
    best = min(longs, key=longs.__getitem__)
    assert [(line["size"], line["share"]) for line in lines[-2:]] == [(best, 0.5), (best, 0.25)]
    assert advice["size"] in SIZES and 0 <= advice["sure"] <= 1 and advice["chosen"] in SIZES
    steps = {(line["size"], line["part"]): line["steps"] for line in lines}
    for size in SIZES:
        assert steps[size, "short"] < steps[size, "middle"] < steps[size, "long"]


def test_the_trainings_are_what_the_recipe_makes_of_those_sizes(there: Path) -> None:
    for name, row in zip(SIZES, ROWS, strict=False):
        config = Run.open(next(there.glob(f"{name}-long-*"))).config
        assert {key: getattr(config.model, key) for key in ("n_layer", "n_head", "n_embd", "block_size")} == {
            key: getattr(row, key) for key in ("n_layer", "n_head", "n_embd", "block_size")
        }
        assert (config.train.batch_size, config.train.learning_rate) == (row.batch_size, row.learning_rate)
        assert {key: getattr(config.train, key) for key in recipe.WAYS["swift"] if key != "warmup_steps"} == {
            key: value for key, value in recipe.WAYS["swift"].items() if key != "warmup_steps"
        }
        assert config.model.model == "swift" and config.model.input_dropout == recipe.INPUT_DROPOUT


def test_a_share_of_the_text_is_trained_on_for_as_long_as_all_of_it(there: Path) -> None:
    best = next(there.glob("*-quarter-*")).name.split("-")[0]
    runs = {path.name.split("-")[1]: Run.open(path) for path in there.glob(f"{best}-*")}
    assert runs["quarter"].config.train.steps == runs["half"].config.train.steps == runs["long"].config.train.steps
    sizes = [len(read(runs[part].tokens_folder).train) for part in ("quarter", "half", "long")]
    assert sizes[0] < sizes[1] < sizes[2]


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
    other = Sweep(["book.txt"], here / "b", one.record, GIVEN)  # the same plan
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


@pytest.mark.parametrize("arguments", [["--seed", "7"], ["--tokenizer", "byte"], ["--portable"]])
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
        "size": "3x128@256", "sure": 0.97, "bits_per_char": Estimate(2.0, 1.9, 2.1), "over_chosen": Estimate(1.0, 1.0, 1.0),
        "twice_the_time": Estimate(0.96, 0.95, 0.97), "half_the_text": Estimate(1.02, 1.01, 1.03),
        "edge": None, "misfit": 0.004,
    }  # fmt: skip
    return Advice(**{**figures, **changes})  # type: ignore[arg-type]


RECORD = {
    "minutes": 20, "model": "swift", "chosen": "3x128@256", "name": "book", "seed": 1,
    "sizes": {"3x128@128": {"row": 2}, "3x128@256": {"row": 3}, "4x192@256": {"row": 4}},
}  # fmt: skip
OTHER = {"size": "4x192@256", "over_chosen": Estimate(1.03, 1.02, 1.04)}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "3x128@256 is the best of the three for 20 minutes, by 97% of the curves that fit as well. "
             "train --minutes 20 takes it by itself."),
        ({"sure": 0.5}, "not told for 20 minutes: 3x128@256 is the best by 50% of the curves"),
        (OTHER, "train --minutes 20 would take 3x128@256, with a loss 3.0% higher (2.0% to 4.0%)"),
        ({"edge": "largest"}, "It is the largest tried; a larger one may be better still."),
        ({"edge": "smallest"}, "It is the smallest tried; a smaller one may be better still."),
        ({}, "twice as long: 4.0% less loss (3.0% to 5.0%)"),
        ({"twice_the_time": Estimate(0.99, 0.95, 1.01)}, "no gain that this sweep could tell"),
        ({}, "half of the text costs 2.0% (1.0% to 3.0%); twice as much can be expected to gain less"),
        ({"half_the_text": Estimate(1.01, 0.99, 1.03)}, "not told: half of the text costs -1.0% to 3.0%"),
        ({"half_the_text": Estimate(1.0, 0.99, 1.005)}, "half of the text did as well: in so short a time more"),
        ({}, "these trainings lie 0.4% off the curve: it describes them"),
        ({"misfit": 0.03}, "lie 3.0% off the curve, more than the luck of a seed makes: it does not describe"),
    ],
)  # fmt: skip
def test_the_advice_says_how_sure_it_is(changes: dict[str, object], said: str) -> None:
    sweep = Sweep(["book.txt"], Path("s"), RECORD, {"tokenizer": "byte"})
    lines = list(advise(advice(**changes), sweep))
    assert said in " ".join(sentence for _, sentence in lines)
    assert all(len(label) <= 10 for label, _ in lines)


def test_the_command_to_type_names_a_size_only_where_train_would_take_another() -> None:
    sweep = Sweep(["my book.txt"], Path("s"), RECORD, {"tokenizer": "byte"})
    same, other = (command_for(advice(**changes), sweep) for changes in ({}, OTHER))
    assert " ".join(same) == "inkwright train 'my book.txt' --minutes 20 --tokenizer byte"
    shape = "--n-layer 4 --n-head 3 --n-embd 192 --block-size 256 --batch-size 8 --learning-rate 0.009"
    assert " ".join(other) == " ".join(same) + " " + shape
    lines = folded(other)
    assert (
        all(len(line) <= 69 for line in lines)
        and "\n".join(lines).replace("\\\n ", "").split() == " ".join(other).split()
    )


# ---------------------------------------------------------------- the page


def test_the_page_is_one_file_that_fetches_nothing_and_shows_every_training(there: Path) -> None:
    page = (there / "scale.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert not re.search(r"""(src|href)=["'](?!data:,)|url\(|@import|https?://""", page)
    assert page.count("<circle") == 11 and page.count("<polyline") == 3 and page.count("<polygon") == 1
    assert all(f"<td>{size} long</td>" in page for size in SIZES)
    assert "more text" in page and "nan" not in page
