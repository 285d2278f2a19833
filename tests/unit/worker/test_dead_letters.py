"""What an operator types, what a letter tells, and what a redrive makes of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import orjson
import pytest

from shared.domain.errors import ErrorCode
from shared.domain.timestamps import rfc3339_now
from tests.support.jobs import DEFAULTS
from worker.dead_letters.arguments import parse_arguments, selection_of
from worker.dead_letters.headers import mask_keys, original_headers, redrives_of
from worker.dead_letters.letter import DeadLetter, Position, printable
from worker.dead_letters.plan import Plan
from worker.dead_letters.progress import Progress
from worker.dead_letters.redrive import LeftOut, Rules
from worker.dead_letters.selection import Selection, parse_instant, parse_position, parse_reasons

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass
class DeadRecord:
    value: bytes | None = b"{}"
    headers: Sequence[tuple[str, bytes]] = ()
    key: bytes | None = None
    topic: str = "jobs.dlq"
    partition: int = 1
    offset: int = 2
    timestamp: int = 1_000


def letter(
    code: ErrorCode | str, value: bytes = b"{}", headers: Sequence[tuple[str, bytes]] = (), **told: str
) -> DeadLetter:
    ours = {"dlq_reason": str(code), "dlq_topic": "jobs", "dlq_time": rfc3339_now()} | told
    encoded = [(name, text.encode()) for name, text in ours.items()]
    return DeadLetter(DeadRecord(value, [*headers, *encoded]))


def rules(**options: Any) -> Rules:
    return Rules("jobs", DEFAULTS, timedelta(hours=24), **options)


# --- what is typed ---


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-23T12:00:00Z", NOW),
        ("2026-11-23T14:00:00+02:00", NOW),
        ("2026-11-23T12:00:00", NOW),
        ("90s", NOW - timedelta(seconds=90)),
        ("15m", NOW - timedelta(minutes=15)),
        ("2h", NOW - timedelta(hours=2)),
        ("3d", NOW - timedelta(days=3)),
    ],
)
def test_a_time_is_an_instant_or_an_age(text: str, instant: datetime) -> None:
    assert parse_instant(text, lambda: NOW) == instant


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "2w", "yesterday", "999999999d"])
def test_what_is_no_time_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match=rf"'{text}' is no time; allowed: RFC 3339"):
        parse_instant(text)


def test_reasons_are_codes() -> None:
    assert parse_reasons("invalid_json, TOO_MANY_RUNS") == {"INVALID_JSON", "TOO_MANY_RUNS"}
    for wrong in ("", ",", "INVALID_JSON,TYPO"):
        with pytest.raises(ValueError, match=r"allowed: .*INVALID_JSON"):
            parse_reasons(wrong)


def test_a_position_is_what_list_prints() -> None:
    assert parse_position(str(Position(3, 1042))) == Position(3, 1042)
    for wrong in ("", "3", "3/", "/4", "-1/4", "3/4/5", "3/x", "³/4"):
        with pytest.raises(ValueError, match="PARTITION/OFFSET"):
            parse_position(wrong)


@pytest.mark.parametrize(
    "argv",
    [[], ["list", "--limit", "0"], ["show"], ["redrive", "x"], ["redrive", "--max-jobs", "-1"], ["bury"]],
    ids=" ".join,
)
def test_wrong_use_is_exit_code_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments(argv)
    assert ended.value.code == 2
    assert capsys.readouterr().err


def test_the_arguments_make_the_selection() -> None:
    argv = ["redrive", "0/1", "2/3", "--reason", "INVALID_JSON", "--until", "2026-11-23T12:00:00Z"]
    selection = selection_of(parse_arguments(argv))
    assert selection == Selection(
        frozenset({"INVALID_JSON"}), None, NOW, frozenset({Position(0, 1), Position(2, 3)})
    )


def test_only_what_holds_a_wanted_position_is_read() -> None:
    selection = Selection(positions=frozenset({Position(0, 5), Position(0, 8), Position(2, 3)}))
    assert selection.offsets(0, 0, 100) == range(5, 9)
    assert selection.offsets(0, 7, 8) == range(7, 8)
    assert not selection.offsets(1, 0, 100)
    assert Selection().offsets(1, 4, 100) == range(4, 100)


# --- what a letter tells ---


def test_what_a_stranger_wrote_is_shown_short_and_harmless() -> None:
    assert printable(b"a\x1b[2J\r\xff") == r"a\x1b[2J\r\xff"
    assert printable("é\u202e".encode()) == r"é\u202e"
    assert len(printable(b"x" * 10_000)) == 500


def test_a_key_is_masked_and_what_stands_around_it_is_not() -> None:
    assert mask_keys('{"k":"sk-abc-1","p":"hi"} sk-2.') == '{"k":"sk-...","p":"hi"} sk-...'


def test_a_record_that_is_no_letter_of_ours_is_told_too() -> None:
    told = DeadLetter(DeadRecord(headers=[("dlq_time", b"never"), ("dlq_redrives", b"many")])).summary()
    assert (told["reason"], told["time"], told["redrives"]) == ("-", "1970-01-01T00:00:01.000Z", 0)


@pytest.mark.parametrize(("text", "count"), [(b"2", 2), (b"-3", 0), (b"x", 0), (None, 0), (b"9" * 30, 10**6)])
def test_the_count_of_redrives_is_a_number_whatever_was_written(text: bytes | None, count: int) -> None:
    assert redrives_of({"dlq_redrives": text}) == count


def test_our_headers_are_told_from_the_original_ones() -> None:
    original = [("a", b"1"), ("a", b"2"), ("DLQ_x", b"")]
    assert original_headers([*original, ("dlq_reason", b"x"), ("dlq_", b"")]) == original


# --- what may go back ---


def job(**more: object) -> bytes:
    return orjson.dumps({"schema": 1, "request_id": str(uuid4()), "user_prompt": "x"} | more)


@pytest.mark.parametrize(
    ("code", "is_free"),
    [
        (ErrorCode.INVALID_JSON, True),
        (ErrorCode.UNSUPPORTED_MODEL, True),
        (ErrorCode.API_KEY_NOT_ACCEPTED, True),
        (ErrorCode.TOO_MANY_RUNS, False),
        (ErrorCode.INTERNAL_ERROR, False),
        (ErrorCode.UNKNOWN_OUTCOME, False),
        (ErrorCode.UPSTREAM_TIMEOUT, False),
    ],
)
def test_only_what_was_refused_before_any_call_goes_back_freely(code: ErrorCode, is_free: bool) -> None:
    assert rules().left_out(letter(code)) is (None if is_free else LeftOut.MAY_BE_CHARGED)


def test_a_reason_nobody_knows_may_have_been_charged() -> None:
    assert rules().left_out(letter("OF_THE_FUTURE")) is LeftOut.MAY_BE_CHARGED
    assert (
        rules().left_out(DeadLetter(DeadRecord(headers=[("dlq_topic", b"jobs")]))) is LeftOut.MAY_BE_CHARGED
    )


def test_a_stored_failure_is_in_the_way_until_it_is_forgotten() -> None:
    paid = rules(allow_paid_again=True)
    assert paid.left_out(letter(ErrorCode.TOO_MANY_RUNS, job())) is LeftOut.FAILURE_STORED
    old = letter(ErrorCode.TOO_MANY_RUNS, job(), dlq_time="2020-01-01T00:00:00Z")
    assert paid.left_out(old) is None


def test_a_new_id_needs_an_old_one() -> None:
    renaming = rules(new_ids=True)
    for value in (b"", b"[]", b"no json", b'{"request_id": 5}', b"[" * 100_000):
        assert renaming.left_out(letter(ErrorCode.INVALID_JSON, value)) is LeftOut.NO_ID
    assert renaming.left_out(letter(ErrorCode.INVALID_FIELD, job())) is None


def test_the_same_letter_gets_the_same_new_id() -> None:
    renaming, value = rules(new_ids=True), job()
    first, second = (renaming.outgoing(letter(ErrorCode.INVALID_FIELD, value)) for _ in range(2))
    assert first.new_id == second.new_id != first.old_id
    assert renaming.outgoing(letter(ErrorCode.INVALID_FIELD, job())).new_id != first.new_id


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ([("ce_expirytime", b"2020-01-01T00:00:00Z")], LeftOut.EXPIRED),
        ([("ce_time", b"2020-01-01T00:00:00Z")], LeftOut.EXPIRED),
        ([("ce_expirytime", b"2999-01-01T00:00:00Z")], None),
        ([], None),
    ],
)
def test_a_job_past_its_deadline_would_only_expire(
    headers: Sequence[tuple[str, bytes]], why: LeftOut | None
) -> None:
    late = letter(ErrorCode.UNSUPPORTED_MODEL, job(), headers)
    assert rules().left_out(late) is why
    assert rules(fresh_deadlines=True).left_out(late) is None


def test_a_plan_counts_all_and_keeps_the_positions_that_may_be_sent() -> None:
    plan = Plan()
    for _ in range(3):
        plan.add(letter(ErrorCode.INVALID_JSON), rules(), max_jobs=2)
    assert (plan.jobs, len(plan.positions), plan.is_whole) == (3, 2, True)
    plan.left_out[LeftOut.REDRIVEN, "INVALID_JSON"] += 1
    assert plan.is_whole
    plan.left_out[LeftOut.EXPIRED, "INVALID_JSON"] += 1
    assert not plan.is_whole


# --- how far it is ---


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_a_bar_on_a_terminal_and_ten_lines_elsewhere() -> None:
    terminal, file = Terminal(), StringIO()
    for stream in (terminal, file):
        progress = Progress(200, stream)
        for _ in range(200):
            progress.step()
    assert file.getvalue().splitlines() == [f"{done}/200" for done in range(20, 201, 20)]
    assert terminal.getvalue().startswith("\r[..............................] 1/200\r")
    assert terminal.getvalue().endswith("\r[##############################] 200/200")
