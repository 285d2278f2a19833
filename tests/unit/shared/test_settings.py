"""Settings come from the environment, and a wrong one stops the start with one line that says enough."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.settings import PositiveSeconds, ServiceSettings, load_settings

CANARY = "canary-0123456789"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of ours, and no `.env`."""
    monkeypatch.chdir(tmp_path)
    for name in ServiceSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def refusal() -> str:
    with pytest.raises(SystemExit) as stopped:
        load_settings(ServiceSettings)
    return str(stopped.value)


def test_nothing_need_be_set() -> None:
    settings = load_settings(ServiceSettings)
    assert settings.retention() == timedelta(hours=24)
    defaults = settings.model_defaults()
    assert (defaults.model, defaults.temperature, defaults.max_tokens) == ("gpt-4o-mini", 0.7, 1000)
    assert defaults.supported_models == ("gpt-4o-mini", "gpt-4o", "gpt-3.5-turbo", "gpt-3.5-turbo-16k")


def test_variables_win_over_the_file_and_an_empty_one_is_not_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Given a file, and variables of which one is empty
    lines = ["LLM_APP_NAME=from-the-file", "LLM_VERSION=2", "KAFKA_ENABLED=true", "UNKNOWN=1"]
    (tmp_path / ".env").write_text("\n".join(lines))
    monkeypatch.setenv("LLM_VERSION", "3")
    monkeypatch.setenv("REDIS_TTL_HOURS", "")
    # Then each setting comes from the nearest place that says something
    settings = load_settings(ServiceSettings)
    assert (settings.llm_app_name, settings.llm_version, settings.kafka_enabled) == (
        "from-the-file",
        "3",
        True,
    )
    assert settings.redis_ttl_hours == 24


def test_a_list_is_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_SUPPORTED_MODELS", " gpt-4o, gpt-4o-mini ,,")
    assert load_settings(ServiceSettings).llm_supported_models == ("gpt-4o", "gpt-4o-mini")


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        (
            "LLM_LOG_LEVEL",
            "LOUD",
            "LLM_LOG_LEVEL='LOUD': Input should be 'TRACE', 'DEBUG', 'INFO', 'WARNING' or 'ERROR'; "
            "allowed: TRACE, DEBUG, INFO, WARNING, ERROR",
        ),
        (
            "LLM_DEFAULT_TEMPERATURE",
            "2.5",
            "LLM_DEFAULT_TEMPERATURE='2.5': Input should be less than or equal to 2; "
            "allowed: a number from 0 to 2",
        ),
        (
            "REDIS_TTL_HOURS",
            "0",
            "REDIS_TTL_HOURS='0': Input should be greater than or equal to 1; "
            "allowed: a number from 1 to 87600",
        ),
        (
            "REDIS_MAX_CONNECTIONS",
            "ten",
            "REDIS_MAX_CONNECTIONS='ten': Input should be a valid integer, "
            "unable to parse string as an integer; allowed: a whole number from 1",
        ),
        (
            "KAFKA_ENABLED",
            "maybe",
            "KAFKA_ENABLED='maybe': Input should be a valid boolean, unable to interpret input; "
            "allowed: true or false",
        ),
        (
            "KAFKA_REQUEST_PARTITIONS",
            "1001",
            "KAFKA_REQUEST_PARTITIONS='1001': Input should be less than or equal to 1000; "
            "allowed: a whole number from 1 to 1000",
        ),
        (
            "KAFKA_REPLICATION_FACTOR",
            "0",
            "KAFKA_REPLICATION_FACTOR='0': Input should be greater than or equal to 1; "
            "allowed: a whole number from 1",
        ),
        (
            "LLM_LIMITS",
            '{"a": {"jobs_in_flight": "many"}}',
            """LLM_LIMITS='{"a": {"jobs_in_flight": "many"}}': a.jobs_in_flight: Input should be a valid """
            'integer; allowed: text such as {"billing": {"requests_per_minute": 100}} '
            "(tokens_per_minute, jobs_in_flight, dollars_per_day)",
        ),
        (
            "LLM_PRICES",
            '{"mine": {"input": 1}}',
            """LLM_PRICES='{"mine": {"input": 1}}': mine.output: Field required; allowed: """
            'text such as {"my-model": {"input": 0.5, "output": 1.5, "cached": 0.1}} '
            "(dollars for a million tokens)",
        ),
    ],
)
def test_a_wrong_value_is_one_line_with_the_variable_the_value_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, line: str
) -> None:
    monkeypatch.setenv(name, value)
    assert refusal() == f"configuration error: {line}"


def test_every_wrong_value_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_TTL_HOURS", "-1")
    monkeypatch.setenv("KAFKA_ENABLED", "2")
    assert [line.split(":")[1].split("=")[0].strip() for line in refusal().splitlines()] == [
        "REDIS_TTL_HOURS",
        "KAFKA_ENABLED",
    ]


def test_a_value_with_line_breaks_is_still_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_LOG_LEVEL", "INFO\nDEBUG")
    assert len(refusal().splitlines()) == 1


def test_secrets_are_in_no_text_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a password in the address of Redis, beside a wrong value
    monkeypatch.setenv("REDIS_URL", f"redis://:{CANARY}@localhost:6379")
    settings = load_settings(ServiceSettings)
    assert CANARY in settings.redis_url.get_secret_value()
    # Then neither the settings nor a refusal show it
    assert CANARY not in f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"
    monkeypatch.setenv("KAFKA_ENABLED", "maybe")
    assert CANARY not in refusal()


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings(ServiceSettings).llm_app_name = "another"  # type: ignore[misc] # that is the point


@pytest.mark.parametrize("hours", ["inf", "nan", "1e9"])
def test_a_retention_beyond_the_calendar_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, hours: str
) -> None:
    monkeypatch.setenv("REDIS_TTL_HOURS", hours)
    assert refusal().startswith("configuration error: REDIS_TTL_HOURS=")


def test_a_duration_is_finite() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(PositiveSeconds).validate_python("inf")


def test_a_number_of_tokens_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_DEFAULT_MAX_TOKENS", "0")
    assert "LLM_DEFAULT_MAX_TOKENS='0'" in refusal()
