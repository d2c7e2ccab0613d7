{{/* Fails with a sentence for each value that is wrong beside others; values.schema.json has the rest. */}}
{{- define "gateway.refuse" -}}
{{- $lines := list }}
{{- $values := .Values }}
{{- $settings := default dict .Values.settings }}
{{- $secrets := default dict .Values.secrets }}
{{- $known := include "gateway.settings" . | fromJson }}
{{- $plaintext := eq (include "gateway.setting" (list . "allowPlaintext")) "true" }}
{{- $sandbox := eq (include "gateway.setting" (list . "allowSandbox")) "true" }}
{{- $names := dict }}
{{- range $known.plain }}{{ $_ := set $names (printf "GATEWAY_%s" (upper .)) (printf "settings.%s" (include "gateway.camel" .)) }}{{ end }}
{{- range $known.secret }}{{ $_ := set $names (printf "GATEWAY_%s" (upper .)) (printf "secrets.%s" (include "gateway.camel" .)) }}{{ end }}

{{- /* Names: of Services, which must begin with a letter. */}}
{{- $dns := "^[a-z]([-a-z0-9]*[a-z0-9])?$" }}
{{- if not (regexMatch $dns (include "gateway.fullname" .)) }}
  {{- $lines = append $lines (printf "fullnameOverride: set it, since %s cannot name a Service: a-z, 0-9 and -, from a letter on" (include "gateway.fullname" .)) }}
{{- end }}
{{- if and .Values.valkey.enabled (not (regexMatch $dns .Release.Name)) }}
  {{- $lines = append $lines (printf "valkey.enabled: the release's name, %s, cannot name its Service: a-z, 0-9 and -, from a letter on" .Release.Name) }}
{{- end }}
{{- $own := include "gateway.ownLabels" . | fromYaml }}
{{- range $name, $labels := dict "commonLabels" $values.commonLabels "podLabels" $values.podLabels "podMonitor.labels" $values.podMonitor.labels "prometheusRule.labels" $values.prometheusRule.labels "dashboards.labels" $values.dashboards.labels }}
  {{- range $label, $_ := $labels }}
    {{- if hasKey $own $label }}
      {{- $lines = append $lines (printf "%s: %s is the chart's own label" $name $label) }}
    {{- end }}
  {{- end }}
{{- end }}

{{- /* The vendor. */}}
{{- if $settings.vendorUrl }}
  {{- if and $settings.vendorClientId $secrets.vendorClientId }}
    {{- $lines = append $lines "settings.vendorClientId, secrets.vendorClientId: set one of them" }}
  {{- else if not (or $settings.vendorClientId $secrets.vendorClientId) }}
    {{- $lines = append $lines "settings.vendorClientId or secrets.vendorClientId: needed with settings.vendorUrl" }}
  {{- end }}
  {{- if not $secrets.vendorClientSecret }}
    {{- $lines = append $lines "secrets.vendorClientSecret: needed with settings.vendorUrl; it names a Secret that exists" }}
  {{- end }}
{{- else if not $sandbox }}
  {{- $lines = append $lines "settings.vendorUrl: needed; for results that the sandbox makes up, settings.allowSandbox=true" }}
{{- end }}
{{- range $name := list "vendorUrl" "vendorTokenUrl" "otlpEndpoint" "sandboxListen" }}
  {{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" (regexFind "^(https?://)?[^/]*" (default "" (get $settings $name)))) }}
  {{- if gt (int64 $port) 65535 }}
    {{- $lines = append $lines (printf "settings.%s: there is no port %s" $name $port) }}
  {{- end }}
{{- end }}
{{- range $name := list "vendorUrl" "vendorTokenUrl" }}
  {{- $url := default "" (get $settings $name) }}
  {{- $host := (urlParse $url).hostname }}
  {{- $loopback := or (eq $host "localhost") (eq $host "::1") (regexMatch "^127\\." $host) }}
  {{- if and (hasPrefix "http://" $url) (not $loopback) (ne (include "gateway.setting" (list $ "vendorAllowHttp")) "true") }}
    {{- $lines = append $lines (printf "settings.%s: must be https; http where a sidecar adds TLS, with settings.vendorAllowHttp=true" $name) }}
  {{- end }}
{{- end }}
{{- if and (eq (include "gateway.setting" (list . "vendorTokenAuth")) "body") (eq (include "gateway.setting" (list . "vendorTokenMethod")) "GET") }}
  {{- $lines = append $lines "settings.vendorTokenAuth: body needs settings.vendorTokenMethod=POST" }}
{{- end }}
{{- if and .Values.vendorTls.ca (not (or .Values.vendorTls.ca.existingSecret .Values.vendorTls.existingSecret)) }}
  {{- $lines = append $lines "vendorTls.ca.existingSecret: which Secret has the vendor's CA?" }}
{{- end }}

{{- /* TLS and callers. */}}
{{- if not (or .Values.tls.existingSecret $plaintext) }}
  {{- $lines = append $lines "tls.existingSecret: needed, a Secret with tls.crt and tls.key; where a mesh encrypts, settings.allowPlaintext=true" }}
{{- end }}
{{- if and .Values.tls.clientCa (not .Values.tls.existingSecret) }}
  {{- $lines = append $lines "tls.clientCa: needs tls.existingSecret: without TLS no client shows a certificate" }}
{{- end }}
{{- $from := 0 }}
{{- range list .Values.callers.list .Values.callers.existingConfigMap .Values.callers.existingSecret }}{{ if . }}{{ $from = add1 $from }}{{ end }}{{ end }}
{{- if gt (int $from) 1 }}
  {{- $lines = append $lines "callers: set one of list, existingConfigMap and existingSecret" }}
{{- end }}
{{- $seen := dict }}
{{- range .Values.callers.list }}
  {{- range $identity := concat (list (printf "the name %s" .name)) (kindIs "slice" .certificate | ternary .certificate (list .certificate)) (kindIs "slice" .tokenSha256 | ternary .tokenSha256 (list .tokenSha256)) }}
    {{- $identity = ternary ($identity | toString | lower) $identity (regexMatch "^[0-9A-Fa-f]{64}$" (toString $identity)) }}
    {{- if and $identity (hasKey $seen $identity) }}
      {{- $lines = append $lines (printf "callers.list: %s occurs twice" $identity) }}
    {{- end }}
    {{- if $identity }}{{ $_ := set $seen $identity true }}{{ end }}
  {{- end }}
  {{- if and .certificate (not $values.tls.clientCa) }}
    {{- $lines = append $lines (printf "callers.list: %s is known by its certificate, which needs tls.clientCa" .name) }}
  {{- end }}
{{- end }}

{{- /* The webhook. */}}
{{- if .Values.webhook.enabled }}
  {{- $unsigned := eq (include "gateway.setting" (list . "webhookAllowUnsigned")) "true" }}
  {{- if not (or $secrets.webhookSecrets $secrets.webhookTokens $secrets.webhookBasic .Values.webhook.tls.clientCa $unsigned) }}
    {{- $lines = append $lines "webhook.enabled: needs a way to know senders: secrets.webhookSecrets, webhookTokens or webhookBasic, webhook.tls.clientCa, or settings.webhookAllowUnsigned=true" }}
  {{- end }}
  {{- if not (or .Values.webhook.tls.existingSecret $plaintext) }}
    {{- $lines = append $lines "webhook.tls.existingSecret: needed, a Secret with tls.crt and tls.key; behind an ingress that ends TLS, settings.allowPlaintext=true" }}
  {{- end }}
  {{- if and .Values.webhook.tls.clientCa (not .Values.webhook.tls.existingSecret) }}
    {{- $lines = append $lines "webhook.tls.clientCa: needs webhook.tls.existingSecret" }}
  {{- end }}
  {{- if and .Values.webhook.service.externalTrafficPolicy (eq .Values.webhook.service.type "ClusterIP") }}
    {{- $lines = append $lines "webhook.service.externalTrafficPolicy: needs webhook.service.type LoadBalancer or NodePort" }}
  {{- end }}
{{- else }}
  {{- range $name, $_ := merge (dict) $secrets $settings }}
    {{- if hasPrefix "webhook" $name }}
      {{- $lines = append $lines (printf "%s: without effect, since webhook.enabled is false" $name) }}
    {{- end }}
  {{- end }}
{{- end }}

{{- /* Shared state. */}}
{{- if and (or $secrets.stateUrl .Values.valkey.enabled) (not $secrets.stateKeys) (ne (include "gateway.setting" (list . "stateAllowUnencrypted")) "true") }}
  {{- $lines = append $lines "secrets.stateKeys: needed, the keys that encrypt guests' data in the engine; or settings.stateAllowUnencrypted=true" }}
{{- end }}
{{- if and .Values.stateCa (not .Values.stateCa.existingSecret) }}
  {{- $lines = append $lines "stateCa.existingSecret: which Secret has the engine's CA?" }}
{{- end }}
{{- if and .Values.valkey.enabled (dig "acl" "existingSecret" "" .Values.valkey) (not $secrets.stateUrl) }}
  {{- $lines = append $lines (printf "secrets.stateUrl: needed with valkey.acl.existingSecret: redis://USER:PASSWORD@%s:6379" (include "gateway.valkey" .)) }}
{{- end }}

{{- if and .Values.valkey.enabled $secrets.stateUrl (not (dig "acl" "existingSecret" "" .Values.valkey)) }}
  {{- $lines = append $lines "secrets.stateUrl, valkey.enabled: which of the two engines? Both only for valkey.acl" }}
{{- end }}

{{- /* Memory. */}}
{{- $workers := include "gateway.setting" (list . "workers") | float64 }}
{{- $cache := include "gateway.setting" (list . "cacheBytes") | float64 }}
{{- $limit := include "gateway.text" (dig "limits" "memory" "" (default dict .Values.resources)) }}
{{- if $limit }}
  {{- $units := dict "m" 1e-3 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0 }}
  {{- $unit := regexFind "[A-Za-z]+$" $limit }}
  {{- $bytes := mulf (trimSuffix $unit $limit | float64) (default 1.0 (get $units $unit)) }}
  {{- if gt (mulf $workers $cache) $bytes }}
    {{- $lines = append $lines (printf "settings.cacheBytes: %.0f bytes in each of %.0f workers are more than resources.limits.memory, %s" $cache $workers $limit) }}
  {{- end }}
{{- end }}

{{- /* Ports. */}}
{{- $ports := dict }}
{{- range $name, $port := .Values.ports }}
  {{- if or $values.webhook.enabled (ne $name "webhook") }}
    {{- if hasKey $ports (toString $port) }}
      {{- $lines = append $lines (printf "ports.%s, ports.%s: both are %v" (get $ports (toString $port)) $name $port) }}
    {{- end }}
    {{- $_ := set $ports (toString $port) $name }}
  {{- end }}
{{- end }}
{{- if and (not $settings.vendorUrl) $sandbox }}
  {{- $port := regexFind "[0-9]+$" (include "gateway.setting" (list . "sandboxListen")) }}
  {{- if hasKey $ports $port }}
    {{- $lines = append $lines (printf "settings.sandboxListen: port %s is ports.%s" $port (get $ports $port)) }}
  {{- end }}
{{- end }}

{{- /* Fractions that --set hands over as texts, of which the schema has no bounds. */}}
{{- range $name, $bounds := $known.bounds }}
  {{- $value := get $settings $name }}
  {{- if and (kindIs "string" $value) $value }}
    {{- $number := float64 $value }}
    {{- if and (hasKey $bounds "minimum") (lt $number (float64 $bounds.minimum)) }}
      {{- $lines = append $lines (printf "settings.%s: %s is below %v" $name $value $bounds.minimum) }}
    {{- else if and (hasKey $bounds "exclusiveMinimum") (le $number (float64 $bounds.exclusiveMinimum)) }}
      {{- $lines = append $lines (printf "settings.%s: %s is not above %v" $name $value $bounds.exclusiveMinimum) }}
    {{- else if and (hasKey $bounds "maximum") (gt $number (float64 $bounds.maximum)) }}
      {{- $lines = append $lines (printf "settings.%s: %s is above %v" $name $value $bounds.maximum) }}
    {{- end }}
  {{- end }}
{{- end }}

{{- /* Time. */}}
{{- $delay := include "gateway.setting" (list . "drainDelay") | float64 }}
{{- $grace := include "gateway.setting" (list . "grace") | float64 }}
{{- if and $delay (ge $delay $grace) }}
  {{- $lines = append $lines (printf "settings.drainDelay, settings.grace: the delay, %v s, must be shorter than grace, %v s, of which it is a part" $delay $grace) }}
{{- end }}

{{- /* How many, and where. */}}
{{- with .Values.podDisruptionBudget }}
  {{- $least := ternary $values.autoscaling.minReplicas $values.replicas $values.autoscaling.enabled | int }}
  {{- $max := ne (toString .maxUnavailable) "" }}
  {{- $min := ne (toString .minAvailable) "" }}
  {{- if and .enabled $max $min }}
    {{- $lines = append $lines "podDisruptionBudget: set one of maxUnavailable and minAvailable" }}
  {{- else if and .enabled $max (not (trimSuffix "%" (toString .maxUnavailable) | int)) }}
    {{- $lines = append $lines "podDisruptionBudget.maxUnavailable: with 0 no node can be drained" }}
  {{- else if and .enabled $min $least }}
    {{- $kept := trimSuffix "%" (toString .minAvailable) | float64 }}
    {{- if kindIs "string" .minAvailable }}{{ $kept = divf (mulf $kept $least) 100.0 | ceil }}{{ end }}
    {{- if ge (int $kept) $least }}
      {{- $lines = append $lines (printf "podDisruptionBudget.minAvailable: %v of %d pods: no node could be drained" .minAvailable $least) }}
    {{- end }}
  {{- end }}
{{- end }}
{{- with .Values.autoscaling }}
  {{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) }}
    {{- $lines = append $lines (printf "autoscaling: minReplicas %v is more than maxReplicas %v" .minReplicas .maxReplicas) }}
  {{- end }}
  {{- if and .enabled (not (dig "requests" "cpu" "" (default dict $values.resources))) }}
    {{- $lines = append $lines "autoscaling.targetCPU: a percentage of resources.requests.cpu, which is missing" }}
  {{- end }}
{{- end }}
{{- if not (or (trimSuffix "%" (toString .Values.rollout.maxSurge) | int) (trimSuffix "%" (toString .Values.rollout.maxUnavailable) | int)) }}
  {{- $lines = append $lines "rollout: with maxSurge 0 and maxUnavailable 0 no pod can be replaced" }}
{{- end }}
{{- if and .Values.grpcRoute.enabled (not .Values.grpcRoute.parentRefs) }}
  {{- $lines = append $lines "grpcRoute.parentRefs: which Gateway is the route of?" }}
{{- end }}
{{- if and .Values.prometheusRule.enabled (not (.Files.Get "files/rules.yaml")) }}
  {{- $lines = append $lines "prometheusRule.enabled: this chart was packaged without rules" }}
{{- end }}
{{- if and .Values.networkPolicy.enabled .Values.networkPolicy.egress.enabled (not .Values.networkPolicy.egress.extra) }}
  {{- range $name := list "vendorProxy" "stateUrl" }}
    {{- if and (get $secrets $name) (not (and (eq $name "stateUrl") $values.valkey.enabled)) }}
      {{- $lines = append $lines (printf "networkPolicy.egress.extra: needed for secrets.%s, whose address stands in a Secret; or networkPolicy.egress.enabled=false" $name) }}
    {{- end }}
  {{- end }}
{{- end }}

{{- /* Variables. */}}
{{- $once := dict }}
{{- range .Values.extraEnv }}
  {{- if hasKey $once .name }}
    {{- $lines = append $lines (printf "extraEnv: %s occurs twice" .name) }}
  {{- end }}
  {{- $_ := set $once .name true }}
  {{- $name := upper .name }}
  {{- $setting := ternary ($name | trimPrefix "GATEWAY_" | lower) "" (hasPrefix "GATEWAY_" $name) }}
  {{- if and $setting (ne .name $name) }}
    {{- $lines = append $lines (printf "extraEnv: %s: write %s, since the gateway reads both as one setting" .name $name) }}
  {{- else if hasKey $known.setBy $setting }}
    {{- $lines = append $lines (printf "extraEnv: %s follows from %s, with what belongs to it" .name (get $known.setBy $setting)) }}
  {{- else if and (hasPrefix "GATEWAY_" .name) (not (hasKey $names .name)) }}
    {{- $lines = append $lines (printf "extraEnv: %s is no setting of the gateway" .name) }}
  {{- else if has $setting (list "vendor_url" "vendor_token_url" "otlp_endpoint" "allow_plaintext" "allow_sandbox" "grace" "drain_delay") }}
    {{- $lines = append $lines (printf "extraEnv: %s: set %s, since other parts of the chart follow from it" .name (get $names .name)) }}
  {{- else if has $setting $known.secret }}
    {{- $lines = append $lines (printf "extraEnv: %s: set secrets.%s, since the gateway reads it as a file" .name (include "gateway.camel" $setting)) }}
  {{- end }}
{{- end }}
{{- if $lines }}
  {{- fail (printf "\n\n%s\n" (join "\n" $lines)) }}
{{- end }}
{{- end }}
