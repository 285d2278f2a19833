"""What docs/produce.md tells a direct producer to run works, with clients that are not ours."""

import re
import shutil
import sys
from pathlib import Path

import httpx
import orjson

from tests.conftest import missing
from tests.docs.conftest import Deployment
from tests.docs.pages import block

BROKERS = "localhost:9092"
BY_NUMBER = "127.0.0.1:9092"
ANSWER = "echo: What is the capital of France?"


def test_kcat_asks_and_reads_the_answer(deployment: Deployment) -> None:
    if shutil.which("kcat") is None:
        missing("kcat is not installed")
    # Given the page's question, sent by kcat
    question = block("bash", "ce_type=llm.request.v1").replace(BY_NUMBER, deployment.brokers)
    (request_id,) = re.findall(r'"request_id":"([0-9a-f-]+)"', question)
    deployment.run(["bash", "-c", question])
    # Then its answer is read over HTTP
    with httpx.Client(base_url=deployment.url, timeout=60) as http:
        response = http.get(f"/result/{request_id}", params={"wait": "20"})
        while response.status_code == 404:  # nobody knows the id before a worker has the record
            response = http.get(f"/result/{request_id}", params={"wait": "20"})
    assert (response.status_code, response.json()["data"]["response"]) == (200, ANSWER)
    # And stands on the topic, as kcat reads it, within a moment of being stored
    reading = block("bash", "kcat -C").replace(BY_NUMBER, deployment.brokers)
    lines: list[str] = []
    while not lines:
        lines = [line for line in deployment.run(["bash", "-c", reading]).splitlines() if request_id in line]
    key, value = lines[0].split(" ", 1)
    assert (key, orjson.loads(value)["data"]["response"]) == (request_id, ANSWER)


def test_python_asks_and_prints_the_answer(deployment: Deployment, tmp_path: Path) -> None:
    script = tmp_path / "ask.py"
    script.write_text(block("python", "AIOKafkaProducer").replace(BROKERS, deployment.brokers))
    assert deployment.run([sys.executable, str(script)]).strip() == ANSWER
