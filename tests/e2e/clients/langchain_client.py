"""LangChain's `ChatOpenAI`."""

import json
import sys
from typing import Any

import openai
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import SecretStr


@tool
def look_up(word: str) -> str:
    """Look a word up."""
    return word


def main(base_url: str, model: str, prompt: str) -> None:
    settings: Any = {
        "base_url": base_url,
        "model": model,
        "api_key": SecretStr("unused"),
        "max_retries": 0,
        "max_tokens": 40,
        "stream_usage": True,
    }
    chat = ChatOpenAI(**settings)
    whole = chat.invoke(prompt)
    pieces = list(chat.stream(prompt))
    called = chat.bind_tools([look_up]).invoke(f"{prompt} [[tool_calls]]")
    try:
        ChatOpenAI(**settings, temperature=9).invoke(prompt)
        code = None
    except openai.APIStatusError as fault:
        code = f"{type(fault).__name__} {fault.status_code} {fault.code} {fault.param}"
    told = {
        "whole": whole.content,
        "streamed": "".join(str(piece.content) for piece in pieces),
        "chunks": len(pieces),
        "tool": called.tool_calls[0]["name"] if called.tool_calls else None,
        "code": code,
    }
    print(json.dumps(told))


main(*sys.argv[1:])
