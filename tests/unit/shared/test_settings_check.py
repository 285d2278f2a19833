"""Every setting refuses what it cannot be, in one line, and `--check` shows what would hold."""

import subprocess
import sys
from pathlib import Path
from typing import Literal, get_origin

import pytest
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from gateway.settings import GatewaySettings
from main import OneProcessSettings
from shared.settings import load_settings
from shared.settings_check import without_credentials
from tests.support.service_processes import ROOT, clean_environment
from worker.settings import WorkerSettings

CANARY = "CANARY-0123456789"
SERVICES: dict[str, type[BaseSettings]] = {"gateway": GatewaySettings, "worker": WorkerSettings}
ANY_TEXT = {
    "llm_app_name",
    "llm_version",
    "llm_log_file",
    "llm_default_model",
    "llm_host",
    "worker_health_host",
    "openai_api_key",
    "kafka_consumer_group",
    "llm_auth_tokens",  # looked at when the gate is on: test_access.py
    "llm_auth_tokens_file",
    "llm_sealing_jwks_file",  # looked at when it is read: test_sealed_keys.py
    "worker_sealing_keys_file",
    "kafka_sasl_username",  # looked at beside the protocol: test_kafka_security.py
    "kafka_sasl_password",
    "kafka_ssl_ca_file",
    "kafka_ssl_cert_file",
    "kafka_ssl_key_file",
    "redis_ssl_ca_file",  # beside the address: test_redis_url.py
    "redis_ssl_cert_file",
    "redis_ssl_key_file",
}
SECRET = {"redis_url", "openai_api_key"}


def wrong_values(field: FieldInfo) -> list[str]:
    if get_origin(field.annotation) is Literal:
        return ["LOUD"]
    if field.annotation is bool:
        return ["perhaps"]
    if field.annotation not in (int, float):
        return ["not/a value", ","]
    limits = {name: getattr(part, name) for part in field.metadata for name in vars_of(part)}
    beyond = [limits[name] + step for name, step in (("ge", -1), ("gt", 0), ("le", 1)) if name in limits]
    return [
        "many",
        *(f"{value:.12g}" for value in beyond),
        *(["nan"] if field.annotation is float else ["1.5"]),
    ]


def vars_of(part: object) -> list[str]:
    return [name for name in ("ge", "gt", "le", "lt") if hasattr(part, name)]


WRONG = [
    (service, name, value)
    for service, settings in SERVICES.items()
    for name, field in settings.model_fields.items()
    if name not in ANY_TEXT
    for value in wrong_values(field)
    if not (name in ("llm_supported_models", "llm_fallback_models") and value != ",")
]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of ours, and no `.env`."""
    monkeypatch.chdir(tmp_path)
    for name in OneProcessSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(("service", "name", "value"), WRONG)
def test_a_wrong_value_names_the_variable_the_value_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, service: str, name: str, value: str
) -> None:
    monkeypatch.setenv(name.upper(), value)
    with pytest.raises(SystemExit) as stopped:
        load_settings(SERVICES[service])
    (line,) = [line for line in str(stopped.value).splitlines() if name.upper() in line]
    assert line.startswith(f"configuration error: {name.upper()}")
    assert "; allowed: " in line
    assert (repr(value) in line) is (name not in SECRET)


def test_a_password_and_a_key_in_a_wrong_value_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"http://:{CANARY}@localhost")
    monkeypatch.setenv("OPENAI_BASE_URL", f"ftp://user:{CANARY}@host")
    monkeypatch.setenv("WORKER_MAX_RUNS", f"sk-{CANARY}")
    with pytest.raises(SystemExit) as stopped:
        load_settings(WorkerSettings)
    assert CANARY not in str(stopped.value)
    assert len(str(stopped.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("redis://:a:b/c@d@host:6379/0", "redis://***@host:6379/0"),
        (
            "redis+sentinel://h/m?sentinel_password=secret&db=1",
            "redis+sentinel://h/m?sentinel_password=***&db=1",
        ),
        ("https://api.example/v1", "https://api.example/v1"),
    ],
)
def test_an_address_is_shown_without_what_only_its_owner_may_know(address: str, shown: str) -> None:
    assert without_credentials(address) == shown


def check(program: list[str], folder: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *program, *words],
        cwd=folder,
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


PROGRAMS = {"gateway": ["-m", "gateway"], "worker": ["-m", "worker"], "main": [str(ROOT / "main.py")]}


@pytest.mark.parametrize("program", list(PROGRAMS))
def test_check_prints_the_effective_settings_without_secrets(program: str, tmp_path: Path) -> None:
    # Given settings from a file and from the environment, which wins
    lines = ["KAFKA_ENABLED=true", "KAFKA_CONSUMER_GROUP=from-the-file", "LLM_APP_NAME=from-the-file"]
    (tmp_path / ".env").write_text("\n".join([*lines, f"OPENAI_API_KEY=sk-{CANARY}"]))
    secret = {"REDIS_URL": f"redis://:{CANARY}@host:6379/0", "LLM_APP_NAME": "from-the-environment"}
    # When it is checked, then nothing starts and everything is said
    checked = check(PROGRAMS[program], tmp_path, "--check", **secret)
    assert (checked.returncode, checked.stderr) == (0, "")
    shown = dict(line.split("=", 1) for line in checked.stdout.splitlines())
    assert shown["LLM_APP_NAME"] == "from-the-environment"
    assert shown["REDIS_URL"] == "redis://***@host:6379/0"
    assert CANARY not in checked.stdout
    if program != "gateway":
        assert (shown["KAFKA_CONSUMER_GROUP"], shown["OPENAI_API_KEY"]) == ("from-the-file", "***")
    settings = SERVICES.get(program, OneProcessSettings)
    assert set(shown) == {name.upper() for name in settings.model_fields}
    # And what it printed, taken as settings, prints the same again
    again = check(PROGRAMS[program], tmp_path, "--check", **(shown | secret))
    assert again.stdout == checked.stdout


@pytest.mark.parametrize("program", list(PROGRAMS))
def test_check_of_wrong_settings_says_what_a_start_would_say(program: str, tmp_path: Path) -> None:
    wrong = {"REDIS_TTL_HOURS": "0", "OPENAI_API_KEY": "sk-x"}
    checked = check(PROGRAMS[program], tmp_path, "--check", **wrong)
    assert (checked.returncode, checked.stdout) == (2, "")
    started = check(PROGRAMS[program], tmp_path, **wrong)
    assert started.stderr == checked.stderr
    assert "REDIS_TTL_HOURS='0'" in checked.stderr


def test_an_unknown_argument_is_refused(tmp_path: Path) -> None:
    refused = check(PROGRAMS["gateway"], tmp_path, "--chekc")
    assert refused.returncode == 2
    assert "--chekc: unknown; allowed: nothing, or --check" in refused.stderr
    assert not list(tmp_path.iterdir())
