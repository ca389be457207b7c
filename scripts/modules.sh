#!/usr/bin/env bash
# modules.sh: checks that each module is tidy and builds by itself, without go.work.
set -euo pipefail
cd "$(dirname "$0")/.."
modules=$(go list -m -f '{{.Dir}}')
export GOWORK=off

status=0
while read -r module; do
	if ! (cd "$module" && go mod tidy -diff && go build -o /dev/null ./...); then
		echo "$module: not tidy, or doesn't build by itself" >&2
		status=1
	fi
done <<<"$modules"

# Packages for users of the core must not import these. internal/release checks the modules that users get.
heavy='gofiber|valyala|sqlite|opentelemetry|prometheus|testify|miniredis|goleak|chromedp'
if deps=$(go list -deps ./tiered ./codec ./keys ./adapters/httpcache ./adapters/inspect ./tiercachetest) && found=$(grep -E "$heavy" <<<"$deps"); then
	printf 'the core must not import:\n%s\n' "$found" >&2
	status=1
fi
exit $status
