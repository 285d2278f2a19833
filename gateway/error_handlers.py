"""Every error that a route lets through, as its answer."""

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from loguru import logger
from starlette.exceptions import HTTPException

from gateway.app_state import app_state
from gateway.error_responses import refusal
from gateway.limit_headers import limit_headers
from gateway.ports import QueueUnavailable
from gateway.service import RequestRefused
from shared.domain.errors import ErrorCode, InvalidRequest, JobError, job_error
from shared.domain.validation import short_echo
from shared.ports import StoreUnavailable


def handle_errors(app: FastAPI) -> None:
    """The handlers of the app, which are outside of every route."""

    @app.exception_handler(InvalidRequest)
    async def invalid(request: Request, fault: InvalidRequest) -> Response:
        return _refuse(request, fault.error, fault.request_id)

    @app.exception_handler(RequestRefused)
    async def refused(request: Request, fault: RequestRefused) -> Response:
        response = _refuse(request, fault.error, request.state.request_id)
        response.headers.update(limit_headers(fault.admission) if fault.admission is not None else {})
        return response

    @app.exception_handler(QueueUnavailable)
    async def no_queue(request: Request, fault: QueueUnavailable) -> Response:
        code = ErrorCode.QUEUE_FULL if fault.is_full else ErrorCode.QUEUE_UNAVAILABLE
        seconds = fault.retry_after_seconds
        error = job_error(
            code,
            f"The job was not accepted: {fault}",
            details={"retry_after_seconds": round(seconds, 3)} if seconds is not None else None,
        )
        return _refuse(request, error, request.state.request_id)

    @app.exception_handler(StoreUnavailable)
    async def no_store(request: Request, fault: StoreUnavailable) -> Response:
        logger.bind(trace_id=request.state.trace_id, fault=str(fault)).warning("result_store_unavailable")
        error = job_error(
            ErrorCode.STORE_UNAVAILABLE,
            "The result store does not answer: not accepted; send the request again with its request_id",
        )
        return _refuse(request, error, None)

    @app.exception_handler(HTTPException)
    async def http(request: Request, fault: HTTPException) -> Response:
        is_unknown = fault.status_code == 404  # noqa: PLR2004
        code = ErrorCode.NOT_FOUND if is_unknown else ErrorCode.METHOD_NOT_ALLOWED
        told = f"{request.method} {short_echo(request.url.path)}: {fault.detail}"
        response = _refuse(request, job_error(code, told), None)
        response.headers.update(fault.headers or {})
        return response

    @app.exception_handler(RequestValidationError)
    async def stock(request: Request, _: RequestValidationError) -> Response:
        # FastAPI's own answer would echo the input. No route declares a parameter that could fail.
        error = job_error(ErrorCode.INVALID_FIELD, "The request is invalid")
        return _refuse(request, error, None)


def _refuse(request: Request, error: JobError, request_id: str | None) -> Response:
    app_state(request).stats.count_refusal(error.error_code)
    return refusal(request.scope, error, request_id)
