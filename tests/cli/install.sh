#!/bin/sh
# What is installed works from elsewhere: the program, and the library through pkg-config.
# $1: the build folder.
. "$(dirname "$0")/common.sh"
cmake --install "$1" --prefix "$WORK/usr" >/dev/null
"$WORK/usr/bin/intrain" --version | grep -q intrain || fail "the program does not run"
for file in share/man/man1/intrain.1 share/bash-completion/completions/intrain \
    share/zsh/site-functions/_intrain share/fish/vendor_completions.d/intrain.fish; do
    [ -s "$WORK/usr/$file" ] || fail "$file is not installed"
done

cat >use.c <<'END'
#include <itc.h>
#include <stdio.h>
int main(int argc, char **argv)
{
    itc_compiler *c = itc_compiler_new();
    int code = itc_compiler_set(c, "batch", "8");
    code = code ? code : itc_compiler_load(c, argc > 1 ? argv[1] : "");
    code = code ? code : itc_compiler_dump(c, "text", "import.itc");
    code = code ? code : itc_compiler_run(c, "plan");
    code = code ? code : itc_compiler_write(c, "t");
    for (int i = 0; i < itc_compiler_message_count(c); i++) {
        printf("%s\n", itc_compiler_message(c, i));
    }
    itc_compiler_free(c);
    printf("%s ends with %d\n", itc_version(), code);
    return code;
}
END
pc=$(dirname "$(find "$WORK/usr" -name intrain.pc)")
# shellcheck disable=SC2046,SC2086
${CC:-cc} -std=c11 -Wall -Wextra -Werror ${ITC_CFLAGS-} use.c -o use \
    $(PKG_CONFIG_PATH=$pc pkg-config --define-variable=libdir="$(dirname "$pc")" \
        --define-variable=includedir="$WORK/usr/include/intrain" --cflags --libs intrain)
expect 0 'ends with 0' ./use "$MODELS/mlp.onnx"
grep -q 'batch = 8' import.itc || fail "the option had no effect"
[ -s t/mlp.c ] && [ -s t/Makefile ] || fail "no trainer was written"
expect 2 'missing.onnx' ./use missing.onnx

mkdir package && cat >package/CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.22)
project(use C)
find_package(intrain 0.1 REQUIRED)
add_executable(use ../use.c)
target_link_libraries(use intrain::intrain)
END
cmake -S package -B package/build -DCMAKE_PREFIX_PATH="$WORK/usr" -DCMAKE_C_FLAGS="${ITC_CFLAGS-}" \
    -DCMAKE_C_COMPILER="${CC:-cc}" >/dev/null
cmake --build package/build >/dev/null
expect 0 'ends with 0' package/build/use "$MODELS/mlp.onnx"
