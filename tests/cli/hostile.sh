#!/bin/sh
# Every file of the fuzz corpus is taken (0) or refused (2): a message with an id names the file, and
# nothing is left behind. check and compile agree on each of them.
. "$(dirname "$0")/common.sh"

# judge FILE: check and compile take it, or refuse it for the same reason; `compiled` is the code
judge() {
    checked=0 compiled=0
    "$INTRAIN" check "$1" >check.out 2>check.err || checked=$?
    "$INTRAIN" compile "$1" -o t -q >compile.out 2>compile.err || compiled=$?
    [ "$checked" = "$compiled" ] || fail "$1: check ends with $checked, compile with $compiled"
    [ ! -s compile.out ] || fail "$1: compile -q prints"
    case $compiled in
    0)
        [ ! -s compile.err ] || fail "$1: compile -q prints errors and ends with 0"
        [ -f t/Makefile ] || fail "$1: no trainer"
        rm -rf t
        ;;
    2)
        grep -qE "^$1(:[0-9]+)*: (node .*: )?error E0[1-4][0-9]{2}: ." compile.err || {
            cat compile.err >&2
            fail "$1: the message does not name file and id"
        }
        grep 'error E' check.err >reason # there may be notes as well
        grep 'error E' compile.err | cmp - reason || fail "$1: check and compile give other reasons"
        absent t
        ;;
    *)
        cat compile.err >&2
        fail "$1: ended with $compiled"
        ;;
    esac
}

for file in "$SOURCE"/tests/fuzz/corpus/onnx/*.onnx; do
    judge "$file"
    case $(basename "$file") in
    mlp.onnx | conv.onnx | old_inputs.onnx) good=0 ;;
    training_ada*.onnx | training_momentum.onnx | training_sub.onnx) good=0 ;;
    *) good=2 ;;
    esac
    [ "$compiled" = $good ] || fail "$file: ended with $compiled, expected $good"
done
for file in "$SOURCE"/tests/fuzz/corpus/ir/*.itc; do
    judge "$file"
    code=0
    "$INTRAIN" opt "$file" >opt.out 2>opt.err || code=$?
    [ $code = 0 ] || [ $code = 2 ] || fail "opt $file: ended with $code"
done

# the form of a message: file, node, operator with version, id
"$INTRAIN" dump "$MODELS/mlp.onnx" --stage import -o good.itc
sed 's/transB=1} !2/transB=0} !2/' good.itc >bad.itc
cp good.itc.bin bad.itc.bin
expect 2 '^bad.itc:[0-9]+: node "/1/Gemm" \(Gemm-13\): error E0220: ' "$INTRAIN" compile bad.itc -o t
sed 's/^itc 1$/itc 2/' good.itc >version.itc
expect 2 '^version.itc:1:[0-9]+: error E0101: ' "$INTRAIN" compile version.itc -o t
printf 'itc 1\ngraph @g stage=import opset=13 {\n' >open.itc
expect 2 '^open.itc:[0-9]+(:[0-9]+)?: error E01' "$INTRAIN" compile open.itc -o t
: >empty.itc
expect 2 '^empty.itc.*: error E01' "$INTRAIN" compile empty.itc -o t

# two outputs and no word on which one has a loss
sed 's/^  output %output as "output"/&\n  output %\/1\/Gemm_output_0 as "hidden"/' good.itc >two.itc
cp good.itc.bin two.itc.bin
sed -i 's/good\.itc\.bin/two.itc.bin/' two.itc
expect 2 'E0302: the model has 2 float outputs; say which one has a loss: --loss OUTPUT=KIND' \
    "$INTRAIN" compile two.itc -o t
absent t
expect 0 'make -C t' "$INTRAIN" compile two.itc -o t --loss output=cross-entropy
expect 0 'make -C u' "$INTRAIN" compile two.itc -o u --loss output=cross-entropy --loss hidden=mse:0.5

# an output that cannot be compiled is left out, and said why; with a loss of its own it is an error
sed 's/^  output %output as "output"/    %odd : ? = "Odd"(%output) !9 "odd"\n&\n  output %odd as "odd"/' good.itc >odd.itc
sed -i 's/good\.itc\.bin/odd.itc.bin/' odd.itc
cp good.itc.bin odd.itc.bin
expect 0 '^note: output "odd" is left out: node "odd" \(Odd\): operator Odd is not supported$' \
    "$INTRAIN" compile odd.itc -o v
expect 2 '^odd.itc:[0-9]+: node "odd" \(Odd\): error E0201: ' "$INTRAIN" compile odd.itc -o w --loss odd=mse
absent w

# an arena that no machine has is the trainer's trouble: compiling needs none of it
cat >huge.itc <<'TEXT'
itc 1
graph @huge stage=import opset=13 {
  set loss = "mse"
  input %x : f32[N,1,30000,30000] onnx
  const %w : f32[1,1,1,1] data=[1] onnx
  forward:
    %y : ? onnx = Conv(%x, %w) !1 "c" (Conv-11)
  output %y as "y"
}
TEXT
expect 0 'make -C x' "$INTRAIN" compile huge.itc -o x
