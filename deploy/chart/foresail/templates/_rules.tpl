{{/* What each role may do, and why. The same rules stand in ClusterRoles, or in the Roles of watchNamespaces. */}}

{{- define "foresail.rules.read" -}}
# The objects that say what is to be scaled, and how.
- apiGroups: [autoscaling.foresail.dev]
  resources: [predictiveautoscalers]
  verbs: [list, watch]
# What was decided and why is applied to the status, and to nothing else of the object.
- apiGroups: [autoscaling.foresail.dev]
  resources: [predictiveautoscalers/status]
  verbs: [patch]
# Ready, starting and missing pods are told apart, as the HPA does; start-up times are learnt.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
# Replicas, rollouts, and who else writes their number.
- apiGroups: [apps]
  resources: [deployments, statefulsets, replicasets]
  verbs: [list, watch]
# An HPA on the same target is the incumbent that is compared with, or a conflict.
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list, watch]
# CPU and memory of pods, for metrics of type Resource and ContainerResource.
- apiGroups: [metrics.k8s.io]
  resources: [pods]
  verbs: [list]
# Metrics of type Pods and Object; the resource is what they are of, with the metric's name behind it.
- apiGroups: [custom.metrics.k8s.io]
  resources: ["*"]
  verbs: [get]
# Metrics of type External; the resource is the metric's name.
- apiGroups: [external.metrics.k8s.io]
  resources: ["*"]
  verbs: [list]
# Every change of replicas, and every fault, is told as an event of its object.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{- define "foresail.rules.scale" -}}
# The one write to a workload: its scale, read first and replaced at that resourceVersion.
- apiGroups: [apps]
  resources: [deployments/scale, statefulsets/scale, replicasets/scale]
  verbs: [get, update]
{{- end }}

{{- define "foresail.rules.hpa-floor" -}}
# minReplicas of an HPA, read first, follows the forecast; the HPA goes on to scale above it.
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, patch]
{{- end }}

{{- define "foresail.rules.vertical" -}}
# Pods are resized while they run, where vertical.mode is Apply; nothing else of a pod is written.
- apiGroups: [""]
  resources: [pods/resize]
  verbs: [patch]
# What a namespace allows of its pods' sizes: nothing is asked for beyond it.
- apiGroups: [""]
  resources: [limitranges, resourcequotas]
  verbs: [list]
# A VerticalPodAutoscaler that changes the same pods is a conflict.
- apiGroups: [autoscaling.k8s.io]
  resources: [verticalpodautoscalers]
  verbs: [list]
{{- end }}

{{- define "foresail.rules.live-page" -}}
# Whose token it is that opens the live page.
- apiGroups: [authentication.k8s.io]
  resources: [tokenreviews]
  verbs: [create]
# Which namespaces that reader may see.
- apiGroups: [authorization.k8s.io]
  resources: [subjectaccessreviews]
  verbs: [create]
{{- end }}

{{- define "foresail.rules.own" -}}
# The lease that makes one replica the leader; a right to create cannot be bound to a name.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
# It is read and renewed by name.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [foresail]
  verbs: [get, update]
{{- end }}

{{/* A role with its binding: root, name, rules, and a namespace or none. */}}
{{- define "foresail.role" -}}
{{- $kind := ternary "Role" "ClusterRole" (ne .namespace "") }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "foresail.labels" .root | nindent 4 }}
rules:
{{ include .rules .root }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "foresail.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ .name }}
subjects:
- kind: ServiceAccount
  name: {{ include "foresail.account" .root }}
  namespace: {{ .root.Release.Namespace }}
{{- end }}
