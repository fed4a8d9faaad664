"""No body, however wrong, gives a traceback or an HTTP 500: each gets the answer that its field has."""

import json
import random
from typing import Any

import pytest

pytestmark = pytest.mark.long
COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"

WRONG: list[tuple[str, list[str]]] = [
    ("prompt", ["[]", "[-1]", "[999999]", '["a", 1]', "[1, 1.5]", "{}", "true", "1", "[[]]", "[null]", "[[1], 2]",
                '"\\ud800"', '["a", "\\udfff"]', json.dumps(["a"] * 33), json.dumps("a" * 1_000_001), "[true]", "[1e3]"]),
    ("max_tokens", ["0", "-1", "1.5", "1e12", '"10"', "true", "[]", "-0.0", "10000000000000000000"]),
    ("temperature", ["-1", "5.001", '"hot"', "true", "[]", "{}", "9007199254740993", "-1e-9"]),
    ("top_p", ["0", "-0.1", "1.01", '"1"', "false"]),
    ("min_p", ["-0.1", "1.01", '"1"']),
    ("top_k", ["0.01", "-1", '"5"', "true", "[1]"]),
    ("n", ["0", "9", "1000000", "1.0", '"1"', "true"]),
    ("best_of", ["0", "2", "1000000"]),
    ("stop", ['""', '["a", "b", "c", "d", "e"]', json.dumps("x" * 257), "1", "[1]", "[null]", "{}", '"\\ud800"']),
    ("stream", ['"yes"', "1", "[]"]),
    ("stream_options", ["1", "[]", '"a"']),
    ("seed", ["-1", "1.5", str(2**70), '"1"', "true", str(2**63)]),
    ("logprobs", ["21", "-1", "true", '"1"', "1.0"]),
    ("logit_bias", ['{"a": 1}', '{"999999": 1}', '{"1": "x"}', "[]", '{"-1": 1}', '{"1": 101}', '{"1": true}',
                    json.dumps({str(i): 1 for i in range(301)}), '{"1.5": 1}', '{"\\u0661": 1}']),
    ("echo", ["1", '"true"', "[]"]),
    ("frequency_penalty", ["-2.01", "2.01", '"0"']),
    ("presence_penalty", ["-3", "true"]),
    ("repetition_penalty", ["0", "10.1", "-1"]),
    ("suffix", ['"x"', "1"]),
    ("tools", ['[{"type": "function"}]']),
    ("response_format", ['{"type": "json_object"}']),
    ("unknown", ['"keep"', "1"]),
]  # fmt: skip

NOT_JSON = [
    b"", b" ", b"{", b"[]", b"null", b'"a"', b"nan", b"\xff\xfe", b"\xef\xbb\xbf{}", b'{"a": NaN}', b'{"a": Infinity}',
    b'{"a": -Infinity}', b'{"a": 1e999}', b'{"a": 1, "a": 2}', b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"a": ' + b"[" * 65 + b"]" * 65 + b"}", b'{"a": ' + b"9" * 5001 + b"}", b'{"a": 01}', b"{'a': 1}", b'{"a": 1,}',
    b'{"a": "\x00"}', b'{"a": "\n"}', b"{}{}", b'{"a": tru}', b"[" * 100_000, b'{"a": "\\uZZZZ"}', b'{"a":"\xc3"}',
]  # fmt: skip

HOSTILE = [
    "null", "true", "false", "0", "-0.0", "1", "-1", "1.5", "1e12", "1e308", str(2**63), "9" * 40, '""', '"a"', '"1"',
    '"\\u0000"', '"\\ud800"', '"<script>"', "[]", "[[]]", "[null]", "{}", '{"a": {"b": []}}', "[1]", '["a", 1]',
    json.dumps("a" * 300), '"\\u202e\\u001b[31m"',
]  # fmt: skip
FIELDS = [
    "model", "prompt", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "min_p", "n",
    "best_of", "stop", "stream", "stream_options", "seed", "logprobs", "top_logprobs", "logit_bias", "echo", "suffix",
    "frequency_penalty", "presence_penalty", "repetition_penalty", "ignore_eos", "return_token_ids", "strict", "user",
    "unknown", "tools", "response_format", "content", "tokens", "ids", "written", "nonsense", "__proto__",
]  # fmt: skip


def decent(reply: Any) -> None:
    """An answer, or a refusal with a whole envelope."""
    assert 200 <= reply.status < 500, reply
    if reply.status >= 400:
        assert reply.error["code"] and "Traceback" not in reply.error["message"]
        assert len(reply.error["message"]) < 500


@pytest.mark.parametrize(("field", "values"), WRONG, ids=[field for field, _ in WRONG])
def test_a_value_that_a_field_cannot_have_is_a_400_that_names_the_field(
    server: Any, field: str, values: list[str]
) -> None:
    for value in values:
        fields = {
            "model": '"bare"' if field == "unknown" else '"char"',
            "max_tokens": "2",
            "prompt": '"a"',
            field: value,
        }
        body = "{" + ", ".join(f'"{name}": {raw}' for name, raw in fields.items()) + "}"
        reply = server.ask("POST", COMPLETIONS, body.encode())
        assert (reply.status, reply.error["param"]) == (400, field), (value[:80], reply)


@pytest.mark.parametrize("body", NOT_JSON, ids=lambda body: repr(body[:24]))
def test_what_is_no_json_object_is_a_400(server: Any, body: bytes) -> None:
    for path in (COMPLETIONS, CHAT, "/tokenize", "/api/next"):
        reply = server.ask("POST", path, body)
        assert (reply.status, reply.error["code"]) == (400, "invalid_json")


@pytest.mark.parametrize(
    "messages",
    ["[]", "null", "{}", '"hi"', '[{"role": "robot", "content": "a"}]', '[{"role": "user", "content": null}]',
     '[{"role": "user"}]', '[{"content": "a"}]', '[{"role": "user", "content": [{"type": "image_url"}]}]', "[1]",
     '[{"role": ["user"], "content": "a"}]', json.dumps([{"role": "user", "content": "a"}] * 501),
     '[{"role": "user", "content": "\\ud800"}]'],
)  # fmt: skip
def test_messages_that_cannot_be_are_a_400(server: Any, messages: str) -> None:
    reply = server.ask("POST", CHAT, f'{{"model": "char", "messages": {messages}}}'.encode())
    assert (reply.status, reply.error["param"]) == (400, "messages")


@pytest.mark.parametrize(
    "name", [None, "", "x", "../x", "char/", "CHAR", 1, True, ["char"], {}, "x" * 10_000, "\ud800", "a\r\nb"]
)
def test_a_model_that_is_not_loaded_is_a_404_that_names_those_that_are(server: Any, name: Any) -> None:
    reply = server.ask("POST", COMPLETIONS, {"model": name, "prompt": "a"})
    assert (reply.status, reply.error["code"]) == (404, "model_not_found")
    assert reply.error["message"].endswith("Loaded: char, bare, bpe") and len(reply.error["message"]) < 200


def test_an_unknown_field_is_named_or_refused_where_that_was_asked_for(server: Any) -> None:
    assert server.complete(prompt="a", max_tokens=1, wish=1).json["warnings"] == [
        "wish is not known here and was ignored"
    ]
    assert server.complete(prompt="a", max_tokens=1, wish=1, strict=True).error["param"] == "wish"


@pytest.mark.parametrize("value", ["0", "-0.0", "null", "5", "1e-300"])
def test_the_ends_of_a_range_belong_to_it(server: Any, value: str) -> None:
    body = f'{{"model": "char", "prompt": "a", "max_tokens": 3, "temperature": {value}}}'
    assert server.ask("POST", COMPLETIONS, body.encode()).status == 200


def test_every_hostile_value_in_every_field_of_every_route_is_answered_decently(server: Any) -> None:
    paths = [COMPLETIONS, CHAT, "/tokenize", "/detokenize", "/api/next"]
    rng = random.Random(1)
    cases = [(path, field, value) for path in paths for field in FIELDS for value in HOSTILE]
    for path, field, value in rng.sample(cases, 1500):
        fields = {
            "model": '"char"', "prompt": '"a"', "messages": '[{"role": "user", "content": "a"}]', "max_tokens": "2",
            "content": '"a"', "tokens": "[1]", "ids": "[1]", field: value,
        }  # fmt: skip
        body = "{" + ", ".join(f'"{name}": {raw}' for name, raw in fields.items()) + "}"
        before = server.cpu_seconds
        decent(server.ask("POST", path, body.encode()))
        assert server.cpu_seconds - before < 5
