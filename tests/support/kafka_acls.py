"""Rights on a Kafka whose authorizer gives nobody any."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest

_RESOURCE = {"topic": 2, "group": 3, "cluster": 4}
_OPERATION = {"READ": 3, "WRITE": 4, "CREATE": 5, "DESCRIBE": 8}
_LITERAL, _ALLOW = 3, 3


class Acl(NamedTuple):
    """`right` on one topic or group."""

    right: str
    kind: str
    name: str


async def allow(bootstrap_servers: str, principal: str, acls: Iterable[Acl]) -> None:
    await _change(bootstrap_servers, CreateAclsRequest, principal, acls)


async def forbid(bootstrap_servers: str, principal: str, acls: Iterable[Acl]) -> None:
    await _change(bootstrap_servers, DeleteAclsRequest, principal, acls)


async def _change(bootstrap_servers: str, request: Any, principal: str, acls: Iterable[Acl]) -> None:
    client = AIOKafkaClient(bootstrap_servers=bootstrap_servers)
    await client.bootstrap()
    try:
        for acl in acls:
            words = (_RESOURCE[acl.kind], acl.name, _LITERAL, principal, "*", _OPERATION[acl.right], _ALLOW)
            reply = (await client.send(client.get_random_node(), request(*words))).to_object()
            [answer] = reply.get("creation_responses") or reply["filter_responses"]
            assert answer["error_code"] == 0, answer
    finally:
        await client.close()
