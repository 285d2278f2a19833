{{- define "llm-microservice.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* Cut at 48, so that "-gateway" and the pods' own suffixes still fit. */ -}}
{{- define "llm-microservice.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 48 | trimSuffix "-" -}}
{{- else if contains (include "llm-microservice.name" .) .Release.Name -}}
{{- .Release.Name | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "llm-microservice.name" .) | trunc 48 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* The templates below take (dict "root" $ "component" "gateway"). */ -}}
{{- define "llm-microservice.selectorLabels" -}}
app.kubernetes.io/name: {{ include "llm-microservice.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "llm-microservice.labels" -}}
{{ include "llm-microservice.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "llm-microservice.metadata" -}}
name: {{ include "llm-microservice.fullname" .root }}-{{ .component }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "llm-microservice.labels" . | nindent 2 }}
{{- end -}}

{{- define "llm-microservice.podMetadata" -}}
labels:
  {{- include "llm-microservice.selectorLabels" . | nindent 2 }}
annotations:
  # New configuration, new pods: a worker takes its drain to leave, so the gateway's settings do not restart it.
  checksum/config: {{ include (printf "%s/%s-configmap.yaml" .root.Template.BasePath .component) .root | sha256sum }}
{{- end -}}

{{- /* What both pods share beside their container. Service links would put LLM_PORT=tcp://… into a pod beside a Service called "llm". */ -}}
{{- define "llm-microservice.podSpec" -}}
{{- $values := get .root.Values .component -}}
enableServiceLinks: false
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: logs
    emptyDir: {}
  - name: tmp
    emptyDir: {}
  {{- if and (eq .component "gateway") $values.auth.existingSecret }}
  - name: tokens
    secret:
      secretName: {{ $values.auth.existingSecret }}
  {{- end }}
{{- end -}}

{{- define "llm-microservice.container" -}}
{{- $values := get .root.Values .component -}}
name: {{ .component }}
image: {{ printf "%s:%s" $values.image.repository (default .root.Chart.AppVersion $values.image.tag) | quote }}
imagePullPolicy: {{ $values.image.pullPolicy }}
ports:
  - name: http
    containerPort: {{ .port }}
envFrom:
  - configMapRef:
      name: {{ include "llm-microservice.fullname" .root }}-{{ .component }}
startupProbe:
  httpGet:
    path: /health/live
    port: http
  periodSeconds: 2
  failureThreshold: 30
readinessProbe:
  httpGet:
    path: /health/ready
    port: http
  periodSeconds: 5
  timeoutSeconds: 3
livenessProbe:
  httpGet:
    path: /health/live
    port: http
  periodSeconds: 10
  timeoutSeconds: 5
resources:
  {{- toYaml $values.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
volumeMounts:
  - name: logs
    mountPath: /app/logs
  - name: tmp
    mountPath: /tmp
  {{- if and (eq .component "gateway") $values.auth.existingSecret }}
  # The whole folder: a single mounted key would never change.
  - name: tokens
    mountPath: /etc/llm/tokens
    readOnly: true
  {{- end }}
{{- end -}}

{{- /* Environment of both services. */ -}}
{{- define "llm-microservice.commonEnv" -}}
LLM_APP_NAME: {{ include "llm-microservice.fullname" . | quote }}
LLM_LOG_LEVEL: {{ .Values.llm.logLevel | quote }}
LLM_LOG_FILE: /app/logs/llm-service.log
LLM_DEFAULT_MODEL: {{ .Values.llm.defaultModel | quote }}
LLM_SUPPORTED_MODELS: {{ join "," .Values.llm.supportedModels | quote }}
REDIS_ENABLED: "true"
REDIS_URL: {{ .Values.redis.url | quote }}
REDIS_TTL_HOURS: {{ .Values.redis.ttlHours | quote }}
REDIS_MAX_CONNECTIONS: {{ .Values.redis.maxConnections | int | quote }}
KAFKA_ENABLED: "true"
KAFKA_BOOTSTRAP_SERVERS: {{ .Values.kafka.bootstrapServers | quote }}
KAFKA_REQUEST_TOPIC: {{ .Values.kafka.requestTopic | quote }}
KAFKA_METRICS_TOPIC: {{ .Values.kafka.metricsTopic | quote }}
KAFKA_ERROR_TOPIC: {{ .Values.kafka.errorTopic | quote }}
KAFKA_DEAD_LETTER_TOPIC: {{ .Values.kafka.deadLetterTopic | quote }}
KAFKA_REQUEST_PARTITIONS: {{ .Values.kafka.requestPartitions | int | quote }}
KAFKA_REPLICATION_FACTOR: {{ .Values.kafka.replicationFactor | int | quote }}
{{- end -}}
