{{- define "llm-microservice.scaledObject" -}}
{{- $worker := dict "root" . "component" "worker" -}}
{{- $name := printf "%s-worker" (include "llm-microservice.fullname" .) -}}
{{- $autoscaling := .Values.worker.autoscaling -}}
{{- with $autoscaling.keda -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  {{- include "llm-microservice.metadata" $worker | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ $name }}
  minReplicaCount: {{ $autoscaling.minReplicas }}
  maxReplicaCount: {{ $autoscaling.maxReplicas }}
  pollingInterval: {{ .pollingIntervalSeconds }}
  cooldownPeriod: {{ .cooldownSeconds }}
  {{- if .fallback.failureThreshold }}
  fallback:
    failureThreshold: {{ .fallback.failureThreshold }}
    replicas: {{ .fallback.replicas }}
  {{- end }}
  {{- with $autoscaling.behavior }}
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        {{- toYaml . | nindent 8 }}
  {{- end }}
  triggers:
    {{- $authentication := default (include "llm-microservice.triggerAuthenticationName" $) .authenticationRef }}
    {{- range $lane := list "" ".high" ".low" }}
    - type: kafka
      metadata:
        {{- include "llm-microservice.kafkaTrigger" (dict "root" $ "lane" $lane) | nindent 8 }}
      {{- with $authentication }}
      authenticationRef:
        name: {{ . }}
      {{- end }}
    {{- end }}
{{- end }}
{{- include "llm-microservice.triggerAuthentication" . }}
{{- end -}}

{{- /* Every value of a trigger is text. The lane is what its names end with. */ -}}
{{- define "llm-microservice.kafkaTrigger" -}}
{{- $lane := .lane -}}
{{- $root := .root -}}
{{- with .root.Values.worker.autoscaling.keda -}}
bootstrapServers: {{ include "llm-microservice.bootstrapServers" $root | quote }}
consumerGroup: {{ printf "%s%s" $root.Values.kafka.consumerGroup $lane | quote }}
topic: {{ printf "%s%s" $root.Values.kafka.requestTopic $lane | quote }}
lagThreshold: {{ default $root.Values.worker.concurrency .lagThreshold | int | quote }}
activationLagThreshold: {{ .activationLagThreshold | int | quote }}
# As the workers begin.
offsetResetPolicy: earliest
allowIdleConsumers: "false"
scaleToZeroOnInvalidOffset: "false"
# A slow job holds its partition's offset for minutes: that is no poisoned record.
excludePersistentLag: "false"
limitToPartitionsWithLag: {{ .limitToPartitionsWithLag | quote }}
ensureEvenDistributionOfPartitions: {{ .ensureEvenDistributionOfPartitions | quote }}
{{- with .version }}
version: {{ . | quote }}
{{- end }}
sasl: {{ include "llm-microservice.kedaSasl" $root }}
tls: {{ ternary "enable" "disable" (eq (include "llm-microservice.hasKafkaTls" $root) "true") }}
unsafeSsl: "false"
{{- end }}
{{- end -}}

{{- /* KEDA's names of the mechanisms. */ -}}
{{- define "llm-microservice.kedaSasl" -}}
{{- if include "llm-microservice.hasSasl" . -}}
{{- get (dict "PLAIN" "plaintext" "SCRAM-SHA-256" "scram_sha256" "SCRAM-SHA-512" "scram_sha512") .Values.kafka.sasl.mechanism -}}
{{- else -}}
none
{{- end -}}
{{- end -}}

{{- /* Empty, if KEDA needs no Secret to ask Kafka. */ -}}
{{- define "llm-microservice.triggerAuthenticationName" -}}
{{- $tls := .Values.kafka.tls -}}
{{- if or (include "llm-microservice.hasSasl" .) (and (include "llm-microservice.hasKafkaTls" .) (or $tls.caSecret $tls.clientSecret)) -}}
{{ include "llm-microservice.fullname" . }}-kafka
{{- end -}}
{{- end -}}

{{- define "llm-microservice.triggerAuthentication" -}}
{{- if and (include "llm-microservice.triggerAuthenticationName" .) (not .Values.worker.autoscaling.keda.authenticationRef) }}
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata:
  {{- include "llm-microservice.metadata" (dict "root" . "component" "kafka") | nindent 2 }}
spec:
  secretTargetRef:
    {{- if include "llm-microservice.hasSasl" . }}
    {{- range $parameter, $place := include "llm-microservice.saslSecrets" . | fromJson }}
    {{- include "llm-microservice.triggerParameter" (prepend $place $parameter) | nindent 4 }}
    {{- end }}
    {{- end }}
    {{- if include "llm-microservice.hasKafkaTls" . }}
    {{- with .Values.kafka.tls }}
    {{- if .caSecret }}
    {{- include "llm-microservice.triggerParameter" (list "ca" .caSecret .caKey) | nindent 4 }}
    {{- end }}
    {{- if .clientSecret }}
    {{- include "llm-microservice.triggerParameter" (list "cert" .clientSecret .certKey) | nindent 4 }}
    {{- include "llm-microservice.triggerParameter" (list "key" .clientSecret .keyKey) | nindent 4 }}
    {{- end }}
    {{- end }}
    {{- end }}
{{- end }}
{{- end -}}

{{- /* (list parameter Secret entry) */ -}}
{{- define "llm-microservice.triggerParameter" -}}
- parameter: {{ index . 0 }}
  name: {{ index . 1 | quote }}
  key: {{ index . 2 | quote }}
{{- end -}}
