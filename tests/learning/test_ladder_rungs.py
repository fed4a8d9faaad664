"""Rungs of the lecture, trained whole on tiny Shakespeare, end where others ended."""

from pathlib import Path

import pytest

from inkwright.session.ladder import FAITHFUL, Attempt, begin, result_of

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["bigram", "one-head", "residual"])
def test_a_rung_ends_within_its_band_of_the_published_loss(name: str, shakespeare: Path, tmp_path: Path) -> None:
    rung = next(rung for rung in FAITHFUL if rung.name == name)
    attempt = Attempt("faithful", rung, 1337, tmp_path / name)
    for progress in begin([str(shakespeare)], attempt, None, {"threads": 1, "dtype": "float32"}):
        pass
    assert progress.step == progress.steps
    found = result_of(attempt)
    assert found is not None and found.published == rung.published and found.as_published
