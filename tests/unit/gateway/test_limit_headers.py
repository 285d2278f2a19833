"""Structured lists, as draft-ietf-httpapi-ratelimit-headers has them: policies, and what they leave."""

from gateway.limit_headers import limit_headers
from shared.domain.limits import NANO, Limits, Standing
from shared.limits import Admission

ALL = Limits(requests_per_minute=10, tokens_per_minute=5000, jobs_in_flight=3, dollars_per_day=1.5)


def test_every_policy_is_named_with_its_quota_unit_and_window() -> None:
    assert limit_headers(Admission(ALL)) == {
        "RateLimit-Policy": '"requests";q=10;w=60, "tokens";q=5000;qu="tokens";w=60, '
        '"jobs";q=3;qu="concurrent-requests", "dollars";q=1500000;qu="micro-dollars";w=86400'
    }


def test_what_is_left_is_never_negative_and_a_time_is_rounded_up() -> None:
    standing = Standing(4, 7000, 3, NANO, NANO // 2, 12.2, 12.2, 3600.5)
    assert limit_headers(Admission(ALL, standing))["RateLimit"] == (
        '"requests";r=6;t=13, "tokens";r=0;t=13, "jobs";r=0, "dollars";r=500000;t=3601'
    )


def test_a_limit_that_is_not_set_is_not_told() -> None:
    headers = limit_headers(Admission(Limits(jobs_in_flight=3), Standing(4, 0, 1, 0, 0, 12.2, 12.2, 9.0)))
    assert headers == {"RateLimit-Policy": '"jobs";q=3;qu="concurrent-requests"', "RateLimit": '"jobs";r=2'}
