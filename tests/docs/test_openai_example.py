"""docs/call.md's two ways to stream, run as they stand there, against the local model."""

import shlex
import subprocess
import sys

from tests.docs.pages import block
from tests.support.event_stream import events_of, text_of


def test_openais_client_is_answered_by_the_local_model(address: str) -> None:
    program = block("python", "from openai").replace("localhost:8000", address)
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    assert printed.stdout.strip()


def test_curl_is_told_the_answer_while_it_is_written(address: str) -> None:
    command = shlex.split(block("bash", "curl -N").replace("localhost:8000", address))
    printed = subprocess.run([*command, "--silent"], capture_output=True, text=True, check=True, timeout=120)
    *deltas, result = events_of(printed.stdout.split("\n"))
    assert len(deltas) > 2
    assert text_of(deltas) == result.data["data"]["response"]
