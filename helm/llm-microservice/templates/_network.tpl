{{- /* Ports as rules: (list 9092 9093) */ -}}
{{- define "llm-microservice.tcpPorts" -}}
ports:
  {{- range . }}
  - protocol: TCP
    port: {{ int . }}
  {{- end }}
{{- end -}}

{{- define "llm-microservice.kafkaPorts" -}}
{{- if .Values.demo.enabled -}}
[9092]
{{- else if .Values.networkPolicy.kafkaPorts -}}
{{- .Values.networkPolicy.kafkaPorts | toJson -}}
{{- else -}}
{{- $ports := list -}}
{{- range splitList "," .Values.kafka.bootstrapServers }}{{ $ports = append $ports (regexFind "[0-9]+$" (trim .) | int) }}{{ end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}
{{- end -}}

{{- /* A port follows a host; a URL of sentinels is of their port, and of the master's. */ -}}
{{- define "llm-microservice.redisPorts" -}}
{{- if .Values.demo.enabled -}}
[6379]
{{- else if .Values.networkPolicy.redisPorts -}}
{{- .Values.networkPolicy.redisPorts | toJson -}}
{{- else if .Values.redis.existingSecret -}}
[6379]
{{- else -}}
{{- $hosts := regexFind "//[^/?]+" .Values.redis.url | trimPrefix "//" | splitList "@" | last -}}
{{- $isSentinel := contains "+sentinel:" .Values.redis.url -}}
{{- $ports := ternary (list 6379) (list) $isSentinel -}}
{{- range splitList "," $hosts }}{{ $ports = append $ports (regexFind "[0-9]+$" (regexFind ":[0-9]+$" .) | default (ternary "26379" "6379" $isSentinel) | int) }}{{ end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}
{{- end -}}

{{- define "llm-microservice.providerPorts" -}}
{{- with .Values.networkPolicy.providerPorts -}}
{{- toJson . -}}
{{- else -}}
{{- $url := default "https://api.openai.com" .Values.openai.baseUrl | urlParse -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (ternary "80" "443" (eq $url.scheme "http")) -}}
{{- list (int $port) | toJson -}}
{{- end -}}
{{- end -}}

{{- define "llm-microservice.egressTo" -}}
{{- with .to }}
to:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{ include "llm-microservice.tcpPorts" .ports }}
{{- end -}}

{{- define "llm-microservice.dnsEgress" -}}
ports:
  - {protocol: UDP, port: 53}
  - {protocol: TCP, port: 53}
{{- with .Values.networkPolicy.dnsTo }}
to:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "llm-microservice.kafkaEgress" -}}
{{- $demo := list (dict "podSelector" (dict "matchLabels" (include "llm-microservice.selectorLabels" (dict "root" . "component" "demo-kafka") | fromYaml))) -}}
{{- $to := ternary $demo .Values.networkPolicy.kafkaTo .Values.demo.enabled -}}
{{- include "llm-microservice.egressTo" (dict "to" $to "ports" (include "llm-microservice.kafkaPorts" . | fromJsonArray)) -}}
{{- end -}}

{{- define "llm-microservice.redisEgress" -}}
{{- $demo := list (dict "podSelector" (dict "matchLabels" (include "llm-microservice.selectorLabels" (dict "root" . "component" "demo-redis") | fromYaml))) -}}
{{- $to := ternary $demo .Values.networkPolicy.redisTo .Values.demo.enabled -}}
{{- include "llm-microservice.egressTo" (dict "to" $to "ports" (include "llm-microservice.redisPorts" . | fromJsonArray)) -}}
{{- end -}}
