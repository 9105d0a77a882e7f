{{/*
Objects as the API server stores them, so that another manager of the same manifest meets no conflict.
*/}}

{{/*
What a user gave, as the API server stores it: quantities, and the defaults inside of lists, which belong to whoever
applies them as a whole. Takes (list KEY TREE), KEY being where the tree stands, and gives {"it": TREE} as JSON.
*/}}
{{- define "gati.stored" -}}
{{- $key := index . 0 -}}
{{- $tree := index . 1 -}}
{{- if kindIs "slice" $tree -}}
{{- $all := list -}}
{{- range $tree }}{{ $all = append $all (include "gati.stored" (list $key .) | fromJson).it }}{{ end -}}
{{- $tree = $all -}}
{{- else if and (kindIs "map" $tree) (not (regexMatch (include "gati.rules.words" .) $key)) -}}
{{- $all := get (include "gati.stored.defaults" . | fromYaml) $key | default dict -}}
{{- $amounts := list "sizeLimit" "divisor" "averageValue" "tolerance" -}}
{{- if has $key (list "requests" "limits") }}{{ $amounts = keys $tree }}{{ end -}}
{{- if eq $key "target" }}{{ $amounts = append $amounts "value" }}{{ end -}}
{{- range $name, $value := $tree -}}
{{- $inner := eq $key "matches" | ternary (print "match." $name) $name -}}
{{- if has $name $amounts -}}
{{- $_ := set $all $name (include "gati.quantity" $value) -}}
{{- else -}}
{{- $_ := set $all $name (include "gati.stored" (list $inner $value) | fromJson).it -}}
{{- end -}}
{{- end -}}
{{- $tree = $all -}}
{{- end -}}
{{- dict "it" $tree | toJson -}}
{{- end }}

{{- define "gati.stored.defaults" -}}
backendRef: {group: "", kind: Service}
cors: {maxAge: 5}
fieldRef: {apiVersion: v1}
fraction: {denominator: 100}
match.headers: {type: Exact}
match.path: &everything {type: PathPrefix, value: /}
match.queryParams: {type: Exact}
matches: {path: *everything}
metricRelabelings: {action: replace}
parentRefs: {group: gateway.networking.k8s.io, kind: Gateway}
ports: {protocol: TCP}
relabelings: {action: replace}
requestRedirect: {statusCode: 302}
resourceFieldRef: {divisor: "0"}
serviceAccountToken: {expirationSeconds: 3600}
{{- end }}

{{/* The same under its key, without what is empty in it. Takes (list KEY TREE). */}}
{{- define "gati.storedUnder" -}}
{{- include "gati.overlay" (list (first .) (include "gati.stored" . | fromJson).it) -}}
{{- end }}

{{/* A quantity as the API server writes it: 1000m is 1, 1024Mi is 1Gi, 0.5 is 500m, 1e8 is 100e6. Other text is
kept. */}}
{{- define "gati.quantity" -}}
{{- $text := include "gati.text" . -}}
{{- $number := regexFind "^[0-9.]+" $text -}}
{{- $unit := trimPrefix $number $text -}}
{{- $value := float64 $number -}}
{{- $binary := hasSuffix "i" $unit -}}
{{- $base := ternary 1024 1000 $binary -}}
{{- $decimals := list "n" "u" "m" "" "k" "M" "G" "T" "P" "E" -}}
{{- if regexMatch "^[eE][-+]?[0-9]+$" $unit -}}
{{- $decimals = list "e-9" "e-6" "e-3" "" "e3" "e6" "e9" "e12" "e15" "e18" -}}
{{- $exponent := regexReplaceAll "^[eE]" $unit "" | float64 -}}
{{- $thousands := divf $exponent 3 | floor | int -}}
{{- $unit = eq $thousands 0 | ternary "" (mul $thousands 3 | printf "e%d") -}}
{{- $value = mulf $value (index (list 1 10 100) (subf $exponent (mul $thousands 3) | int)) -}}
{{- end -}}
{{- $units := ternary (list "" "Ki" "Mi" "Gi" "Ti" "Pi" "Ei") $decimals $binary -}}
{{- $power := 0 -}}
{{- range $index, $name := $units }}{{ if eq $name $unit }}{{ $power = $index }}{{ end }}{{ end -}}
{{- $known := and (has $unit $units) $number (le (len $number) 15) -}}
{{- range until 8 -}}
{{- if ne $value (floor $value) -}}
{{- if not (or $power (eq $base 1000)) }}{{ $units = $decimals }}{{ $base = 1000 }}{{ $power = 3 }}{{ end -}}
{{- if $power }}{{ $value = mulf $value $base }}{{ $power = sub $power 1 | int }}{{ end -}}
{{- end -}}
{{- end -}}
{{- if or (not $known) (ne $value (floor $value)) -}}
{{- $text -}}
{{- else -}}
{{- $value = int64 $value -}}
{{- range slice $units (int $power | add 1 | int) -}}
{{- if and $value (not (mod $value $base)) }}{{ $value = div $value $base }}{{ $power = add $power 1 }}{{ end -}}
{{- end -}}
{{- $value }}{{ if $value }}{{ index $units (int $power) }}{{ end -}}
{{- end -}}
{{- end }}

{{/* A duration, as Prometheus and Go write it, in seconds. */}}
{{- define "gati.seconds" -}}
{{- $seconds := 0.0 -}}
{{- $units := dict "y" 31536000 "w" 604800 "d" 86400 "h" 3600 "m" 60 "s" 1 "ms" 0.001 -}}
{{- range regexFindAll "[0-9]+[a-z]+" (. | default "") -1 -}}
{{- $unit := regexFind "[a-z]+" . -}}
{{- $seconds = addf $seconds (mulf (trimSuffix $unit . | float64) (get $units $unit)) -}}
{{- end -}}
{{- $seconds -}}
{{- end }}

{{/* A quantity as a plain number, to be compared. */}}
{{- define "gati.amount" -}}
{{- $text := include "gati.text" . -}}
{{- $number := regexFind "^[0-9.]+([eE][-+]?[0-9]+)?" $text -}}
{{- $factors := dict "" 1.0 "n" 1e-9 "u" 1e-6 "m" 1e-3 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 -}}
{{- $binary := dict "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 -}}
{{- $factors = set $binary "Ei" 1152921504606846976.0 | merge $factors -}}
{{- mulf (float64 $number) (get $factors (trimPrefix $number $text)) -}}
{{- end }}
