{{/* Name of everything that belongs to the operator. */}}
{{- define "cais.operator" -}}
{{- printf "%s-operator" .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "cais.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "cais.operator" .) -}}
{{- end -}}

{{- define "cais.selector" -}}
app.kubernetes.io/name: cais-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "cais.labels" -}}
{{ include "cais.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "cais.testLabels" -}}
app.kubernetes.io/name: cais-test
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "cais.nodeTrustSelector" -}}
app.kubernetes.io/name: cais-node-trust
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "cais.nodeTrustLabels" -}}
{{ include "cais.nodeTrustSelector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Full name of an image. Takes a dict with the keys `root` and `image` (operator or registry). */}}
{{- define "cais.image" -}}
{{- $image := index .root.Values.image .image -}}
{{- $tag := $image.tag | default .root.Chart.AppVersion -}}
{{- with .root.Values.image.prefix }}{{ trimSuffix "/" . }}/{{ end -}}
{{- if $image.digest }}{{ printf "%s@%s" $image.repository $image.digest }}
{{- else }}{{ printf "%s:%s" $image.repository $tag }}{{ end -}}
{{- end -}}

{{/* Port of a proxy, given its URL. */}}
{{- define "cais.proxyPort" -}}
{{- $url := urlParse . -}}
{{- regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) | default (eq $url.scheme "https" | ternary "443" "80") -}}
{{- end -}}

{{/* What the operator may do in a namespace whose Registries it looks after. */}}
{{- define "cais.rules" -}}
- apiGroups: [cais.dev]
  resources: [registries, registryaccesses]
  verbs: [get, list, watch]
# Takes the annotations cais.dev/gc and cais.dev/rotate off once they are served.
- apiGroups: [cais.dev]
  resources: [registries, registryaccesses]
  verbs: [patch]
- apiGroups: [cais.dev]
  resources: [registries/status, registryaccesses/status]
  verbs: [patch]
# Applied (patch; a ServiceAccount's pull Secrets too, where a RegistryAccess asks for it) and, when a Registry goes away or no longer asks for it, taken back (delete).
- apiGroups: [""]
  resources: [configmaps, persistentvolumeclaims, serviceaccounts, services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [ingresses, networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes, backendtlspolicies]
  verbs: [get, list, watch, create, patch, delete]
# Where cert-manager is asked for a certificate.
- apiGroups: [cert-manager.io]
  resources: [certificates]
  verbs: [get, list, watch, create, patch, delete]
# Created once, and replaced only as they were read.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, update, delete]
# When a garbage collection has ended.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [list, watch]
# A touched annotation makes the kubelet refresh mounted Secrets and ConfigMaps at once.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end -}}
