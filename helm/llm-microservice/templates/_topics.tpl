{{- define "llm-microservice.topicsPod" -}}
{{- $topics := dict "root" . "component" "topics" -}}
{{- $worker := dict "root" . "component" "worker" -}}
restartPolicy: Never
serviceAccountName: {{ include "llm-microservice.serviceAccountName" $worker }}
{{ include "llm-microservice.podSecurity" (dict "root" . "user" 10001) }}
containers:
  - name: topics
    {{- include "llm-microservice.image" $worker | nindent 4 }}
    command: [python, -m, worker.topics]
    env:
      {{- range $name, $value := include "llm-microservice.kafkaEnv" . | fromYaml }}
      - name: {{ $name }}
        value: {{ $value | quote }}
      {{- end }}
      - name: REDIS_TTL_HOURS # results stay on their topic as long
        value: {{ .Values.redis.ttlHours | quote }}
      {{- include "llm-microservice.saslSecretEnv" . | nindent 6 }}
    resources:
      {{- toYaml .Values.topics.resources | nindent 6 }}
    {{- include "llm-microservice.containerSecurity" . | nindent 4 }}
    {{- with include "llm-microservice.secretMounts" $topics }}
    volumeMounts:
      {{- . | nindent 6 }}
    {{- end }}
{{- with include "llm-microservice.secretVolumes" $topics }}
volumes:
  {{- . | nindent 2 }}
{{- end }}
{{- with .Values.worker.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.worker.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
