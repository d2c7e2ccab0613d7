{{- define "valkey.fullname" -}}
{{- printf "%s-valkey" .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "valkey.selector" -}}
app.kubernetes.io/name: valkey
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: engine
{{- end }}

{{- define "valkey.labels" -}}
{{ include "valkey.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
