"""Dead letters as an operator uses them: the command as a program, over real brokers."""

import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.adapters.kafka_topics import MAX_RECORD_BYTES
from shared.domain.errors import ErrorCode
from shared.domain.timestamps import rfc3339
from tests.support.dead_letter_topic import DeadLetterScene
from tests.support.server import AnyKafka
from tests.support.service_processes import clean_environment

PROMPT = "a secret of the user"
KEY = "sk-CANARY-1234567890"


@pytest.fixture
async def scene(kafka: AnyKafka, tmp_path: Path) -> DeadLetterScene:
    scene = DeadLetterScene(kafka.bootstrap_servers, tmp_path)
    await scene.create()
    return scene


def job(request_id: str | None = None, **more: object) -> bytes:
    body = {"schema": 1, "request_id": request_id or str(uuid4()), "user_prompt": PROMPT}
    return json.dumps(body | more, separators=(",", ":")).encode()


# --- list ---


async def test_list_shows_a_line_a_letter_and_a_count_by_reason_and_no_content(
    scene: DeadLetterScene,
) -> None:
    # Given two letters
    await scene.bury(job(), ErrorCode.INVALID_FIELD, key=b"first")
    await scene.bury(job(), ErrorCode.TOO_MANY_RUNS, message="three workers ended", key=b"\x1b[31mred\n")
    # When they are listed
    listed = await scene.run("list")
    # Then each has its line, and what a terminal would obey is spelt out
    first, second, *summary = listed.out.splitlines()
    assert (listed.code, listed.err) == (0, "")
    assert first.split()[0] == "0/0"
    assert first.split()[2:] == ["INVALID_FIELD", "first", "it", "is", "wrong"]
    assert second.split()[2] == "TOO_MANY_RUNS"
    assert r"\x1b[31mred\n" in second
    assert summary[0] == "2 dead letters, 0 of them redriven"
    assert {line.strip() for line in summary[1:]} == {"1  INVALID_FIELD", "1  TOO_MANY_RUNS"}
    assert PROMPT not in listed.out


async def test_list_selects_by_reason_and_time_and_stops_at_its_limit(scene: DeadLetterScene) -> None:
    for code in (ErrorCode.INVALID_JSON, ErrorCode.INVALID_FIELD, ErrorCode.INVALID_JSON):
        await scene.bury(code=code)
    times = [letter["time"] for letter in (await scene.run("list", "--json")).lines]

    async def positions(*filters: str) -> list[str]:
        return [letter["position"] for letter in (await scene.run("list", "--json", *filters)).lines]

    assert await positions("--reason", "invalid_json,MISSING_FIELD") == ["0/0", "0/2"]
    assert await positions("--reason", "INVALID_JSON", "--limit", "1") == ["0/0"]
    assert await positions("--since", times[1]) == ["0/1", "0/2"]
    assert await positions("--until", times[1]) == ["0/0"]
    assert await positions("--since", "1h") == ["0/0", "0/1", "0/2"]
    assert await positions("--until", "1h") == []


async def test_list_covers_every_partition_and_more_letters_than_one_fetch(
    kafka: AnyKafka, tmp_path: Path
) -> None:
    scene = DeadLetterScene(kafka.bootstrap_servers, tmp_path)
    await scene.create(partitions=3)
    await scene.bury_many(700)
    listed = (await scene.run("list", "--json")).lines
    assert {letter["key"] for letter in listed} == {str(number) for number in range(700)}
    assert {letter["position"].split("/")[0] for letter in listed} == {"0", "1", "2"}


async def test_nothing_there_is_exit_code_1(scene: DeadLetterScene) -> None:
    assert (await scene.run("list")).code == 1
    assert (await scene.run("list", KAFKA_DEAD_LETTER_TOPIC="nowhere")).code == 1
    assert (await scene.run("show", "0/5")).code == 1
    assert (await scene.run("redrive", "--yes")).code == 1
    missing = await scene.run("redrive", "0/5", "--yes")
    assert (missing.code, "no dead letter at 0/5" in missing.out) == (1, True)


async def test_wrong_use_is_exit_code_2(scene: DeadLetterScene) -> None:
    await scene.bury()
    for wrong in (["list", "--since", "soon"], ["show", "5"], ["redrive"], ["redrive", "--to", "nowhere"]):
        assert (await scene.run(*wrong)).code == 2, wrong
    assert await scene.records(scene.requests) == []


async def test_a_broker_that_is_away_is_said_in_one_line(scene: DeadLetterScene) -> None:
    listed = await scene.run("list", KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert (listed.code, len(listed.err.splitlines())) == (1, 1)
    assert "127.0.0.1:1" in listed.err


# --- show ---


async def test_show_tells_everything_and_the_value_only_when_asked(scene: DeadLetterScene) -> None:
    await scene.bury(job(), key=b"k", headers=[("mine", b"\xff"), ("null", None)])
    shown = await scene.run("show", "0/0")
    told = json.loads(shown.out)
    assert (told["reason"], told["key"], told["origin"]) == ("INVALID_JSON", "k", f"{scene.requests} 7/42")
    assert told["headers"][:2] == [["mine", "\\xff"], ["null", None]]
    assert datetime.now(UTC) - datetime.fromisoformat(told["time"]) < timedelta(minutes=5)
    assert PROMPT not in shown.out
    with_value = await scene.run("show", "0/0", "--value")
    assert PROMPT in json.loads(with_value.out)["value"]


# --- what is buried ---


async def test_a_value_with_a_key_in_the_clear_is_not_kept(scene: DeadLetterScene) -> None:
    value = job(openai_api_key=KEY)
    await scene.bury(value, key=KEY.encode(), headers=[("mine", KEY.encode())])
    [letter] = await scene.records(scene.dead_letters)
    assert "CANARY" not in f"{letter.key} {letter.value} {letter.headers}"
    assert dict(letter.headers)["dlq_left_out"] == str(len(value)).encode()
    # And it is not sent again without it
    redriven = await scene.run("redrive", "--yes")
    assert "key in the clear" in redriven.out + redriven.err
    assert await scene.records(scene.requests) == []


async def test_reason_headers_are_short_and_hold_no_key(scene: DeadLetterScene) -> None:
    await scene.bury(message=f"wrong: {KEY} " + "é" * 5000)
    [letter] = await scene.records(scene.dead_letters)
    assert "CANARY" not in str(letter.headers)
    assert max(len(value) for _, value in letter.headers) <= 1000


@pytest.mark.parametrize("record", [{"value": None}, {"value": None, "key": b"k"}], ids=["nothing", "key"])
async def test_an_empty_record_is_buried_too(scene: DeadLetterScene, record: dict[str, Any]) -> None:
    await scene.bury(**record)
    [letter] = await scene.records(scene.dead_letters)
    assert (letter.value or None, letter.key) == (None, record.get("key"))


async def test_a_record_that_leaves_no_room_for_its_reason_is_told_of(scene: DeadLetterScene) -> None:
    # Given a record that fills its topic's limit
    size = MAX_RECORD_BYTES - 150
    await scene.bury(b"x" * size)
    # Then its letter says where it stands, and no redrive sends the empty letter
    [letter] = await scene.records(scene.dead_letters)
    headers = dict(letter.headers)
    assert (letter.value, headers["dlq_left_out"], headers["dlq_offset"]) == (b"", str(size).encode(), b"42")
    refused = await scene.run("redrive", "--yes")
    assert (refused.code, "too large" in refused.out) == (1, True)


# --- redrive ---


async def test_a_redriven_record_is_the_original_and_is_redriven_once(scene: DeadLetterScene) -> None:
    # Given a letter
    value, headers = job(), [("mine", b"\xff"), ("mine", b"2"), ("null", None)]
    await scene.bury(value, ErrorCode.UNSUPPORTED_MODEL, key=b"k", headers=headers)
    # When it is redriven
    redriven = await scene.run("redrive", "--yes")
    assert redriven.code == 0, redriven
    # Then the original is back, with nothing but the count beside it
    [sent] = await scene.records(scene.requests)
    assert (sent.key, sent.value) == (b"k", value)
    assert list(sent.headers) == [*headers, ("dlq_redrives", b"1")]
    # And again finds nothing to do, because the list knows
    again = await scene.run("redrive", "--yes")
    assert (again.code, "redriven already" in again.out) == (1, True)
    assert (await scene.run("redrive", "0/0", "--yes")).code == 1
    assert len(await scene.records(scene.requests)) == 1
    [listed] = (await scene.run("list", "--json")).lines
    assert listed["redriven_at"]
    assert "1 of them redriven" in (await scene.run("list")).out


async def test_a_redriven_record_that_dies_again_tells_of_its_last_death(scene: DeadLetterScene) -> None:
    await scene.bury(message="first", headers=[("mine", b"1"), ("dlq_redriven", b"0"), ("dlq_reason", b"x")])
    for _ in range(2):
        assert (await scene.run("redrive", "--yes")).code == 0
        *_, redriven = await scene.records(scene.requests)
        await scene.bury(redriven.value, ErrorCode.MISSING_FIELD, "again", headers=redriven.headers)
    *_, letter = await scene.records(scene.dead_letters)
    names = [name for name, _ in letter.headers]
    assert len(names) == len(set(names))
    headers = dict(letter.headers)
    assert (headers["dlq_redrives"], headers["dlq_message"], headers["mine"]) == (b"2", b"again", b"1")


async def test_a_dry_run_sends_nothing(scene: DeadLetterScene) -> None:
    await scene.bury()
    dry = await scene.run("redrive", "--dry-run")
    assert (dry.code, "0/0 INVALID_JSON" in dry.out) == (0, True)
    assert "would dead-letter again: 1" in dry.out
    assert await scene.records(scene.requests) == []
    assert len(await scene.records(scene.dead_letters)) == 1


async def test_positions_and_filters_choose_what_is_redriven(scene: DeadLetterScene) -> None:
    for number in range(4):
        await scene.bury(f"{number}".encode(), [ErrorCode.INVALID_JSON, ErrorCode.INVALID_FIELD][number % 2])

    async def redriven(*arguments: str) -> list[bytes]:
        assert (await scene.run("redrive", "--yes", *arguments)).code == 0
        return [record.value for record in await scene.records(scene.requests)]

    assert await redriven("0/2") == [b"2"]
    assert await redriven("--reason", "INVALID_FIELD", "--limit", "1") == [b"2", b"1"]
    assert await redriven() == [b"2", b"1", b"0", b"3"]


async def test_more_than_max_jobs_sends_nothing(scene: DeadLetterScene) -> None:
    for _ in range(3):
        await scene.bury()
    refused = await scene.run("redrive", "--yes", "--max-jobs", "2")
    assert refused.code == 1
    assert "3 jobs are more than --max-jobs 2" in refused.err
    assert await scene.records(scene.requests) == []


async def test_what_may_have_been_charged_is_left_out_and_counted(scene: DeadLetterScene) -> None:
    await scene.bury(b"free")
    await scene.bury(b"crashed", ErrorCode.INTERNAL_ERROR)
    await scene.bury(job(), ErrorCode.TOO_MANY_RUNS)
    refused = await scene.run("redrive", "--yes")
    assert refused.code == 1
    assert "left out: 2 (INTERNAL_ERROR 1, TOO_MANY_RUNS 1): may have been charged" in refused.out
    assert [record.value for record in await scene.records(scene.requests)] == [b"free"]
    # When paying again is allowed, a stored failure is still only found
    allowed = await scene.run("redrive", "--yes", "--allow-paid-again")
    assert "left out: 1 (TOO_MANY_RUNS 1): their failure is stored and final" in allowed.out
    assert [record.value for record in await scene.records(scene.requests)] == [b"free", b"crashed"]


async def test_a_new_id_lets_a_job_with_a_stored_failure_run(scene: DeadLetterScene) -> None:
    old_id = str(uuid4())
    headers = [("ce_id", old_id.encode()), ("ce_time", b"2020-01-01T00:00:00Z"), ("llm_owner", b"me")]
    value = job(old_id, seed=2**80, metadata={"word": "\ud83d"})
    await scene.bury(value, ErrorCode.TOO_MANY_RUNS, key=old_id.encode(), headers=headers)
    arguments = ["redrive", "--new-ids", "--allow-paid-again"]
    told = (await scene.run(*arguments, "--dry-run")).out
    redriven = await scene.run(*arguments, "--yes")
    [sent] = await scene.records(scene.requests)
    new_id = json.loads(sent.value)["request_id"]
    assert UUID(new_id) != UUID(old_id)
    assert sent.key == new_id.encode()
    assert sent.value == value.replace(old_id.encode(), new_id.encode())
    assert list(sent.headers) == [("ce_id", sent.key), ("llm_owner", b"me"), ("dlq_redrives", b"1")]
    # And a dry run before it, or a repeat after a lost mark, has the same id
    assert f"{old_id} -> {new_id}" in told
    assert f"{old_id} -> {new_id}" in redriven.out
    [listed] = (await scene.run("list", "--json")).lines
    assert listed["redriven_as"] == new_id


async def test_an_expired_job_goes_only_with_a_fresh_deadline(scene: DeadLetterScene) -> None:
    past = rfc3339(datetime.now(UTC) - timedelta(hours=1)).encode()
    await scene.bury(job(model="gpt-4o"), ErrorCode.UNSUPPORTED_MODEL, headers=[("ce_expirytime", past)])
    refused = await scene.run("redrive", "--yes")
    assert (refused.code, "--fresh-deadlines" in refused.out) == (1, True)
    assert (await scene.run("redrive", "--yes", "--fresh-deadlines")).code == 0
    [sent] = await scene.records(scene.requests)
    assert [name for name, _ in sent.headers] == ["dlq_redrives"]


async def test_letters_of_another_topic_go_only_where_the_operator_says(scene: DeadLetterScene) -> None:
    await scene.bury(b"strange", topic="elsewhere")
    assert (await scene.run("redrive", "--yes")).code == 1
    assert (await scene.run("redrive", "--yes", "--to", scene.dead_letters)).code == 2
    assert (await scene.run("redrive", "--yes", "--to", scene.requests)).code == 0
    assert [record.value for record in await scene.records(scene.requests)] == [b"strange"]


@pytest.mark.parametrize(("answer", "sent"), [(b"y\n", 1), (b"\n", 0)], ids=["yes", "no"])
async def test_a_terminal_is_asked_and_sees_a_bar(scene: DeadLetterScene, answer: bytes, sent: int) -> None:
    await scene.bury()
    terminal, side = pty.openpty()
    os.write(terminal, answer)
    env = clean_environment(
        KAFKA_BOOTSTRAP_SERVERS=scene.brokers,
        KAFKA_REQUEST_TOPIC=scene.requests,
        KAFKA_DEAD_LETTER_TOPIC=scene.dead_letters,
    )
    command = [sys.executable, "-m", "worker.dead_letters", "redrive"]
    finished = subprocess.run(  # noqa: ASYNC221 # nothing else runs in this loop
        command, stdin=side, stderr=side, stdout=subprocess.PIPE, env=env, cwd=scene.folder, check=False
    )
    os.close(side)
    shown = os.read(terminal, 10_000).decode()
    os.close(terminal)
    assert "redrive 1 dead letters to" in shown
    assert ("#] 1/1" in shown) == bool(sent)
    assert finished.returncode == 1 - sent
    assert len(await scene.records(scene.requests)) == sent
