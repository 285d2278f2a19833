"""As many connections as there are questions at once, kept open between them."""

from tests.bench.http_connection import HttpConnection, Reply
from tests.bench.servers import HOST


class ConnectionPool:
    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[HttpConnection] = []

    async def ask(self, request: bytes) -> Reply:
        """Status and body; 0 and the reason when the connection broke."""
        try:
            connection = await self._connection()
            answer = await connection.ask(request)
        except OSError as fault:
            return Reply(0, str(fault).encode())
        self._idle.append(connection)
        return answer

    def close_idle(self) -> None:
        """Before the server does: it may be about to close those that have waited long."""
        while self._idle:
            self._idle.pop().close()

    async def _connection(self) -> HttpConnection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return await HttpConnection.open(HOST, self._port)
