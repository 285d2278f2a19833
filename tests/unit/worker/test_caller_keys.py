"""Whatever a record brings as a key: the key of its call, or a refusal that repeats nothing of it."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from joserfc import jwe
from joserfc.jwk import OctKey, OKPKey
from pydantic import SecretStr

from shared.domain.errors import ErrorCode
from shared.domain.job import Job
from shared.key_file import KeyFile
from shared.sealing import seal
from tests.support.jobs import make_job
from worker.keys.caller_keys import CallerKeys
from worker.keys.key_files import new_key, write_keys

KEY = "sk-CANARY-of-a-caller"
SEALING = new_key()


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    private, public = tmp_path / "private", tmp_path / "public"
    write_keys([SEALING], private, public)
    return private, public


@pytest.fixture
def keys(files: tuple[Path, Path]) -> CallerKeys:
    return CallerKeys(KeyFile("X", str(files[0]), is_private=True), allows_clear=False)


def content_for(job: Job, **other: object) -> dict[str, object]:
    told = {"openai_api_key": KEY, "request_id": job.id.request_id, "owner": job.id.owner}
    return {**told, "exp": job.deadline.timestamp(), **other}


def sealed(content: object, header: Mapping[str, Any] | None = None, key: OKPKey = SEALING) -> str:
    protected = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": SEALING.kid, **(header or {})}
    return jwe.encrypt_compact(protected, json.dumps(content).encode(), key)


def settled(keys: CallerKeys, job: Job, compact: str) -> Job:
    return keys.settle(replace(job, sealed_key=compact))


def test_what_the_gateway_seals_is_the_key_of_the_call(keys: CallerKeys) -> None:
    asked = make_job(openai_api_key=KEY)
    opened = keys.settle(replace(asked, api_key=None, sealed_key=seal(SecretStr(KEY), asked, SEALING)))
    assert opened.api_key == SecretStr(KEY)
    assert (opened.sealed_key, opened.refusal) == (None, None)
    # And it is the same question as before it travelled
    assert opened.fingerprint == asked.fingerprint


def test_a_job_without_a_key_is_left_alone(keys: CallerKeys) -> None:
    job = make_job()
    assert keys.settle(job) is job


def test_the_deadline_of_the_seal_is_the_jobs_too(keys: CallerKeys) -> None:
    job = make_job()
    soon = datetime.now(UTC) + timedelta(seconds=5)
    opened = settled(keys, job, sealed(content_for(job, exp=soon.timestamp())))
    assert abs(opened.deadline - soon) < timedelta(milliseconds=1)


def base64url(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def refused_ways(job: Job) -> dict[str, tuple[str, str]]:
    good = sealed(content_for(job))
    head, *rest = good.split(".")
    header = json.loads(base64.urlsafe_b64decode(head + "=="))
    now = datetime.now(UTC).timestamp()
    direct = OctKey.generate_key(256)
    return {
        "another id": (sealed(content_for(job, request_id=str(uuid4()))), "another job"),
        "another owner": (sealed(content_for(job, owner="somebody")), "another job"),
        "no id": (sealed(content_for(job, request_id="x")), "holds something else"),
        "expired": (sealed(content_for(job, exp=now - 1)), "expired at"),
        "eternal": (sealed(content_for(job, exp=now + 10**7)), "too far away"),
        "exp in milliseconds": (sealed(content_for(job, exp=now * 1000)), "too far away|holds something"),
        "exp as text": (sealed(content_for(job, exp="soon")), "holds something else"),
        "no exp": (sealed({"openai_api_key": KEY, "request_id": job.id.request_id}), "holds something else"),
        "more": (sealed(content_for(job, more=1)), "holds something else"),
        "no key": (sealed(content_for(job, openai_api_key="")), "holds something else"),
        "a list": (sealed([KEY]), "holds something else"),
        "unknown kid": (sealed(content_for(job), {"kid": "K" * 300}), "is not known"),
        "kid as number": (base64url({**header, "kid": 1}) + "." + ".".join(rest), "names no kid"),
        "other key": (sealed(content_for(job), key=new_key()), "cannot be opened"),
        "other enc": (base64url({**header, "enc": "A128GCM"}) + "." + ".".join(rest), "enc"),
        "other alg": (
            jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM", "kid": SEALING.kid}, b"{}", direct),
            "alg",
        ),
        "zip": (sealed(content_for(job), {"zip": "DEF"}), "zip is not accepted"),
        "crit": (base64url({**header, "crit": ["x"]}) + "." + ".".join(rest), "cannot be opened"),
        "epk of another curve": (
            base64url({**header, "epk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}})
            + "."
            + ".".join(rest),
            "cannot be opened",
        ),
        "low order point": (
            base64url({**header, "epk": {"kty": "OKP", "crv": "X25519", "x": "A" * 43}})
            + "."
            + ".".join(rest),
            "cannot be opened",
        ),
        "cut tag": (good[:-4], "cannot be opened"),
        "fewer parts": (".".join([head, *rest[:2]]), "cannot be opened"),
        "the key itself": (KEY, "is no compact JWE"),
        "empty": ("", "is no compact JWE"),
        "not base64": ("§.§.§.§.§", "is no compact JWE"),
        "deep": (base64.urlsafe_b64encode(b"[" * 2000).decode() + ".a.b.c.d", "is no compact JWE"),
    }


@pytest.mark.parametrize("way", list(refused_ways(make_job())))
def test_what_was_not_sealed_for_this_record_is_refused(keys: CallerKeys, way: str) -> None:
    job = make_job()
    compact, reason = refused_ways(job)[way]
    refused = settled(keys, job, compact)
    assert refused.refusal is not None
    assert refused.refusal.error_code is ErrorCode.INVALID_SEALED_KEY
    assert any(word in refused.refusal.message for word in reason.split("|")), refused.refusal.message
    assert (refused.api_key, refused.sealed_key) == (None, None)
    assert KEY not in f"{refused!r} {refused.refusal!r}"
    assert len(refused.refusal.message) < 400


def test_a_key_in_the_clear_is_refused_unless_it_is_allowed() -> None:
    job = make_job(openai_api_key=KEY)
    refused = CallerKeys(None, allows_clear=False).settle(job)
    assert refused.refusal is not None
    assert (refused.refusal.error_code, refused.api_key) == (ErrorCode.API_KEY_NOT_ACCEPTED, None)
    assert CallerKeys(None, allows_clear=True).settle(job) is job
    both = CallerKeys(None, allows_clear=True).settle(replace(job, sealed_key="a.b.c.d.e"))
    assert both.refusal is not None
    assert both.refusal.error_code is ErrorCode.INVALID_SEALED_KEY


def test_a_worker_without_keys_says_so() -> None:
    job = make_job()
    refused = settled(CallerKeys(None, allows_clear=False), job, sealed(content_for(job)))
    assert refused.refusal is not None
    assert "WORKER_SEALING_KEYS_FILE" in refused.refusal.message


def test_a_new_key_is_looked_for_as_soon_as_something_is_sealed_to_it(files: tuple[Path, Path]) -> None:
    keys = CallerKeys(KeyFile("X", str(files[0]), is_private=True), allows_clear=False)
    fresh = new_key()
    write_keys([fresh, SEALING], *files)
    job = make_job()
    for key in (fresh, SEALING):
        opened = settled(keys, job, sealed(content_for(job), {"kid": key.kid}, key))
        assert opened.api_key == SecretStr(KEY)


def test_a_broken_file_keeps_the_keys_from_before(files: tuple[Path, Path]) -> None:
    keys = CallerKeys(KeyFile("X", str(files[0]), is_private=True), allows_clear=False)
    files[0].write_text("{")
    job = make_job()
    assert "is not known" in str(settled(keys, job, sealed(content_for(job), {"kid": "other"})).refusal)
    assert settled(keys, job, sealed(content_for(job))).api_key == SecretStr(KEY)
