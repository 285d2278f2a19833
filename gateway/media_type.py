"""What a body may be: JSON in UTF-8, as it is."""

from pydantic import JsonValue

from shared.domain.errors import ErrorCode, InvalidRequest, job_error
from shared.domain.validation import short_echo

_JSON = "application/json"


def check_media_type(content_type: str | None, content_encoding: str | None) -> None:
    """`InvalidRequest` for a body that says it is something else; one that says nothing is taken for JSON."""
    if content_encoding is not None and content_encoding.strip().lower() != "identity":
        raise _unsupported("Content-Encoding", content_encoding, "identity")
    if content_type is None or content_type == _JSON:
        return
    media_type, _, parameters = content_type.lower().partition(";")
    media_type = media_type.strip()
    if media_type != _JSON and not (media_type.startswith("application/") and media_type.endswith("+json")):
        raise _unsupported("Content-Type", content_type, _JSON)
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in ("utf-8", "utf8", "us-ascii"):
            raise _unsupported("Content-Type", content_type, f"{_JSON}; charset=utf-8")


def _unsupported(header: str, value: str, allowed: str) -> InvalidRequest:
    details: dict[str, JsonValue] = {"value": short_echo(value), "allowed": [allowed]}
    told = f"{header}: {short_echo(value)!r} is not supported; allowed: {allowed}"
    return InvalidRequest(job_error(ErrorCode.UNSUPPORTED_MEDIA_TYPE, told, field=header, details=details))
