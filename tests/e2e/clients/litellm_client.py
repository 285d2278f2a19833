"""LiteLLM as a client."""

import json
import sys
from typing import Any

import litellm

TOOL = {
    "type": "function",
    "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}},
}


def main(base_url: str, model: str, prompt: str) -> None:
    asked: dict[str, Any] = {
        "model": f"openai/{model}",
        "api_base": base_url,
        "api_key": "unused",
        "max_retries": 0,
        "max_tokens": 40,
        "messages": [{"role": "user", "content": prompt}],
    }
    whole: Any = litellm.completion(**asked)
    pieces = [piece.choices[0].delta.content or "" for piece in litellm.completion(**asked, stream=True)]
    calling = {**asked, "messages": [{"role": "user", "content": f"{prompt} [[tool_calls]]"}]}
    called: Any = litellm.completion(**calling, tools=[TOOL])
    calls = called.choices[0].message.tool_calls
    try:
        litellm.completion(**asked, temperature=9)
        code = None
    except litellm.exceptions.BadRequestError as fault:
        code = f"{type(fault).__name__} {fault.status_code}"
    told = {
        "whole": whole.choices[0].message.content,
        "streamed": "".join(pieces),
        "chunks": len(pieces),
        "tool": calls[0].function.name if calls else None,
        "code": code,
    }
    print(json.dumps(told))


main(*sys.argv[1:])
