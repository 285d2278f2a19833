{{- /* Environment out of Secrets: (dict "root" $ "component" "worker"). */ -}}
{{- define "llm-microservice.env" -}}
{{- $extra := (get .root.Values .component).extraEnv -}}
{{- $names := list -}}
{{- range $extra }}{{ $names = append $names .name }}{{ end -}}
{{- $entries := list -}}
{{- range concat (include "llm-microservice.brokerSecretEnv" .root | fromYamlArray) (include "llm-microservice.providerSecretEnv" . | fromYamlArray) }}
{{- if not (has .name $names) }}{{ $entries = append $entries . }}{{ end -}}
{{- end -}}
{{- with concat $entries $extra }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* (list VARIABLE Secret entry) */ -}}
{{- define "llm-microservice.fromSecret" -}}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef:
      name: {{ index . 1 | quote }}
      key: {{ index . 2 | quote }}
{{- end -}}

{{- define "llm-microservice.brokerSecretEnv" -}}
{{- $ours := printf "%s-brokers" (include "llm-microservice.fullname" .) -}}
{{- if include "llm-microservice.redisUrlIsSecret" . }}
{{ include "llm-microservice.fromSecret" (list "REDIS_URL" $ours "REDIS_URL") }}
{{- else if and .Values.redis.existingSecret (not .Values.demo.enabled) }}
{{ include "llm-microservice.fromSecret" (list "REDIS_URL" .Values.redis.existingSecret .Values.redis.secretKey) }}
{{- end }}
{{- include "llm-microservice.saslSecretEnv" . }}
{{- end -}}

{{- define "llm-microservice.saslSecretEnv" -}}
{{- if include "llm-microservice.hasSasl" . }}
{{- $secrets := include "llm-microservice.saslSecrets" . | fromJson }}
{{ include "llm-microservice.fromSecret" (prepend $secrets.username "KAFKA_SASL_USERNAME") }}
{{ include "llm-microservice.fromSecret" (prepend $secrets.password "KAFKA_SASL_PASSWORD") }}
{{- end }}
{{- end -}}

{{- define "llm-microservice.providerSecretEnv" -}}
{{- if eq .component "worker" }}
{{- with .root.Values.openai }}
{{- if .existingSecret }}
{{ include "llm-microservice.fromSecret" (list "OPENAI_API_KEY" .existingSecret .secretKey) }}
{{- else if .apiKey }}
{{ include "llm-microservice.fromSecret" (list "OPENAI_API_KEY" (printf "%s-worker" (include "llm-microservice.fullname" $.root)) "OPENAI_API_KEY") }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* Folders of files out of Secrets, as JSON: [{name, secret, items, path}]. A whole folder each: a single mounted key would
never change. */ -}}
{{- define "llm-microservice.secretFolders" -}}
{{- $folders := list -}}
{{- if not .root.Values.demo.enabled -}}
{{- if include "llm-microservice.hasKafkaTls" .root -}}
{{- $folders = concat $folders (include "llm-microservice.tlsFolders" (dict "of" "kafka" "tls" .root.Values.kafka.tls) | fromJsonArray) -}}
{{- end -}}
{{- if ne .component "topics" -}}
{{- $folders = concat $folders (include "llm-microservice.tlsFolders" (dict "of" "redis" "tls" .root.Values.redis.tls) | fromJsonArray) -}}
{{- end -}}
{{- end -}}
{{- if eq .component "gateway" -}}
{{- with .root.Values.gateway.auth -}}
{{- if or .existingSecret .tokens -}}
{{- $folders = append $folders (dict "name" "tokens" "secret" (default (printf "%s-gateway" (include "llm-microservice.fullname" $.root)) .existingSecret) "items" (list .secretKey)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .root.Values.sealing -}}
{{- if and (or .existingSecret .privateKeys) (ne $.component "topics") -}}
{{- $ours := printf "%s-%s" (include "llm-microservice.fullname" $.root) $.component -}}
{{- $folders = append $folders (dict "name" "sealing" "secret" (default $ours .existingSecret) "items" (list (ternary .publicKey .privateKey (eq $.component "gateway")))) -}}
{{- end -}}
{{- end -}}
{{- toJson $folders -}}
{{- end -}}

{{- define "llm-microservice.tlsFolders" -}}
{{- $folders := list -}}
{{- if .tls.caSecret -}}
{{- $folders = append $folders (dict "name" (printf "%s-ca" .of) "secret" .tls.caSecret "items" (list .tls.caKey)) -}}
{{- end -}}
{{- if .tls.clientSecret -}}
{{- $folders = append $folders (dict "name" (printf "%s-client" .of) "secret" .tls.clientSecret "items" (list .tls.certKey .tls.keyKey)) -}}
{{- end -}}
{{- toJson $folders -}}
{{- end -}}

{{- /* Readable for the group of the pod and nobody else; a worker refuses a key file that others may read. */ -}}
{{- define "llm-microservice.secretVolumes" -}}
{{- range include "llm-microservice.secretFolders" . | fromJsonArray }}
- name: {{ .name }}
  secret:
    secretName: {{ .secret | quote }}
    defaultMode: 0440
    items:
      {{- range .items }}
      - key: {{ . | quote }}
        path: {{ . | quote }}
      {{- end }}
{{- end }}
{{- end -}}

{{- define "llm-microservice.secretMounts" -}}
{{- range include "llm-microservice.secretFolders" . | fromJsonArray }}
- name: {{ .name }}
  mountPath: /etc/llm/{{ .name }}
  readOnly: true
{{- end }}
{{- end -}}

{{- /* Given values that a process reads once; files are read again by themselves. */ -}}
{{- define "llm-microservice.brokerSecretData" -}}
{{- if include "llm-microservice.redisUrlIsSecret" . }}
REDIS_URL: {{ .Values.redis.url | quote }}
{{- end }}
{{- if include "llm-microservice.hasSasl" . }}
{{- with .Values.kafka.sasl }}
{{- if .username }}
KAFKA_SASL_USERNAME: {{ .username | quote }}
{{- end }}
{{- if not .existingSecret }}
KAFKA_SASL_PASSWORD: {{ .password | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "llm-microservice.secretsReadAtStart" -}}
{{- include "llm-microservice.brokerSecretData" .root }}
{{- if eq .component "worker" }}{{ .root.Values.openai.apiKey }}{{ end }}
{{- end -}}
