"""`GET /`: the live page for people, and its files. They are open; the figures behind them are not."""

from fastapi import APIRouter, Request, Response

from gateway.dashboard.page_files import page_files

router = APIRouter(include_in_schema=False)

_POLICY = "; ".join(
    [
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("script", "style", "connect", "img")),
        *(f"{what} 'none'" for what in ("base-uri", "form-action", "frame-ancestors")),
    ]
)
_HEADERS = {
    "Cache-Control": "no-cache",  # kept, and asked about: a new version shows at once
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


async def page_file(request: Request) -> Response:
    """One file, or that the browser has it already."""
    file = page_files()[request.scope["route"].path]
    headers = {**_HEADERS, "ETag": file.etag}
    if _is_known(request.headers.get("if-none-match", ""), file.etag):
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media_type)


def _is_known(told: str, etag: str) -> bool:
    """RFC 9110, 13.1.2: a weak tag will do, which a proxy makes of ours when it compresses."""
    tags = (tag.strip().removeprefix("W/") for tag in told.split(","))
    return any(tag in (etag, "*") for tag in tags)


for path in page_files():
    router.add_api_route(path, page_file, methods=["GET"])
