"""The key of a record, clear or sealed, as the key of its call; or why there is none."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from shared.domain.errors import ErrorCode, JobError, job_error
from shared.domain.invoke_body import MOST_DEADLINE_SECONDS
from shared.domain.job import Job
from shared.domain.timestamps import rfc3339
from shared.key_file import KeyFile
from shared.sealing import SealedContent, SealRefused, kid_of, open_sealed

_LONGEST_LIFE = timedelta(seconds=MOST_DEADLINE_SECONDS + 60)
"""Of a sealed key from now on, the difference of two clocks included. A result is kept for longer, so a
record that somebody copies never finds its id free while its key still opens."""


class CallerKeys:
    """What this worker does with the keys that records bring."""

    def __init__(self, file: KeyFile | None, *, allows_clear: bool) -> None:
        self._file = file
        self._allows_clear = allows_clear

    def settle(self, job: Job) -> Job:
        """`job` with the key of its call, or with its refusal: then it has none, and fails without a call."""
        if job.api_key is not None:
            return self._settle_clear(job)
        if job.sealed_key is None:
            return job
        try:
            return _opened(job, self._open(job.sealed_key))
        except SealRefused as refused:
            return _refused(job, str(refused))

    def _settle_clear(self, job: Job) -> Job:
        if not self._allows_clear:
            return replace(job, api_key=None, sealed_key=None, refusal=_CLEAR_KEY)
        if job.sealed_key is not None:
            return _refused(job, "there is openai_api_key too; give one of them")
        return job

    def _open(self, sealed: str) -> SealedContent:
        if self._file is None:
            raise SealRefused("this worker opens no sealed keys (operators: set WORKER_SEALING_KEYS_FILE)")
        keys = self._file.keys()
        if kid_of(sealed) not in keys:
            keys = self._file.look()  # the gateways may have heard of a rotation first
        return open_sealed(sealed, keys)


def _opened(job: Job, content: SealedContent) -> Job:
    if (content.owner, str(content.request_id)) != job.id:
        raise SealRefused("was sealed for another job (request_id and owner must be the record's)")
    now = datetime.now(UTC)
    if content.expires_at > now + _LONGEST_LIFE:
        raise SealRefused(f"exp is too far away; allowed: at most {MOST_DEADLINE_SECONDS} s from now")
    opened = replace(
        job,
        api_key=content.openai_api_key,
        sealed_key=None,
        deadline=min(job.deadline, content.expires_at),
        fingerprint="",
    )
    if content.expires_at > now or job.deadline <= now:
        return opened
    return _refused(replace(opened, deadline=job.deadline), f"expired at {rfc3339(content.expires_at)}")


def _refused(job: Job, reason: str) -> Job:
    error = job_error(
        ErrorCode.INVALID_SEALED_KEY, f"sealed_openai_api_key: {reason}", field="sealed_openai_api_key"
    )
    return replace(job, api_key=None, sealed_key=None, refusal=error)


_CLEAR_KEY: JobError = job_error(
    ErrorCode.API_KEY_NOT_ACCEPTED,
    "openai_api_key: a key in the clear must not travel on a topic; send it as sealed_openai_api_key, or "
    "leave it out, and the workers use the service's own",
    field="openai_api_key",
)
