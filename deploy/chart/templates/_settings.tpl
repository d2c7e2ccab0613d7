{{/* The gateway's settings, written by tools/deploy/chart.py. */}}
{{- define "gateway.settings" -}}
{
  "bounds": {
    "vendorMaxConnectionAge": {
      "maximum": 86400,
      "exclusiveMinimum": 0
    },
    "vendorMaxConnections": {
      "minimum": 1,
      "maximum": 10000
    },
    "vendorConnectTimeout": {
      "maximum": 30,
      "exclusiveMinimum": 0
    },
    "vendorMaxCallsPerSecond": {
      "minimum": 0.1,
      "maximum": 100000
    },
    "vendorTimeout": {
      "maximum": 30,
      "exclusiveMinimum": 0
    },
    "defaultMaxAge": {
      "minimum": 0,
      "maximum": 86400
    },
    "finalMaxAge": {
      "minimum": 0,
      "maximum": 86400
    },
    "cacheBytes": {
      "minimum": 0,
      "maximum": 17179869184
    },
    "ioNiceness": {
      "minimum": 0,
      "maximum": 19
    },
    "workers": {
      "minimum": 1,
      "maximum": 64
    },
    "maxReads": {
      "minimum": 1,
      "maximum": 100000
    },
    "maxCancels": {
      "minimum": 1,
      "maximum": 100000
    },
    "maxConnectionAge": {
      "minimum": 1,
      "maximum": 86400
    },
    "maxStreams": {
      "minimum": 1,
      "maximum": 100000
    },
    "maxWatches": {
      "minimum": 1,
      "maximum": 100000
    },
    "watchPendingInterval": {
      "minimum": 0.1,
      "maximum": 86400
    },
    "watchInProgressInterval": {
      "minimum": 0.1,
      "maximum": 86400
    },
    "drainDelay": {
      "minimum": 0,
      "maximum": 86400
    },
    "grace": {
      "minimum": 0,
      "maximum": 86400
    },
    "traceSampleRatio": {
      "minimum": 0,
      "maximum": 1
    }
  },
  "plain": [
    "sandbox_listen",
    "vendor_url",
    "vendor_allow_http",
    "vendor_client_id",
    "vendor_token_url",
    "vendor_token_path",
    "vendor_token_method",
    "vendor_token_auth",
    "vendor_cancel_path",
    "vendor_max_connection_age",
    "vendor_max_connections",
    "vendor_connect_timeout",
    "vendor_max_calls_per_second",
    "vendor_timeout",
    "caller_limits",
    "allow_plaintext",
    "allow_sandbox",
    "reflection",
    "default_max_age",
    "final_max_age",
    "cache_bytes",
    "state_allow_unencrypted",
    "webhook_token_header",
    "webhook_allow_unsigned",
    "webhook_sources",
    "webhook_trusted_proxies",
    "io_niceness",
    "workers",
    "max_reads",
    "max_cancels",
    "max_connection_age",
    "max_streams",
    "max_watches",
    "watch_pending_interval",
    "watch_in_progress_interval",
    "drain_delay",
    "grace",
    "log_level",
    "log_format",
    "otlp_endpoint",
    "trace_sample_ratio"
  ],
  "secret": [
    "state_keys",
    "state_url",
    "vendor_client_id",
    "vendor_client_secret",
    "vendor_proxy",
    "webhook_basic",
    "webhook_secrets",
    "webhook_tokens"
  ],
  "setBy": {
    "secrets_dir": "secrets",
    "listen": "ports.grpc",
    "metrics_listen": "ports.metrics",
    "webhook_listen": "webhook.enabled and ports.webhook",
    "tls_certificate": "tls.existingSecret",
    "tls_key": "tls.existingSecret",
    "tls_client_ca": "tls.clientCa",
    "callers": "callers",
    "vendor_ca": "vendorTls.ca",
    "vendor_certificate": "vendorTls.existingSecret",
    "vendor_key": "vendorTls.existingSecret",
    "state_ca": "stateCa",
    "webhook_tls_certificate": "webhook.tls.existingSecret",
    "webhook_tls_key": "webhook.tls.existingSecret",
    "webhook_tls_client_ca": "webhook.tls.clientCa"
  },
  "defaults": {
    "sandboxListen": "127.0.0.1:50080",
    "vendorAllowHttp": false,
    "vendorTokenPath": "/authorizer/token",
    "vendorTokenMethod": "POST",
    "vendorTokenAuth": "query",
    "vendorCancelPath": "/api/v1/call-request/cancel",
    "vendorMaxConnectionAge": 60.0,
    "vendorMaxConnections": 1000,
    "vendorConnectTimeout": 3.0,
    "vendorTimeout": 8.0,
    "callerLimits": "enforce",
    "allowPlaintext": false,
    "allowSandbox": false,
    "reflection": true,
    "defaultMaxAge": 1.0,
    "finalMaxAge": 3600.0,
    "cacheBytes": 100000000,
    "stateAllowUnencrypted": false,
    "webhookTokenHeader": "Authorization",
    "webhookAllowUnsigned": false,
    "ioNiceness": 10,
    "workers": 1,
    "maxReads": 1000,
    "maxCancels": 100,
    "maxConnectionAge": 1800.0,
    "maxStreams": 128,
    "maxWatches": 10000,
    "watchPendingInterval": 60.0,
    "watchInProgressInterval": 5.0,
    "drainDelay": 5.0,
    "grace": 30.0,
    "logLevel": "info",
    "traceSampleRatio": 0.01
  }
}
{{- end }}
