"""The clients that people have: the openai package, llm, and what lm-evaluation-harness sends."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lossless.saving import small_run
from tests.lossless.serving import Breaking

pytestmark = pytest.mark.slow


@pytest.fixture
def openai(server: Any) -> Iterator[Any]:
    """OpenAI's own client, pointed here."""
    package = pytest.importorskip("openai", reason="openai is not installed: the extra `oracles`")
    with package.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_the_openai_package_lists_completes_streams_and_chats(openai: Any) -> None:
    assert [model.id for model in openai.models.list()] == ["char", "bare", "bpe"]
    wishes = dict(model="char", prompt="ba", max_tokens=40, seed=1, temperature=0.8, extra_body={"top_k": 20})
    whole = openai.completions.create(**wishes, logprobs=2)
    assert len(whole.choices[0].logprobs.tokens) == 40 and whole.usage.total_tokens == 42
    stream = list(openai.completions.create(**wishes, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].text for chunk in stream if chunk.choices) == whole.choices[0].text
    assert stream[-1].usage.completion_tokens == 40
    turns = [{"role": "user", "content": "ci"}]
    chat = openai.chat.completions.create(model="char", messages=turns, max_tokens=10, seed=1, logprobs=True)
    assert chat.choices[0].message.content and len(chat.choices[0].logprobs.content) == 10
    pieces = openai.chat.completions.create(model="char", messages=turns, max_tokens=10, seed=1, stream=True)
    assert "".join(p.choices[0].delta.content for p in pieces) == chat.choices[0].message.content


def test_the_openai_package_understands_what_it_did_wrong(openai: Any) -> None:
    import openai as package

    with pytest.raises(package.NotFoundError, match="Loaded: char"):
        openai.completions.create(model="x", prompt="a")
    with pytest.raises(package.BadRequestError, match="temperature must be a number from 0 to 5") as caught:
        openai.completions.create(model="char", prompt="a", temperature=9)
    assert caught.value.param == "temperature" and caught.value.code == "invalid_value"


def test_llm_writes_with_a_model_from_its_list(server: Any, tmp_path: Path) -> None:
    pytest.importorskip("llm", reason="llm is not installed: the extra `oracles`")
    entry = {"model_id": "ink", "model_name": "char", "api_base": f"{server.url}/v1", "completion": True}
    (tmp_path / "extra-openai-models.yaml").write_text(json.dumps([entry]))
    env = {**os.environ, "LLM_USER_PATH": str(tmp_path), "OPENAI_API_KEY": "none"}
    command = [sys.executable, "-m", "llm", "-m", "ink", "ba", "-o", "seed", "5", "-o", "max_tokens", "30"]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)
    expected = server.complete(prompt="ba", max_tokens=30, seed=5).json["choices"][0]["text"]
    assert (done.returncode, done.stdout.strip("\n")) == (0, expected.strip("\n")), done.stderr


def test_an_evaluation_harness_gets_the_log_probability_of_each_continuation(
    server: Any, models: dict[str, Path]
) -> None:
    """The body is the one that lm-evaluation-harness sends, and it reads token_logprobs[context:-1]."""
    import inkwright

    lm = inkwright.load(models["bpe"])
    pairs = [("Ba fin", "or us"), ("Ci", " ba, ci"), ("us. ", "Ba")]
    both = [(lm.tokenizer.encode(a).tolist(), lm.tokenizer.encode(b).tolist()) for a, b in pairs]
    body = {
        "prompt": [a + b for a, b in both],
        "temperature": 0,
        "max_tokens": 1,
        "logprobs": 1,
        "seed": 1234,
        "echo": True,
    }
    reply = server.complete("bpe", **body).json
    for choice, (context, continuation) in zip(reply["choices"], both, strict=True):
        found = choice["logprobs"]["token_logprobs"][len(context) : -1]
        assert len(found) == len(continuation)
        expected = lm.score_ids(__import__("numpy").array(context + continuation)).logprobs[len(context) :]
        assert found == pytest.approx(expected, abs=1e-4)
        for token, top in zip(choice["logprobs"]["tokens"][1:], choice["logprobs"]["top_logprobs"][1:], strict=True):
            assert len(top) == 1 and all(math.isfinite(value) for value in top.values()) and token


def test_a_stream_that_breaks_raises_in_the_openai_package(tmp_path: Path) -> None:
    """Row S19 tries each token; here it is what a program of yours sees."""
    package = pytest.importorskip("openai", reason="openai is not installed: the extra `oracles`")
    server = Breaking(tmp_path, small_run(tmp_path, model="layernorm", block_size=32))
    try:
        with package.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
            for at in (0, 1, 7, 30):
                with pytest.raises(package.APIError, match=r"the server's log has it under [0-9a-f]{8}"):
                    list(client.completions.create(model="char", prompt="ba", max_tokens=40, seed=at, stream=True))
    finally:
        server.end()
