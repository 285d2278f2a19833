"""Two clients of one gateway, and every call that tells or asks something about an id."""

from dataclasses import dataclass
from typing import Any

from gateway.client_tokens import entry_of, new_token
from gateway.error_responses import OPENAI_PREFIX

Call = tuple[str, str]
"""Method and path, as the routes name them."""

ABOUT_AN_ID: tuple[Call, ...] = (
    ("GET", "/result/{request_id}"),
    ("GET", "/result/{request_id}/events"),
    ("POST", "/result/{request_id}/cancel"),
    ("DELETE", "/result/{request_id}"),
)
"""To these another client's id is as unknown as one that nobody has."""
UNDER_AN_ID: tuple[Call, ...] = (("POST", "/invoke"), ("POST", "/submit"))
"""These make a job, each client its own."""
WITHOUT_AN_ID: tuple[Call, ...] = (("GET", "/stats"), ("GET", "/stats/events"), ("GET", "/metrics"))
CHAT: Call = ("POST", "/v1/chat/completions")
"""Makes a job as well, and waits for its end."""
IN_OPENAIS_FORM: tuple[Call, ...] = (CHAT, ("GET", "/v1/models"), ("GET", "/v1/models/{model:path}"))


@dataclass(frozen=True)
class Client:
    """A name and the token that opens it."""

    name: str
    token: str

    @property
    def entry(self) -> str:
        return entry_of(self.name, self.token)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def client(name: str) -> Client:
    return Client(name, new_token())


def settings_for(*clients: Client) -> dict[str, str]:
    """Variables of a gateway that knows these alone."""
    entries = ",".join(client.entry for client in clients)
    return {"LLM_ENABLE_AUTH": "true", "LLM_AUTH_TOKENS": entries}


def request_of(call: Call, request_id: str, prompt: str = "Whose is it?") -> dict[str, Any]:
    """`call` about an id, or under it, for httpx."""
    method, path = call
    asked: dict[str, Any] = {}
    if path.startswith(OPENAI_PREFIX):
        messages = [{"role": "user", "content": prompt}]
        asked = {
            "json": {"model": "gpt-4o-mini", "messages": messages},
            "headers": {"Idempotency-Key": request_id},
        }
    elif call in UNDER_AN_ID:
        asked = {"json": {"user_prompt": prompt, "request_id": request_id}}
    return {"method": method, "url": path.replace("{request_id}", request_id), **asked}


def lasting(response: Any) -> tuple[int, dict[str, str], Any]:
    """What of an answer does not differ from one request to the next."""
    headers = {name: value for name, value in response.headers.items() if name != "date"}
    body = response.json()
    body.pop("timestamp")
    body["error"].pop("trace_id")
    return response.status_code, headers, body
