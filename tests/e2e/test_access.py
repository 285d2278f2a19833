"""Two clients over real HTTP: in one process, with Redis, distributed, by topic, and while Redis is away."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from tests.e2e.conftest import cluster_settings, provider_settings
from tests.e2e.test_lifecycle import until
from tests.support.clients import (
    ABOUT_AN_ID,
    UNDER_AN_ID,
    WITHOUT_AN_ID,
    Call,
    Client,
    client,
    lasting,
    request_of,
    settings_for,
)
from tests.support.dead_letter_topic import run_dead_letters
from tests.support.provider_process import ScriptedProvider
from tests.support.redis_process import RedisServer
from tests.support.redis_servers import any_binary
from tests.support.server import AnyKafka, AnyRedis
from tests.support.service_processes import gateway, logged, one_process, worker
from tests.support.topics import produce, read_until

ANNA, BERT = client("anna"), client("bert")


@pytest.fixture(scope="module", params=["memory", "redis", "distributed"])
def url(
    request: pytest.FixtureRequest, _provider: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The service with auth on, each way to run it."""
    folder, settings = tmp_path_factory.mktemp("guarded"), settings_for(ANNA, BERT)
    with ExitStack() as stack:
        if request.param == "distributed":
            kafka, redis = request.getfixturevalue("apache_kafka"), request.getfixturevalue("any_redis")
            settings |= cluster_settings(kafka, redis, _provider)
            service = stack.enter_context(gateway(folder, **settings))
            stack.enter_context(worker(folder, **settings))
        else:
            settings |= provider_settings(_provider) | {"REDIS_ENABLED": "false"}
            if request.param == "redis":
                settings |= {"REDIS_ENABLED": "true", "REDIS_URL": request.getfixturevalue("any_redis").url}
            service = stack.enter_context(one_process(folder, **settings))
        yield service.url
        log = service.child.log()
        assert '"owner":"anna"' in log
        assert not any(each.token in log or each.entry.split("=")[1] in log for each in (ANNA, BERT))


def call(url: str, caller: Client, about: Call, request_id: str, **more: Any) -> httpx.Response:
    question = request_of(about, request_id, **more)
    return httpx.request(
        question.pop("method"), url + question.pop("url"), **question, headers=caller.headers, timeout=60
    )


def text_of(response: httpx.Response) -> str | None:
    body = response.json()
    text: str | None = body["data"]["response"] if body.get("data") else None
    return text


@pytest.mark.parametrize("state", ["running", "succeeded", "failed", "deleted"])
@pytest.mark.parametrize("about", ABOUT_AN_ID, ids=" ".join)
def test_anothers_id_is_as_unknown_as_one_nobody_has(url: str, about: Call, state: str) -> None:
    # Given a job of Anna's
    hers = str(uuid4())
    words = {"running": "[[latency_ms=1500]]", "failed": "[[status=400]]"}.get(state, "")
    call(url, ANNA, UNDER_AN_ID[state == "running"], hers, prompt=f"{uuid4()} {words}")
    if state == "deleted":
        assert call(url, ANNA, ("DELETE", "/result/{request_id}"), hers).status_code == 204
    # When Bert asks about her id, then he learns what he learns of an id that nobody has
    foreign, unknown = (call(url, BERT, about, request_id) for request_id in (hers, str(uuid4())))
    assert lasting(foreign) == lasting(unknown)
    assert (foreign.status_code, foreign.json()["error"]["error_code"]) == (404, "NOT_FOUND")
    # And her job is what it was
    mine = call(url, ANNA, ("GET", "/result/{request_id}"), hers)
    expected = {"running": 202, "deleted": 410}.get(state, 200)
    assert mine.status_code == expected
    if expected == 200:
        assert mine.json()["status"] == state


@pytest.mark.parametrize("under", UNDER_AN_ID, ids=" ".join)
def test_one_id_of_two_clients_is_two_jobs(url: str, under: Call, provider: ScriptedProvider) -> None:
    request_id = str(uuid4())
    prompts = {each.name: f"{each.name} {uuid4()}" for each in (ANNA, BERT)}
    for each in (ANNA, BERT):
        asked = call(url, each, under, request_id, prompt=prompts[each.name])
        assert asked.status_code in {200, 202}, asked.text
    for each in (ANNA, BERT):
        again = call(url, each, UNDER_AN_ID[0], request_id, prompt=prompts[each.name])
        assert text_of(again) == f"echo: {prompts[each.name]}"
        assert len(provider.calls_of(prompts[each.name])) == 1


@pytest.mark.parametrize("about", [*ABOUT_AN_ID, *UNDER_AN_ID, *WITHOUT_AN_ID], ids=" ".join)
def test_without_a_token_nobody_comes_in(url: str, about: Call) -> None:
    stranger = client("anna")
    refused = call(url, stranger, about, str(uuid4()))
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert stranger.token not in refused.text
    assert httpx.get(f"{url}/health").status_code == 200


def test_a_changed_file_counts_without_a_restart_and_a_broken_one_opens_nothing(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    # Given a gateway with a file of one client
    file = tmp_path / "tokens"
    file.write_text(ANNA.entry)
    settings = {"LLM_ENABLE_AUTH": "true", "LLM_AUTH_TOKENS_FILE": str(file), "REDIS_ENABLED": "false"}
    with one_process(tmp_path, **settings, **provider_settings(provider)) as service:

        def statuses() -> list[int]:
            stats = WITHOUT_AN_ID[0]
            return [call(service.url, each, stats, "").status_code for each in (ANNA, BERT, client("anna"))]

        assert statuses() == [200, 401, 401]
        # When it is broken, then it is said, and all is as it was
        file.write_text("anna")
        until(lambda: bool(logged(service.child, "client_tokens_kept")))
        assert statuses() == [200, 401, 401]
        # When another one takes its place, then that one counts
        new = tmp_path / "new"
        new.write_text(BERT.entry)
        new.replace(file)
        until(lambda: statuses() == [401, 200, 401])


def test_tokens_that_count_for_nothing_are_said(provider: ScriptedProvider, tmp_path: Path) -> None:
    settings = {"LLM_AUTH_TOKENS": ANNA.entry, "REDIS_ENABLED": "false", **provider_settings(provider)}
    with one_process(tmp_path, **settings) as service:
        assert logged(service.child, "auth_is_off")
        assert httpx.get(f"{service.url}/stats").status_code == 200


async def test_the_topic_says_whose_a_job_is(
    apache_kafka: AnyKafka, any_redis: AnyRedis, provider: ScriptedProvider, tmp_path: Path
) -> None:
    settings = settings_for(ANNA, BERT) | cluster_settings(apache_kafka, any_redis, provider)
    brokers = settings["KAFKA_BOOTSTRAP_SERVERS"]
    ids = {owner: str(uuid4()) for owner in (b"anna", b"no:body", None)}
    with gateway(tmp_path, **settings) as service, worker(tmp_path, **settings) as running:
        # Given three records of direct producers: for a client, for nobody there can be, and for nobody
        for owner, request_id in ids.items():
            value = orjson.dumps({"request_id": request_id, "user_prompt": f"for {owner!r}"})
            headers = [("llm_owner", owner)] if owner else []
            await produce(
                brokers, settings["KAFKA_REQUEST_TOPIC"], value, key=request_id.encode(), headers=headers
            )
        # Then the client has hers, and nobody else
        url = service.url
        read = ABOUT_AN_ID[0]
        until(lambda: call(url, ANNA, read, ids[b"anna"]).status_code == 200)
        assert call(url, BERT, read, ids[b"anna"]).status_code == 404
        # And nonsense is a dead letter
        dead = await read_until(brokers, settings["KAFKA_DEAD_LETTER_TOPIC"], lambda _: True)
        assert (dead.key.decode(), dict(dead.headers)["dlq_reason"]) == (ids[b"no:body"], b"INVALID_FIELD")
        # And what is nobody's ran, and no client sees it
        copies = settings["KAFKA_RESULT_TOPIC"]
        copy = await read_until(brokers, copies, lambda record: record.key.decode() == ids[None])
        assert dict(copy.headers)["llm_owner"] == b"public"
        assert call(url, ANNA, read, ids[None]).status_code == 404
        # When a letter with an owner is redriven, under its id or a new one, then it is still that owner's
        old_id = str(uuid4())
        told = [("llm_owner", b"bert"), ("dlq_reason", b"TOO_MANY_RUNS")]
        told.append(("dlq_topic", settings["KAFKA_REQUEST_TOPIC"].encode()))
        value = orjson.dumps({"request_id": old_id, "user_prompt": "again"})
        letter = await produce(brokers, settings["KAFKA_DEAD_LETTER_TOPIC"], value, headers=told)
        arguments = [f"{letter.partition}/{letter.offset}", "--yes", "--new-ids", "--allow-paid-again"]
        operator = {name: value for name, value in settings.items() if name.startswith("KAFKA_")}
        done = await run_dead_letters("redrive", *arguments, folder=tmp_path, settings=operator)
        new_id = done.out.split(f"{old_id} -> ")[1].split()[0]
        until(lambda: call(url, BERT, read, new_id).status_code == 200)
        assert call(url, ANNA, read, new_id).status_code == 404
        [line] = logged(running, "record_dead_lettered")
        assert line["request_id"] == ids[b"no:body"]


def test_while_redis_is_away_and_after_it_each_client_has_its_own(
    apache_kafka: AnyKafka, provider: ScriptedProvider, tmp_path: Path
) -> None:
    request_id, read, post = str(uuid4()), ABOUT_AN_ID[0], UNDER_AN_ID[0]
    waiting = (read[0], f"{read[1]}?wait=20")
    with RedisServer(any_binary()) as redis:
        settings = settings_for(ANNA, BERT) | cluster_settings(apache_kafka, redis, provider)
        with (
            gateway(tmp_path, "one", **settings) as one,
            gateway(tmp_path, "two", **settings) as two,
            worker(tmp_path, **settings) as running,
        ):
            # Given that Redis is away, when both ask under one id
            redis.kill()
            for each in (ANNA, BERT):
                assert call(one.url, each, post, request_id, prompt=each.name).status_code == 200
            # Then another gateway, which has the answers from the log, gives each their own
            for each in (ANNA, BERT):
                assert text_of(call(two.url, each, waiting, request_id)) == f"echo: {each.name}"
            # And an id of Anna's is to Bert as unknown as any: nobody can deny it now
            hers = str(uuid4())
            assert call(one.url, ANNA, post, hers).status_code == 200
            foreign, unknown = (call(one.url, BERT, read, each) for each in (hers, str(uuid4())))
            assert (foreign.status_code, unknown.status_code) == (503, 503)
            assert lasting(foreign)[2] == lasting(unknown)[2]
            # When Redis is back with nothing in it, then the log gives it every owner's results
            redis.restart()
            until(lambda: any(line["results"] == 3 for line in logged(running, "results_restored")))
            with gateway(tmp_path, "new", **settings) as new:
                for each in (ANNA, BERT):
                    assert text_of(call(new.url, each, read, request_id)) == f"echo: {each.name}"
                assert call(new.url, BERT, read, hers).status_code == 404
