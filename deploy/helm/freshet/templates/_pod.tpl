{{/* Parts that every pod has in common. */}}
{{- define "freshet.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "freshet.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Who the pod is and what it may not do; context: the root. */}}
{{- define "freshet.podIdentity" -}}
serviceAccountName: {{ include "freshet.serviceAccountName" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- include "freshet.podSecurity" . | nindent 2 }}
{{- end -}}

{{/* Where it may run; context: the values of a component. */}}
{{- define "freshet.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* Secrets are files, never environment variables: those show in `kubectl describe` and in crash reports. */}}
{{- define "freshet.env" -}}
- name: FRESHET_CONFIG
  value: /etc/freshet/config/freshet.toml
{{- if or .Values.kafka.sasl.existingSecret .Values.qdrant.existingSecret .Values.schemaRegistry.existingSecret }}
- name: FRESHET_SECRETS_DIR
  value: /etc/freshet/secrets
{{- end }}
# Libraries that want a home find the one place that can be written.
- name: HOME
  value: /tmp
{{- end -}}

{{- define "freshet.configMounts" -}}
- name: config
  mountPath: /etc/freshet/config
  readOnly: true
{{- if .Values.kafka.sasl.existingSecret }}
- name: kafka-password
  mountPath: /etc/freshet/secrets/FRESHET_KAFKA__SASL_PASSWORD
  subPath: password
  readOnly: true
{{- end }}
{{- if .Values.qdrant.existingSecret }}
- name: qdrant-key
  mountPath: /etc/freshet/secrets/FRESHET_QDRANT__API_KEY
  subPath: api-key
  readOnly: true
{{- end }}
{{- if .Values.schemaRegistry.existingSecret }}
- name: registry-password
  mountPath: /etc/freshet/secrets/FRESHET_CODEC__REGISTRY_PASSWORD
  subPath: password
  readOnly: true
{{- end }}
{{- if .Values.schemaRegistry.caSecret }}
- name: registry-ca
  mountPath: /etc/freshet/registry-ca
  readOnly: true
{{- end }}
{{- if .Values.kafka.caSecret }}
- name: kafka-ca
  mountPath: /etc/freshet/kafka-ca
  readOnly: true
{{- end }}
{{- if .Values.kafka.clientSecret }}
- name: kafka-client
  mountPath: /etc/freshet/kafka-client
  readOnly: true
{{- end }}
{{- if .Values.qdrant.caSecret }}
- name: qdrant-ca
  mountPath: /etc/freshet/qdrant-ca
  readOnly: true
{{- end }}
- name: tmp
  mountPath: /tmp
{{- end -}}

{{- define "freshet.configVolumes" -}}
- name: config
  configMap:
    name: {{ include "freshet.fullname" . }}
{{- with .Values.kafka.sasl }}{{- if .existingSecret }}
- name: kafka-password
  secret: {secretName: {{ .existingSecret }}, defaultMode: 0440, items: [{key: {{ .passwordKey }}, path: password}]}
{{- end }}{{- end }}
{{- with .Values.qdrant }}{{- if .existingSecret }}
- name: qdrant-key
  secret: {secretName: {{ .existingSecret }}, defaultMode: 0440, items: [{key: {{ .apiKeyKey }}, path: api-key}]}
{{- end }}{{- end }}
{{- with .Values.schemaRegistry }}{{- if .existingSecret }}
- name: registry-password
  secret: {secretName: {{ .existingSecret }}, defaultMode: 0440, items: [{key: {{ .passwordKey }}, path: password}]}
{{- end }}
{{- if .caSecret }}
- name: registry-ca
  secret: {secretName: {{ .caSecret }}, defaultMode: 0440, items: [{key: {{ .caKey }}, path: ca.crt}]}
{{- end }}{{- end }}
{{- with .Values.kafka }}{{- if .caSecret }}
- name: kafka-ca
  secret: {secretName: {{ .caSecret }}, defaultMode: 0440, items: [{key: {{ .caKey }}, path: ca.crt}]}
{{- end }}
{{- if .clientSecret }}
- name: kafka-client
  secret:
    secretName: {{ .clientSecret }}
    defaultMode: 0440
    items: [{key: {{ .clientCertificateKey }}, path: tls.crt}, {key: {{ .clientKeyKey }}, path: tls.key}]
{{- end }}{{- end }}
{{- with .Values.qdrant }}{{- if .caSecret }}
- name: qdrant-ca
  secret: {secretName: {{ .caSecret }}, defaultMode: 0440, items: [{key: {{ .caKey }}, path: ca.crt}]}
{{- end }}{{- end }}
- name: tmp
  emptyDir: {}
{{- end -}}
