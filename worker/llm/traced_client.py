"""The span of every provider attempt, named as OpenTelemetry names calls of generative AI."""

from typing import Any
from urllib.parse import urlsplit

from shared.domain.job import Job
from shared.domain.totals import model_label
from shared.domain.validation import short_echo
from shared.telemetry.tracing import Attributes, Tracing
from worker.ports import Completion, LLMClient, LLMError, Tell

_OPERATION, _PROVIDER = "chat", "openai"
_DEFAULT_PORTS = {"http": 80, "https": 443}


class TracedClient:
    """`LLMClient` with a span a call; around the one that calls, inside all that repeat or count."""

    def __init__(self, inner: LLMClient, tracing: Tracing, base_url: str) -> None:
        url = urlsplit(base_url)
        self._inner = inner
        self._tracing = tracing
        self._server: Attributes = {
            "server.address": url.hostname,
            "server.port": url.port or _DEFAULT_PORTS.get(url.scheme),
        }

    async def complete(self, job: Job, attempt: int, tell: Tell | None = None) -> Completion:
        name = f"{_OPERATION} {short_echo(model_label(job.model))}"
        attributes = {**self._server, **_asked(job, attempt)}
        with self._tracing.span(name, "client", attributes) as span:
            try:
                completion = await self._inner.complete(job, attempt, tell)
            except LLMError as fault:
                span.fail(fault.code)
                if not fault.attempts:  # nothing could be asked
                    span.forget()
                raise
            span.note(_answered(completion))
            return completion


def _asked(job: Job, attempt: int) -> Attributes:
    """Of the parameters only numbers: stop words, tools and formats are content."""
    parameters = job.parameters
    return {
        "gen_ai.operation.name": _OPERATION,
        "gen_ai.provider.name": _PROVIDER,
        "gen_ai.request.model": short_echo(job.model),
        "gen_ai.request.temperature": parameters.temperature,
        "gen_ai.request.max_tokens": parameters.max_tokens or parameters.max_completion_tokens,
        "gen_ai.request.top_p": parameters.top_p,
        "gen_ai.request.presence_penalty": parameters.presence_penalty,
        "gen_ai.request.frequency_penalty": parameters.frequency_penalty,
        "gen_ai.request.stream": job.is_streamed or None,
        "request_id": job.id.request_id,
        "owner": job.id.owner,
        "llm.attempt": attempt,
    }


def _answered(completion: Completion) -> Attributes:
    """What the provider chose to write is bounded, and a key in it not repeated."""
    usage = completion.usage
    return {
        "gen_ai.response.model": short_echo(completion.model),
        "gen_ai.response.id": _text(completion.answer, "id"),
        "gen_ai.response.finish_reasons": [short_echo(completion.finish_reason)]
        if completion.finish_reason
        else None,
        "gen_ai.usage.input_tokens": usage.prompt_tokens if usage is not None else None,
        "gen_ai.usage.output_tokens": usage.completion_tokens if usage is not None else None,
        "gen_ai.usage.cache_read.input_tokens": completion.cached_tokens or None,
    }


def _text(answer: dict[str, Any] | None, name: str) -> str | None:
    value = (answer or {}).get(name)
    return short_echo(value) if isinstance(value, str) else None


def traced(client: LLMClient, tracing: Tracing | None, base_url: str) -> LLMClient:
    """The client itself while traces are off."""
    return TracedClient(client, tracing, base_url) if tracing is not None else client
