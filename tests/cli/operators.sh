#!/bin/sh
# docs/operators.md says what the compiler says.
. "$(dirname "$0")/common.sh"

page=$SOURCE/docs/operators.md
"$INTRAIN" ops --markdown >operators.md
grep -q '^| Conv | 1-[0-9]* | yes | yes | yes | - |' operators.md || fail "no row of Conv"
[ -z "${ITC_UPDATE:-}" ] || cp operators.md "$page"
diff "$page" operators.md || fail "docs/operators.md is out of date: intrain ops --markdown >docs/operators.md"
