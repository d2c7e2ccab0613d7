{{/* The mounted files as a list in YAML, of name, path, and the volume's source. Projected volumes follow changes. */}}
{{- define "gateway.mounted" -}}
{{- $mounted := list }}
{{- $known := include "gateway.settings" . | fromJson }}
{{- $sources := list }}
{{- range $name := $known.secret }}
{{- with get (default dict $.Values.secrets) (include "gateway.camel" $name) }}
{{- $file := printf "gateway_%s" $name }}
{{- $item := dict "key" (default $file .key) "path" $file }}
{{- $sources = append $sources (dict "secret" (dict "name" .existingSecret "items" (list $item))) }}
{{- end }}
{{- end }}
{{- if $sources }}
{{- $mounted = append $mounted (dict "name" "secrets" "source" (dict "projected" (dict "defaultMode" 288 "sources" $sources))) }}
{{- end }}
{{- range list
  (list "tls" .Values.tls.existingSecret)
  (list "vendor-tls" .Values.vendorTls.existingSecret)
  (list "webhook-tls" (ternary .Values.webhook.tls.existingSecret "" .Values.webhook.enabled))
}}
{{- if index . 1 }}
{{- $items := list (dict "key" "tls.crt" "path" "tls.crt") (dict "key" "tls.key" "path" "tls.key") }}
{{- $secret := dict "secretName" (index . 1) "defaultMode" 288 "items" $items }}
{{- $mounted = append $mounted (dict "name" (index . 0) "source" (dict "secret" $secret)) }}
{{- end }}
{{- end }}
{{- range list
  (list "tls-client-ca" .Values.tls.clientCa .Values.tls.existingSecret)
  (list "vendor-ca" .Values.vendorTls.ca .Values.vendorTls.existingSecret)
  (list "state-ca" .Values.stateCa "")
  (list "webhook-client-ca" (ternary .Values.webhook.tls.clientCa (dict) .Values.webhook.enabled) .Values.webhook.tls.existingSecret)
}}
{{- $ca := index . 1 }}
{{- if $ca }}
{{- $items := list (dict "key" (default "ca.crt" $ca.key) "path" "ca.crt") }}
{{- $secret := dict "secretName" (default (index . 2) $ca.existingSecret) "defaultMode" 288 "items" $items }}
{{- $mounted = append $mounted (dict "name" (index . 0) "source" (dict "secret" $secret)) }}
{{- end }}
{{- end }}
{{- with .Values.callers }}
{{- $items := list (dict "key" .key "path" "callers.toml") }}
{{- if .list }}
{{- $items = list (dict "key" "callers.toml" "path" "callers.toml") }}
{{- $source := dict "name" (printf "%s-callers" (include "gateway.fullname" $)) "items" $items }}
{{- $mounted = append $mounted (dict "name" "callers" "source" (dict "configMap" $source)) }}
{{- else if .existingConfigMap }}
{{- $mounted = append $mounted (dict "name" "callers" "source" (dict "configMap" (dict "name" .existingConfigMap "items" $items))) }}
{{- else if .existingSecret }}
{{- $secret := dict "secretName" .existingSecret "defaultMode" 288 "items" $items }}
{{- $mounted = append $mounted (dict "name" "callers" "source" (dict "secret" $secret)) }}
{{- end }}
{{- end }}
{{- toYaml $mounted }}
{{- end }}
