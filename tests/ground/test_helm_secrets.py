"""Who holds which secret, and that no other manifest does."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ground.helm_chart import render
from tests.ground.test_helm import container, find, pod

pytestmark = pytest.mark.timeout(900)
PRIVATE, PUBLIC = "private-canary", "public-canary"


def given(manifests: list[dict[str, Any]], component: str) -> dict[str, str]:
    data: dict[str, str] = find(manifests, "Secret", component)["stringData"]
    return data


def volumes(manifests: list[dict[str, Any]], component: str) -> dict[str, Any]:
    return {v["name"]: v["secret"] for v in pod(manifests, component)["volumes"] if "secret" in v}


def test_given_secrets_are_in_secrets_alone(newest_helm: Path) -> None:
    manifests = render(newest_helm, example="tls-sasl")
    others = yaml.safe_dump([manifest for manifest in manifests if manifest["kind"] != "Secret"])
    values = [value for m in manifests if m["kind"] == "Secret" for value in m["stringData"].values()]
    assert len(values) == 7
    for value in values:
        assert value == "llm" or value.strip() not in others  # a user name is in other words too


def test_a_given_provider_key_is_the_workers_alone(newest_helm: Path) -> None:
    manifests = render(newest_helm, "openai.apiKey=sk-canary")
    secret = find(manifests, "Secret", "worker")
    assert secret["stringData"] == {"OPENAI_API_KEY": "sk-canary"}
    [variable] = container(manifests, "worker")["env"]
    assert variable["valueFrom"]["secretKeyRef"] == {
        "name": secret["metadata"]["name"],
        "key": "OPENAI_API_KEY",
    }
    assert secret["metadata"]["name"] not in str(pod(manifests, "gateway"))


@pytest.mark.parametrize("url", ["redis://:canary@redis:6379", "redis://redis:6379?password=canary"])
def test_a_redis_url_with_a_password_is_no_setting_but_a_secret(newest_helm: Path, url: str) -> None:
    manifests = render(newest_helm, f"redis.url={url}")
    assert given(manifests, "brokers") == {"REDIS_URL": url}
    for component in ("gateway", "worker"):
        assert "REDIS_URL" not in find(manifests, "ConfigMap", component)["data"]
        [variable] = container(manifests, component)["env"]
        assert variable["name"] == "REDIS_URL"


def test_each_side_mounts_its_own_sealing_keys(newest_helm: Path) -> None:
    manifests = render(newest_helm, "sealing.existingSecret=keys")
    for component, entry, variable in (
        ("gateway", "sealing-jwks.json", "LLM_SEALING_JWKS_FILE"),
        ("worker", "sealing-keys.json", "WORKER_SEALING_KEYS_FILE"),
    ):
        assert volumes(manifests, component)["sealing"] == {
            "secretName": "keys",
            "defaultMode": 0o440,  # a worker refuses private keys that all may read
            "items": [{"key": entry, "path": entry}],
        }
        assert find(manifests, "ConfigMap", component)["data"][variable] == f"/etc/llm/sealing/{entry}"


def test_given_sealing_keys_go_to_two_secrets(newest_helm: Path) -> None:
    manifests = render(newest_helm, f"sealing.privateKeys={PRIVATE}", f"sealing.publicKeys={PUBLIC}")
    assert given(manifests, "worker") == {"sealing-keys.json": PRIVATE}
    assert given(manifests, "gateway") == {"sealing-jwks.json": PUBLIC}
    names = {
        component: volumes(manifests, component)["sealing"]["secretName"]
        for component in ("worker", "gateway")
    }
    assert names["worker"].endswith("-worker")
    assert names["gateway"].endswith("-gateway")


@pytest.mark.parametrize(
    ("setting", "restarted"),
    [
        ("kafka.sasl.password=other", {"gateway", "worker"}),
        ("openai.apiKey=sk-other", {"worker"}),
        ("gateway.auth.tokens=a=b", set()),
        ("gateway.maxWaitSeconds=100", {"gateway"}),
    ],
)
def test_a_change_restarts_those_who_read_it_at_their_start_and_nobody_else(
    newest_helm: Path, setting: str, restarted: set[str]
) -> None:
    """A worker takes its drain to leave; files are read again while it runs."""
    before, after = (render(newest_helm, *more, example="tls-sasl") for more in ((), (setting,)))
    assert restarted == {
        component
        for component in ("gateway", "worker")
        if find(before, "Deployment", component) != find(after, "Deployment", component)
    }


def test_certificates_are_files_where_the_settings_say(newest_helm: Path) -> None:
    manifests = render(newest_helm, example="all-on")
    for component in ("gateway", "worker"):
        settings = find(manifests, "ConfigMap", component)["data"]
        mounts = {
            mount["name"]: mount["mountPath"] for mount in container(manifests, component)["volumeMounts"]
        }
        files = {
            f"{mounts[name]}/{item['path']}"
            for name, secret in volumes(manifests, component).items()
            for item in secret["items"]
        }
        named = {
            value for name, value in settings.items() if name.endswith("_FILE") and name != "LLM_LOG_FILE"
        }
        assert named == files


def test_what_is_extra_takes_the_place_of_the_charts_own(newest_helm: Path) -> None:
    """A name that stood twice would be merged by chance."""
    account = ("kafka.sasl.mechanism=PLAIN", "kafka.sasl.username=both", "kafka.sasl.password=p")
    extra = ("gateway.extraEnv[0].name=KAFKA_SASL_USERNAME", "gateway.extraEnv[0].value=own")
    manifests = render(newest_helm, *account, *extra)
    assert [each["name"] for each in container(manifests, "gateway")["env"]] == [
        "KAFKA_SASL_PASSWORD",
        "KAFKA_SASL_USERNAME",
    ]
    assert container(manifests, "gateway")["env"][-1] == {"name": "KAFKA_SASL_USERNAME", "value": "own"}
