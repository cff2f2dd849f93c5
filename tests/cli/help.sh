#!/bin/sh
# Every command explains itself with an example; man page and completions are well formed.
. "$(dirname "$0")/common.sh"

commands=$("$INTRAIN" --help | sed -n 's/^  \([a-z]*\) .*/\1/p')
[ "$(echo "$commands" | wc -w)" -ge 14 ] || fail "commands are missing: $commands"
for command in $commands; do
    expect 0 '^example:' "$INTRAIN" "$command" --help
    "$INTRAIN" help "$command" | cmp - out || fail "help $command is not $command --help"
    awk 'length > 110 { exit 1 }' out || fail "$command --help has lines that are too long"
done
expect 0 'cross-entropy' "$INTRAIN" compile -h

"$INTRAIN" help bash >intrain.bash
"$INTRAIN" help zsh >_intrain
"$INTRAIN" help fish >intrain.fish
"$INTRAIN" help man >intrain.1
for command in $commands; do
    grep -q "$command" intrain.bash && grep -q "$command" _intrain && grep -q "$command" intrain.fish ||
        fail "$command has no completion"
    grep -q "^.SS $command" intrain.1 || fail "$command is not in the man page"
done
for shell in bash zsh fish; do
    file=intrain.$shell
    [ $shell != zsh ] || file=_intrain
    ! command -v $shell >/dev/null || $shell -n "$file" || fail "$file is malformed"
done
if command -v bash >/dev/null; then
    found=$(bash -c '. ./intrain.bash; COMP_WORDS=(intrain compile --micro); COMP_CWORD=2; _intrain; echo "${COMPREPLY[@]}"')
    [ "$found" = --micro-batch ] || fail "completion of --micro gives $found"
fi
if command -v man >/dev/null && command -v groff >/dev/null; then
    man --warnings -l intrain.1 2>warnings >/dev/null
    [ ! -s warnings ] || { cat warnings; fail "the man page has warnings"; }
fi
