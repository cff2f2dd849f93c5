#!/bin/sh
# Stopped at any moment: after kill -9 the checkpoint is whole, the one before or the one after;
# SIGINT and SIGTERM save, and the run goes on from there to the digest of one that never stopped.
. "$(dirname "$0")/common.sh"

"$INTRAIN" compile "$MODELS/cnn.onnx" -o t --batch 16 -q
make -s -j2 -C t >make.log 2>&1 || { cat make.log >&2; fail make; }
"$MAKE_DATA" a 160 1
DATA="--data idx:a-images.idx,a-labels.idx,scale=1/255 --quiet"

# wait_for FILE: made within some seconds
wait_for() {
    tries=0
    while [ ! -s "$1" ]; do
        tries=$((tries + 1))
        [ $tries -lt 500 ] || fail "$1 does not appear"
        sleep 0.02
    done
}

kills=0 whole=0
while [ $kills -lt 20 ]; do
    # shellcheck disable=SC2086
    t/trainer $DATA --steps 10000000 --save ckpt --save-every 1 &
    pid=$!
    wait_for ckpt
    # 0 to 190 ms, by steps that have no common factor with those of training
    sleep "0.$(printf %03d $((kills * 7 % 20 * 10)))"
    kill -9 $pid 2>/dev/null || fail "the training ended by itself"
    wait $pid 2>/dev/null || true
    kills=$((kills + 1))
    # shellcheck disable=SC2086
    t/trainer --eval idx:a-images.idx,a-labels.idx,scale=1/255 --resume ckpt --quiet 2>err ||
        fail "kill $kills: the checkpoint does not load: $(cat err)"
    whole=$((whole + 1))
    [ $((kills % 5)) -ne 0 ] || rm -f ckpt # some begin without one
done
[ $whole = 20 ] || fail "only $whole checkpoints"
rm -f ckpt ckpt.tmp.*

# shellcheck disable=SC2086
for signal in INT TERM; do
    rm -f log ckpt
    case $signal in INT) want=130 ;; *) want=143 ;; esac
    # (a shell's background processes begin with SIGINT ignored: the trainer catches it all the same)
    t/trainer $DATA --steps 10000000 --save ckpt --log log &
    pid=$!
    wait_for log
    sleep 0.2
    kill -s $signal $pid
    code=0
    wait $pid || code=$?
    [ $code = $want ] || fail "SIG$signal: ended with $code, expected $want"
    wait_for ckpt
    [ -z "$(find . -name 'ckpt.tmp*')" ] || fail "SIG$signal left a temporary file"
    step=$(sed -n 's/.*"event":"end","step":\([0-9]*\).*/\1/p' log)
    [ "$step" -gt 0 ] || fail "SIG$signal: no end in the log"
    more=$((step + 20))
    t/trainer $DATA --steps $more --resume ckpt --digest >resumed
    t/trainer $DATA --steps $more --digest >straight
    cmp resumed straight || fail "SIG$signal at step $step: another digest after it"
    echo "SIG$signal at step $step: saved, resumed"
done
