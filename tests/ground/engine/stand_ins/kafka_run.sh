#!/bin/bash
# KAFKA_LOG_DIRS becomes log.dirs, and so on; then the node is formatted, if it is new, and started.
set -euo pipefail
settings=$(mktemp)
env | grep '^KAFKA_' | while IFS='=' read -r name value; do
  key=$(tr 'A-Z_' 'a-z.' <<<"${name#KAFKA_}")
  echo "$key=$value"
done >"$settings"
grep -q '^log.dirs=' "$settings" || echo log.dirs=/tmp/kraft-combined-logs >>"$settings"
kafka() {
  exec java -Xms128m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
    -Dlog4j2.configurationFile=/etc/kafka/docker/kafka_log4j2.properties -cp '/opt/kafka/libs/*' "$@"
}
(kafka kafka.tools.StorageTool format --ignore-formatted --config "$settings" \
  --cluster-id "${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}")
kafka kafka.Kafka "$settings"
