{{- /* Where Redis and Kafka are, and how they are spoken to. */ -}}
{{- define "llm-microservice.redisUrl" -}}
{{- if .Values.demo.enabled -}}
redis://{{ include "llm-microservice.fullname" . }}-demo-redis:6379
{{- else -}}
{{- .Values.redis.url -}}
{{- end -}}
{{- end -}}

{{- /* "true" if the URL given in the values is a secret. */ -}}
{{- define "llm-microservice.redisUrlIsSecret" -}}
{{- $url := include "llm-microservice.redisUrl" . -}}
{{- if and (not .Values.demo.enabled) (not .Values.redis.existingSecret) (or (contains "@" $url) (contains "password=" $url)) -}}true{{- end -}}
{{- end -}}

{{- define "llm-microservice.bootstrapServers" -}}
{{- if .Values.demo.enabled -}}
{{ include "llm-microservice.fullname" . }}-demo-kafka:9092
{{- else -}}
{{- .Values.kafka.bootstrapServers -}}
{{- end -}}
{{- end -}}

{{- define "llm-microservice.replicationFactor" -}}
{{- ternary 1 (int .Values.kafka.replicationFactor) .Values.demo.enabled -}}
{{- end -}}

{{- define "llm-microservice.hasSasl" -}}
{{- if and .Values.kafka.sasl.mechanism (not .Values.demo.enabled) -}}true{{- end -}}
{{- end -}}

{{- define "llm-microservice.hasKafkaTls" -}}
{{- if and .Values.kafka.tls.enabled (not .Values.demo.enabled) -}}true{{- end -}}
{{- end -}}

{{- define "llm-microservice.securityProtocol" -}}
{{- $tls := include "llm-microservice.hasKafkaTls" . -}}
{{- if include "llm-microservice.hasSasl" . -}}
{{- ternary "SASL_SSL" "SASL_PLAINTEXT" (eq $tls "true") -}}
{{- else -}}
{{- ternary "SSL" "PLAINTEXT" (eq $tls "true") -}}
{{- end -}}
{{- end -}}

{{- /* Where user name and password of SASL are: {"username": [Secret, entry], "password": […]} as JSON. */ -}}
{{- define "llm-microservice.saslSecrets" -}}
{{- $ours := printf "%s-brokers" (include "llm-microservice.fullname" .) -}}
{{- with .Values.kafka.sasl -}}
{{- $username := ternary (list $ours "KAFKA_SASL_USERNAME") (list .existingSecret .usernameKey) (ne .username "") -}}
{{- $password := ternary (list .existingSecret .passwordKey) (list $ours "KAFKA_SASL_PASSWORD") (ne .existingSecret "") -}}
{{- dict "username" $username "password" $password | toJson -}}
{{- end -}}
{{- end -}}

{{- /* Settings of Kafka that are no secret. */ -}}
{{- define "llm-microservice.kafkaEnv" -}}
KAFKA_ENABLED: "true"
KAFKA_BOOTSTRAP_SERVERS: {{ include "llm-microservice.bootstrapServers" . | quote }}
{{- with .Values.kafka }}
KAFKA_REQUEST_TOPIC: {{ .requestTopic | quote }}
KAFKA_RESULT_TOPIC: {{ .resultTopic | quote }}
KAFKA_METRICS_TOPIC: {{ .metricsTopic | quote }}
KAFKA_ERROR_TOPIC: {{ .errorTopic | quote }}
KAFKA_DEAD_LETTER_TOPIC: {{ .deadLetterTopic | quote }}
KAFKA_REQUEST_PARTITIONS: {{ .requestPartitions | int | quote }}
{{- end }}
KAFKA_REPLICATION_FACTOR: {{ include "llm-microservice.replicationFactor" . | quote }}
{{- with include "llm-microservice.securityProtocol" . }}
{{- if ne . "PLAINTEXT" }}
KAFKA_SECURITY_PROTOCOL: {{ . }}
{{- end }}
{{- end }}
{{- if include "llm-microservice.hasSasl" . }}
KAFKA_SASL_MECHANISM: {{ .Values.kafka.sasl.mechanism }}
{{- end }}
{{- if include "llm-microservice.hasKafkaTls" . }}
{{- with .Values.kafka.tls }}
{{- if .caSecret }}
KAFKA_SSL_CA_FILE: /etc/llm/kafka-ca/{{ .caKey }}
{{- end }}
{{- if .clientSecret }}
KAFKA_SSL_CERT_FILE: /etc/llm/kafka-client/{{ .certKey }}
KAFKA_SSL_KEY_FILE: /etc/llm/kafka-client/{{ .keyKey }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* Settings of Redis that are no secret. */ -}}
{{- define "llm-microservice.redisEnv" -}}
REDIS_ENABLED: "true"
{{- if not (or (and .Values.redis.existingSecret (not .Values.demo.enabled)) (include "llm-microservice.redisUrlIsSecret" .)) }}
REDIS_URL: {{ include "llm-microservice.redisUrl" . | quote }}
{{- end }}
REDIS_TTL_HOURS: {{ .Values.redis.ttlHours | quote }}
REDIS_MAX_CONNECTIONS: {{ .Values.redis.maxConnections | int | quote }}
{{- if not .Values.demo.enabled }}
{{- with .Values.redis.tls }}
{{- if .caSecret }}
REDIS_SSL_CA_FILE: /etc/llm/redis-ca/{{ .caKey }}
{{- end }}
{{- if .clientSecret }}
REDIS_SSL_CERT_FILE: /etc/llm/redis-client/{{ .certKey }}
REDIS_SSL_KEY_FILE: /etc/llm/redis-client/{{ .keyKey }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "llm-microservice.commonEnv" -}}
LLM_APP_NAME: {{ include "llm-microservice.fullname" . | quote }}
LLM_LOG_LEVEL: {{ .Values.llm.logLevel | quote }}
LLM_LOG_FILE: /app/logs/llm-service.log
LLM_DEFAULT_MODEL: {{ .Values.llm.defaultModel | quote }}
LLM_SUPPORTED_MODELS: {{ join "," .Values.llm.supportedModels | quote }}
LLM_PRIORITY_WEIGHTS: {{ .Values.llm.priorityWeights | quote }}
{{ include "llm-microservice.redisEnv" . }}
{{ include "llm-microservice.kafkaEnv" . }}
{{- end -}}
