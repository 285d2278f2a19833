"""A mistake of each kind, and the words of who finds it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mistake:
    """In a template, `right` becomes `wrong`; `told` is in the complaint. `example` shows it."""

    file: str
    right: str
    wrong: str
    told: str
    example: str = "all-on"


_KEDA = "keda.sh/v1alpha1\nkind: ScaledObject"
_MONITOR = "monitoring.coreos.com/v1\nkind: ServiceMonitor"
PLANTED = {
    "a misspelt field": Mistake(
        "worker-deployment.yaml", "terminationGracePeriod", "terminationGrace", "terminationGraceSeconds"
    ),
    "a wrong type": Mistake("gateway-service.yaml", "port: {{", "port: x{{", "'x80' is not of type"),
    "a wrong apiVersion": Mistake(
        "poddisruptionbudgets.yaml", "policy/v1", "policy/v1beta1", "policy/v1beta1"
    ),
    "a missing field": Mistake(
        "gateway-service.yaml", "      port: {{ .Values.gateway.service.port }}\n", "", "'port' is a required"
    ),
    "a misspelt field of KEDA": Mistake("_keda.tpl", "cooldownPeriod:", "coolDownPeriod:", "coolDownPeriod"),
    "a wrong type of KEDA": Mistake(
        "_keda.tpl", "maxReplicaCount: {{", "maxReplicaCount: x{{", "maxReplicaCount must be integer"
    ),
    "a missing field of KEDA": Mistake("_keda.tpl", "    name: {{ $name }}\n", "", "required property name"),
    "a wrong apiVersion of KEDA": Mistake(
        "_keda.tpl", _KEDA, "keda.sh/v1\nkind: ScaledObject", "ScaledObject with api version keda.sh/v1 "
    ),
    "a wrong trigger key": Mistake(
        "_keda.tpl", "\nlagThreshold:", "\nlagTreshold:", "lagTreshold: not a key"
    ),
    "a missing trigger key": Mistake("_keda.tpl", "consumerGroup: {{", "# {{", "consumerGroup: missing"),
    "a wrong trigger value": Mistake(
        "_keda.tpl", '"scram_sha512"', '"SCRAM-SHA-512"', "sasl='SCRAM-SHA-512': not allowed", "tls-sasl"
    ),
    "a trigger value that is no text": Mistake(
        "_keda.tpl",
        'allowIdleConsumers: "false"',
        "allowIdleConsumers: false",
        "allowIdleConsumers must be string",
    ),
    "a wrong trigger parameter": Mistake(
        "_keda.tpl", '(list "ca" ', '(list "caCert" ', "caCert: not an auth"
    ),
    "a missing trigger parameter": Mistake(
        "_keda.tpl",
        '(list "key" .clientSecret .keyKey)',
        '(list "ca" "a" "b")',
        "cert and key belong together",
    ),
    "a misspelt field of a monitor": Mistake(
        "monitors.yaml", "podMetricsEndpoints:", "podMetricEndpoints:", "podMetricEndpoints"
    ),
    "a misspelt field in an endpoint": Mistake(
        "monitors.yaml", "  endpoints:\n    - port:", "  endpoints:\n    - ports:", "ports"
    ),
    "a wrong apiVersion of a monitor": Mistake(
        "monitors.yaml",
        _MONITOR,
        "monitoring.coreos.com/v2\nkind: ServiceMonitor",
        "monitoring.coreos.com/v2",
    ),
    "a misspelt field of a route": Mistake(
        "gateway-httproute.yaml", "backendRefs:", "backendReferences:", "backendReferences"
    ),
    "a wrong value of a route": Mistake(
        "gateway-httproute.yaml", "type: PathPrefix", "type: Prefix", "type must be equal to one of"
    ),
    "two of one name": Mistake(
        "demo-kafka.yaml",
        '"component" "demo-kafka" }}',
        '"component" "demo-redis" }}',
        "StatefulSet/release-llm-microservice-demo-redis: 2 times",
        "demo",
    ),
}
