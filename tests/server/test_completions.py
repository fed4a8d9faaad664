"""What /v1/completions and its neighbours answer, in the shapes that OpenAI's clients read."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

import inkwright
from inkwright.app.cli import run

pytestmark = pytest.mark.long


def test_a_completion_has_the_whole_shape(server: Any) -> None:
    found = server.complete(prompt="ba", max_tokens=5, seed=1).json
    assert found.keys() == {"id", "object", "created", "model", "system_fingerprint", "choices", "usage"}
    assert (found["object"], found["model"]) == ("text_completion", "char")
    [choice] = found["choices"]
    assert choice.keys() == {"index", "text", "logprobs", "finish_reason"}
    assert (choice["index"], len(choice["text"]), choice["logprobs"]) == (0, 5, None)
    assert choice["finish_reason"] == "length"
    assert found["usage"] == {"prompt_tokens": 2, "completion_tokens": 5, "total_tokens": 7}


@pytest.mark.parametrize("kind", ["char", "bare", "bpe"])
def test_the_same_seed_writes_the_same_text_over_http_in_python_and_in_the_terminal(
    server: Any, models: dict[str, Path], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    wishes: dict[str, Any] = {"temperature": 0.9, "top_k": 20, "seed": 7}
    over_http = server.complete(kind, prompt="Ba", max_tokens=100, **wishes).json["choices"][0]["text"]
    assert inkwright.load(models[kind]).generate("Ba", max_new_tokens=100, **wishes) == over_http
    flags = ["--prompt", "Ba", "--tokens", "100", "--temperature", "0.9", "--top-k", "20", "--seed", "7", "--json"]
    assert run(["sample", str(models[kind]), *flags]) == 0
    assert json.loads(capsys.readouterr().out)["text"] == over_http


def test_a_stream_says_in_pieces_what_the_whole_answer_says_at_once(server: Any) -> None:
    wishes = dict(prompt="ba", max_tokens=80, seed=3, temperature=1.3, logprobs=2)
    whole = server.complete(**wishes).json["choices"][0]
    *events, usage, done = server.complete(**wishes, stream=True, stream_options={"include_usage": True}).events
    assert done == "[DONE]"
    assert usage["choices"] == [] and usage["usage"]["completion_tokens"] == 80
    choices = [event["choices"][0] for event in events]
    assert "".join(choice["text"] for choice in choices) == whole["text"]
    assert [choice["finish_reason"] for choice in choices] == [None] * (len(choices) - 1) + ["length"]
    for key in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
        assert [item for choice in choices for item in choice["logprobs"][key]] == whole["logprobs"][key]


def test_log_probabilities_point_into_the_text(server: Any) -> None:
    found = server.complete(prompt="ba", max_tokens=30, seed=3, logprobs=3, echo=True).json["choices"][0]
    marks, text = found["logprobs"], found["text"]
    assert text.startswith("ba") and len(marks["tokens"]) == 32
    assert marks["token_logprobs"][0] is None and marks["top_logprobs"][0] is None
    assert all(value <= 0 for value in marks["token_logprobs"][1:])
    assert all(len(top) == 3 for top in marks["top_logprobs"][1:])
    for token, offset in zip(marks["tokens"], marks["text_offset"], strict=True):
        assert text[offset : offset + len(token)] == token


def test_echo_with_no_tokens_scores_a_text_as_eval_would(server: Any, models: dict[str, Path]) -> None:
    text = "Bafin cor us. "
    found = server.complete(prompt=text, max_tokens=0, echo=True, logprobs=0).json
    assert found["usage"]["completion_tokens"] == 0 and found["choices"][0]["text"] == text
    scored = inkwright.load(models["char"]).score(text).logprobs[1:]
    assert found["choices"][0]["logprobs"]["token_logprobs"][1:] == pytest.approx(scored, abs=1e-4)


def test_several_prompts_and_choices_come_in_order_each_with_its_own_seed(server: Any) -> None:
    found = server.complete(prompt=["ba", "ci"], n=2, max_tokens=20, seed=5, temperature=1.5).json
    texts = [choice["text"] for choice in found["choices"]]
    assert [choice["index"] for choice in found["choices"]] == [0, 1, 2, 3]
    for i, (prompt, seed) in enumerate([("ba", 5), ("ba", 6), ("ci", 5), ("ci", 6)]):
        alone = server.complete(prompt=prompt, max_tokens=20, seed=seed, temperature=1.5).json
        assert alone["choices"][0]["text"] == texts[i]
    assert found["usage"]["completion_tokens"] == 80


def test_a_prompt_may_be_text_ids_lists_of_them_empty_or_null(server: Any) -> None:
    ids = server.ask("POST", "/tokenize", {"model": "char", "content": "ba"}).json["tokens"]

    def texts(prompt: Any) -> list[str]:
        found = server.complete(prompt=prompt, max_tokens=9, temperature=0).json
        return [choice["text"] for choice in found["choices"]]

    assert texts("ba") == texts(["ba"]) == texts(ids) == texts([ids])
    assert texts(["ba", "ci"]) == texts("ba") + texts("ci")
    assert texts("") == texts(None) == texts([""])


def test_a_stop_text_ends_it_across_tokens_and_is_not_part_of_it(server: Any) -> None:
    whole = server.complete(prompt="ba", max_tokens=60, seed=2).json["choices"][0]["text"]
    stop = whole[30:33]
    found = server.complete(prompt="ba", max_tokens=60, seed=2, stop=["\x00never", stop], logprobs=1).json["choices"][0]
    assert found["text"] == whole[: whole.index(stop)] and found["finish_reason"] == "stop"
    assert "".join(found["logprobs"]["tokens"]) == found["text"]
    streamed = server.complete(prompt="ba", max_tokens=60, seed=2, stop=stop, stream=True).events[:-1]
    assert "".join(event["choices"][0]["text"] for event in streamed) == found["text"]


def test_a_large_max_tokens_is_cut_and_says_so(server: Any) -> None:
    found = server.complete("bpe", prompt="a", max_tokens=1_000_000, seed=1).json
    assert found["usage"]["completion_tokens"] == 4096
    assert found["choices"][0]["finish_reason"] == "length"


def test_what_was_odd_about_a_request_is_said(server: Any) -> None:
    found = server.complete(prompt="é中" + "b" * 100, max_tokens=1, wishes="many").json["warnings"]
    assert found[0].startswith("never seen: '中' (U+4E2D)")
    assert found[1].startswith("only the last 32 of ") and "wishes" in found[2]
    assert "warnings" in server.complete(prompt="中", max_tokens=1, stream=True).events[0]


def test_a_bare_alphabet_refuses_strangers_or_drops_them(server: Any) -> None:
    refused = server.complete("bare", prompt="ba中", max_tokens=4, seed=1)
    assert refused.status == 400 and "(U+4E2D)" in refused.error["message"] and "skip" in refused.error["message"]
    dropped = server.complete("bare", prompt="ba中", max_tokens=4, seed=1, unknown="skip").json
    assert (
        dropped["choices"][0]["text"]
        == server.complete("bare", prompt="ba", max_tokens=4, seed=1).json["choices"][0]["text"]
    )


def test_a_bias_of_a_hundred_decides(server: Any) -> None:
    [token] = server.ask("POST", "/tokenize", {"model": "char", "content": "z"}).json["tokens"][:1]
    [other] = server.ask("POST", "/tokenize", {"model": "char", "content": "b"}).json["tokens"]
    found = server.complete(prompt="a", max_tokens=5, logit_bias={str(other): 100}, temperature=1).json
    assert found["choices"][0]["text"] == "bbbbb" and token is not None


def test_a_chat_is_continued_after_the_stated_template(server: Any) -> None:
    turns = [{"role": "system", "content": "Be ba."}, {"role": "user", "content": [{"type": "text", "text": "ci?"}]}]
    wishes = {"max_tokens": 20, "seed": 4}
    found = server.ask("POST", "/v1/chat/completions", {"model": "char", "messages": turns, "logprobs": True} | wishes)
    prompt = "system: Be ba.\nuser: ci?\nassistant:"
    expected = server.complete(prompt=prompt, stop="\nuser:", **wishes).json["choices"][0]["text"]
    choice = found.json["choices"][0]
    assert found.json["object"] == "chat.completion"
    assert choice["message"] == {"role": "assistant", "content": expected}
    assert "role: content" in found.json["warnings"][0]
    assert "".join(bytes(one["bytes"]).decode() for one in choice["logprobs"]["content"]) == expected
    body = {"model": "char", "messages": turns, "stream": True} | wishes
    *events, done = server.ask("POST", "/v1/chat/completions", body).events
    assert done == "[DONE]" and events[0]["choices"][0]["delta"]["role"] == "assistant"
    assert "".join(event["choices"][0]["delta"].get("content", "") for event in events) == expected


def test_text_becomes_ids_and_text_again(server: Any) -> None:
    for model in ("char", "bpe"):
        ids = server.ask("POST", "/tokenize", {"model": model, "content": "Ba é 中 <|endoftext|>"}).json["tokens"]
        found = server.ask("POST", "/detokenize", {"model": model, "tokens": ids})
        assert found.json == {"content": "Ba é 中 <|endoftext|>"}


def test_the_models_are_listed_and_found_by_name(server: Any) -> None:
    found = server.ask("GET", "/v1/models").json
    assert found["object"] == "list" and [model["id"] for model in found["data"]] == ["char", "bare", "bpe"]
    assert server.ask("GET", "/v1/models/bare").json == found["data"][1]
    assert server.ask("GET", "/v1/models/nobody").error["code"] == "model_not_found"


def test_metrics_count_tokens(server: Any) -> None:
    before = server.number("generation_tokens_total")
    server.complete(prompt="a", max_tokens=11)
    assert server.number("generation_tokens_total") == before + 11
    assert server.number("num_requests_running") == server.number("num_requests_waiting") == 0
    assert math.isfinite(server.number("time_to_first_token_seconds_sum"))


def test_the_distribution_behind_a_token_is_the_one_it_was_drawn_from(server: Any) -> None:
    """Also after the context was full: the page and the writer see the same tokens."""
    found = server.complete(prompt="ba", max_tokens=70, seed=3, logprobs=1, return_token_ids=True).json["choices"][0]
    ids = server.ask("POST", "/tokenize", {"model": "char", "content": "ba"}).json["tokens"]
    for at in (0, 1, 30, 31, 47, 69):
        asked = {"model": "char", "ids": ids + found["token_ids"][:at], "written": at}
        seen = server.ask("POST", "/api/next", asked).json
        place = seen["ids"].index(found["token_ids"][at])
        assert seen["logprobs"][place] == pytest.approx(found["logprobs"]["token_logprobs"][at], abs=1e-4)
        assert math.fsum(map(math.exp, seen["logprobs"])) + seen["never"] == pytest.approx(1, abs=1e-6)
