"""A model that is written and read again is the same, bit for bit; one that is not ours is told, or told apart."""

import json
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch

from inkwright import storage
from inkwright.config import TextConfig
from inkwright.errors import DamagedError, InkwrightError, ModelError, SettingError
from inkwright.run import model_folder
from inkwright.run.layout import STOCK, from_stock, to_stock
from inkwright.text.tokenizer import Tokenizer

TEXT = "It was a dark and stormy night; the rain fell in torrents."


@pytest.fixture
def tokenizer() -> Tokenizer:
    return Tokenizer.fit(TextConfig(), [TEXT])


@pytest.fixture
def write(tmp_path: Path, tokenizer: Tokenizer):
    """`write(model)`: a folder of it, with a manifest or, `elsewhere`, without."""

    def make(model, elsewhere: bool = False, unseen: tuple[int, ...] = ()) -> Path:
        folder = tmp_path / "model"
        shutil.rmtree(folder, ignore_errors=True)
        storage.publish(folder, model_folder.contents(model, tokenizer, list(unseen), "card"), {"step": 1})
        if elsewhere:
            (folder / storage.MANIFEST).unlink()
        return folder

    return make


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) and a[name].dtype == b[name].dtype for name in a)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_every_model_comes_back_bit_for_bit(model_name, tiny_model, tokenizer, write, bias, elsewhere) -> None:
    try:
        model = tiny_model(model_name, dtype=torch.float32, vocab_size=tokenizer.vocab_size, bias=bias)
    except SettingError:
        assert bias, "only biases are not for every shape"
        return
    found = model_folder.read(write(model, elsewhere, unseen=(3, 5)))
    assert same(found.model.state_dict(), model.state_dict())
    assert found.model.config == model.config and found.unseen == (3, 5)
    assert found.tokenizer.sha256 == tokenizer.sha256
    assert (found.facts is None) == elsewhere
    idx = torch.arange(12)[None]
    assert torch.equal(found.model(idx), model(idx)) and not found.model.training
    assert found.model.parameter_count == model.parameter_count  # what is tied stays tied


@pytest.mark.parametrize("shape", sorted(STOCK))
def test_a_stock_folder_without_our_section_is_the_same_model(shape, tiny_model, tokenizer, write) -> None:
    model = tiny_model(shape, dtype=torch.float32, vocab_size=tokenizer.vocab_size, bias=shape == "classic")
    folder = write(model, elsewhere=True)
    config = json.loads((folder / "config.json").read_text())
    del config["inkwright"]
    (folder / "config.json").write_text(json.dumps(config))
    found = model_folder.read(folder)
    idx = torch.arange(12)[None]
    assert torch.equal(found.model(idx), model(idx))


@pytest.mark.parametrize("shape", sorted(STOCK))
def test_rows_of_padding_that_some_stock_models_carry_are_never_drawn(shape, tiny_model, tokenizer, write) -> None:
    V = tokenizer.vocab_size
    model = tiny_model(shape, dtype=torch.float32, vocab_size=V + 3, bias=shape == "classic")
    assert model_folder.read(write(model, elsewhere=True)).unseen == (V, V + 1, V + 2)


@pytest.mark.parametrize("shape", sorted(STOCK))
def test_stock_tensors_of_half_precision_are_read_as_float32(shape, tiny_model, tokenizer, write) -> None:
    model = tiny_model(shape, dtype=torch.float32, vocab_size=tokenizer.vocab_size, bias=shape == "classic")
    folder = write(model, elsewhere=True)
    halves = {name: tensor.bfloat16() for name, tensor in to_stock(model).items()}
    (folder / "model.safetensors").write_bytes(safetensors.torch.save(halves))
    found = model_folder.read(folder).model.state_dict()
    assert all(tensor.dtype == torch.float32 for tensor in found.values())
    assert all(torch.equal(tensor, model.state_dict()[name].bfloat16().float()) for name, tensor in found.items())


def without_one(tensors: dict[str, torch.Tensor], name: str) -> None:
    del tensors[name]


def with_one_more(tensors: dict[str, torch.Tensor], name: str) -> None:
    tensors["lora.weight"] = torch.zeros(1)


def longer(tensors: dict[str, torch.Tensor], name: str) -> None:
    tensors[name] = torch.cat([tensors[name], tensors[name][:1]])


def flat(tensors: dict[str, torch.Tensor], name: str) -> None:
    tensors[name] = tensors[name].flatten()


def a_number(tensors: dict[str, torch.Tensor], name: str) -> None:
    tensors[name] = torch.tensor(1.0)


def deep(tensors: dict[str, torch.Tensor], name: str) -> None:
    tensors[name] = tensors[name][None]


def nothing(tensors: dict[str, torch.Tensor], name: str) -> None:
    tensors[name] = tensors[name][:0]


def not_a_number(tensors: dict[str, torch.Tensor], name: str) -> None:
    tensors[name] = torch.full_like(tensors[name], float("nan"))


def infinite(tensors: dict[str, torch.Tensor], name: str) -> None:
    tensors[name] = torch.full_like(tensors[name], float("inf"))


SPOILERS = [without_one, with_one_more, longer, flat, a_number, deep, nothing, not_a_number, infinite]


@pytest.mark.parametrize("spoil", SPOILERS)
def test_a_tensor_that_is_missing_left_over_misshapen_or_not_finite_is_told(
    model_name, tiny_model, tokenizer, write, spoil
) -> None:
    bias = model_name == "classic"
    model = tiny_model(model_name, dtype=torch.float32, vocab_size=tokenizer.vocab_size, bias=bias)
    folder = write(model, elsewhere=True)
    whole = to_stock(model)
    for name in whole:
        if spoil in (not_a_number, infinite) and not whole[name].is_floating_point():
            continue
        tensors = dict(whole)
        spoil(tensors, name)
        if all(name in tensors and torch.equal(tensors[name], whole[name]) for name in whole) and len(tensors) == len(
            whole
        ):
            continue  # a vector is flat already
        (folder / "model.safetensors").write_bytes(
            safetensors.torch.save({k: t.contiguous() for k, t in tensors.items()})
        )
        with pytest.raises(
            ModelError, match=r"model\.safetensors|no finite probabilities \(weights contain (nan|inf) in "
        ) as told:
            model_folder.read(folder)
        assert "\n" not in told.value.message and not isinstance(told.value, DamagedError)


def test_a_model_without_biases_is_written_with_zeros_and_refuses_anything_else(tiny_model, tokenizer, write) -> None:
    model = tiny_model("classic", dtype=torch.float32, vocab_size=tokenizer.vocab_size, bias=False)
    folder = write(model, elsewhere=True)
    tensors = to_stock(model)
    zeros = [name for name, tensor in tensors.items() if name.endswith(".bias")]
    assert len(zeros) == 13 and not any(tensors[name].any() for name in zeros)
    for name in zeros:
        spoiled = tensors | {name: tensors[name] + 1e-6}
        (folder / "model.safetensors").write_bytes(safetensors.torch.save(spoiled))
        with pytest.raises(ModelError, match=f"{name} is not zero, and this model has no biases"):
            model_folder.read(folder)


def test_a_shape_far_larger_than_the_weights_is_refused_before_room_is_made(tiny_model, tokenizer, write) -> None:
    model = tiny_model("modern", dtype=torch.float32, vocab_size=tokenizer.vocab_size)
    folder = write(model, elsewhere=True)
    stock = json.loads((folder / "config.json").read_text())
    stock["inkwright"]["n_embd"] = stock["hidden_size"] = 10**6
    (folder / "config.json").write_text(json.dumps(stock))
    with pytest.raises(ModelError, match=r"config\.json describes [\d,]+ parameters, model\.safetensors holds"):
        model_folder.read(folder)


def test_weights_are_never_half_loaded(tiny_model, tokenizer) -> None:
    source = tiny_model("modern", dtype=torch.float32)
    target = tiny_model("modern", dtype=torch.float32, seed=1)
    before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    tensors = to_stock(source)
    longer(tensors, "lm_head.weight")
    with pytest.raises(ModelError, match=r"lm_head\.weight is \(30, 32\), expected \(29, 32\)"):
        from_stock(tensors, target)
    assert same(before, target.state_dict())


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"model_type": "mamba"}, "a 'mamba' model is not one Inkwright reads"),
        ({"model_type": ["x"]}, r"a \['x'\] model is not one Inkwright reads"),
        ({"model_type": "m\n" * 99}, "model is not one Inkwright reads"),
        ({"model_type": "gpt2"}, "config.json: "),
        ({"num_key_value_heads": 1}, "config.json: num_key_value_heads is 1; Inkwright's modern shape has 4"),
        ({"rms_norm_eps": 1e-5}, "config.json: rms_norm_eps is 1e-05"),
        ({"tie_word_embeddings": True}, "config.json: tie_word_embeddings is True"),
        ({"num_hidden_layers": 0}, r"config.json: n_layer must be 1 to 10000 \(got 0\)"),
        ({"num_hidden_layers": None}, "config.json: n_layer must be 1 to 10000"),
        ({"num_hidden_layers": 3}, r"has no tensor model\.layers\.2\."),
        ({"vocab_size": "many"}, "config.json: vocab_size must be a whole number"),
        ({"vocab_size": 5}, r"embed|tok_emb\.weight is "),
        ({"num_attention_heads": 5, "num_key_value_heads": 5}, "config.json: n_embd 32 is not divisible"),
        ({"inkwright": {"n_layer": "x"}}, r"config.json: n_layer must be 1 to 10000 \(got x\)"),
        ({"inkwright": {"n_layer": 1, "vocab_size": 0}}, r"config.json: vocab_size must be > 0 \(got 0\)"),
        ({"inkwright": {"colour": 1}}, "config.json: colour is not a setting"),
    ],
)
def test_a_config_that_is_not_ours_is_told(tiny_model, tokenizer, write, changes, told) -> None:
    folder = write(tiny_model("modern", dtype=torch.float32, vocab_size=tokenizer.vocab_size), elsewhere=True)
    config = json.loads((folder / "config.json").read_text())
    if "inkwright" not in changes:
        del config["inkwright"]
    (folder / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(ModelError, match=told) as found:
        model_folder.read(folder)
    assert "\n" not in found.value.message and len(found.value.message) < 300


@pytest.mark.parametrize("content", ["", "{", "[]", "3", "null", "[" * 100_000, '{"suppress_tokens": 7}'])
@pytest.mark.parametrize("name", ["config.json", "generation_config.json"])
def test_json_that_is_no_object_is_told_and_odd_lists_are_left(tiny_model, tokenizer, write, name, content) -> None:
    folder = write(tiny_model("modern", dtype=torch.float32, vocab_size=tokenizer.vocab_size), elsewhere=True)
    (folder / name).write_text(content)
    if name == "generation_config.json" and content.startswith("{") and len(content) > 1:
        assert model_folder.read(folder).unseen == ()
        return
    with pytest.raises(ModelError, match=f"{name} is not|model is not one Inkwright reads"):
        model_folder.read(folder)


def test_ids_that_are_none_are_not_suppressed(tiny_model, tokenizer, write) -> None:
    folder = write(tiny_model("modern", dtype=torch.float32, vocab_size=tokenizer.vocab_size), elsewhere=True)
    (folder / "generation_config.json").write_text('{"suppress_tokens": [1, -1, 1e99, "x", null, 99999, true, [2], 4]}')
    assert model_folder.read(folder).unseen == (1, 4)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_file_that_is_missing_or_no_file_is_told(tiny_model, tokenizer, write, name) -> None:
    model = tiny_model("modern", dtype=torch.float32, vocab_size=tokenizer.vocab_size)
    folder = write(model, elsewhere=True)
    (folder / name).unlink()
    with pytest.raises(ModelError, match=rf"has no readable {name} \(no such file or directory\)"):
        model_folder.read(folder)
    (folder / name).mkdir()
    with pytest.raises(ModelError, match=rf"has no readable {name} \(is a directory\)"):
        model_folder.read(folder)
    folder = write(model)
    (folder / name).unlink()
    with pytest.raises(DamagedError, match=rf"model is damaged \({name}: missing\)"):
        model_folder.read(folder)


def test_bytes_that_are_no_safetensors_are_told(tiny_model, tokenizer, write) -> None:
    folder = write(tiny_model("classic", dtype=torch.float32, vocab_size=tokenizer.vocab_size), elsewhere=True)
    whole = (folder / "model.safetensors").read_bytes()
    for raw in (b"", b"x", b"\xff" * 64, whole[:-1], whole[:100], whole + b"x", b"\x80\x04.", bytes(100)):
        (folder / "model.safetensors").write_bytes(raw)
        with pytest.raises(InkwrightError, match=r"model\.safetensors"):
            model_folder.read(folder)


def test_a_tokenizer_with_more_tokens_than_the_model_is_told(tiny_model, tokenizer, write) -> None:
    folder = write(tiny_model("modern", dtype=torch.float32, vocab_size=29), elsewhere=True)
    with pytest.raises(ModelError, match=rf"the tokenizer has {tokenizer.vocab_size} tokens, the model 29"):
        model_folder.read(folder)
