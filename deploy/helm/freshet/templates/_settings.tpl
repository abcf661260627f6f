{{/*
The whole configuration of a worker and a trainer, one TOML file: the chart's own values over `settings`. Helm
reads every number as a float; those that are whole are written as such.
*/}}
{{- define "freshet.settings" -}}
{{- $toml := include "freshet.chartSettings" . | fromYaml | mergeOverwrite (deepCopy (default dict .Values.settings)) | toToml -}}
{{- regexReplaceAll "(?m)( = -?[0-9]+)\\.0$" $toml "${1}" -}}
{{- end -}}

{{/* What follows from the chart's values; `settings` may not name these (see _validate.tpl). */}}
{{- define "freshet.chartSettings" -}}
kafka:
  bootstrap_servers: {{ include "freshet.bootstrapServers" . | quote }}
  topic_prefix: {{ .Values.kafka.topicPrefix | quote }}
  group_id: {{ .Values.kafka.groupId | quote }}
  partitions: {{ .Values.kafka.partitions | int }}
  replication_factor: {{ .Values.kafka.replicationFactor | int }}
  create_topics: {{ eq .Values.topics.createdBy "worker" }}
  security_protocol: {{ .Values.kafka.securityProtocol }}
  {{- if hasPrefix "SASL" .Values.kafka.securityProtocol }}
  sasl_mechanism: {{ .Values.kafka.sasl.mechanism }}
  sasl_username: {{ .Values.kafka.sasl.username | quote }}
  {{- end }}
  {{- if .Values.kafka.caSecret }}
  ssl_cafile: /etc/freshet/kafka-ca/ca.crt
  {{- end }}
  {{- if .Values.kafka.clientSecret }}
  ssl_certfile: /etc/freshet/kafka-client/tls.crt
  ssl_keyfile: /etc/freshet/kafka-client/tls.key
  {{- end }}
qdrant:
  path: /data/qdrant
  {{- if include "freshet.qdrantUrl" . }}
  url: {{ include "freshet.qdrantUrl" . | quote }}
  {{- end }}
  {{- if .Values.qdrant.caSecret }}
  ca_file: /etc/freshet/qdrant-ca/ca.crt
  {{- end }}
model:
  path: /models
  cache: /cache
  device: {{ ternary "cuda" "cpu" .Values.worker.gpu.enabled }}
http:
  host: 0.0.0.0
  port: 8080
trainer:
  models: /models
  host: 0.0.0.0
  port: 8081
{{- if .Values.ui.enabled }}
ui:
  host: 0.0.0.0
  port: 8090
  worker_url: http://{{ include "freshet.fullname" . }}:{{ .Values.service.port }}
{{- end }}
{{- with .Values.schemaRegistry }}{{- if .url }}
codec:
  registry_url: {{ .url | quote }}
  {{- if .username }}
  registry_username: {{ .username | quote }}
  {{- end }}
  {{- if .caSecret }}
  registry_ca_file: /etc/freshet/registry-ca/ca.crt
  {{- end }}
{{- end }}{{- end }}
{{- end -}}
