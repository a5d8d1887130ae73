#!/bin/sh
# Makes src/parser.c and what lies beside it anew from grammar.js: see README.md.
set -eu
cd "$(dirname "$0")"
"${TREE_SITTER:-tree-sitter}" generate --abi 14
# by this the tests know that the parser is of this grammar
sha256sum grammar.js > src/grammar.js.sha256
