"""What the load asks, and how an answer is told from somebody else's."""

from dataclasses import dataclass, field
from itertools import count
from uuid import uuid4

import orjson

_SYSTEM = "You are a concise assistant. Answer in one short sentence and do not add anything else."
_PROMPT = "What is the capital of France, and how many people live there as of the last census?"
_numbers = count(1)
_run = uuid4().hex


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt that nobody else asks; the provider echoes it."""

    prompt: str
    body: bytes
    request_id: str

    def is_answered_by(self, status: int, body: bytes) -> bool:
        return status == 200 and f'"echo: {self.prompt}"'.encode() in body


def new_question() -> Question:
    prompt = f"{_PROMPT} ({_run}-{next(_numbers)})"
    request_id = str(uuid4())
    body = {"request_id": request_id, "system_prompt": _SYSTEM, "user_prompt": prompt}
    return Question(prompt, orjson.dumps(body), request_id)


@dataclass(slots=True)
class Tally:
    """What came back."""

    latencies_ms: list[float] = field(default_factory=list)
    failed: int = 0
    wrong: int = 0
    first_problem: str = ""

    @property
    def is_clean(self) -> bool:
        return not self.failed and not self.wrong

    def add(self, question: Question, status: int, body: bytes, latency_ms: float) -> None:
        if question.is_answered_by(status, body):
            self.latencies_ms.append(latency_ms)
            return
        self.wrong += status == 200
        self.failed += status != 200
        self.problem(f"{status} {body[:300]!r} to {question.prompt!r}")

    def problem(self, text: str) -> None:
        self.first_problem = self.first_problem or text
