{{/* The container's environment as a list in YAML: the chart's own, then extraEnv, which wins by name. */}}
{{- define "gateway.environment" -}}
{{- $settings := default dict .Values.settings }}
{{- $secrets := default dict .Values.secrets }}
{{- $known := include "gateway.settings" . | fromJson }}
{{- $entries := list
  (list "GATEWAY_LISTEN" (printf "0.0.0.0:%d" (int .Values.ports.grpc)))
  (list "GATEWAY_METRICS_LISTEN" (printf "0.0.0.0:%d" (int .Values.ports.metrics)))
}}
{{- if $secrets }}
{{- $entries = append $entries (list "GATEWAY_SECRETS_DIR" "/run/gateway/secrets") }}
{{- end }}
{{- with .Values.tls.existingSecret }}
{{- $entries = append $entries (list "GATEWAY_TLS_CERTIFICATE" "/run/gateway/tls/tls.crt") }}
{{- $entries = append $entries (list "GATEWAY_TLS_KEY" "/run/gateway/tls/tls.key") }}
{{- end }}
{{- if .Values.tls.clientCa }}
{{- $entries = append $entries (list "GATEWAY_TLS_CLIENT_CA" "/run/gateway/tls-client-ca/ca.crt") }}
{{- end }}
{{- if or .Values.callers.list .Values.callers.existingConfigMap .Values.callers.existingSecret }}
{{- $entries = append $entries (list "GATEWAY_CALLERS" "/run/gateway/callers/callers.toml") }}
{{- end }}
{{- with .Values.vendorTls.existingSecret }}
{{- $entries = append $entries (list "GATEWAY_VENDOR_CERTIFICATE" "/run/gateway/vendor-tls/tls.crt") }}
{{- $entries = append $entries (list "GATEWAY_VENDOR_KEY" "/run/gateway/vendor-tls/tls.key") }}
{{- end }}
{{- if .Values.vendorTls.ca }}
{{- $entries = append $entries (list "GATEWAY_VENDOR_CA" "/run/gateway/vendor-ca/ca.crt") }}
{{- end }}
{{- if .Values.stateCa }}
{{- $entries = append $entries (list "GATEWAY_STATE_CA" "/run/gateway/state-ca/ca.crt") }}
{{- end }}
{{- if and .Values.valkey.enabled (not $secrets.stateUrl) }}
{{- $entries = append $entries (list "GATEWAY_STATE_URL" (printf "redis://%s:6379" (include "gateway.valkey" .))) }}
{{- end }}
{{- if .Values.webhook.enabled }}
{{- $entries = append $entries (list "GATEWAY_WEBHOOK_LISTEN" (printf "0.0.0.0:%d" (int .Values.ports.webhook))) }}
{{- if .Values.webhook.tls.existingSecret }}
{{- $entries = append $entries (list "GATEWAY_WEBHOOK_TLS_CERTIFICATE" "/run/gateway/webhook-tls/tls.crt") }}
{{- $entries = append $entries (list "GATEWAY_WEBHOOK_TLS_KEY" "/run/gateway/webhook-tls/tls.key") }}
{{- end }}
{{- if .Values.webhook.tls.clientCa }}
{{- $entries = append $entries (list "GATEWAY_WEBHOOK_TLS_CLIENT_CA" "/run/gateway/webhook-client-ca/ca.crt") }}
{{- end }}
{{- end }}
{{- range $name := $known.plain }}
{{- $value := get $settings (include "gateway.camel" $name) }}
{{- if not (or (kindIs "invalid" $value) (eq (toString $value) "")) }}
{{- $entries = append $entries (list (printf "GATEWAY_%s" (upper $name)) (include "gateway.text" $value)) }}
{{- end }}
{{- end }}
{{- $extra := dict }}
{{- range .Values.extraEnv }}
{{- $_ := set $extra .name . }}
{{- end }}
{{- $all := list }}
{{- range $entries }}
{{- $name := index . 0 }}
{{- if not (hasKey $extra $name) }}
{{- $all = append $all (dict "name" $name "value" (index . 1)) }}
{{- end }}
{{- end }}
{{- range .Values.extraEnv }}
{{- $all = append $all . }}
{{- end }}
{{- toYaml $all }}
{{- end }}

{{/* A setting's name as a value of the chart: vendor_url is vendorUrl. */}}
{{- define "gateway.camel" -}}
{{- camelcase . | untitle }}
{{- end }}

{{- define "gateway.valkey" -}}
{{- printf "%s-valkey" .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end }}
