"""Prompts and answers in the log: a debug aid, there only with LLM_LOG_CONTENT=true."""

from loguru import logger

from shared.domain.job import Job
from worker.job_log import about
from worker.ports import Completion, LLMClient, LLMError, Tell


class ContentLoggingClient:
    """`LLMClient` that logs what every call asked and what came back."""

    def __init__(self, inner: LLMClient) -> None:
        self._inner = inner

    async def complete(self, job: Job, attempt: int, tell: Tell | None = None) -> Completion:
        messages = [message.model_dump(exclude_none=True) for message in job.messages]
        line = logger.bind(**about(job), attempt=attempt, messages=messages)
        try:
            completion = await self._inner.complete(job, attempt, tell)
        except LLMError as fault:
            line.bind(error_code=fault.code, provider_message=fault.provider_message).info("call_content")
            raise
        line.bind(answer=completion.message).info("call_content")
        return completion


def with_content_logged(llm: LLMClient) -> LLMClient:
    """Said once at the start, because it is easily forgotten."""
    logger.bind(variable="LLM_LOG_CONTENT").warning("content_is_logged")
    return ContentLoggingClient(llm)
