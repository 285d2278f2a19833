"""The provider call: LangChain builds the payload and reads the answer, one shared session carries both.

The SDK and its HTTP library between them would be most of what a call costs; `make bench` shows the rest.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.request import getproxies

import aiohttp
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from langchain_openai import ChatOpenAI
from pydantic import SecretStr
from pydantic_core import to_json
from yarl import URL

from shared.domain.errors import ErrorCode
from shared.domain.job import Job
from worker.llm.answer_reader import AnswerReader, read_refusal
from worker.llm.chat_completion import (
    as_langchain_knows_it,
    cached_tokens_of,
    checked,
    confidence_of,
    model_of,
    parse_answer,
    unreadable,
    usage_of,
    without_message,
)
from worker.llm.payload_messages import langchain_messages, put_back
from worker.llm.provider_errors import provider_error, words_without_key
from worker.llm.streamed_answer import StreamedAnswer
from worker.llm.transport_errors import transport_error
from worker.ports import Completion, LLMError, Rejected, Tell

_MOST_ANSWER_BYTES = 1_572_864
_READ_BUFFER_BYTES = 16_384  # of every connection, while long answers wait for their turn
_STREAM = {"stream": True, "stream_options": {"include_usage": True}}
_WHOLE = "provider_answer"

Post = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


@asynccontextmanager
async def connect_openai_client(
    base_url: str,
    api_key: SecretStr | None,
    *,
    connect_timeout_seconds: float,
    read_timeout_seconds: float,
    max_answer_bytes: int = _MOST_ANSWER_BYTES,
) -> AsyncIterator["OpenAIClient"]:
    """A client with the one HTTP session of the process."""
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=connect_timeout_seconds, sock_read=read_timeout_seconds
    )
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        read_bufsize=_READ_BUFFER_BYTES,
        trust_env=bool(getproxies()),
        cookie_jar=aiohttp.DummyCookieJar(),  # what one caller is given is not sent with another's key
    ) as session:
        yield OpenAIClient(session, base_url, api_key, AnswerReader(max_answer_bytes))


class OpenAIClient:
    """`LLMClient` over any OpenAI-compatible server. Never retries: that is `RetryingClient`'s."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        api_key: SecretStr | None,
        answers: AnswerReader,
    ) -> None:
        self._session = session
        self._url = URL(f"{base_url}/chat/completions")  # read once: aiohttp would do it for every call
        self._needs_key = "api.openai.com" in base_url
        self._own_key = api_key
        self._answers = answers
        self._model = _SessionChatOpenAI.without_client()

    async def complete(self, job: Job, attempt: int, tell: Tell | None = None) -> Completion:
        post = self._poster(job.api_key or self._own_key, tell)
        started_at = time.perf_counter()
        answer = await self._model.answer(post, job)
        return _completion(job, answer, (time.perf_counter() - started_at) * 1000)

    def _poster(self, key: SecretStr | None, tell: Tell | None) -> Post:
        """Sends with this key alone; nobody keeps it beyond the call."""
        secret = key.get_secret_value() if key is not None else ""
        if not secret and self._needs_key:
            raise _missing_key()
        headers = {"content-type": "application/json"}
        if secret:
            headers["authorization"] = f"Bearer {secret}"

        async def post(payload: dict[str, Any]) -> dict[str, Any]:
            try:
                if tell is not None:
                    return await self._post_for_stream({**payload, **_STREAM}, headers, tell)
                return parse_answer(await self._post(to_json(payload), headers))
            except LLMError as fault:
                fault.provider_message = words_without_key(fault.provider_message, secret)
                raise

        return post

    async def _post(self, payload: bytes, headers: dict[str, str]) -> bytearray:
        """The body of a 200."""
        async with self._answer_to(payload, headers) as response:
            return await self._answers.read(response)

    async def _post_for_stream(
        self, payload: dict[str, Any], headers: dict[str, str], tell: Tell
    ) -> dict[str, Any]:
        """The whole answer, each chunk told as it comes; from a server that does not stream, all at once."""
        async with self._answer_to(to_json(payload), headers) as response:
            if response.content_type != "text/event-stream":
                return parse_answer(await self._answers.read(response))
            answer = StreamedAnswer(tell)
            await self._answers.read_stream(response, answer)
            return self._answers.bounded(checked(answer.whole()))

    @asynccontextmanager
    async def _answer_to(
        self, payload: bytes, headers: dict[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A 200 whose body is still to come; everything else is an `LLMError`, also what ends it early."""
        try:
            async with self._session.post(
                self._url, data=payload, headers=headers, allow_redirects=False
            ) as response:
                if response.status != 200:  # noqa: PLR2004
                    raise provider_error(response.status, response.headers, await read_refusal(response))
                yield response
        except (TimeoutError, aiohttp.ClientError) as fault:
            # Not chained: aiohttp's errors carry the request, and the key with it.
            raise transport_error(fault) from None


def _missing_key() -> Rejected:
    message = "openai_api_key is missing, and the service has no OPENAI_API_KEY of its own"
    fault = Rejected(ErrorCode.MISSING_API_KEY, message)
    fault.attempts = 0
    return fault


def _unwritable(reason: Exception) -> Rejected:
    """LangChain knows content that this API has no place for."""
    message = "The messages cannot be written in the form of chat completions"
    fault = Rejected(ErrorCode.UPSTREAM_REJECTED, message, provider_message=str(reason))
    fault.attempts = 0
    return fault


class _SessionChatOpenAI(ChatOpenAI):
    """`ChatOpenAI` whose HTTP call is the `post` of each answer; its own clients are never built."""

    @classmethod
    def without_client(cls) -> "_SessionChatOpenAI":
        # A truthy client keeps the constructor from building the SDK's, which is slow and not used.
        return cls(
            client=_NoClient,
            async_client=_NoClient,
            api_key=None,
            max_retries=0,
            use_responses_api=False,
            cache=False,
        )

    async def answer(self, post: Post, job: Job) -> dict[str, Any]:
        """`ainvoke` without its callbacks, cache and tracing, which would cost more than the HTTP call.

        The answer is the provider's own, which LangChain could read; LangChain's keeps only what it knows.
        """
        parameters = job.parameters.model_dump(exclude_none=True)
        stop = parameters.pop("stop", None)
        messages = langchain_messages(job.messages)
        result = await self._agenerate(messages, stop, post=post, job=job, model=job.model, **parameters)
        answer: dict[str, Any] = result.generations[0].message.response_metadata[_WHOLE]
        return answer

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        post: Post = kwargs.pop("post")
        job: Job = kwargs.pop("job")
        try:
            payload = self._get_request_payload(messages, stop=stop, **kwargs)
        except (KeyError, TypeError, ValueError, AttributeError) as fault:
            raise _unwritable(fault) from None
        put_back(payload, job)
        answer = await post(payload)
        try:
            result = self._create_chat_result(as_langchain_knows_it(answer))
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            raise unreadable() from None
        result.generations[0].message.response_metadata[_WHOLE] = answer
        return result


class _NoClient:
    """Stands where the SDK's client would be."""


def _completion(job: Job, answer: dict[str, Any], latency_ms: float) -> Completion:
    choice = answer["choices"][0]
    return Completion(
        model=model_of(answer) or job.model,
        message=choice["message"],
        finish_reason=choice.get("finish_reason"),
        confidence=confidence_of(choice.get("logprobs")),
        usage=usage_of(answer),
        cached_tokens=cached_tokens_of(answer),
        latency_ms=round(latency_ms, 3),
        answer=without_message(answer),
    )
