{{- define "foresail.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "foresail.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "foresail.labels" -}}
{{ include "foresail.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "foresail.account" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "foresail.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.create is false: name the account to use, --set serviceAccount.name=NAME" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "foresail.image" -}}
{{- $repository := required "image.repository is not set: build the image from this repository's Dockerfile, push it, and pass --set image.repository=REGISTRY/foresail" .Values.image.repository }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "foresail.maxMode" -}}
{{- $acts := or .Values.actuation.scale .Values.actuation.hpaFloor }}
{{- if and (has .Values.maxMode (list "Advise" "Auto")) (not $acts) }}
{{- fail (printf "maxMode %s writes, but nothing may be written: set actuation.scale or actuation.hpaFloor, or maxMode to Shadow" .Values.maxMode) }}
{{- end }}
{{- default (ternary "Auto" "Shadow" $acts) .Values.maxMode }}
{{- end }}

{{- define "foresail.args" -}}
{{- $args := list "run" "controller" (printf "--max-mode=%s" (include "foresail.maxMode" . | lower)) "--store=/var/lib/foresail" "--metrics-bind=0.0.0.0:8080" "--probe-bind=0.0.0.0:8081" }}
{{- with .Values.leaderElection }}
{{- $args = concat $args (list (printf "--lease-duration=%s" .leaseDuration) (printf "--renew-deadline=%s" .renewDeadline) (printf "--retry-period=%s" .retryPeriod)) }}
{{- end }}
{{- $args = append $args (printf "--log-format=%s" .Values.logFormat) }}
{{- range .Values.watchNamespaces }}
{{- $args = append $args (printf "--watch-namespace=%s" .) }}
{{- end }}
{{- with .Values.prometheus }}
{{- if .url }}
{{- if and (hasPrefix "http:" .url) (not .plainHttp) }}
{{- fail "prometheus.url is http, which others on the way can read and change: use https, or set prometheus.plainHttp=true" }}
{{- end }}
{{- $args = append $args (printf "--prometheus-url=%s" .url) }}
{{- if .plainHttp }}
{{- $args = append $args "--plain-http" }}
{{- end }}
{{- if .auth.existingSecret }}
{{- $args = append $args (printf "--bearer-token-file=/etc/foresail/prometheus-auth/%s" .auth.key) }}
{{- end }}
{{- if .tls.caSecret }}
{{- $args = append $args (printf "--ca-file=/etc/foresail/prometheus-ca/%s" .tls.caKey) }}
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.dashboard.enabled }}
{{- $args = concat $args (list (printf "--web-bind=0.0.0.0:%d" (int .Values.dashboard.port)) "--web-auth=tokenreview") }}
{{- $name := printf "%s.%s" (include "foresail.fullname" .) .Release.Namespace }}
{{- range concat (list "localhost" $name (printf "%s.svc" $name)) .Values.dashboard.hosts }}
{{- $args = append $args (printf "--web-host=%s" .) }}
{{- end }}
{{- end }}
{{- toYaml (concat $args .Values.extraArgs) }}
{{- end }}

{{/* The port that Prometheus' pods listen on. */}}
{{- define "foresail.prometheusPort" -}}
{{- $url := urlParse .Values.prometheus.url }}
{{- $told := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) }}
{{- if .Values.networkPolicy.prometheus.port }}
{{- .Values.networkPolicy.prometheus.port }}
{{- else if $told }}
{{- $told }}
{{- else }}
{{- ternary "443" "80" (eq $url.scheme "https") }}
{{- end }}
{{- end }}
