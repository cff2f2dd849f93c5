#!/bin/sh
# The model and its kernels compile freestanding and link for a Cortex-M; prints flash and RAM.
. "$(dirname "$0")/common.sh"

have arm-none-eabi-gcc || { echo "arm-none-eabi-gcc is missing"; exit 77; }
MODEL=${1:-$SOURCE/examples/lenet5.onnx}
compile "$MODEL" "$WORK/t" --batch 1 --target cortex-m --embed
name=$(basename "$MODEL" .onnx)
cat >"$WORK/t/firmware.c" <<EOF
#include "$name.h"

extern const unsigned char ${name}_data[];
extern const size_t ${name}_data_size;
static ${name}_state state;
static unsigned char image[784];
static int32_t label;

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
static bool read_data(void *at, void *bytes, size_t n)
{
    size_t *from = (size_t *)at;
    if (n > ${name}_data_size - *from) return false;
    memcpy(bytes, ${name}_data + *from, n);
    *from += n;
    return true;
}
void _start(void)
{
    size_t at = 0;
    const itr_array in = {image, ITR_U8, -8}, target = {&label, ITR_I32, 0};
    itr_metrics metrics;
    if (${name}_init(&state, read_data, &at) != ITR_OK) for (;;) {}
    for (;;) (void)${name}_step(&state, &in, &target, 1, &metrics);
}
EOF
cd "$WORK/t"
flags="-std=c11 -ffreestanding -fno-builtin -mcpu=cortex-m7 -mthumb -mfloat-abi=soft -Os -ffunction-sections -fdata-sections -fno-strict-aliasing"
objects=
for c in "$name.c" "${name}_data.c" firmware.c runtime/*.c runtime/ref/*.c runtime/host/sha256.c; do
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
