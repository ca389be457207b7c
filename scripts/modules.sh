#!/usr/bin/env bash
# modules.sh: checks that each module is tidy and builds by itself, without go.work.
set -euo pipefail
cd "$(dirname "$0")/.."
modules=$(go list -m -f '{{.Dir}}')
export GOWORK=off

status=0
while read -r module; do
	if ! (cd "$module" && go mod tidy -diff && go build ./...); then
		echo "$module: not tidy, or doesn't build by itself" >&2
		status=1
	fi
done <<<"$modules"

# Users of the core must not depend on these.
heavy='gofiber|valyala|sqlite|opentelemetry|prometheus|testify|miniredis|goleak'
if deps=$(go list -deps ./tiered) && found=$(grep -E "$heavy" <<<"$deps"); then
	printf 'tiered must not depend on:\n%s\n' "$found" >&2
	status=1
fi
exit $status
