{{- define "gateway.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* At most 48 characters, so that what follows it fits into the 63 of a name. */}}
{{- define "gateway.fullname" -}}
{{- $name := include "gateway.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 48 | trimAll "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 48 | trimAll "-" }}
{{- end }}
{{- end }}

{{- define "gateway.selector" -}}
app.kubernetes.io/name: {{ include "gateway.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: gateway
{{- end }}

{{/* What Prometheus calls the release's pods: unlike any other release's. */}}
{{- define "gateway.job" -}}
{{ .Release.Namespace }}/{{ .Release.Name }}/call-request-gateway
{{- end }}

{{- define "gateway.ownLabels" -}}
{{ include "gateway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "gateway.labels" -}}
{{ include "gateway.ownLabels" . }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The metadata of an object. Called with a dict: root; suffix of its name; labels and annotations of its own. */}}
{{- define "gateway.metadata" -}}
metadata:
  name: {{ printf "%s%s" (include "gateway.fullname" .root) (default "" .suffix) | quote }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- mergeOverwrite (include "gateway.labels" .root | fromYaml) (default dict .labels) | toYaml | nindent 4 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "gateway.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "gateway.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "gateway.image" -}}
{{- with .Values.image }}
{{- .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ default $.Chart.AppVersion .tag }}{{ end }}
{{- end }}
{{- end }}

{{/* A value of `settings`, or the gateway's default. Called with a list: root, name. */}}
{{- define "gateway.setting" -}}
{{- $root := index . 0 }}
{{- $name := index . 1 }}
{{- $known := include "gateway.settings" $root | fromJson }}
{{- $value := get (default dict $root.Values.settings) $name }}
{{- if or (kindIs "invalid" $value) (eq (toString $value) "") }}
{{- $value = get $known.defaults $name }}
{{- end }}
{{- include "gateway.text" $value }}
{{- end }}

{{/* A value as the environment has it. Helm reads numbers as floats, and would write 100000000 as 1e+08. */}}
{{- define "gateway.text" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) }}
{{- int64 . }}
{{- else }}
{{- . }}
{{- end }}
{{- end }}
