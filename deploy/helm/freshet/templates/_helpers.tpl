{{/* Names and labels. 40 characters leave room for the longest suffix within the 63 of a label. */}}
{{- define "freshet.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "freshet.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "freshet.labels" -}}
{{ include "freshet.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{- end -}}

{{- define "freshet.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}{{ include "freshet.fullname" . }}{{- else -}}{{ default "default" .Values.serviceAccount.name }}{{- end -}}
{{- end -}}

{{- define "freshet.tag" -}}
{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}

{{- define "freshet.servingImage" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ include "freshet.tag" . }}
{{- end -}}
{{- end -}}

{{- define "freshet.workerImage" -}}
{{- if and .Values.worker.gpu.enabled (not .Values.image.digest) -}}
{{ .Values.image.repository }}:{{ default (printf "%s-cuda" (include "freshet.tag" .)) .Values.worker.gpu.tag }}
{{- else -}}
{{ include "freshet.servingImage" . }}
{{- end -}}
{{- end -}}

{{- define "freshet.trainerImage" -}}
{{ default .Values.image.repository .Values.trainer.repository }}:{{ default (printf "%s-trainer" (include "freshet.tag" .)) .Values.trainer.tag }}
{{- end -}}

{{/* The most workers that may run at a time. */}}
{{- define "freshet.maxWorkers" -}}
{{- if .Values.worker.autoscaling.enabled -}}
{{ .Values.worker.autoscaling.maxReplicas | default .Values.kafka.partitions | int }}
{{- else -}}
{{ .Values.worker.replicas | int }}
{{- end -}}
{{- end -}}

{{/* How fast the number of workers follows. */}}
{{- define "freshet.scaling" -}}
# Every step moves partitions, and what moved is cold in the new worker's memory.
scaleUp:
  stabilizationWindowSeconds: 30
  policies: [{type: Pods, value: 2, periodSeconds: 60}]
scaleDown:
  stabilizationWindowSeconds: {{ .Values.worker.autoscaling.scaleDownSeconds }}
  policies: [{type: Pods, value: 1, periodSeconds: {{ .Values.worker.autoscaling.scaleDownSeconds }}}]
{{- end -}}

{{- define "freshet.modelsClaim" -}}
{{ default (printf "%s-models" (include "freshet.fullname" .)) .Values.model.volume.existingClaim }}
{{- end -}}

{{- define "freshet.qdrantClaim" -}}
{{ default (printf "%s-qdrant" (include "freshet.fullname" .)) .Values.qdrant.storage.existingClaim }}
{{- end -}}

{{/* Bytes of a Kubernetes quantity, rounded down. */}}
{{- define "freshet.bytes" -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- $quantity := toString . -}}
{{- mulf (regexFind "^[0-9.]+" $quantity | float64) (get $units (regexFind "[A-Za-z]*$" $quantity) | default 1 | float64) | int64 -}}
{{- end -}}

{{/* The brokers and the Qdrant server: named, or the demo's own. */}}
{{- define "freshet.bootstrapServers" -}}
{{- if .Values.demo.kafka -}}{{ include "freshet.fullname" . }}-demo-kafka:9092{{- else -}}{{ .Values.kafka.bootstrapServers }}{{- end -}}
{{- end -}}

{{- define "freshet.qdrantUrl" -}}
{{- if .Values.demo.qdrant -}}http://{{ include "freshet.fullname" . }}-demo-qdrant:6333{{- else -}}{{ .Values.qdrant.url }}{{- end -}}
{{- end -}}

{{/* The port of the Qdrant server: 6333 where its URL names none, as the client takes it. */}}
{{- define "freshet.qdrantPort" -}}
{{ regexFind ":[0-9]+$" (trimSuffix "/" (include "freshet.qdrantUrl" .)) | trimPrefix ":" | default "6333" }}
{{- end -}}

{{/* The port of schemaRegistry.url, given that URL. */}}
{{- define "freshet.registryPort" -}}
{{- $named := regexFind "^https?://[^/:]+:[0-9]+" . | regexFind "[0-9]+$" -}}
{{ default (ternary "443" "80" (hasPrefix "https://" .)) $named }}
{{- end -}}

{{/* What every process of Freshet may reach. */}}
{{- define "freshet.egress" -}}
# DNS
- ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]
# Kafka
- ports:
    {{- range $port := regexFindAll ":[0-9]+" (include "freshet.bootstrapServers" .) -1 | uniq }}
    - {protocol: TCP, port: {{ trimPrefix ":" $port }}}
    {{- end }}
{{- with .Values.schemaRegistry.url }}
# Schema registry
- ports: [{protocol: TCP, port: {{ include "freshet.registryPort" . }}}]
{{- end }}
{{- with .Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}
