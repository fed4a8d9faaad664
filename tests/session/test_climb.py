"""The climb: every rung an ordinary run, stopped anywhere and gone on with; the page that shows it."""

import json
import re
from pathlib import Path

import pytest

from inkwright import interrupt
from inkwright.app.cli import run as command
from inkwright.app.page.html import element
from inkwright.config import PRESETS, settable
from inkwright.errors import OccupiedError
from inkwright.model import RUNGS
from inkwright.session import ladder
from inkwright.session.ladder import FAIR, FAITHFUL, Attempt, Rung, attempts, begin, result_of, results, settings_of

pytestmark = pytest.mark.long
SMALL = {"steps": 12, "eval_every": 4, "n_embd": 16, "n_layer": 2, "n_head": 2, "block_size": 8, "batch_size": 4}
THREE = (
    Rung("bigram", "One.", {"model": "bigram", **SMALL}, published=2.5),
    Rung("one-head", "Two <b>.", {"model": "one-head", **SMALL}),
    Rung("modern", "Three.", {"model": "gpt", "shape": "modern", "activation": "gelu_tanh", **SMALL, "block_size": 16}),
    Rung("large", "Four.", {"model": "gpt", "n_embd": 32, **SMALL}, scaled=True),
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_text: str) -> Path:
    """An empty folder with a short text, and a ladder of three rungs, and a fourth that must be asked for."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ladder, "TRACKS", {"faithful": THREE, "fair": THREE[:2]})
    (tmp_path / "book.txt").write_text("<script>alert(1)</script>\n" * 20 + tiny_text[:3000], encoding="utf-8")
    return tmp_path


def climb(*arguments: str) -> int:
    return command(["ladder", "book.txt", "--threads", "1", *arguments])


# ---------------------------------------------------------------- the rungs


def test_the_tracks_hold_every_rung_and_say_what_each_adds() -> None:
    for track in (FAITHFUL, FAIR):
        names = [rung.name for rung in track]
        assert len(set(names)) == len(names)
        assert all(rung.idea.endswith(".") and len(rung.idea) < 130 for rung in track)
        assert all(rung.settings.keys() <= settable().keys() for rung in track)
    assert {str(rung.settings["model"]) for rung in FAIR} >= RUNGS.keys()
    assert [rung.name for rung in FAITHFUL if rung.scaled] == ["scaled"]


def test_a_faithful_rung_has_the_settings_of_the_lecture() -> None:
    config = settings_of(Attempt("faithful", FAITHFUL[3], 7, Path()), None, {"threads": 1})
    flat = {name: value for section in config.model_dump().values() for name, value in section.items()}
    own = {"model": "one-head", "seed": 7, "threads": 1}
    assert {name: flat[name] for name in PRESETS["lecture-small"] | own} == PRESETS["lecture-small"] | own


def test_the_fair_rungs_see_the_same_amount_of_text_in_as_many_steps() -> None:
    configs = [settings_of(Attempt("fair", rung, 1, Path()), None, {}) for rung in FAIR]
    assert len({(c.train.steps, c.train.batch_size * c.model.block_size) for c in configs}) == 1


def test_each_fair_rung_above_the_lecture_changes_one_thing() -> None:
    def flat(name: str) -> dict:
        config = settings_of(Attempt("fair", next(rung for rung in FAIR if rung.name == name), 1, Path()), None, {})
        return {name: value for section in config.model_dump().values() for name, value in section.items()}

    for name, below, changed in [
        ("dropout", "layernorm", {"dropout"}), ("context", "layernorm", {"block_size", "batch_size"}),
        ("width", "layernorm", {"n_embd"}), ("depth", "layernorm", {"n_layer"}), ("muon", "modern", {"optimizer"}),
        ("modern", "layernorm", {"model", "shape", "activation"}), ("residual", "no-residual", {"model"}),
    ]:  # fmt: skip
        now, before = flat(name), flat(below)
        assert {key for key in now if now[key] != before[key]} == changed


# ---------------------------------------------------------------- climbing


def test_a_climb_trains_each_rung_once_and_draws_the_page(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert climb("--seeds", "2", "--json") == 0
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [(line["rung"], line["seed"]) for line in lines] == [
        (name, seed) for name in ("bigram", "one-head", "modern") for seed in (1337, 1338)
    ]
    assert len({line["loss"] for line in lines}) == 6
    folder = here / "runs" / "ladder-book"
    written = (folder / "faithful/modern-seed-1338/run.json").stat().st_mtime_ns
    assert climb("--seeds", "2", "--json") == 0  # nothing is left to train
    assert [json.loads(line) for line in capfd.readouterr().out.splitlines()] == lines
    assert (folder / "faithful/modern-seed-1338/run.json").stat().st_mtime_ns == written


def test_a_climb_that_was_stopped_goes_on_and_ends_as_if_it_had_not_been(here: Path) -> None:
    first, other = (attempts(here / name, "faithful", 1, 1, scaled=False)[1] for name in ("a", "b"))
    training = begin(["book.txt"], first, None, {"threads": 1})
    for progress in (steps := iter(training)):
        if progress.step == 5:
            steps.close()
            break
    assert not first.done and not list(results(here / "a"))
    for attempt in (first, other):
        assert [progress.step for progress in begin(["book.txt"], attempt, None, {"threads": 1})][-1] == 12
    resumed, unbroken = result_of(first), result_of(other)
    assert resumed is not None and unbroken is not None
    assert (resumed.loss, resumed.curve) == (unbroken.loss, unbroken.curve)


def test_a_stop_signal_ends_the_climb_with_its_code_and_a_way_on(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(interrupt, "requested", lambda: 2)
    assert climb() == 130
    assert "the same command goes on" in capfd.readouterr().out


def test_another_ladder_in_the_same_folder_is_refused(here: Path) -> None:
    attempt = attempts(here / "a", "faithful", 1, 1, scaled=False)[0]
    assert next(iter(begin(["book.txt"], attempt, None, {"threads": 1}))).step == 1
    with pytest.raises(OccupiedError, match="other settings"):
        begin(["book.txt"], attempt, 0.5, {"threads": 1})


def test_published_losses_stand_only_beside_the_text_they_are_of(here: Path) -> None:
    assert climb() == 0
    assert [result.published for result in results(here / "runs" / "ladder-book")] == [None] * 3


def test_the_large_rung_is_forecast_and_left_out_unless_asked_for(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert climb() == 0
    assert re.search(r"left out: about [\d.]+ hours here; --scaled", capfd.readouterr().out)
    assert not list(here.glob("runs/*/faithful/large*"))
    assert climb("--scaled") == 0
    assert "left out" not in capfd.readouterr().out and list(here.glob("runs/*/faithful/large*"))


def test_the_table_fits_80_columns(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert climb() == 0
    assert max(map(len, capfd.readouterr().out.splitlines())) <= 80


@pytest.mark.parametrize(
    "arguments", [["--seeds", "0"], ["--minutes", "0"], ["--minutes", "1"], ["--track", "best"], ["--steps", "3"]]
)
def test_what_cannot_be_asked_for_is_a_usage_error(here: Path, arguments: list[str]) -> None:
    assert climb(*arguments) == 2


def test_a_ladder_of_standard_input_is_refused() -> None:
    assert command(["ladder", "-"]) == 2


# ---------------------------------------------------------------- the page


def test_the_page_is_one_file_that_fetches_nothing_and_shows_text_as_text(here: Path) -> None:
    assert climb("--seeds", "2") == 0 and climb("--track", "fair") == 0
    page = (here / "runs/ladder-book/ladder.html").read_text(encoding="utf-8")
    assert "<script" not in page and "Two &lt;b&gt;." in page
    assert not re.search(r"""(src|href)=["'](?!data:,)|url\(|@import|https?://""", page)
    assert page.count("<circle") == 8  # a dot a seed, on both tracks
    names = ("uniform", "unigram", "bigram", "-gram", "gzip", "xz")  # in both staircases and on each card
    for picture in page.split("<svg")[1:]:
        assert "stroke-dasharray" in picture and all(name in picture for name in names)
    assert page.count('class="card"') == 5 and page.count("<svg") == 2 + 5
    assert all(f"<td>{name}, seed 1337</td>" in page for name in ("bigram", "one-head", "modern"))


def test_a_text_inside_an_element_or_an_attribute_cannot_leave_it() -> None:
    assert element("p", '<b>"&', title='"><script>') == ('<p title="&quot;&gt;&lt;script&gt;">&lt;b&gt;&quot;&amp;</p>')
