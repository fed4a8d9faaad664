"""The lecture's figures come out here, to the digit that its notebooks printed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from inkwright.errors import UsageError
from inkwright.lessons import chapters as lessons
from inkwright.lessons.chapters import Cell, chapter, chapters, open_chapter, parse
from inkwright.lessons.kit import Row, claim, compare, described, get_batch, noting

QUICK = ["averaging", "attention", "scaling", "masks", "sampling"]
"""Chapters of a second that need no text."""


def rows_of(id: str) -> Iterator[Row]:
    """What a chapter compares, when it is run without being shown."""
    lesson = chapter(id)
    with noting() as rows, open_chapter(lesson) as run_cell:
        for cell in lesson.cells:
            if cell.kind == "code":
                run_cell(cell)
    yield from rows


def compared(**values: object) -> Row:
    with noting() as rows:
        compare("a quantity", **values)  # type: ignore[arg-type]
    return rows[0]


# ---------------------------------------------------------------- the figures


@pytest.mark.parametrize("id", QUICK)
def test_a_chapter_without_text_gives_the_figures_of_the_notebook(id: str) -> None:
    rows = list(rows_of(id))
    assert rows and [row for row in rows if not row.equal] == []


@pytest.mark.usefixtures("shakespeare")
@pytest.mark.parametrize("id", ["text", "tokens", "split", "batches", "bigram"])
def test_a_chapter_on_shakespeare_gives_the_figures_of_the_notebook(id: str) -> None:
    rows = list(rows_of(id))
    assert rows and [row for row in rows if not row.equal and not row.platform_dependent] == []


PRINTED = {
    "text": [1_115_394, 65], "tokens": [[46, 43, 50, 50, 53, 53, 53]], "split": [1_003_854, 111_540],
    "batches": [32], "bigram": [4.1744, 4.8786, [32, 65], 4225],
    "training": [
        "2.3 to 2.6", 4.7305, 4.7241, 2.811, 2.8249, 2.5434, 2.5682, 2.4932, 2.5088, 2.4863, 2.5035, 2.4665, 2.4921,
        2.4683, 2.4936, 2.4696, 2.4846, 2.4638, 2.4879, 2.4738, 2.4911, 2.4612, 2.4889, 2.482,
    ],
    "generating": ["c712b1f9d7e3d94c3d904498ea050d340f6ae836db5c75d826554c3688f2189d"],
    "averaging": [[[0.1808, -0.07], [-0.3596, -0.9152]], [[2.0, 7.0], [4.0, 5.5], [4.6667, 5.3333]]],
    "attention": [[4, 8, 16], [0.0210, 0.0843, 0.0555, 0.2297, 0.0573, 0.0709, 0.2423, 0.2391]],
    "scaling": [
        1.0449, 1.07, 17.469, 1.0918, [0.0845, 0.1197, 0.1078, 0.1537, 0.1086, 0.1146, 0.1558, 0.1553],
        [0.1951, 0.1446, 0.2384, 0.1308, 0.2911], [0.0327, 0.003, 0.1618, 0.0013, 0.8013],
    ],
    "positions": [4481], "heads": [7553], "feedforward": [8609], "residuals": [16_865, 41_921],
    "normalisation": [41_921, 42_369], "gpt": [42_369, 10_788_929],
    "counting": [
        4.174, 3.347, 2.482, 2.455, 2.049, 1.774, 1.669, 1.698, 1.876, 2.104, 1.897, 1.832,
        2.484, 2.038, 1.719, 1.561, 1.523, 1.5165, 1.519, 1.522, 1.542, 194_505,
    ],
}  # fmt: skip
"""What the notebooks printed, the parameters of the lecture's models, and what counting reaches."""


@pytest.mark.long
@pytest.mark.usefixtures("shakespeare")
@pytest.mark.parametrize("id", chapters())
def test_every_figure_of_the_notebooks_comes_out_here(id: str) -> None:
    rows = list(rows_of(id))
    assert [row for row in rows if not row.equal and not row.platform_dependent] == []
    assert [value for value in PRINTED.get(id, []) if value not in [row.notebook for row in rows]] == []
    assert len({row.quantity for row in rows}) == len(rows), "two rows of one name"
    assert all(len(row.quantity) <= 28 for row in rows), "the table of --replay would cut it"


@pytest.mark.usefixtures("shakespeare")
def test_batches_are_drawn_as_the_notebooks_draw_them() -> None:
    ids = torch.arange(1000)
    torch.manual_seed(1337)
    x, y = get_batch(ids, batch_size=32)
    torch.manual_seed(1337)
    starts = torch.randint(len(ids) - 8, (32,))
    assert torch.equal(x, torch.stack([ids[i : i + 8] for i in starts]))
    assert torch.equal(y, torch.stack([ids[i + 1 : i + 9] for i in starts]))


# ---------------------------------------------------------------- comparing


@pytest.mark.parametrize(
    ("notebook", "here", "equal"),
    [
        (4.8786, torch.tensor(4.87864), True),
        (4.8786, torch.tensor(4.87866), False),
        ([0.25, 0.75], torch.tensor([0.25, 0.75]), True),
        ([0.25, 0.75], torch.tensor([0.25, 0.7501]), False),
        ([0.25, 0.75], torch.tensor([[0.25, 0.75]]), False),
        ([1, 2], [1, 3], False),
        (0.0, -0.00001, True),
        ((2.3, 2.6), torch.tensor(2.38), True),
        ((2.3, 2.6), 2.61, False),
        ("MARI", "MARY", False),
        (True, False, False),
    ],
)
def test_a_figure_is_equal_when_every_printed_digit_is(notebook: object, here: object, equal: bool) -> None:
    assert compared(notebook=notebook, here=here).equal is equal


def test_fewer_digits_forgive_more() -> None:
    assert not compared(notebook=2.48, here=2.4832).equal
    assert compared(notebook=2.48, here=2.4832, digits=2).equal


def test_a_figure_that_hangs_on_the_machine_names_the_torch_that_drew_it() -> None:
    row = compared(notebook="MARI he", here="MARY ha", platform_dependent=True)
    assert (row.equal, row.verdict) == (False, "differs here")
    long = compared(notebook="MARI he " * 12, here="MARY ha " * 12, platform_dependent=True)
    assert torch.__version__ in described(long)
    assert "NOT EQUAL" in described(compared(notebook=1, here=2))


def test_what_must_be_so_is_a_row_too() -> None:
    with noting() as rows:
        claim("a claim", True)
        claim("another", torch.tensor(False))  # type: ignore[arg-type]
    assert [(row.notebook, row.here, row.equal) for row in rows] == [(True, True, True), (True, False, False)]
    assert [described(row).split()[-1] for row in rows] == ["holds", "SO"]


@pytest.mark.parametrize("value", ["x" * 500, list(range(300)), [[1.0] * 8] * 20, "one, two], " * 40])
def test_a_long_value_is_broken_and_nothing_of_it_lost(value: object) -> None:
    text = described(compared(notebook=value, here=value))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 76
    first = "".join(line[10:] for line in lines[1 : 1 + len(lines) // 2])
    assert first.replace(" ", "") == described_value(value).replace(" ", "")


def test_a_table_stands_row_by_row_and_a_figure_has_the_digits_that_were_printed() -> None:
    table = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0], [9.0, 10.0]]
    said = described(compared(notebook=table, here=table)).splitlines()
    assert said[1].split("notebook ")[1] == "[[1.0000, 2.0000],"
    assert said[5].strip() == "[9.0000, 10.0000]]" and len(said[5]) - len(said[5].lstrip()) == said[1].index("[[") + 1
    assert "notebook 2.482      here 2.482 " in described(compared(notebook=2.482, here=2.48189, digits=3))


def described_value(value: object) -> str:
    from inkwright.lessons.kit import shown

    return shown(value)


# ---------------------------------------------------------------- chapters


def test_the_chapters_are_in_the_order_of_the_lecture() -> None:
    assert (
        list(chapters())
        == (
            "text tokens split batches bigram training generating averaging attention scaling masks positions heads "
            "feedforward residuals normalisation dropout gpt sampling tokenizers "
            "speakers backwards counting"
        ).split()
    )


def test_an_unknown_chapter_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="no chapter 'bigrm'") as caught:
        chapter("bigrm")
    assert caught.value.hint == "did you mean bigram?"


def test_a_chapter_is_text_code_and_plots(tmp_path: Path) -> None:
    path = tmp_path / "07_demo.py"
    path.write_text(
        '# %% [markdown] seconds=3\n# # A title\n#\n# Words.\n\n# %%\nx = 1\n\n# %% tags=["plot"]\ndraw(x)\n'
    )
    demo = parse(path)
    assert (demo.id, demo.title, demo.seconds) == ("demo", "A title", 3)
    assert demo.cells == (Cell("text", "# A title\n\nWords."), Cell("code", "x = 1"), Cell("plot", "draw(x)"))


def test_the_cells_of_a_chapter_share_their_names_and_nothing_else_is_changed() -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with open_chapter(chapter("masks")) as run_cell:
            run_cell(Cell("code", "import torch\nx = torch.manual_seed(5).initial_seed()"))
            assert run_cell(Cell("code", "print(x, torch.get_num_threads())")) == "5 1\n"
        assert (torch.get_num_threads(), torch.equal(torch.get_rng_state(), before)) == (2, True)
    finally:
        torch.set_num_threads(threads)


def test_chapters_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(lessons, "IN_A_WHEEL", tmp_path)
    with pytest.raises(lessons.MachineError, match="chapters are missing"):
        chapters.__wrapped__()


# ---------------------------------------------------------------- as notebooks


@pytest.mark.slow
@pytest.mark.usefixtures("shakespeare")
@pytest.mark.filterwarnings("ignore")  # what Jupyter warns of is not ours
@pytest.mark.parametrize("id", chapters())
def test_a_chapter_runs_as_a_notebook_plots_included(id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import jupytext
    from nbclient import NotebookClient

    for name, value in {
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "JUPYTER_PLATFORM_DIRS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    notebook = jupytext.read(chapter(id).path)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute(env=dict(os.environ))
    outputs = [(cell, output) for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    said = "".join(output.get("text", "") for _, output in outputs)
    assert "NOT EQUAL" not in said and "NOT SO" not in said
    plots = [cell for cell in notebook.cells if "plot" in cell.metadata.get("tags", [])]
    assert all(any("image/png" in output.get("data", {}) for output in cell.outputs) for cell in plots)
    assert len(plots) == len([cell for cell in chapter(id).cells if cell.kind == "plot"])
