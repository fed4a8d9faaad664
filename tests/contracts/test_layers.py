"""Imports go one way: from a larger number to a smaller one, as the house plan says."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import inkwright

NUMBERS = {
    "errors": 0, "version": 0,
    "clock": 1, "config": 1, "interrupt": 1, "randomness": 1, "storage": 1,
    "text": 2, "model": 2,
    "train": 3, "sample": 3, "lens": 3,
    "run": 4, "language_model": 4,
    "session": 5, "export": 5, "lessons": 5,
    "api": 6,
    "app": 7,
    "__main__": 8,
}  # fmt: skip
"""Folder or module -> its number. It may import itself and whatever has a smaller one."""

ROOT = Path(inkwright.__file__).parent


def rooms_named_in(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, room) of everything of ours that is imported anywhere in a file, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import hides where it goes"
            whole = node.module == "inkwright"
            names = [f"inkwright.{alias.name}" for alias in node.names] if whole else [node.module or ""]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "inkwright":
            names = [f"inkwright.{node.attr}"]  # import inkwright; inkwright.load
        else:
            continue
        for name in names:
            first, _, rest = name.partition(".")
            room = rest.partition(".")[0]
            if first == "inkwright" and room not in ("", "__version__"):  # the version is everybody's
                yield node.lineno, room


def violations(room: str, source: str) -> list[str]:
    """What a file in `room` imports and may not."""
    return [
        f"line {line}: {room} ({NUMBERS[room]}) imports {other} ({NUMBERS.get(other, 'no number')})"
        for line, other in rooms_named_in(ast.parse(source))
        if other != room and NUMBERS.get(other, 99) >= NUMBERS[room]
    ]


def files() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")  # that one may name anything


def test_every_module_has_a_number() -> None:
    assert {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in files()} <= NUMBERS.keys()


def test_every_import_goes_to_a_smaller_number() -> None:
    found = [
        f"{path.relative_to(ROOT)}, {problem}"
        for path in files()
        for problem in violations(path.relative_to(ROOT).parts[0].removesuffix(".py"), path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("model", "from inkwright.text.windows import Windows"),
        ("sample", "from inkwright.train.loop import train"),
        ("run", "import inkwright.language_model"),
        ("language_model", "from inkwright.run import folder"),
        ("errors", "from inkwright import config"),
        ("config", "def later():\n    import inkwright.model"),
        ("text", "import inkwright\ninkwright.load"),
    ],
)
def test_an_upward_or_sideways_import_is_noticed(room: str, line: str) -> None:
    assert len(violations(room, line)) == 1


@pytest.mark.parametrize("module", ["inkwright", "inkwright.config", "inkwright.errors", "inkwright.storage"])
def test_what_the_help_needs_imports_no_torch(module: str) -> None:
    code = f"import sys, {module}; print(*{{'torch', 'numpy', 'tokenizers'}} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_a_training_does_not_load_torchs_compiler() -> None:
    """It takes a second of every start, and 70 MB, and nothing here is compiled unless a person asks for it."""
    code = """
import sys, torch
from inkwright import config
from inkwright.model import build
from inkwright.text.windows import Windows
from inkwright.train.loop import TrainState, train
from inkwright.train.optimizer import build_optimizers
ids = torch.arange(400).numpy() * 7 % 29
for model in ("gpt", "swift"):
    shape = config.ModelConfig(model=model, n_layer=1, n_head=2, n_embd=8, block_size=8, vocab_size=29)
    how = config.TrainConfig(steps=2, batch_size=2)
    net = build(shape, 1, ids)
    assert len(list(train(TrainState(net, build_optimizers(net, how), net), Windows(ids, 8), how))) == 2
print([name for name in ("torch._dynamo", "torch._inductor", "sympy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
