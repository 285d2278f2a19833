"""One table of errors, whole."""

import pytest

from gateway.error_meanings import MEANING_OF_CODE
from gateway.error_responses import STATUS_OF_CODE, error_response
from shared.domain.errors import RETRYABLE_CODES, TYPE_OF_CODE, ErrorCode, job_error


def test_every_code_has_a_status_and_a_type() -> None:
    assert set(STATUS_OF_CODE) == set(TYPE_OF_CODE) == set(MEANING_OF_CODE) == set(ErrorCode)


@pytest.mark.parametrize("code", list(ErrorCode))
def test_who_may_come_back_is_told_when(code: ErrorCode) -> None:
    response = error_response(job_error(code, "it failed"), None, "0" * 32)
    status = response.status_code
    assert status == STATUS_OF_CODE[code]
    may_come_back = status in (429, 503) or (status == 409 and code in RETRYABLE_CODES)
    assert ("retry-after" in response.headers) is may_come_back


def test_retry_after_is_at_least_what_the_provider_said() -> None:
    error = job_error(ErrorCode.UPSTREAM_RATE_LIMITED, "slow down", details={"retry_after_seconds": 7.2})
    waits = {int(error_response(error, None, "0" * 32).headers["retry-after"]) for _ in range(50)}
    assert min(waits) >= 8
    assert len(waits) > 1
