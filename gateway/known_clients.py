"""Who may call now: the clients of the variable, and those of the file as it stands."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from loguru import logger

from gateway.client_tokens import ClientTokens, client_of, parse_client_tokens
from gateway.settings import GatewaySettings
from shared.background import in_background

_LOOK_SECONDS = 1.0


def read_known_clients(settings: GatewaySettings) -> "KnownClients | None":
    """None: auth is off. Auth without a usable token stops the start."""
    variable, path = settings.llm_auth_tokens.get_secret_value(), settings.llm_auth_tokens_file
    if not settings.llm_enable_auth:
        if variable or path:
            logger.bind(hint="tokens are set, LLM_ENABLE_AUTH is false").warning("auth_is_off")
        return None
    clients = KnownClients(parse_client_tokens(variable), Path(path) if path else None)
    try:
        clients.read()
    except ValueError as fault:
        raise SystemExit(f"configuration error: LLM_AUTH_TOKENS_FILE={path!r}: {fault}") from None
    return clients


class KnownClients:
    """The tokens that open the gateway; the file is read again every second.

    Read, not only asked for its time: a mounted Secret is swapped behind a link, an editor may keep the time.
    """

    def __init__(self, listed: ClientTokens, path: Path | None) -> None:
        self._listed = listed
        self._path = path
        self._tokens: ClientTokens = {}
        self._fault = ""

    def client_of(self, token: bytes) -> str | None:
        """The client whose token it is."""
        return client_of(self._tokens, token)

    def read(self) -> None:
        """Take what is there now, or `ValueError` and nothing changes."""
        tokens = {**self._listed, **self._read_file()}
        if tokens != self._tokens:
            self._tokens = tokens  # at once: no request sees half of it
            logger.bind(clients=sorted({*tokens.values()}), tokens=len(tokens)).info("client_tokens_read")

    def look(self) -> None:
        """As `read`; a file that is broken leaves everything as it was, and says so once."""
        try:
            self.read()
            fault = ""
        except ValueError as told:
            fault = str(told)
        if fault not in ("", self._fault):
            logger.bind(file=str(self._path), fault=fault).error("client_tokens_kept")
        self._fault = fault

    async def follow(self) -> None:
        """Look for ever."""
        while self._path is not None:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await asyncio.to_thread(self.look)  # its disk may be a network's
            except Exception:
                logger.exception("client_tokens_crashed")

    def _read_file(self) -> ClientTokens:
        if self._path is None:
            return {}
        tokens = parse_client_tokens(_text_of(self._path))
        if not tokens:
            # Also what a writer leaves for a moment who truncates first.
            raise ValueError("it holds no token; allowed: at least one line name=hash")
        for digest, name in tokens.items():
            if self._listed.get(digest, name) != name:
                raise ValueError(f"{name} has the same token as {self._listed[digest]} in LLM_AUTH_TOKENS")
        return tokens


@asynccontextmanager
async def follow_token_file(clients: KnownClients | None) -> AsyncIterator[None]:
    """Let changes of the file count while the block runs."""
    if clients is None:
        yield
        return
    async with in_background(clients.follow()):
        yield


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None
    except OSError as fault:
        raise ValueError(f"it cannot be read: {fault.strerror}") from None
