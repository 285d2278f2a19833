"""Which jobs have ended, told by the log of results: for when the store that knows it is away."""

import asyncio
from collections.abc import Mapping

from shared.domain.job import JobId
from shared.domain.result import Failed, Succeeded
from worker.ports import ResultReader

_MARGIN_SECONDS = 30.0
"""Between the clocks of who made the job and who logged its result."""

Questions = Mapping[JobId, tuple[float, asyncio.Future[bool]]]


class LoggedResults:
    """One reading of the log answers every job that asked before it began."""

    def __init__(self, reader: ResultReader) -> None:
        self._reader = reader
        self._questions: dict[JobId, tuple[float, asyncio.Future[bool]]] = {}
        self._answering: asyncio.Task[None] | None = None

    async def has_ended(self, job_id: JobId, since: float) -> bool:
        """Whether a final result was logged since then; raises `ResultLogUnavailable`."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._questions[job_id] = (since, answer)
        if self._answering is None or self._answering.done():
            self._answering = asyncio.create_task(self._answer_all())
        return await answer

    async def _answer_all(self) -> None:
        while self._questions:
            questions, self._questions = self._questions, {}
            try:
                ended = await self._read(questions)
            except Exception as fault:  # whoever asked learns of it
                for _, answer in _open(questions):
                    answer.set_exception(fault)
            else:
                for job_id, answer in _open(questions):
                    answer.set_result(job_id in ended)

    async def _read(self, questions: Questions) -> set[JobId]:
        since = min(since for since, _ in questions.values())
        return {
            run.id
            async for told in self._reader.read(since - _MARGIN_SECONDS)
            for run, result in told
            if run.id in questions and _is_final(result)
        }


def _open(questions: Questions) -> list[tuple[JobId, asyncio.Future[bool]]]:
    """Without those whose job was cut off."""
    return [(job_id, answer) for job_id, (_, answer) in questions.items() if not answer.done()]


def _is_final(result: Succeeded | Failed) -> bool:
    return isinstance(result, Succeeded) or not result.error.retryable
