#!/bin/sh
# The model and its kernels compile freestanding and link for a Cortex-M; prints flash and RAM.
. "$(dirname "$0")/common.sh"

have arm-none-eabi-gcc || { echo "arm-none-eabi-gcc is missing"; exit 77; }
MODEL=${1:-$SOURCE/examples/lenet5.onnx}
compile "$MODEL" "$WORK/t" --batch 1 --target cortex-m --embed
name=$(basename "$MODEL" .onnx)
cat >"$WORK/t/firmware.c" <<EOF
#include "$name.h"
static ${name}_state state;
static const unsigned char image[784];
static const int label = 3;
void *memcpy(void *to, const void *from, size_t n)
{
    for (size_t i = 0; i < n; i++) ((unsigned char *)to)[i] = ((const unsigned char *)from)[i];
    return to;
}
void *memset(void *to, int v, size_t n)
{
    for (size_t i = 0; i < n; i++) ((unsigned char *)to)[i] = (unsigned char)v;
    return to;
}
int main(void)
{
    const itr_array in = {image, ITR_U8, -8}, target = {&label, ITR_I32, 0};
    itr_metrics metrics;
    return (int)${name}_step(&state, &in, &target, 1, &metrics);
}
void _start(void) { (void)main(); for (;;) {} }
EOF
cd "$WORK/t"
flags="-std=c11 -ffreestanding -fno-builtin -mcpu=cortex-m7 -mthumb -mfloat-abi=soft -Os -ffunction-sections -fdata-sections -fno-strict-aliasing"
objects=
for c in "$name.c" firmware.c runtime/*.c runtime/ref/*.c; do
    o=$(echo "$c" | tr / _).o
    # shellcheck disable=SC2086
    arm-none-eabi-gcc $flags -c "$c" -o "$o" || fail "$c does not compile freestanding"
    objects="$objects $o"
done
# shellcheck disable=SC2086
arm-none-eabi-gcc -mcpu=cortex-m7 -mthumb -mfloat-abi=soft -nostdlib -Wl,--gc-sections -o firmware.elf $objects -lgcc ||
    fail "it does not link"
arm-none-eabi-nm firmware.elf | grep -E '__aeabi_[fd](add|sub|mul|div|cmp)|__aeabi_[iu]l?2[fd]' && fail "floating point"
arm-none-eabi-size firmware.elf | awk 'NR == 2 { printf "flash %d bytes, RAM %d bytes\n", $1 + $2, $2 + $3 }'
