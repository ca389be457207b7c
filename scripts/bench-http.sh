#!/usr/bin/env bash
# bench-http.sh ROUNDS SECONDS: measures hits and 304s with wrk, of the adapters, bare handlers, Fiber's
# middleware, nginx and Varnish. The table is also written to .bench.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=$1 seconds=$2
export PATH=$PATH:/usr/sbin:/sbin # some systems have servers only there

scripts/need.sh wrk wrk
for server in nginx:nginx-light varnishd:varnish; do
	scripts/need.sh "${server%:*}" "${server#*:}" || true # without it the table has one server less, and says so
done

mkdir -p .bench
go build -o .bench/hits ./benchmarks/hits
.bench/hits -rounds "$rounds" -seconds "$seconds" | tee .bench/http.txt
