"""Row S1: Schemathesis makes right and wrong requests from a description of the API, and holds the answers against it."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
EXAMPLES = int(os.environ.get("INKWRIGHT_EXAMPLES", "100"))  # of each route
CHECKS = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance"]


def number(low: float, high: float, **more: Any) -> dict[str, Any]:
    return {"type": ["number", "null"], "minimum": low, "maximum": high} | more


def whole(low: int, high: int = 10**18) -> dict[str, Any]:
    return {"type": ["integer", "null"], "minimum": low, "maximum": high}


FLAG = {"type": ["boolean", "null"]}
IDS = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 50}}
MODEL = {"enum": ["char", "bpe"]}
SHARED = {
    "model": MODEL, "max_tokens": whole(1, 8), "temperature": number(0, 5), "top_k": whole(0, 10**9),
    "top_p": number(0, 1, exclusiveMinimum=0), "min_p": number(0, 1), "n": whole(1, 8), "seed": whole(0, 2**63 - 1),
    "presence_penalty": number(-2, 2), "frequency_penalty": number(-2, 2), "ignore_eos": FLAG, "return_token_ids": FLAG,
    "stream": {"enum": [False, None]},
}  # fmt: skip
COMPLETION = SHARED | {
    "prompt": {"anyOf": [{"type": "string"}, {**IDS, "minItems": 1}, {"type": "null"}]},
    "logprobs": whole(0, 20), "echo": FLAG,
}  # fmt: skip
MESSAGE = {
    "type": "object", "required": ["role", "content"],
    "properties": {"role": {"enum": ["system", "user", "assistant"]}, "content": {"type": "string"}},
}  # fmt: skip
CHAT = SHARED | {
    "messages": {"type": "array", "items": MESSAGE, "minItems": 1}, "logprobs": FLAG, "top_logprobs": whole(0, 20)
}  # fmt: skip
ERROR = {
    "type": "object", "required": ["error"],
    "properties": {"error": {
        "type": "object", "required": ["message", "type", "param", "code"], "additionalProperties": False,
        "properties": {"message": {"type": "string", "minLength": 1}, "type": {"type": "string"},
                       "param": {"type": ["string", "null"]}, "code": {"type": "string", "minLength": 1}},
    }},
}  # fmt: skip


def answers(*required: str) -> dict[str, Any]:
    """What may come back: the answer, or the envelope of a refusal."""
    good = {"type": "object", "required": list(required)}
    return {status: {"description": status, "content": {"application/json": {"schema": schema}}}
            for status, schema in {"200": good, "4XX": ERROR}.items()}  # fmt: skip


def post(properties: dict[str, Any], required: list[str], *answered: str) -> dict[str, Any]:
    body = {"type": "object", "properties": properties, "required": required}
    content = {"required": True, "content": {"application/json": {"schema": body}}}
    return {"post": {"requestBody": content, "responses": answers(*answered)}}


NAMED = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
API = {
    "openapi": "3.1.0",
    "info": {"title": "Inkwright", "version": "1"},
    "paths": {
        "/v1/completions": post(COMPLETION, ["model"], "id", "object", "choices", "usage"),
        "/v1/chat/completions": post(CHAT, ["model", "messages"], "id", "object", "choices", "usage"),
        "/tokenize": post({"model": MODEL, "content": {"type": "string"}}, ["model", "content"], "tokens"),
        "/detokenize": post({"model": MODEL, "tokens": IDS}, ["model", "tokens"], "content"),
        "/api/next": post({"model": MODEL, "ids": IDS}, ["model", "ids"], "ids", "tokens", "logprobs"),
        "/v1/models": {"get": {"responses": answers("data")}},
        "/v1/models/{name}": {"get": {"parameters": [NAMED], "responses": answers("id")}},
        "/api/models": {"get": {"responses": answers("models")}},
        "/api/runs/{name}": {"get": {"parameters": [NAMED], "responses": answers("run")}},
        "/health": {"get": {"responses": answers("status")}},
    },
}


def test_whatever_the_description_allows_or_forbids_is_answered_as_it_says(server: Any, tmp_path: Path) -> None:
    if importlib.util.find_spec("schemathesis") is None:
        pytest.skip("schemathesis is not installed: the extra `oracles`")
    (tmp_path / "openapi.json").write_text(json.dumps(API))
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", "--url", server.url, "--mode", "all", "--seed", "1",
        "--phases", "fuzzing", "--max-examples", str(EXAMPLES), "--continue-on-failure", "--suppress-health-check", "all",
        "--generation-database", "none", "--request-timeout", "60", "--no-color", "--checks", ",".join(CHECKS),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=3000, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "Traceback" not in server.said
