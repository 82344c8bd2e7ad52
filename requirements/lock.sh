#!/bin/sh
# Pins every requirement with its hashes. The files name no download address: pip takes them from wherever it is set up to.
set -eu
bin=$1
pin() {
    out=$1
    shift
    "$bin/uv" pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --custom-compile-command "make lock" --no-annotate -o "requirements/$out.txt" "$@"
}
pin run pyproject.toml
pin build requirements/build.in
pin test --group test -c requirements/run.txt
pin dev --group dev -c requirements/run.txt -c requirements/test.txt
pin catalog requirements/catalog.in --no-build
# The SDKs that the client tests drive live in environments of their own, so nothing ties them to the house's pins.
for set in newest middle oldest legacy; do
    pin "clients-$set" "requirements/clients-$set.in" --no-build
done
pin llama requirements/llama.in --no-build
