"""What Inkwright writes, transformers loads with no conversion and computes the same with; and the other way round."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when the library is imported

import pytest
import torch

from inkwright.config import ModelConfig, SampleConfig, TextConfig
from inkwright.errors import ModelError
from inkwright.model import LogitModel, build
from inkwright.run import model_folder
from inkwright.sample.generate import generate
from inkwright.text.tokenizer import Tokenizer

transformers = pytest.importorskip("transformers", reason="transformers is the oracle: pip install inkwright[oracles]")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:(transformers|huggingface_hub|torch).*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:(transformers|huggingface_hub|torch).*"),
]

Make = Callable[..., LogitModel]
KINDS = ["char", "byte", "bpe"]
MODELS: dict[str, dict[str, Any]] = {
    "classic": {"shape": "classic"},
    "classic-bias": {"shape": "classic", "bias": True},
    "classic-gelu": {"shape": "classic", "activation": "gelu"},
    "modern": {"shape": "modern"},
}
HOSTILE = [
    " two  spaces ", "\n\n new lines\r\n\t", "é e\u0301 ñ", "👩‍👩‍👧 emoji", "<|endoftext|>", "a<|endoftext|> b",
    "don't , stop .", "<0x41>", "中文", "\u00a0\u2028", "x",
]  # fmt: skip


def tokenizer_of(kind: str, text: str) -> Tokenizer:
    return Tokenizer.fit(TextConfig(tokenizer=kind, vocab_size=400), [text])  # type: ignore[arg-type]


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def theirs_of(folder: Path) -> tuple[Any, Any]:
    """The model and the tokenizer, as a stranger would load them."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    return model.eval(), transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)


@pytest.fixture(params=KINDS)
def tokenizer(request: pytest.FixtureRequest, tiny_text: str) -> Tokenizer:
    return tokenizer_of(request.param, tiny_text[:5000])


@pytest.fixture(params=MODELS)
def ours(request: pytest.FixtureRequest, tokenizer: Tokenizer, tiny_model: Make) -> LogitModel:
    how = dict(MODELS[request.param])
    return tiny_model(how.pop("shape"), torch.float32, vocab_size=tokenizer.vocab_size, block_size=64, **how)


@pytest.fixture
def unseen(tokenizer: Tokenizer, tiny_text: str) -> list[int]:
    return sorted(set(range(tokenizer.vocab_size)) - set(tokenizer.encode(tiny_text).tolist()))


@pytest.fixture
def folder(tmp_path: Path, ours: LogitModel, tokenizer: Tokenizer, unseen: list[int]) -> Path:
    return write(tmp_path / "model", model_folder.contents(ours, tokenizer, unseen, "# a card\n"))


@torch.no_grad()
def test_transformers_loads_our_folder_and_computes_the_same(
    folder: Path, ours: LogitModel, tokenizer: Tokenizer
) -> None:
    model, theirs = theirs_of(folder)
    assert len(theirs) == tokenizer.vocab_size == model.config.vocab_size
    for text in HOSTILE:
        ids = tokenizer.encode(text).tolist()
        assert theirs(text, add_special_tokens=False)["input_ids"] == ids, text
        assert theirs(text)["input_ids"] == ids, text  # and nothing is added unasked
        assert theirs.decode(ids) == text
        idx = torch.tensor([ids])
        torch.testing.assert_close(model(idx).logits, ours(idx), rtol=0, atol=1e-5)
    idx = torch.arange(2 * 64).view(2, 64) % tokenizer.vocab_size  # a full context
    torch.testing.assert_close(model(idx).logits, ours(idx), rtol=0, atol=1e-5)


def test_transformers_writes_the_same_greedy_text(
    folder: Path, ours: LogitModel, tokenizer: Tokenizer, unseen: list[int]
) -> None:
    model, _ = theirs_of(folder)
    prompt = tokenizer.encode("Da ")[:3].tolist()
    expected = list(generate(ours, prompt, SampleConfig(max_new_tokens=40, temperature=0), unseen))
    assert not set(expected) & set(unseen)
    idx = torch.tensor([prompt])
    found = model.generate(idx, attention_mask=torch.ones_like(idx), max_new_tokens=40, do_sample=False)
    assert found[0, len(prompt) :].tolist() == expected


def test_transformers_knows_the_end_of_a_text_and_the_context(folder: Path, tokenizer: Tokenizer) -> None:
    model, theirs = theirs_of(folder)
    assert theirs.eos_token_id == theirs.bos_token_id == tokenizer.end_id == model.generation_config.eos_token_id
    assert theirs.model_max_length == 64
    assert model.generation_config.do_sample and model.generation_config.top_k == 0


@torch.no_grad()
def test_we_read_back_what_we_wrote_to_the_bit(
    folder: Path, ours: LogitModel, tokenizer: Tokenizer, unseen: list[int]
) -> None:
    found = model_folder.read(folder)
    assert found.model.config == ours.config and found.tokenizer.sha256 == tokenizer.sha256
    assert found.unseen == tuple(unseen) and found.facts is None
    assert all(torch.equal(a, b) for a, b in zip(found.model.parameters(), ours.parameters(), strict=True))


@torch.no_grad()
def test_what_transformers_saves_again_is_still_ours(folder: Path, tmp_path: Path, ours: LogitModel) -> None:
    model, theirs = theirs_of(folder)
    again = tmp_path / "again"
    model.save_pretrained(again)
    theirs.save_pretrained(again)
    found = model_folder.read(again)
    idx = torch.arange(20)[None]
    torch.testing.assert_close(found.model(idx), ours(idx), rtol=0, atol=1e-5)
    text = "a<|endoftext|> é\n"
    assert found.tokenizer.encode(text).tolist() == model_folder.read(folder).tokenizer.encode(text).tolist()


# ---------------------------------------------------------------- the other way round


def stock_gpt2(**changes: Any) -> Any:
    """A tiny GPT-2 from transformers' own hands, every weight moved."""
    config = transformers.GPT2Config(
        n_layer=2,
        n_head=4,
        n_embd=32,
        n_positions=64,
        bos_token_id=256,
        eos_token_id=256,
        **({"vocab_size": 257} | changes),
    )
    return moved(transformers.GPT2LMHeadModel(config))


def stock_qwen3(**changes: Any) -> Any:
    """A tiny Qwen3, as wide as our modern shape is."""
    asked = {
        "hidden_size": 32, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 4, "head_dim": 8, "max_position_embeddings": 64, "vocab_size": 257,
        "tie_word_embeddings": False, "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
    }  # fmt: skip
    return moved(transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**(asked | changes))))


def moved(model: Any) -> Any:
    rng = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in model.parameters():
            weight += torch.randn(weight.shape, generator=rng) * 0.2
    return model.eval()


def stock_folder(folder: Path, model: Any) -> Path:
    model.save_pretrained(folder)
    return write(folder, {"tokenizer.json": tokenizer_of("byte", "").to_json().encode()})


@pytest.mark.parametrize("make", [stock_gpt2, stock_qwen3], ids=["gpt2", "qwen3"])
@torch.no_grad()
def test_we_read_a_stock_folder_and_compute_the_same(make: Callable[..., Any], tmp_path: Path) -> None:
    theirs = make()
    found = model_folder.read(stock_folder(tmp_path / "stock", theirs))
    assert found.facts is None and found.unseen == ()
    idx = torch.arange(2 * 64).view(2, 64)
    torch.testing.assert_close(found.model(idx), theirs(idx).logits, rtol=0, atol=1e-5)


@torch.no_grad()
def test_rows_of_padding_in_a_stock_model_are_never_drawn(tmp_path: Path) -> None:
    found = model_folder.read(stock_folder(tmp_path / "stock", stock_gpt2(vocab_size=264)))
    assert found.unseen == tuple(range(257, 264)) and found.model.config.vocab_size == 264


@pytest.mark.parametrize(
    ("make", "changes"),
    [
        (stock_gpt2, {"activation_function": "relu"}),
        (stock_gpt2, {"activation_function": "silu"}),
        (stock_gpt2, {"n_inner": 64}),
        (stock_gpt2, {"layer_norm_epsilon": 1e-3}),
        (stock_gpt2, {"tie_word_embeddings": False}),
        (stock_gpt2, {"scale_attn_weights": False}),
        (stock_gpt2, {"scale_attn_by_inverse_layer_idx": True}),
        (stock_qwen3, {"intermediate_size": 64}),
        (stock_qwen3, {"num_key_value_heads": 2}),
        (stock_qwen3, {"head_dim": 16}),
        (stock_qwen3, {"attention_bias": True}),
        (stock_qwen3, {"rms_norm_eps": 1e-3}),
        (stock_qwen3, {"hidden_act": "gelu"}),
        (stock_qwen3, {"rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0}}),
        (stock_qwen3, {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 10_000.0}}),
        (stock_qwen3, {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 0}),
        (stock_qwen3, {"tie_word_embeddings": True}),
    ],
)
@torch.no_grad()
def test_a_variant_that_we_do_not_have_is_refused_and_never_computed_differently(
    make: Callable[..., Any], changes: dict[str, Any], tmp_path: Path
) -> None:
    theirs = make(**changes)
    folder = stock_folder(tmp_path / "stock", theirs)
    try:
        found = model_folder.read(folder)
    except ModelError:
        return
    idx = torch.arange(64)[None]
    torch.testing.assert_close(found.model(idx), theirs(idx).logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "written",
    [{"rope_theta": 1_000_000}, {"rope_theta": 10_000, "rope_scaling": {"rope_type": "linear", "factor": 2.0}}],
)
@torch.no_grad()
def test_the_positions_of_a_qwen3_saved_by_an_older_transformers_are_not_mistaken(
    written: dict[str, Any], tmp_path: Path
) -> None:
    folder = stock_folder(tmp_path / "stock", stock_qwen3())
    config = json.loads((folder / "config.json").read_text())
    del config["rope_parameters"]
    (folder / "config.json").write_text(json.dumps(config | written))
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()
    try:
        found = model_folder.read(folder)
    except ModelError:
        return
    idx = torch.arange(64)[None]
    torch.testing.assert_close(found.model(idx), theirs(idx).logits, rtol=0, atol=1e-5)


def test_another_architecture_is_refused_by_name(tmp_path: Path) -> None:
    config = transformers.LlamaConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4, vocab_size=257
    )
    with pytest.raises(ModelError, match="a 'llama' model is not one Inkwright reads"):
        model_folder.read(stock_folder(tmp_path / "stock", transformers.LlamaForCausalLM(config)))


@torch.no_grad()
def test_fresh_weights_are_as_wide_as_those_of_a_fresh_gpt2(tiny_config: Callable[..., ModelConfig]) -> None:
    ours = build(tiny_config("classic", bias=True, vocab_size=257, block_size=64), 1)
    config = transformers.GPT2Config(n_layer=2, n_head=4, n_embd=32, n_positions=64, vocab_size=257)
    theirs = transformers.GPT2LMHeadModel(config)
    stds = {name: weight.std().item() for name, weight in theirs.named_parameters() if weight.ndim > 1}
    mine = {name: weight.std().item() for name, weight in ours.named_parameters() if weight.ndim > 1}
    assert mine["blocks.0.mlp.proj.weight"] == pytest.approx(stds["transformer.h.0.mlp.c_proj.weight"], rel=0.1)
    assert mine["blocks.1.mlp.fc.weight"] == pytest.approx(stds["transformer.h.1.mlp.c_fc.weight"], rel=0.1)
    assert mine["tok_emb.weight"] == pytest.approx(stds["transformer.wte.weight"], rel=0.1)
