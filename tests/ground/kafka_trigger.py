"""KEDA's kafka trigger: its metadata is free text to every schema, and KEDA ignores a key it does not know.

The keys are those that KEDA documents for 2.18 and later (scalers/apache-kafka).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_BOOLEANS = {"true", "false"}
_SASL = {"none", "plaintext", "scram_sha256", "scram_sha512", "gssapi", "oauthbearer"}
_ANY = r".+"
_METADATA: dict[str, str | set[str]] = {
    "bootstrapServers": r"[^,:\s]+:\d+(,[^,:\s]+:\d+)*",
    "consumerGroup": _ANY,
    "topic": _ANY,
    "lagThreshold": r"[1-9]\d*",
    "activationLagThreshold": r"\d+",
    "offsetResetPolicy": {"latest", "earliest"},
    "allowIdleConsumers": _BOOLEANS,
    "scaleToZeroOnInvalidOffset": _BOOLEANS,
    "excludePersistentLag": _BOOLEANS,
    "limitToPartitionsWithLag": _BOOLEANS,
    "ensureEvenDistributionOfPartitions": _BOOLEANS,
    "version": r"\d+(\.\d+){2,3}",
    "partitionLimitation": r"\d+(-\d+)?(,\d+(-\d+)?)*",
    "sasl": _SASL,
    "saslTokenProvider": {"bearer", "aws_msk_iam"},
    "tls": {"enable", "disable"},
    "unsafeSsl": _BOOLEANS,
    "awsRegion": _ANY,
}
_REQUIRED = ("bootstrapServers", "consumerGroup")
_AUTHENTICATION = {
    "sasl",
    "saslTokenProvider",
    "username",
    "password",
    "keytab",
    "realm",
    "kerberosConfig",
    "kerberosServiceName",
    "kerberosDisableFAST",
    "oauthTokenEndpointUri",
    "scopes",
    "oauthExtensions",
    "tls",
    "ca",
    "cert",
    "key",
    "keyPassword",
    "awsRoleArn",
    "awsAccessKeyID",
    "awsSecretAccessKey",
}


def trigger_complaints(
    scaled_object: dict[str, Any], authentications: Mapping[str, dict[str, Any]]
) -> Iterator[str]:
    """A line for each thing that KEDA would ignore or refuse; `authentications` by their name."""
    for trigger in scaled_object["spec"]["triggers"]:
        if trigger["type"] != "kafka":
            yield f"trigger type {trigger['type']}: not kafka"
            continue
        parameters: set[str] = set()
        if reference := trigger.get("authenticationRef"):
            if reference["name"] not in authentications:
                yield f"authenticationRef {reference['name']}: there is none"
                continue
            targets = authentications[reference["name"]]["spec"]["secretTargetRef"]
            parameters = {target["parameter"] for target in targets}
        yield from _of_metadata(trigger["metadata"])
        yield from _of_parameters(trigger["metadata"], parameters)


def _of_metadata(metadata: Mapping[str, str]) -> Iterator[str]:
    for name in _REQUIRED:
        if name not in metadata:
            yield f"{name}: missing"
    for name, value in metadata.items():
        if name not in _METADATA:
            yield f"{name}: not a key of the kafka trigger"
        elif not _is_allowed(value, _METADATA[name]):
            yield f"{name}={value!r}: not allowed"
    if metadata.get("limitToPartitionsWithLag") == metadata.get("allowIdleConsumers") == "true":
        yield "limitToPartitionsWithLag and allowIdleConsumers exclude each other"


def _is_allowed(value: str, allowed: str | set[str]) -> bool:
    return value in allowed if isinstance(allowed, set) else bool(re.fullmatch(allowed, value))


def _of_parameters(metadata: Mapping[str, str], parameters: set[str]) -> Iterator[str]:
    for name in sorted(parameters - _AUTHENTICATION):
        yield f"{name}: not an authentication parameter of the kafka trigger"
    if metadata.get("sasl", "none") != "none" and not {"username", "password"} <= parameters:
        yield f"sasl={metadata['sasl']}: username or password is missing"
    if ("cert" in parameters) != ("key" in parameters):
        yield "cert and key belong together"
    if {"ca", "cert"} & parameters and metadata.get("tls") != "enable":
        yield "certificates are given, and tls is not enabled"
