"""The load tells right answers from wrong ones, and times them, in C and in Python alike."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.bench.asks import Ask, chat_completions
from tests.bench.load import Load, LoadFailed, Outcome, running_load
from tests.bench.native_programs import Command, load_command, provider_command, python_command
from tests.support.ports import free_port
from tests.support.processes import start, wait_for_line

Program = Callable[[], Command]
LOADS = [pytest.param(load_command, id="compiled"), pytest.param(lambda: python_command("load"), id="python")]
PROVIDERS = [
    pytest.param(provider_command, id="compiled"),
    pytest.param(lambda: python_command("provider"), id="python"),
]


def ask_all(load: Load, command: Command) -> Outcome:
    with running_load(load, command) as running:
        running.wait_until_measuring()
        running.wait_until_measured()
        return running.outcome()


@contextmanager
def provider(folder: Path, command: Command, delay_ms: float = 0) -> Iterator[int]:
    with start([*command, "0", f"{delay_ms}"], log_path=folder / "provider.log") as child:
        url = wait_for_line(child, "listening on").split()[-1]
        yield int(url.rsplit(":", 1)[1].removesuffix("/v1"))


def closed(port: int, ask: Ask, requests: int = 200) -> Load:
    return Load(port, ask, connections=4, warm_up_seconds=0, seconds=60, most_requests=requests)


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("answering", PROVIDERS)
def test_every_answer_is_matched_with_its_own_question(
    load: Program, answering: Program, tmp_path: Path
) -> None:
    with provider(tmp_path, answering()) as port:
        outcome = ask_all(closed(port, chat_completions()), load())

    assert (outcome.asked, outcome.answers, outcome.all_answers) == (200, 200, 200)
    assert (outcome.failed, outcome.wrong, outcome.refused) == (0, 0, 0)
    assert 0 < outcome.p50_ms <= outcome.p99_ms <= outcome.most_ms * 1.01
    assert outcome.statuses == {"200": 200}


@pytest.mark.parametrize("load", LOADS)
def test_an_answer_to_another_question_is_wrong(load: Program, tmp_path: Path) -> None:
    ask = replace(chat_completions(), expected="{{M}} is not in it")

    with provider(tmp_path, provider_command()) as port:
        outcome = ask_all(closed(port, ask, requests=20), load())

    assert (outcome.answers, outcome.wrong) == (0, 20)
    assert outcome.first_problem.startswith("200 ")


@pytest.mark.parametrize("load", LOADS)
def test_a_slow_answer_is_timed_from_when_its_question_was_due(load: Program, tmp_path: Path) -> None:
    """One connection, answers of 100 ms, 50 arrivals a second: the queue before the connection is seen."""
    with provider(tmp_path, provider_command(), delay_ms=100) as port:
        offer = Load(port, chat_completions(), 1, warm_up_seconds=0, seconds=1, per_second=50)
        outcome = ask_all(offer, load())

    assert outcome.answers == outcome.asked > 10
    assert outcome.most_ms > 500


@pytest.mark.parametrize("load", LOADS)
def test_who_is_refused_asks_again_when_told(load: Program) -> None:
    with refusing_once() as (port, asked_times):
        offer = Load(port, Ask("/", b"{{N}}", "{{N}}"), 8, 0, 0.5, per_second=100, most_repeats=1)
        outcome = ask_all(offer, load())

    assert set(asked_times.values()) == {2}
    assert outcome.asked == len(asked_times) == outcome.refused == outcome.repeats
    assert outcome.obeyed == outcome.obeyed_at_once == outcome.asked
    assert outcome.retry_after_seconds[0] == outcome.retry_after_seconds[2] == pytest.approx(0.1)
    assert (outcome.failed, outcome.gave_up, outcome.untold_refusals) == (0, 0, 0)


@pytest.mark.parametrize("load", LOADS)
def test_a_server_that_is_not_there_is_said(load: Program) -> None:
    offer = replace(closed(free_port(), chat_completions(), requests=1), connections=1, seconds=1)

    try:
        outcome = ask_all(offer, load())
    except LoadFailed as reason:
        assert "nobody listens" in str(reason)  # noqa: PT017 the two programs may say it either way
    else:
        assert outcome.failed >= 1


@contextmanager
def refusing_once() -> Iterator[tuple[int, Counter[bytes]]]:
    """A server that answers each question with 503 first, and echoes it when it is asked again."""
    asked_times: Counter[bytes] = Counter()

    class Refusing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            asked_times[body] += 1
            self.send_response(503 if asked_times[body] == 1 else 200)
            self.send_header("Retry-After", "0.1")
            self.send_header("Content-Length", f"{len(body)}")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the library's name
            """The test's output is not its log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], asked_times
        server.shutdown()
