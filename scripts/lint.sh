#!/usr/bin/env bash
# lint.sh VERSION: checks every module with gofmt, go vet and golangci-lint VERSION, and for long cycles
# of files.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$1

unformatted=$(gofmt -l .)
if [ -n "$unformatted" ]; then
	printf 'not formatted by gofmt:\n%s\n' "$unformatted" >&2
	exit 1
fi

go vet work
go run ./internal/filecycles work

linter=.bin/golangci-lint-$version
if [ ! -x "$linter" ]; then
	echo "building golangci-lint $version: this takes a minute or two, once"
	GOBIN=$PWD/.bin go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$version"
	mv .bin/golangci-lint "$linter"
fi
go list -m -f '{{.Dir}}/...' | xargs "$linter" run
