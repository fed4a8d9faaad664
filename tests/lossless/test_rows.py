"""Nothing is lost, however the disk, the machine or a person treats a run: each row of the table, a part of its trials."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lossless.harness import Tally, kill_all
from tests.lossless.rows import ROWS, Row
from tests.lossless.soak import clear, workplace
from tests.lossless.variants import VARIANTS, Variant, caught

pytestmark = [pytest.mark.long, pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked: POSIX only")]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that a user without rights can reach, and that waits for no disk."""
    where = workplace()
    where.chmod(0o755)
    yield where
    kill_all()
    clear(where)
    shutil.rmtree(where, ignore_errors=True)


@pytest.mark.parametrize("row", [row for row in ROWS if row.ci], ids=lambda row: row.name.replace(" ", "-"))
def test_every_promise_holds_at_every_trial(row: Row, place: Path) -> None:
    tally = Tally(row.ci)
    row.run(place, tally)
    assert not tally.failures, "\n".join(tally.failures[:5])
    if not tally.trials:
        pytest.skip("; ".join(tally.notes))


IN_CI = {name: variant for name, variant in VARIANTS.items() if variant.ci}


@pytest.mark.parametrize("variant", IN_CI.values(), ids=[name.replace(" ", "-") for name in IN_CI])
def test_a_planted_defect_turns_its_row_red(variant: Variant, place: Path) -> None:
    assert caught(variant, place), f"{variant.defect}, and nobody noticed"
