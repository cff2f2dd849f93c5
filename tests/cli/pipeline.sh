#!/bin/sh
# bench/pipeline.py says in which order a trainer takes its samples, and how it moves them; PyTorch is
# fed with it. The trainer's own pipeline must give the same bytes.
. "$(dirname "$0")/common.sh"
: "${FEED_ROWS:?}"
python3 -c 'import numpy' 2>/dev/null || exit 77

# 70 records of noise, a label each
python3 - <<'END'
import numpy
r = numpy.random.default_rng(1)
a = r.integers(0, 256, (70, 3073), dtype=numpy.uint8)
a[:, 0] = numpy.arange(70) % 10
a.tofile("records")
END

# same SEED EPOCHS BATCH PAD FLIP SPEC
same() {
    python3 "$SOURCE/bench/pipeline.py" cifar10 records "$1" "$2" "$3" "$4" "$5" >want
    "$FEED_ROWS" "cifar10:records$6" "$1" "$2" "$3" >found || fail "feed_rows $6"
    cmp want found || fail "$6, seed $1: the batches differ"
    echo "ok: $6 of seed $1"
}
same 0 1 16 0 0 ""
same 0 3 16 4 1 ,augment=crop4:flip
same 7 2 32 0 1 ,augment=flip
same 7 2 70 9 0 ,augment=crop9
same 18446744073709551615 2 33 40 1 ,augment=crop40:flip
python3 "$SOURCE/bench/pipeline.py" cifar10 records 1 1 16 4 1 >other
cmp -s other found && fail "the comparison sees no difference between seeds" || true
