#!/bin/sh
# Wrong usage ends with 2 and says what was expected; suggestions name what was meant.
. "$(dirname "$0")/common.sh"
model=$MODELS/mlp.onnx

expect 2 'usage: intrain COMMAND' "$INTRAIN"
expect 0 'usage: intrain COMMAND' "$INTRAIN" --help
expect 0 '^intrain [0-9]+\.[0-9]+' "$INTRAIN" --version
expect 2 'E0601: unknown command "compil"; did you mean compile\?' "$INTRAIN" compil x
expect 2 'E0601: unknown command "zzzzzz"; see' "$INTRAIN" zzzzzz
expect 2 'E0602: compile has no option --bacth; did you mean --batch\?' "$INTRAIN" compile "$model" --bacth 3
expect 2 'E0602: ops has no option --batch' "$INTRAIN" ops --batch 3
expect 2 'E0602: compile has no option -z' "$INTRAIN" compile "$model" -z
expect 2 'E0603: --batch needs a value: N' "$INTRAIN" compile "$model" --batch
expect 2 'E0603: --embed takes no value' "$INTRAIN" compile "$model" --embed=1
expect 2 'E0606: compile takes MODEL' "$INTRAIN" compile
expect 2 'E0606: compile takes MODEL, found 2' "$INTRAIN" compile a b
expect 2 'E0606: -o DIR is missing' "$INTRAIN" compile "$model"

# value OPTION VALUE EXPECTED
value() {
    expect 2 "E060[45]: .*$3" "$INTRAIN" compile "$model" -o t "--$1=$2"
    absent t
}
value batch 0 'an integer from 1 to 65535'
value batch 65536 'an integer from 1 to 65535'
value batch 1x 'an integer'
value lr nan 'a number such as 0.05'
value lr inf 'a number'
value lr -1 'a number'
value lr 0x1 'a number'
value lr '' 'a number'
value schedule cosine 'constant, step:PERIOD'
value schedule cosine:0 'constant, step:PERIOD'
value warmup -1 'an integer'
value arith int4 'int8, int16 or float32'
value bits 1 'a width from 2 to 16'
value bits 17 'a width from 2 to 16'
value loss hinge 'cross-entropy, mse or graph'
value loss output=l1:2 'l1 is not available yet'
value optimizer lion 'sgd, adam, adamw, rmsprop or adagrad'
value optimizer sgd,momentum=1 'numbers from 0 to below 1'
value optimizer sgd,momentum=nan 'numbers from 0 to below 1'
value optimizer sgd,eps=0.1 'sgd\[,momentum=M\]'
value optimizer adam,momentum=0.9 'adam\[,beta1=B\]'
value optimizer adam,beta2=1 'numbers from 0 to below 1'
value optimizer adamw,eps=0x1 'numbers from 0 to below 1'
value optimizer rmsprop,nesterov 'rmsprop\[,alpha=A\]'
value optimizer sgd,nesterov 'a momentum above 0'
value optimizer sgd,momentum=0.0,nesterov 'a momentum above 0'
value optimizer sgdx 'sgd'
value rounding forward=up 'nearest'
value rounding sideways=nearest 'forward='
value exponent predicted 'not available yet'
value init orthogonal 'keep, kaiming or xavier'
value dim N 'NAME=N'
value dim N=0 'NAME=N'
value memory-limit 10X 'a number of bytes'
value memory-limit 99999999999999999999 'a number of bytes'
value memory-limit 9999999999G 'a number of bytes'
value max-threads 0 'an integer from 1'
value target pdp11 'any or cortex-m'
value seed -1 'an integer'
value emit obj 'not available yet'
value skip nothing 'a pass'
expect 2 'at most --batch, which is 64' "$INTRAIN" compile "$model" -o t --micro-batch 65
expect 2 'no integers whose width' "$INTRAIN" compile "$model" -o t --bits 8 --arith float32
expect 2 'did you mean plan' "$INTRAIN" opt "$model" --passes plann
expect 2 'E0604: --stage' "$INTRAIN" dump "$model" --stage nowhere
expect 2 'E0604: --format' "$INTRAIN" dump "$model" --format xml
expect 2 'E0501: --data' "$INTRAIN" train "$model"
expect 2 'E0511' "$INTRAIN" train "$model" --data foo:bar
expect 2 'E0502: --steps' "$INTRAIN" train "$model" --data idx:a,b --steps x
expect 2 'E0501: --epochs and --steps' "$INTRAIN" train "$model" --data idx:a,b --steps 1 --epochs 1
expect 2 'E0330.*needs [0-9]+ bytes.*--memory-limit allows 1024' "$INTRAIN" compile "$model" -o t --memory-limit 1KiB
absent t
expect 2 'E0301' "$INTRAIN" check "$model" --freeze 'no such*'

# later options win, lists add up, -- ends options
expect 0 'batch = 8' "$INTRAIN" dump --batch 4 --batch=8 --stage import -- "$model"
expect 0 'freeze = "1.bias;1.weight"' "$INTRAIN" dump "$model" --freeze 1.bias --freeze 1.weight --stage import
expect 0 'memory_limit = 2097152' "$INTRAIN" dump "$model" --memory-limit 2MiB --stage import
