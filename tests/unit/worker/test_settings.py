"""What only workers are told."""

from pathlib import Path

import pytest

from shared.settings import load_settings
from worker.settings import WorkerSettings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in WorkerSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_there_are_no_fallbacks_unless_they_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings(WorkerSettings).llm_fallback_models == ()
    monkeypatch.setenv("LLM_FALLBACK_MODELS", " gpt-4o-mini, my-own ,,")
    assert load_settings(WorkerSettings).llm_fallback_models == ("gpt-4o-mini", "my-own")


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("LLM_FALLBACK_MODELS", "*", "* names no model"),
        ("LLM_FALLBACK_MODELS", "gpt-4o,gpt-4o-mini,gpt-4o", "it names gpt-4o twice"),
        ("WORKER_BREAKER_FAILURES", "-1", "greater than or equal to 0"),
        ("WORKER_BREAKER_SECONDS", "0", "greater than 0"),
    ],
)
def test_a_wrong_value_is_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stopped:
        load_settings(WorkerSettings)
    [line] = str(stopped.value).splitlines()
    assert line.startswith(f"configuration error: {name}={value!r}: ")
    assert problem in line
    assert "; allowed: " in line
