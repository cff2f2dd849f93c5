#!/bin/sh
# A trainer's bad data, checkpoints, parameters and outputs: the contract's exit code, a message that
# names the file, nothing left behind. Built with the sanitizers where the compiler has them.
. "$(dirname "$0")/common.sh"

SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all"
echo 'int main(void) { return 0; }' >probe.c
# shellcheck disable=SC2086
"${CC:-cc}" $SANITIZE probe.c -o probe 2>probe.log && ./probe || SANITIZE=
build() {
    "$INTRAIN" compile "$MODELS/$1.onnx" -o "$1" --batch 16 -q
    make -s -j2 -C "$1" CFLAGS="-g -O1 $SANITIZE" LDFLAGS="$SANITIZE" >make.log 2>&1 || {
        cat make.log >&2
        fail "make $1"
    }
}
build cnn
build mlp
"$MAKE_DATA" a 64 1
"$MAKE_DATA" b 32 2
IMAGES=a-images.idx LABELS=a-labels.idx
DATA="--data idx:$IMAGES,$LABELS,scale=1/255 --quiet"
T=cnn/trainer

# data CODE-ID FILE SPEC: refused, and the message names the file
data() {
    expect 2 "^trainer: error $1: .*\"$2\"" $T --data "$3" --steps 2 --save never --quiet
    absent never
}
# bytes FILE OFFSET OCTAL: one byte of a file is another
bytes() {
    printf "\\$3" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
raw() {
    head -c "$1" "$2" >"$3"
}

raw 1000 $IMAGES cut
raw 10 $IMAGES head
raw 40 $LABELS short
: >empty
(cat $IMAGES && echo) >long
gzip -c $IMAGES >packed
data E0512 cut idx:cut,$LABELS
data E0512 head idx:head,$LABELS
data E0512 short idx:$IMAGES,short
data E0512 empty idx:empty,$LABELS
data E0512 long idx:long,$LABELS
data E0512 packed idx:packed,$LABELS
grep -q gzip out || fail "a gzipped file is not recognised"
data E0510 none idx:none,$LABELS
data E0510 cnn idx:cnn,$LABELS
data E0514 b-labels.idx idx:$IMAGES,b-labels.idx
data E0514 $IMAGES idx:$IMAGES,$IMAGES
data E0514 $LABELS idx:$LABELS,$LABELS
cp $LABELS high && bytes high 20 012
data E0515 high idx:$IMAGES,high
grep -q 'row 12: found label 10, expected 0 to 9' out || fail "the row is not named: $(cat out)"
cp $IMAGES type && bytes type 2 007
data E0513 type idx:type,$LABELS
cp $IMAGES huge && bytes huge 4 177 && bytes huge 8 177 && bytes huge 12 177
data E0512 huge idx:huge,$LABELS

# npy and csv
npy() { # npy FILE HEADER BYTES
    { printf '\223NUMPY\001\000\166\000%-117s\n' "$2" && head -c "$3" /dev/zero; } >"$1"
}
npy x.npy "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 784), }" 3136
npy y.npy "{'descr': '<i4', 'fortran_order': False, 'shape': (4,), }" 16
"$PWD/$T" --data npy:x.npy,y.npy --steps 1 --quiet || fail "a good npy is refused"
npy f.npy "{'descr': '|u1', 'fortran_order': True, 'shape': (4, 784), }" 3136
data E0513 f.npy npy:f.npy,y.npy
npy s.npy "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 784), }" 3000
data E0512 s.npy npy:s.npy,y.npy
npy o.npy "{'descr': '|O', 'fortran_order': False, 'shape': (4, 784), }" 3136
data E0513 o.npy npy:o.npy,y.npy
npy h.npy "{'descr': '|u1', 'fortran_order': False, 'shape': (9223372036854775807, 9223372036854775807), }" 9
data E0512 h.npy npy:h.npy,y.npy
npy j.npy "this is no dictionary" 10
data E0512 j.npy npy:j.npy,y.npy
data E0512 $IMAGES npy:$IMAGES,y.npy
printf '\000\000\200\177%012d' 0 >nan.bytes
{ head -c 128 y.npy | sed 's/<i4/<f4/' && cat nan.bytes; } >nan.npy
expect 2 'E051[56].*"nan.npy"' $T --data npy:x.npy,nan.npy --steps 1 --quiet
row() { awk -v n="$1" -v last="$2" 'BEGIN { for (i = 0; i < n; i++) printf "%d,", i; print last }'; }
row 784 3 >good.csv
$T --data csv:good.csv --steps 1 --quiet || fail "a good csv is refused"
{ cat good.csv && row 784 12; } >label.csv
data E0515 label.csv csv:label.csv
{ cat good.csv && row 783 3; } >ragged.csv
data E051[24] ragged.csv csv:ragged.csv
{ cat good.csv && row 784 3 | sed 's/^0,/what,/'; } >junk.csv
data E051[26] junk.csv csv:junk.csv
{ cat good.csv && row 784 3 | sed 's/^0,/nan,/'; } >nan.csv
data E051[26] nan.csv csv:nan.csv
{ cat good.csv && printf '"1,2'; } >quote.csv
data E0512 quote.csv csv:quote.csv
data E0514 empty csv:empty
data E0512 $IMAGES cifar10:$IMAGES

# what is no specification
for spec in foo:x idx: idx:, idx:$IMAGES idx:$IMAGES,$LABELS,scale=0/0 idx:$IMAGES,$LABELS,scale=nan \
    idx:$IMAGES,$LABELS,std=0 idx:$IMAGES,$LABELS,limit=0 idx:$IMAGES,$LABELS,augment=x; do
    expect 2 'error E0511: ' $T --data "$spec" --steps 1 --quiet
done
for value in nan inf 1e999 -1 0x1 ''; do
    # shellcheck disable=SC2086
    expect 2 'error E0502: --lr: found' $T $DATA --lr "$value"
done

# checkpoints
# shellcheck disable=SC2086
resume() { # resume ID FILE
    cp "$2" before-it
    expect 2 "^trainer: error $1: file \"$2\"" $T $DATA --steps 9 --resume "$2" --save never
    cmp "$2" before-it || fail "$2 was changed"
    absent never
}
# shellcheck disable=SC2086
$T $DATA --steps 3 --save ckpt
# shellcheck disable=SC2086
mlp/trainer $DATA --steps 3 --save other
size=$(wc -c <ckpt)
for n in 0 1 7 8 40 100 $((size / 2)) $((size - 1)); do
    raw "$n" ckpt damaged
    resume E0520 damaged
done
for at in 0 8 20 60 200 1500 $((size - 1)); do
    cp ckpt damaged
    bytes damaged "$at" 245
    cmp -s ckpt damaged || resume E0520 damaged
done
(cat ckpt && echo) >damaged
resume E0520 damaged
resume E0520 $IMAGES
resume E0520 cnn/cnn_data.bin
resume E0521 other
# shellcheck disable=SC2086
expect 2 'E0522' $T $DATA --resume ckpt --seed 9
# shellcheck disable=SC2086
expect 2 'E0510: file "none"' $T $DATA --resume none

# initial parameters
cp cnn/cnn_data.bin good.bin
raw 300 good.bin cnn/cnn_data.bin
# shellcheck disable=SC2086
expect 2 'E0523: file "cnn/cnn_data.bin"' $T $DATA --steps 1
cp mlp/mlp_data.bin cnn/cnn_data.bin
# shellcheck disable=SC2086
expect 2 'E0521: file "cnn/cnn_data.bin"' $T $DATA --steps 1
rm cnn/cnn_data.bin
# shellcheck disable=SC2086
expect 2 'E0510: file "cnn_data.bin"' $T $DATA --steps 1
cp good.bin cnn/cnn_data.bin

# outputs: known before the first step
for option in --save --log; do
    for path in no/such/file cnn /proc/none; do
        # shellcheck disable=SC2086
        expect 3 "E0540: file \"$path\": cannot be written" $T $DATA --steps 2 $option $path
    done
done
cp ckpt kept
code=0
# shellcheck disable=SC2086
(trap '' XFSZ && ulimit -f 4 && exec $T $DATA --steps 5 --save kept) >out 2>&1 || code=$?
[ $code = 3 ] || fail "a full disk: ended with $code: $(cat out)"
cmp ckpt kept || fail "a full disk changed the checkpoint"
[ -z "$(find . -name '*.tmp*')" ] || fail "a temporary file was left behind"
# shellcheck disable=SC2086
expect 1 'E0530: training diverged at step' $T $DATA --lr 1e9 --steps 50

[ -c /dev/full ] || exit 0
ln -s /dev/full full
for option in --save --log; do
    # shellcheck disable=SC2086
    expect 3 'E0540: file "full": cannot be written: No space' $T $DATA --steps 2 $option full
    [ -h full ] || fail "$option: a link was replaced"
done
for options in "$DATA --steps 2 --digest" "$DATA --steps 2 --log -" --help --version; do
    code=0
    # shellcheck disable=SC2086
    $T $options >/dev/full 2>err || code=$?
    [ $code = 3 ] && grep -q E0540 err || fail "$options >/dev/full: ended with $code"
done
