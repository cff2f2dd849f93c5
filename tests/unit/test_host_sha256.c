#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "runtime/host/sha256.h"

/* FIPS 180-2, appendix B, and the vectors of NIST's SHAVS (short messages). */
static void check_code(const void *text, size_t n, size_t piece, bool portable,
                       const char *expected)
{
    itr_sha256 s;
    uint8_t hash[32];
    char hex[65];
    itr_sha256_init(&s);
    if (portable) {
        s.blocks = itr_sha256_blocks_ref;
    }
    for (size_t at = 0; at < n; at += piece) {
        itr_sha256_update(&s, (const char *)text + at, n - at < piece ? n - at : piece);
    }
    itr_sha256_final(&s, hash);
    itr_sha256_hex(hash, hex);
    assert_string_equal(hex, expected);
}

/* With the code for this CPU, which may be the portable one, and with that. */
static void check(const void *text, size_t n, size_t piece, const char *expected)
{
    check_code(text, n, piece, false, expected);
    check_code(text, n, piece, true, expected);
}

static void sha256_published_vectors(void **state)
{
    (void)state;
    const char *two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    check("", 0, 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check("abc", 3, 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check(two, 56, 56, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    check("\xbd", 1, 1, "68325720aabd7c82f30f554b313d0570c95accbb7dc4b5aae11204c08ffe732b");
    check("\xc9\x8c\x8e\x55", 4, 4,
          "7abc22c0ae5af26ce93dbb94433a0e0b2e119d014f8e7f65bd56c61ccccd9504");
}

static void sha256_million_letters(void **state)
{
    (void)state;
    static char text[1000000];
    memset(text, 'a', sizeof text);
    const char *expected = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
    check(text, sizeof text, sizeof text, expected);
    check(text, sizeof text, 1, expected);
    check(text, sizeof text, 63, expected);
    check(text, sizeof text, 65, expected);
}

/* Lengths around the padding's edges: in one piece with portable code, and in two, of which the
 * second is long enough to be worth asking the CPU. */
static void sha256_pieces_agree(void **state)
{
    (void)state;
    enum { LONG = 65 * 64 };
    uint8_t text[LONG + 200];
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (uint8_t)(i * 7);
    }
    for (size_t n = 0; n <= sizeof text; n += n == 200 ? LONG - 200 : 1) {
        itr_sha256 s;
        uint8_t a[32];
        uint8_t b[32];
        itr_sha256_init(&s);
        s.blocks = itr_sha256_blocks_ref;
        itr_sha256_update(&s, text, n);
        itr_sha256_final(&s, a);
        itr_sha256_init(&s);
        itr_sha256_update(&s, text, n % 64 / 3);
        itr_sha256_update(&s, text + n % 64 / 3, n - n % 64 / 3);
        itr_sha256_final(&s, b);
        assert_memory_equal(a, b, 32);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sha256_published_vectors),
                                       cmocka_unit_test(sha256_million_letters),
                                       cmocka_unit_test(sha256_pieces_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
