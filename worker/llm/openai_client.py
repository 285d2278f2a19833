"""The provider call: LangChain builds the payload and reads the answer, one shared session carries both.

The SDK and its HTTP library between them would be most of what a call costs; `make bench` shows the rest.
"""

import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.request import getproxies

import aiohttp
import orjson
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, convert_to_messages
from langchain_core.outputs import ChatResult
from langchain_openai import ChatOpenAI
from pydantic import PrivateAttr, SecretStr
from pydantic_core import to_json

from shared.domain.errors import ErrorCode
from shared.domain.invoke_body import Message
from shared.domain.job import Job
from shared.domain.result import Usage
from worker.llm.provider_errors import provider_error
from worker.ports import Completion, OutcomeUnknown, Rejected, Unavailable

_MOST_KEYS = 1024
_ROLES = {"system": "system", "human": "user", "ai": "assistant", "tool": "tool"}

Post = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


@asynccontextmanager
async def connect_openai_client(
    base_url: str,
    api_key: SecretStr | None,
    *,
    connect_timeout_seconds: float,
    read_timeout_seconds: float,
) -> AsyncIterator["OpenAIClient"]:
    """A client with the one HTTP session of the process."""
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=connect_timeout_seconds, sock_read=read_timeout_seconds
    )
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, trust_env=bool(getproxies())
    ) as session:
        yield OpenAIClient(session, base_url, api_key)


class OpenAIClient:
    """`LLMClient` over any OpenAI-compatible server. Never retries: that is `RetryingClient`'s."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, api_key: SecretStr | None) -> None:
        self._session = session
        self._url = f"{base_url}/chat/completions"
        self._needs_key = "api.openai.com" in base_url
        self._own_key = api_key
        self._models: OrderedDict[str, _SessionChatOpenAI] = OrderedDict()

    async def complete(self, job: Job, attempt: int) -> Completion:
        model = self._model(job.api_key or self._own_key)
        parameters = job.parameters.model_dump(exclude_none=True)
        started_at = time.perf_counter()
        message = await model.answer(_conversation(job.messages), model=job.model, **parameters)
        return _completion(message, (time.perf_counter() - started_at) * 1000)

    def _model(self, key: SecretStr | None) -> "_SessionChatOpenAI":
        """One model object a key, the least recently used dropped."""
        secret = key.get_secret_value() if key is not None else ""
        if not secret and self._needs_key:
            raise Rejected(
                ErrorCode.MISSING_API_KEY,
                "openai_api_key is missing, and the service has no OPENAI_API_KEY of its own",
            )
        model = self._models.get(secret)
        if model is None:
            model = self._models[secret] = _SessionChatOpenAI.over(self._poster(secret))
            if len(self._models) > _MOST_KEYS:
                self._models.popitem(last=False)
        self._models.move_to_end(secret)
        return model

    def _poster(self, secret: str) -> Post:
        headers = {"content-type": "application/json"}
        if secret:
            headers["authorization"] = f"Bearer {secret}"

        async def post(payload: dict[str, Any]) -> dict[str, Any]:
            return await self._post(to_json(payload), headers)

        return post

    async def _post(self, payload: bytes, headers: dict[str, str]) -> dict[str, Any]:
        try:
            async with self._session.post(self._url, data=payload, headers=headers) as response:
                body = await response.read()
                if response.status != 200:  # noqa: PLR2004
                    raise provider_error(response.status, response.headers, body)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as fault:
            # Nothing was sent, so nothing can be charged.
            raise Unavailable(
                ErrorCode.UPSTREAM_UNAVAILABLE, f"No connection: {type(fault).__name__}"
            ) from None
        except TimeoutError:
            raise OutcomeUnknown(
                ErrorCode.UPSTREAM_TIMEOUT, "The provider went silent during the call"
            ) from None
        except aiohttp.ClientError as fault:
            reason = f"The connection broke during the call: {type(fault).__name__}"
            raise OutcomeUnknown(ErrorCode.UPSTREAM_UNAVAILABLE, reason) from None
        return _parse(body)


class _SessionChatOpenAI(ChatOpenAI):
    """`ChatOpenAI` whose HTTP call goes through `post`; its own clients are never built."""

    _post: Post = PrivateAttr()

    @classmethod
    def over(cls, post: Post) -> "_SessionChatOpenAI":
        # A truthy client keeps the constructor from building the SDK's, which is slow and not used.
        model = cls(
            client=_NoClient,
            async_client=_NoClient,
            api_key=None,
            max_retries=0,
            use_responses_api=False,
            cache=False,
        )
        model._post = post
        return model

    async def answer(self, messages: list[BaseMessage], **parameters: Any) -> AIMessage:
        """`ainvoke` without its callbacks, cache and tracing, which would cost more than the HTTP call."""
        result = await self._agenerate(messages, parameters.pop("stop", None), **parameters)
        answer = result.generations[0]
        assert isinstance(answer.message, AIMessage)  # noqa: S101 - a chat completion has no other
        answer.message.response_metadata |= {**(result.llm_output or {}), **(answer.generation_info or {})}
        return answer.message

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        body = await self._post(self._get_request_payload(messages, stop=stop, **kwargs))
        try:
            result = self._create_chat_result(body)
            answer = result.generations[0].message
            # LangChain keeps what it knows; the provider's own message keeps the rest.
            answer.response_metadata["provider_message"] = body["choices"][0]["message"]
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            raise _unreadable() from None
        return result


class _NoClient:
    """Stands where the SDK's client would be."""


def _parse(body: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _unreadable() from None
    if not isinstance(parsed, dict):
        raise _unreadable()
    return parsed


def _unreadable() -> OutcomeUnknown:
    message = "The provider's answer cannot be read as a chat completion"
    return OutcomeUnknown(ErrorCode.UPSTREAM_INVALID_RESPONSE, message)


def _conversation(messages: tuple[Message, ...]) -> list[BaseMessage]:
    return [_langchain_message(message) for message in messages]


def _langchain_message(message: Message) -> BaseMessage:
    if message.type == "human" and isinstance(message.content, str) and message.name is None:
        return HumanMessage(message.content)
    if message.type == "system" and isinstance(message.content, str) and message.name is None:
        return SystemMessage(message.content)
    openai_shape = {"role": _ROLES[message.type], **message.model_dump(exclude={"type"}, exclude_none=True)}
    openai_shape.setdefault("content", "")
    return convert_to_messages([openai_shape])[0]


def _completion(message: AIMessage, latency_ms: float) -> Completion:
    metadata = message.response_metadata
    usage = message.usage_metadata
    return Completion(
        model=metadata.get("model_name") or "",
        message=metadata["provider_message"],
        finish_reason=metadata.get("finish_reason"),
        confidence=_confidence(metadata.get("logprobs")),
        usage=Usage(
            prompt_tokens=usage["input_tokens"],
            completion_tokens=usage["output_tokens"],
            total_tokens=usage["total_tokens"],
        )
        if usage is not None
        else None,
        latency_ms=round(latency_ms, 3),
    )


def _confidence(logprobs: Any) -> float | None:
    """Geometric mean of the token probabilities."""
    tokens = (logprobs or {}).get("content") or []
    values = [token["logprob"] for token in tokens]
    return round(math.exp(sum(values) / len(values)), 6) if values else None
