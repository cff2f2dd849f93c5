# What the tests of the command line share. ctest sets INTRAIN, MAKE_DATA and SOURCE.
set -eu
: "${INTRAIN:?}" "${MAKE_DATA:?}" "${SOURCE:?}"
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
cd "$WORK"
MODELS=$SOURCE/tests/models

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# expect CODE PATTERN COMMAND...: the exit code, and a pattern of grep -E that its output has
expect() {
    want=$1 pattern=$2 found=0
    shift 2
    "$@" >out 2>&1 || found=$?
    if [ "$found" -ne "$want" ] || ! grep -qE -e "$pattern" out; then
        cat out >&2
        fail "$* ended with $found, expected $want and $pattern"
    fi
}

# absent FILE...: a failure has left nothing behind
absent() {
    for file in "$@"; do
        if [ -e "$file" ] || [ -n "$(find . -name "$file.tmp*")" ]; then
            fail "$file was left behind"
        fi
    done
}

small_data() {
    "$MAKE_DATA" train 160 1
    DATA=idx:train-images.idx,train-labels.idx,scale=1/255
}
