"""The rule that docs/secure.md gives a Redis user, and who has it."""

import re

from redis import Redis

from tests.support.service_processes import ROOT

_RULE = re.compile(r"<!-- redis_acl -->\n```\nACL SETUSER llm on >PASSWORD (.*?)\n```", re.DOTALL)
_USER, _PASSWORD = "llm", "CANARY-secret"


def documented_rule() -> list[str]:
    [rule] = _RULE.findall((ROOT / "docs" / "secure.md").read_text())
    return str(rule).split()


def with_least_rights(url: str, *more: str) -> str:
    """The same server as a user who has only these."""
    with Redis.from_url(url) as admin:
        rule = [*documented_rule(), *more]
        admin.execute_command("ACL", "SETUSER", _USER, "reset", "on", f">{_PASSWORD}", *rule)
    return url.replace("://", f"://{_USER}:{_PASSWORD}@")
