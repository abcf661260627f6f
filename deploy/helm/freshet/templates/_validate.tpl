{{/*
What values.schema.json cannot say: values that are right each and wrong together. All sentences at once, each
with what to do. `problems` is handed from part to part.
*/}}
{{- define "freshet.validate" -}}
{{- $problems := dict "found" list -}}
{{- range $part := list "images" "workers" "kafka" "qdrant" "model" "trainer" "monitoring" "registry" "demo" "settings" -}}
{{- include (printf "freshet.validate.%s" $part) (dict "root" $ "problems" $problems) -}}
{{- end -}}
{{- if $problems.found -}}
{{- fail (printf "\n\nThese values cannot be installed:\n  - %s\n" (join "\n  - " $problems.found)) -}}
{{- end -}}
{{- end -}}

{{- define "freshet.problem" -}}
{{- $_ := set .problems "found" (append .problems.found .say) -}}
{{- end -}}

{{- define "freshet.validate.images" -}}
{{- $v := .root.Values -}}{{- $p := .problems -}}
{{- if not $v.image.repository -}}
{{- include "freshet.problem" (dict "problems" $p "say" "image.repository is empty: build the images with deploy/Dockerfile, push them, and set it to where they are.") -}}
{{- end -}}
{{- if and $v.image.digest $v.worker.gpu.tag -}}
{{- include "freshet.problem" (dict "problems" $p "say" "image.digest and worker.gpu.tag both name the worker's image: set one of them.") -}}
{{- end -}}
{{- if and (not $v.serviceAccount.create) $v.serviceAccount.annotations -}}
{{- include "freshet.problem" (dict "problems" $p "say" "serviceAccount.annotations need serviceAccount.create: annotate the existing account yourself.") -}}
{{- end -}}
{{- end -}}

{{- define "freshet.validate.workers" -}}
{{- $v := .root.Values -}}{{- $p := .problems -}}
{{- $most := include "freshet.maxWorkers" .root | int -}}
{{- $scaled := $v.worker.autoscaling -}}
{{- $name := ternary "worker.autoscaling.maxReplicas" "worker.replicas" $scaled.enabled -}}
{{- if gt $most (int $v.kafka.partitions) -}}
{{- include "freshet.problem" (dict "problems" $p "say" (printf "%s is %d and kafka.partitions %d: a worker without a partition never becomes ready; lower the one, or create the topics with more partitions." $name $most (int $v.kafka.partitions))) -}}
{{- end -}}
{{- if and (not (include "freshet.qdrantUrl" .root)) (or $scaled.enabled (gt $most 1)) -}}
{{- include "freshet.problem" (dict "problems" $p "say" (printf "more than one worker (%s) needs qdrant.url: without it Qdrant's engine runs inside the one worker, which alone holds its folder." (ternary "worker.autoscaling.enabled" $name $scaled.enabled))) -}}
{{- end -}}
{{- if $scaled.enabled -}}
{{- if gt (int $scaled.minReplicas) $most -}}
{{- include "freshet.problem" (dict "problems" $p "say" (printf "worker.autoscaling.minReplicas is %d and the most are %d: lower it, or raise maxReplicas and kafka.partitions." (int $scaled.minReplicas) $most)) -}}
{{- end -}}
{{- if and (eq $scaled.by "hpa") (not $scaled.externalMetric.name) -}}
{{- include "freshet.problem" (dict "problems" $p "say" "worker.autoscaling.by hpa needs worker.autoscaling.externalMetric.name: the metric of the lag that your adapter brings, such as sum(freshet_lag_events).") -}}
{{- end -}}
{{- if and (eq $scaled.by "keda") $scaled.externalMetric.name -}}
{{- include "freshet.problem" (dict "problems" $p "say" "worker.autoscaling.externalMetric is set and worker.autoscaling.by is keda, which reads the lag from Kafka: set by to hpa, or empty it.") -}}
{{- end -}}
{{- if and (eq $scaled.by "hpa") $scaled.authenticationRef -}}
{{- include "freshet.problem" (dict "problems" $p "say" "worker.autoscaling.authenticationRef is set and worker.autoscaling.by is hpa, which asks Kafka for nothing: set by to keda, or empty it.") -}}
{{- end -}}
{{- if and (eq $scaled.by "keda") (ne $v.kafka.securityProtocol "PLAINTEXT") (not $scaled.authenticationRef) -}}
{{- include "freshet.problem" (dict "problems" $p "say" (printf "worker.autoscaling reads the lag from Kafka with %s: name a KEDA TriggerAuthentication in worker.autoscaling.authenticationRef." $v.kafka.securityProtocol)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "freshet.validate.registry" -}}
{{- $v := .root.Values -}}{{- $p := .problems -}}{{- $r := $v.schemaRegistry -}}
{{- if and (not $r.url) (or $r.username $r.existingSecret $r.caSecret) -}}
{{- include "freshet.problem" (dict "problems" $p "say" "schemaRegistry.username, existingSecret or caSecret is set without schemaRegistry.url: name the registry, or empty them.") -}}
{{- end -}}
{{- if ne (empty $r.username) (empty $r.existingSecret) -}}
{{- include "freshet.problem" (dict "problems" $p "say" "schemaRegistry.username and schemaRegistry.existingSecret go together: the one is who, the other holds the password.") -}}
{{- end -}}
{{- if and (hasPrefix "http://" $r.url) $r.existingSecret (not (dig "codec" "allow_password_over_http" false (default dict $v.settings))) -}}
{{- include "freshet.problem" (dict "problems" $p "say" "schemaRegistry.url is http:// and schemaRegistry.existingSecret is set: the password would travel in the clear; use https://, or set settings.codec.allow_password_over_http on a network you trust.") -}}
{{- end -}}
{{- if and (hasPrefix "http://" $r.url) $r.caSecret -}}
{{- include "freshet.problem" (dict "problems" $p "say" "schemaRegistry.caSecret is set and schemaRegistry.url is http://, which checks no certificate: use https://.") -}}
{{- end -}}
{{- if and (eq (dig "codec" "format" "json" (default dict $v.settings)) "avro") (not $r.url) -}}
{{- include "freshet.problem" (dict "problems" $p "say" "settings.codec.format is avro and schemaRegistry.url is empty: name the registry that the schema is registered at.") -}}
{{- end -}}
{{- end -}}

{{/* What the demo brings must not be named as well. */}}
{{- define "freshet.validate.demo" -}}
{{- $v := .root.Values -}}{{- $p := .problems -}}
{{- if and $v.demo.kafka $v.kafka.bootstrapServers -}}
{{- include "freshet.problem" (dict "problems" $p "say" "demo.kafka and kafka.bootstrapServers are both set: the demo brings a Kafka of its own; turn it off, or empty the other.") -}}
{{- end -}}
{{- if and $v.demo.kafka (or (ne $v.kafka.securityProtocol "PLAINTEXT") (gt (int $v.kafka.replicationFactor) 1) (eq $v.topics.createdBy "strimzi")) -}}
{{- include "freshet.problem" (dict "problems" $p "say" "demo.kafka is one broker without a password: leave kafka.securityProtocol at PLAINTEXT, kafka.replicationFactor at 1, and topics.createdBy at worker.") -}}
{{- end -}}
{{- if and $v.demo.qdrant (or $v.qdrant.url $v.qdrant.existingSecret $v.qdrant.caSecret $v.qdrant.storage.existingClaim) -}}
{{- include "freshet.problem" (dict "problems" $p "say" "demo.qdrant is set and so is qdrant.url, a Secret or a claim: the demo brings a server of its own, without a password; turn it off, or empty the others.") -}}
{{- end -}}
{{- if and $v.demo.model (or $v.model.uri $v.model.volume.enabled) -}}
{{- include "freshet.problem" (dict "problems" $p "say" "demo.model and model.uri or model.volume.enabled are both set: the demo makes a model of its own; turn it off, or leave the others out.") -}}
{{- end -}}
{{- if and $v.demo.model (gt (include "freshet.maxWorkers" .root | int) 1) -}}
{{- include "freshet.problem" (dict "problems" $p "say" "demo.model makes a model in each worker, and workers must have the same: run one worker, or use model.uri or model.volume.") -}}
{{- end -}}
{{- end -}}

{{- define "freshet.validate.kafka" -}}
{{- $v := .root.Values -}}{{- $p := .problems -}}
{{- $sasl := hasPrefix "SASL" $v.kafka.securityProtocol -}}
{{- $tls := contains "SSL" $v.kafka.securityProtocol -}}
{{- if not (include "freshet.bootstrapServers" .root) -}}
{{- include "freshet.problem" (dict "problems" $p "say" "kafka.bootstrapServers is empty: name your brokers, HOST:PORT separated by commas.") -}}
{{- end -}}
{{- if and $sasl (not (and $v.kafka.sasl.username $v.kafka.sasl.existingSecret)) -}}
{{- include "freshet.problem" (dict "problems" $p "say" (printf "kafka.securityProtocol %s needs kafka.sasl.username and kafka.sasl.existingSecret: name the Secret that holds the password." $v.kafka.securityProtocol)) -}}
{{- end -}}
{{- if and (not $sasl) (or $v.kafka.sasl.username $v.kafka.sasl.existingSecret) -}}
{{- include "freshet.problem" (dict "problems" $p "say" (printf "kafka.sasl is set and kafka.securityProtocol is %s, which asks for no password: set SASL_SSL, or empty kafka.sasl." $v.kafka.securityProtocol)) -}}
{{- end -}}
{{- if and (not (or (eq $v.kafka.securityProtocol "SSL") (eq $v.kafka.securityProtocol "SASL_SSL"))) (or $v.kafka.caSecret $v.kafka.clientSecret) -}}
{{- include "freshet.problem" (dict "problems" $p "say" (printf "kafka.caSecret or kafka.clientSecret is set and kafka.securityProtocol %s does not encrypt: set SSL or SASL_SSL." $v.kafka.securityProtocol)) -}}
{{- end -}}
{{- if and (eq $v.topics.createdBy "strimzi") (not $v.topics.strimzi.cluster) -}}
{{- include "freshet.problem" (dict "problems" $p "say" "topics.createdBy strimzi needs topics.strimzi.cluster: the name of the Kafka resource.") -}}
{{- end -}}
{{- if and (ne $v.topics.createdBy "strimzi") $v.topics.strimzi.config -}}
{{- include "freshet.problem" (dict "problems" $p "say" (printf "topics.strimzi.config is set and topics.createdBy is %s, which would ignore it: set createdBy to strimzi, or empty it." $v.topics.createdBy)) -}}
{{- end -}}
{{- $known := .root.Files.Get "files/topics.yaml" | fromYaml -}}
{{- range $topic, $_ := $v.topics.strimzi.config -}}
{{- if not (hasKey $known $topic) -}}
{{- include "freshet.problem" (dict "problems" $p "say" (printf "topics.strimzi.config names %s, which is no topic of Freshet: there are %s." $topic (keys $known | sortAlpha | join ", "))) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "freshet.validate.qdrant" -}}
{{- $v := .root.Values -}}{{- $p := .problems -}}
{{- if and (not (include "freshet.qdrantUrl" .root)) (or $v.qdrant.existingSecret $v.qdrant.caSecret) -}}
{{- include "freshet.problem" (dict "problems" $p "say" "qdrant.existingSecret or qdrant.caSecret is set without qdrant.url: the engine inside the worker asks for neither.") -}}
{{- end -}}
{{- if and $v.qdrant.url $v.qdrant.storage.existingClaim -}}
{{- include "freshet.problem" (dict "problems" $p "say" "qdrant.storage.existingClaim is set and so is qdrant.url: the server has its own disk; empty one of them.") -}}
{{- end -}}
{{- if and (hasPrefix "http://" $v.qdrant.url) $v.qdrant.existingSecret (not (dig "qdrant" "allow_key_over_http" false (default dict $v.settings))) -}}
{{- include "freshet.problem" (dict "problems" $p "say" "qdrant.url is http:// and qdrant.existingSecret is set: the key would travel in the clear; use https://, or set settings.qdrant.allow_key_over_http on a network you trust.") -}}
{{- end -}}
{{- if and (hasPrefix "http://" $v.qdrant.url) $v.qdrant.caSecret -}}
{{- include "freshet.problem" (dict "problems" $p "say" "qdrant.caSecret is set and qdrant.url is http://, which checks no certificate: use https://.") -}}
{{- end -}}
{{- end -}}

{{- define "freshet.validate.model" -}}
{{- $v := .root.Values -}}{{- $p := .problems -}}
{{- if and $v.model.uri $v.model.volume.enabled -}}
{{- include "freshet.problem" (dict "problems" $p "say" "model.uri and model.volume.enabled are both set: a worker starts from one of them; choose.") -}}
{{- end -}}
{{- if not (or $v.model.uri $v.model.volume.enabled $v.demo.model) -}}
{{- include "freshet.problem" (dict "problems" $p "say" "there is no model: set model.uri to a version's folder in an object store, or model.volume.enabled to a volume that holds a models folder.") -}}
{{- end -}}
{{- if and $v.model.digest (not $v.model.uri) -}}
{{- include "freshet.problem" (dict "problems" $p "say" "model.digest is set without model.uri: it belongs to what is fetched.") -}}
{{- end -}}
{{- if and $v.model.volume.existingClaim (not $v.model.volume.enabled) -}}
{{- include "freshet.problem" (dict "problems" $p "say" "model.volume.existingClaim is set and model.volume.enabled is false: enable it, or empty the claim.") -}}
{{- end -}}
{{- $pods := add (include "freshet.maxWorkers" .root | int) (ternary $v.trainer.replicas 0 $v.trainer.enabled | int) -}}
{{- if and $v.model.volume.enabled (ne $v.model.volume.accessMode "ReadWriteMany") (gt (int $pods) 1) -}}
{{- include "freshet.problem" (dict "problems" $p "say" (printf "model.volume.accessMode is %s and %d pods mount the volume, on nodes of their own: use ReadWriteMany, or one worker and no trainer." $v.model.volume.accessMode (int $pods))) -}}
{{- end -}}
{{- end -}}

{{- define "freshet.validate.trainer" -}}
{{- $v := .root.Values -}}{{- $p := .problems -}}
{{- if $v.trainer.enabled -}}
{{- if not $v.model.volume.enabled -}}
{{- include "freshet.problem" (dict "problems" $p "say" "trainer.enabled needs model.volume.enabled: the trainer writes new versions there, and workers read them.") -}}
{{- end -}}
{{- $bound := dig "trainer" "max_memory_mb" 8192 (default dict $v.settings) | int -}}
{{- $limit := dig "limits" "memory" "" $v.trainer.resources -}}
{{- if and $limit (le (include "freshet.bytes" $limit | int64) (mul $bound 1048576)) -}}
{{- include "freshet.problem" (dict "problems" $p "say" (printf "trainer.resources.limits.memory is %s and settings.trainer.max_memory_mb %d: the pod would be killed before the trainer can end a training and say why; raise the limit above it, or lower the setting." $limit $bound)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "freshet.validate.monitoring" -}}
{{- $v := .root.Values -}}{{- $p := .problems -}}
{{- if and $v.monitoring.podMonitor.enabled $v.monitoring.serviceMonitor.enabled -}}
{{- include "freshet.problem" (dict "problems" $p "say" "monitoring.podMonitor.enabled and monitoring.serviceMonitor.enabled would both scrape every pod: enable one of them.") -}}
{{- end -}}
{{- if and $v.networkPolicy.ui (not $v.ui.enabled) -}}
{{- include "freshet.problem" (dict "problems" $p "say" "networkPolicy.ui is set and ui.enabled is false: enable the playground, or empty it.") -}}
{{- end -}}
{{- if and (or $v.monitoring.podMonitor.enabled $v.monitoring.serviceMonitor.enabled) $v.networkPolicy.enabled (not $v.networkPolicy.monitoring) -}}
{{- include "freshet.problem" (dict "problems" $p "say" "monitoring.podMonitor or serviceMonitor asks Prometheus to scrape, and networkPolicy.monitoring lets it nowhere: name its pods or namespace there.") -}}
{{- end -}}
{{- end -}}

{{/* A setting in two places would be one that silently loses. */}}
{{- define "freshet.validate.settings" -}}
{{- $v := .root.Values -}}{{- $p := .problems -}}
{{- $secrets := dict "kafka" (list "sasl_password") "qdrant" (list "api_key") "codec" (list "registry_password") -}}
{{- $homes := dict "kafka" "kafka.sasl.existingSecret" "qdrant" "qdrant.existingSecret" "codec" "schemaRegistry.existingSecret" -}}
{{- $owned := dict
  "kafka" (list "bootstrap_servers" "topic_prefix" "group_id" "partitions" "replication_factor" "create_topics" "security_protocol" "sasl_mechanism" "sasl_username" "ssl_cafile" "ssl_certfile" "ssl_keyfile")
  "qdrant" (list "url" "path" "ca_file" "certificate_file" "key_file")
  "model" (list "path" "cache" "device")
  "http" (list "host" "port")
  "ui" (list "host" "port" "worker_url")
  "codec" (list "registry_url" "registry_username" "registry_ca_file")
  "trainer" (list "models" "host" "port") -}}
{{- range $section, $names := $secrets -}}{{- range $name := $names -}}
{{- if hasKey (get (default dict $v.settings) $section | default dict) $name -}}
{{- include "freshet.problem" (dict "problems" $p "say" (printf "settings.%s.%s is a secret, and settings become a ConfigMap: put it into a Secret and name that in %s." $section $name (get $homes $section))) -}}
{{- end -}}{{- end -}}{{- end -}}
{{- range $section, $names := $owned -}}{{- range $name := $names -}}
{{- if hasKey (get (default dict $v.settings) $section | default dict) $name -}}
{{- include "freshet.problem" (dict "problems" $p "say" (printf "settings.%s.%s is set by the chart from its own values: use those (kafka, topics, qdrant, model, schemaRegistry, worker, trainer, ui) and leave it out." $section $name)) -}}
{{- end -}}{{- end -}}{{- end -}}
{{- end -}}
