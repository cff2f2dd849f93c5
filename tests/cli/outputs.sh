#!/bin/sh
# Outputs that cannot be written, from the first byte or half way: 3, and nothing is left behind.
# Devices and pipes are written to, not replaced.
. "$(dirname "$0")/common.sh"
model=$MODELS/mlp.onnx

# full BLOCKS COMMAND...: files may have so many blocks of 512 bytes, as if the disk were full then
full() {
    (
        trap '' XFSZ
        ulimit -f "$1"
        shift
        exec "$@"
    )
}

# limited PATTERN COMMAND...: the command writes more than that, and says so
limited() {
    pattern=$1
    shift
    : >out
    ls -A >before
    code=0
    message=$(full 20 "$@" 2>&1) || code=$?
    ls -A >after
    [ $code = 3 ] || fail "$*: ended with $code, expected 3: $message"
    echo "$message" | grep -qE -e "$pattern" || fail "$*: $message"
    diff before after || fail "$*: left something behind"
}

: >after
limited 'mlp.onnx: error E0003: cannot write t/' "$INTRAIN" compile "$model" -o t
limited 'E0003: cannot write t/' "$INTRAIN" compile "$model" --embed -o t
limited 'E0003: cannot write f.itc' "$INTRAIN" dump "$model" -o f.itc
limited 'E0003: cannot write f.c' "$INTRAIN" compile "$model" --emit source -o f.c
limited 'E0003: cannot write r.itc' "$INTRAIN" opt "$model" -o r.itc

# a directory that was there stays, with what else is in it
mkdir own
echo mine >own/note
code=0
full 20 "$INTRAIN" compile "$model" -o own >out 2>&1 || code=$?
[ $code = 3 ] || fail "compile into own: ended with $code"
[ "$(cat own/note)" = mine ] || fail "a file of the user's was removed"
[ -z "$(find own -name '*.tmp*')" ] || fail "a temporary file was left in own"

# the earlier contents survive
"$INTRAIN" dump "$model" -o kept.itc
cp kept.itc copy.itc
limited 'E0003: cannot write kept.itc' "$INTRAIN" dump "$model" --format json --batch 8 -o kept.itc
cmp kept.itc copy.itc || fail "a failure changed the file that was there"

mkdir folder
expect 3 'E0003: cannot write folder: ' "$INTRAIN" dump "$model" -o folder
absent folder.bin
expect 3 'E0003|E0411' "$INTRAIN" compile "$model" -o /proc/none
expect 3 'E0003' "$INTRAIN" dump "$model" -o /proc/none

mkfifo pipe
cat pipe >piped &
"$INTRAIN" dump "$model" -o pipe
wait
[ -p pipe ] || fail "a pipe was replaced"
absent pipe.bin
"$INTRAIN" dump "$model" -o - >direct
cmp piped direct || fail "a pipe gets another text"

[ -c /dev/full ] || exit 0
# by way of links: a program that replaces what it writes to must not reach the device
ln -s /dev/full full
for command in "dump $model" "opt $model" "compile $model --emit source"; do
    # shellcheck disable=SC2086
    expect 3 'E0003: cannot write full: ' "$INTRAIN" $command -o full
    [ -h full ] || fail "$command: a link was replaced"
    absent full.bin
done
for command in "dump $model" "dump $model -o -" "check $model" "check $model --json" "ops" "passes" \
    "opt $model" "compile $model --emit source -o -" "--help" "--version" "compile --help" "help man"; do
    code=0
    # shellcheck disable=SC2086
    "$INTRAIN" $command >/dev/full 2>err || code=$?
    [ $code = 3 ] || fail "$command >/dev/full: ended with $code, expected 3"
    grep -q 'error E0003: cannot write standard output' err || fail "$command >/dev/full: $(cat err)"
done
