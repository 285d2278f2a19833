"""With one request id, its whole life: where it was accepted, where it ran, what it cost, what is stored."""

from pathlib import Path
from uuid import uuid4

import httpx
import orjson
import pytest

from tests.e2e.conftest import Cluster
from tests.e2e.test_lifecycle import until
from tests.e2e.test_metrics import health_url
from tests.support.find_command import Found, find
from tests.support.service_processes import Service, logged
from tests.support.topics import produce

KEY = "sk-CANARY-1f0e9d8c7b6a5f4e3d2c"
PROMPT = "a secret of the user"


def ask(url: str, prompt: str = PROMPT, **more: object) -> str:
    request_id = str(uuid4())
    body = {"request_id": request_id, "user_prompt": f"{prompt} {uuid4()}", **more}
    assert httpx.post(f"{url}/invoke", json=body, timeout=60).status_code in {200, 400, 401, 429, 503}
    return request_id


async def produce_job(
    cluster: Cluster, *, headers: list[tuple[str, bytes]] | None = None, **more: object
) -> str:
    """As a direct producer does, with no key, so that it may be anywhere."""
    request_id = str(uuid4())
    body = orjson.dumps({"request_id": request_id, "user_prompt": PROMPT, **more})
    brokers, topic = cluster.settings["KAFKA_BOOTSTRAP_SERVERS"], cluster.settings["KAFKA_REQUEST_TOPIC"]
    await produce(brokers, topic, body, headers=headers or [])
    return request_id


def found_when(folder: Path, cluster: Cluster, request_id: str, what: str, *arguments: str) -> Found:
    """Facts are told in the background."""
    seen: list[Found] = []

    def is_there() -> bool:
        seen[:] = [find(folder, cluster.settings, request_id, "--json", *arguments)]
        return what in seen[0].whats

    until(is_there)
    return seen[0]


def test_the_whole_life_of_a_job_that_was_tried_twice(cluster: Cluster, tmp_path: Path) -> None:
    # Given a job whose first call met a limit
    request_id = ask(cluster.url, f"{PROMPT} [[status=429 times=1 retry_after=0.05]]", metadata={"a": PROMPT})
    # When it is looked for
    found = found_when(tmp_path, cluster, request_id, "finished")
    # Then all that happened is told, in its order
    assert (found.code, found.story["is_whole"]) == (0, True)
    assert sorted(found.whats) == ["accepted", "attempt", "attempt", "finished", "result"]
    accepted, finished, result = (found.only(what) for what in ("accepted", "finished", "result"))
    assert found.whats[0] == "accepted"
    gateway, worker = cluster.gateways[0].child.pid, cluster.worker.pid
    assert accepted["facts"]["by"].startswith("/llm-microservice/gateway/")
    assert accepted["facts"]["by"].endswith(f"-{gateway}")
    assert finished["facts"]["worker"].endswith(f"-{worker}")
    assert result["facts"]["by"].endswith(f"-{worker}")
    place = (finished["facts"][name] for name in ("topic", "partition", "offset"))
    assert accepted["where"] == "{} {}/{}".format(*place)
    attempts = [entry["facts"] for entry in found.story["entries"] if entry["what"] == "attempt"]
    assert [(each["attempt"], each["outcome"]) for each in attempts] == [
        (1, "UPSTREAM_RATE_LIMITED"),
        (2, "succeeded"),
    ]
    assert attempts[1]["cost_usd"] == finished["facts"]["cost_usd"] == result["facts"]["cost_usd"] > 0
    assert all(each["latency_ms"] > 0 for each in attempts)
    [stored] = found.story["stored"]
    assert (stored["owner"], stored["status"], stored["attempts"]) == ("public", "succeeded", 2)
    # And for people, a line each, without content
    text = find(tmp_path, cluster.settings, request_id)
    assert [line.split()[1] for line in text.out.splitlines()[1:]] == [*found.whats, "stored"]
    assert PROMPT not in text.out + found.out


async def test_a_record_that_stands_anywhere_is_found_by_its_facts(cluster: Cluster, tmp_path: Path) -> None:
    # Given a direct producer's job, without a key, for another client, with something like a key in a header
    headers = [("llm_owner", b"anna"), ("ce_source", f"/theirs {KEY}".encode())]
    request_id = await produce_job(cluster, headers=headers)
    found = found_when(tmp_path, cluster, request_id, "finished")
    # Then its record is told, and its producer, without the key
    assert found.only("accepted")["facts"]["by"] == "/theirs sk-..."
    assert [stored["owner"] for stored in found.story["stored"]] == ["anna"]
    assert KEY not in found.out
    # And the worker's log has its one line, because no gateway's has any
    lines = [line for line in logged(cluster.worker, "job_finished") if line["request_id"] == request_id]
    assert [(line["status"], line["owner"], line["attempts"]) for line in lines] == [("succeeded", "anna", 1)]
    # And it is nobody else's
    assert find(tmp_path, cluster.settings, request_id, "--owner", "bob", "--json").whats == []


async def test_a_trace_leads_to_its_requests(cluster: Cluster, tmp_path: Path) -> None:
    trace_id = uuid4().hex
    traceparent = ("traceparent", f"00-{trace_id}-{'cd' * 8}-01".encode())
    ids = [await produce_job(cluster, headers=[traceparent]) for _ in range(2)]
    found = find(tmp_path, cluster.settings, "--trace", trace_id, "--json")
    assert [orjson.loads(line)["request_id"] for line in found.out.splitlines()] == sorted(ids)
    nobody = find(tmp_path, cluster.settings, "--trace", uuid4().hex)
    assert (nobody.code, nobody.out.split(" has ")[0]) == (1, "no record")


def test_a_gateways_job_has_no_second_line(cluster: Cluster) -> None:
    request_id = ask(cluster.url)

    def statuses() -> list[object]:
        answered = logged(cluster.gateways[0].child, "request_answered")
        return [line["status"] for line in answered if line["request_id"] == request_id]

    until(lambda: bool(statuses()))  # it is written when the caller has its answer
    assert statuses() == [200]
    assert request_id not in [line["request_id"] for line in logged(cluster.worker, "job_finished")]


async def test_a_record_that_comes_twice_is_found_twice_and_counted(cluster: Cluster, tmp_path: Path) -> None:
    request_id = await produce_job(cluster)
    found_when(tmp_path, cluster, request_id, "finished")
    before = duplicates(cluster)
    body = orjson.dumps({"request_id": request_id, "user_prompt": PROMPT})
    brokers, topic = cluster.settings["KAFKA_BOOTSTRAP_SERVERS"], cluster.settings["KAFKA_REQUEST_TOPIC"]
    await produce(brokers, topic, body, key=request_id.encode())
    until(lambda: duplicates(cluster) == before + 1)
    found = find(tmp_path, cluster.settings, request_id, "--json", "--since", "1h")
    assert found.whats.count("accepted") == 2
    assert found.whats.count("finished") == 2  # whoever has a record again tells its end again


async def test_a_dead_letter_is_part_of_it(cluster: Cluster, tmp_path: Path) -> None:
    request_id = await produce_job(cluster, model="gpt-0")
    found = found_when(tmp_path, cluster, request_id, "dead_lettered")
    assert sorted(found.whats) == ["accepted", "dead_letter", "dead_lettered"]
    assert found.only("dead_letter")["facts"]["reason"] == "UNSUPPORTED_MODEL"
    assert found.only("dead_letter")["facts"]["origin"] == found.only("accepted")["where"]
    assert found.story["stored"] == []
    assert "the store holds nothing" in find(tmp_path, cluster.settings, request_id).out


def test_who_looks_from_outside_the_deployment_is_told_that_the_topics_were_not_asked(
    cluster: Cluster, tmp_path: Path
) -> None:
    request_id = ask(cluster.url)
    settings = {name: value for name, value in cluster.settings.items() if name != "KAFKA_ENABLED"}
    found = find(tmp_path, settings, request_id)
    assert "stored" in found.out
    assert "The topics were not asked: KAFKA_ENABLED is not true here." in found.err


def test_what_is_not_there_or_was_not_asked_is_said(cluster: Cluster, tmp_path: Path) -> None:
    nobody = find(tmp_path, cluster.settings, str(uuid4()))
    assert (nobody.code, nobody.out.split(" of ")[0]) == (1, "nothing is known")
    request_id = ask(cluster.url)
    found_when(tmp_path, cluster, request_id, "finished")
    away = cluster.settings | {"REDIS_URL": "redis://127.0.0.1:1"}
    half = find(tmp_path, away, request_id, "--json", "--since", "1h")
    assert (half.code, half.story["is_whole"], "finished" in half.whats) == (1, False, True)
    assert half.err.startswith("Redis was not asked")
    away = cluster.settings | {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    half = find(tmp_path, away, request_id, "--json")
    assert (half.code, half.whats, len(half.story["stored"])) == (1, [], 1)
    assert half.err.startswith("Kafka at 127.0.0.1:1")


@pytest.mark.parametrize(
    "wrong",
    [["no-uuid"], [], [str(uuid4()), "--owner", "A B"], [str(uuid4()), "--since", "x"], ["--trace", "x"]],
)
def test_wrong_use_is_exit_code_2(tmp_path: Path, wrong: list[str]) -> None:
    assert find(tmp_path, {}, *wrong).code == 2


def test_one_process_tells_it_from_its_file(
    memory_only: Service, module_folder: Path, tmp_path: Path
) -> None:
    request_id = ask(memory_only.url, f"{PROMPT} [[status=500]]")
    settings = {"LLM_LOG_FILE": str(module_folder / "one-process.jsonl"), "REDIS_ENABLED": "false"}
    found = find(tmp_path, settings, request_id, "--json")
    assert found.whats[-2:] == ["finished", "failed"]
    assert set(found.whats[:-2]) == {"attempt"}
    assert found.only("failed")["facts"]["error_code"] == "UPSTREAM_UNAVAILABLE"
    assert found.only("failed")["facts"]["worker"].endswith(f"-{memory_only.child.pid}")
    assert PROMPT not in found.out


def duplicates(cluster: Cluster) -> float:
    text = httpx.get(f"{health_url(cluster.worker)}/metrics").text
    [value] = [
        line.split()[1] for line in text.splitlines() if line.startswith("llm_duplicate_records_total ")
    ]
    return float(value)
