#!/usr/bin/env bash
# bench-http.sh ROUNDS SECONDS: stored responses, and 304s, asked for by wrk, from the adapters beside bare handlers, Fiber's
# middleware, nginx and Varnish. The table stays in .bench.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=$1 seconds=$2
export PATH=$PATH:/usr/sbin:/sbin # where servers are

scripts/need.sh wrk wrk
for server in nginx:nginx-light varnishd:varnish; do
	scripts/need.sh "${server%:*}" "${server#*:}" || true # it is left out, then, and the table says so
done

mkdir -p .bench
go build -o .bench/hits ./benchmarks/hits
.bench/hits -rounds "$rounds" -seconds "$seconds" | tee .bench/http.txt
