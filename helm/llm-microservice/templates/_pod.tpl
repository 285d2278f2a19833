{{- define "llm-microservice.podMetadata" -}}
labels:
  {{- include "llm-microservice.selectorLabels" . | nindent 2 }}
annotations:
  # New configuration, new pods: a worker takes its drain to leave, so the gateway's settings do not restart it.
  checksum/config: {{ include (printf "%s/%s-configmap.yaml" .root.Template.BasePath .component) .root | sha256sum }}
  checksum/secrets: {{ include "llm-microservice.secretsReadAtStart" . | sha256sum }}
  {{- with (get .root.Values .component).podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- /* Everything here runs as nobody special. Service links would put LLM_PORT=tcp://… into a pod beside a Service called "llm". */ -}}
{{- define "llm-microservice.podSecurity" -}}
enableServiceLinks: false
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .user }}
  runAsGroup: {{ .user }}
  fsGroup: {{ .user }}
  seccompProfile:
    type: RuntimeDefault
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "llm-microservice.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{- /* What both pods share beside their container. */ -}}
{{- define "llm-microservice.podSpec" -}}
{{- $values := get .root.Values .component -}}
serviceAccountName: {{ include "llm-microservice.serviceAccountName" . }}
{{ include "llm-microservice.podSecurity" (dict "root" .root "user" 10001) }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
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
{{- include "llm-microservice.topologySpread" . }}
volumes:
  - name: logs
    emptyDir:
      sizeLimit: {{ .root.Values.logVolumeSize }}
  - name: tmp
    emptyDir:
      sizeLimit: 64Mi
  {{- include "llm-microservice.secretVolumes" . | nindent 2 }}
{{- end -}}

{{- define "llm-microservice.topologySpread" -}}
{{- with .root.Values.topologySpread }}
{{- if .enabled }}
topologySpreadConstraints:
  {{- range .topologyKeys }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: {{ $.root.Values.topologySpread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "llm-microservice.selectorLabels" $ | nindent 8 }}
    # Pods of the revision that is leaving do not count.
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "llm-microservice.container" -}}
name: {{ .component }}
{{ include "llm-microservice.image" . }}
ports:
  - name: http
    containerPort: {{ .port }}
envFrom:
  - configMapRef:
      name: {{ include "llm-microservice.fullname" .root }}-{{ .component }}
{{- include "llm-microservice.env" . }}
# Twice the minute that a start waits for Kafka.
startupProbe:
  httpGet:
    path: /health/live
    port: http
  periodSeconds: 2
  failureThreshold: 60
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
  {{- toYaml (get .root.Values .component).resources | nindent 2 }}
{{ include "llm-microservice.containerSecurity" . }}
volumeMounts:
  - name: logs
    mountPath: /app/logs
  - name: tmp
    mountPath: /tmp
  {{- include "llm-microservice.secretMounts" . | nindent 2 }}
{{- end -}}
