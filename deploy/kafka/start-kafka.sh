#!/usr/bin/env bash
# Starts a real Apache Kafka broker on loopback, for tests and benchmarks: one
# node, KRaft, nothing replicated. It stays in the foreground and stops cleanly on
# SIGTERM or Ctrl-C. The jars are fetched once, with Maven, into a cache folder.
set -euo pipefail

version=4.2.0
cache=${XDG_CACHE_HOME:-$HOME/.cache}/holdfast/kafka-$version
port=9092
controller_port=
dir=
fetch_only=

usage() {
  cat <<USAGE
usage: ${0##*/} --dir DIR [--port 9092] [--controller-port PORT+1]
       ${0##*/} --fetch-only

  --dir DIR          data folder; formatted when it is new
  --port N           where clients connect, on 127.0.0.1
  --controller-port  the controller's own port
  --fetch-only       only fetch the jars into $cache

KAFKA_HEAP_OPTS sets the memory of the broker (default -Xmx1g).
USAGE
}

die() {
  echo "${0##*/}: $*" >&2
  exit 1
}

need() {
  command -v "$1" >/dev/null || die "$1 is missing: install $2"
}

while (($#)); do
  case $1 in
    --dir) dir=${2:?--dir needs a folder}; shift 2 ;;
    --port) port=${2:?--port needs a number}; shift 2 ;;
    --controller-port) controller_port=${2:?--controller-port needs a number}; shift 2 ;;
    --fetch-only) fetch_only=yes; shift ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; die "unknown argument $1" ;;
  esac
done

fetch() {
  [[ -e $cache/complete ]] && return
  need mvn "Maven 3 (Debian: maven)"
  mkdir -p "${cache%/*}"
  exec 9>"$cache.lock"
  flock 9
  [[ -e $cache/complete ]] && return
  local work
  work=$(mktemp -d "$cache.XXXXXX")
  # shellcheck disable=SC2064 # the folder is known now
  trap "rm -rf '$work'" EXIT
  cat >"$work/pom.xml" <<POM
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>holdfast</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
POM
  echo "fetching Apache Kafka $version" >&2
  mvn -q -B -f "$work/pom.xml" dependency:copy-dependencies -DoutputDirectory="$work/libs" >&2 ||
    die "Maven could not fetch Apache Kafka $version: is there a network, or a mirror in ~/.m2/settings.xml?"
  : >"$work/complete"
  rm -rf "$cache"
  mv "$work" "$cache"
  trap - EXIT
  exec 9>&-
}

fetch
[[ -n $fetch_only ]] && exit 0
[[ -n $dir ]] || { usage >&2; die "--dir is missing"; }
need java "a Java runtime, 17 or newer (Debian: openjdk-17-jre-headless)"
: "${controller_port:=$((port + 1))}"

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
cat >"$dir/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller_port
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller_port
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$dir/logs
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
message.max.bytes=2097152
replica.fetch.max.bytes=2097152
log.cleaner.backoff.ms=500
PROPERTIES
java_options=(-cp "$cache/libs/*" -Dorg.slf4j.simpleLogger.defaultLogLevel=warn)
if [[ ! -e $dir/logs/meta.properties ]]; then
  # The cluster id is 16 random bytes in base64, without the characters that an
  # option's value must not begin with.
  id=$(head -c 16 /dev/urandom | base64 | tr '+/' 'ab' | tr -d '=')
  java -Xmx256m "${java_options[@]}" kafka.tools.StorageTool format --ignore-formatted -t "$id" -c "$dir/server.properties" >&2
fi
read -ra heap <<<"${KAFKA_HEAP_OPTS:--Xmx1g}"
exec java "${heap[@]}" "${java_options[@]}" kafka.Kafka "$dir/server.properties"
