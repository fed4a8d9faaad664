"""The scale of a text in the pictures: every line of it is named with its value, and no picture is squashed to reach one."""

import re
from itertools import pairwise

import pytest

from inkwright.app.page.curve import curve
from inkwright.app.page.html import LABEL_GAP, Axis, labels
from inkwright.app.page.lines import drawn, named

SCALE = [
    {"name": "uniform", "loss": 4.174, "order": 0}, {"name": "unigram", "loss": 3.347, "order": 1},
    {"name": "bigram", "loss": 2.484, "order": 2}, {"name": "ngram", "loss": 1.542, "order": 7},
    {"name": "gzip", "loss": 2.154, "order": None}, {"name": "xz", "loss": 1.744, "order": None},
]  # fmt: skip
AXIS = Axis(low=2.0, high=2.5, top=10, bottom=110)


def test_a_line_is_drawn_where_the_picture_reaches_it_and_at_its_own_height() -> None:
    found = "".join(drawn(SCALE, "loss", AXIS, 0, 50))
    assert re.findall(r"<title>(\S+):", found) == ["bigram", "gzip"]
    assert [float(y) for y in re.findall('y1="([^"]+)"', found)] == pytest.approx([13.2, 79.2], abs=0.1)


def test_a_line_further_out_is_named_at_the_edge_that_it_lies_beyond() -> None:
    assert named(SCALE, "loss", AXIS) == [
        (10, "▲ uniform 4.174"), (10, "▲ unigram 3.347"), (pytest.approx(13.2), "bigram 2.484"),
        (110, "▼ 7-gram 1.542"), (pytest.approx(79.2), "gzip 2.154"), (110, "▼ xz 1.744"),
    ]  # fmt: skip


@pytest.mark.parametrize("levels", [[10.0] * 6, [110.0] * 6, [10, 12, 14, 100, 105, 109], [50, 50, 10, 110, 110, 60]])
def test_no_label_covers_another_or_leaves_the_picture(levels: list[float]) -> None:
    found = "".join(labels([(level, f"{level}") for level in levels], 10, 110))
    heights = [float(y) for y in re.findall('y="([^"]+)"', found)]
    assert len(heights) == 6 and heights[0] >= 10 and heights[-1] <= 110
    assert min(b - a for a, b in pairwise(heights)) >= LABEL_GAP - 0.1
    assert [float(text) for text in re.findall(">([^<]+)<", found)] == sorted(levels)


def test_every_line_of_the_scale_stands_in_the_curve_and_the_curve_keeps_its_room() -> None:
    val = [(step, 2.4 - step / 1000) for step in range(0, 500, 100)]
    picture = curve([], val, SCALE)
    for line in SCALE[:3]:
        assert picture.count(f"{line['name']} {line['loss']:.3f}</text>") == 2  # broad and narrow
    dots = [float(y) for y in re.findall(r'cy="([^"]+)" r="3"', picture)][: len(val)]
    assert max(dots) - min(dots) > 100  # of 346


def test_a_loss_that_rises_after_its_best_is_seen_to_rise_however_far() -> None:
    val = [(1, 9.0), (2, 2.0), (3, 4.5), (4, 5.5), (5, 6.5)]
    dots = [float(y) for y in re.findall(r'cy="([^"]+)" r="3"', curve([(1, 0.1)], val, SCALE))][: len(val)]
    assert dots[1] > dots[2] > dots[3] > dots[4] > dots[0] == 14  # the top: only the beginning is cut off
