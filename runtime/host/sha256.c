#include "sha256.h"

#include <string.h>

#include "../cpu.h"

static const uint32_t round_constant[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate_right(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

/*
 * One round: d and h change, the other letters turn by one place in the next call, so that no word
 * is moved. The message's words live in a ring of 16; from round 16 on each is replaced in place.
 */
#define ROUND(a, b, c, d, e, f, g, h, i)                                                           \
    do {                                                                                           \
        const uint32_t t = h + (rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25)) +  \
                           (g ^ (e & (f ^ g))) + k[i] + w[i];                                      \
        d += t;                                                                                    \
        h = t + (rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22)) +                 \
            ((a & b) | (c & (a | b)));                                                             \
    } while (0)

/** Eight rounds, after which every letter is in its place again. */
static void eight_rounds(uint32_t v[8], const uint32_t *k, const uint32_t *w)
{
    uint32_t a = v[0], b = v[1], c = v[2], d = v[3], e = v[4], f = v[5], g = v[6], h = v[7];
    ROUND(a, b, c, d, e, f, g, h, 0);
    ROUND(h, a, b, c, d, e, f, g, 1);
    ROUND(g, h, a, b, c, d, e, f, 2);
    ROUND(f, g, h, a, b, c, d, e, 3);
    ROUND(e, f, g, h, a, b, c, d, 4);
    ROUND(d, e, f, g, h, a, b, c, 5);
    ROUND(c, d, e, f, g, h, a, b, 6);
    ROUND(b, c, d, e, f, g, h, a, 7);
    v[0] = a, v[1] = b, v[2] = c, v[3] = d, v[4] = e, v[5] = f, v[6] = g, v[7] = h;
}

/** The next 16 words of the message's schedule over the last ones. */
static void next_words(uint32_t w[16])
{
    for (int i = 0; i < 16; i++) {
        const uint32_t x = w[(i + 1) % 16];
        const uint32_t y = w[(i + 14) % 16];
        w[i] += (rotate_right(x, 7) ^ rotate_right(x, 18) ^ x >> 3) + w[(i + 9) % 16] +
                (rotate_right(y, 17) ^ rotate_right(y, 19) ^ y >> 10);
    }
}

void itr_sha256_blocks_ref(uint32_t h[8], const uint8_t *p, size_t n)
{
    for (; n > 0; n--, p += 64) {
        uint32_t w[16], v[8];
        for (int i = 0; i < 16; i++) {
            w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
                   (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
        }
        memcpy(v, h, sizeof v);
        for (int i = 0; i < 64; i += 16) {
            if (i > 0) {
                next_words(w);
            }
            eight_rounds(v, round_constant + i, w);
            eight_rounds(v, round_constant + i + 8, w + 8);
        }
        for (int i = 0; i < 8; i++) {
            h[i] += v[i];
        }
    }
}

#ifdef ITR_X86
#include <immintrin.h>

/*
 * Four rounds with the words m0; then the schedule's next four in their place, from the 16 at hand
 * (Gulley, Gopal, Yap, Feghali, Guilford, Wolrich: Intel SHA Extensions, 2013).
 */
#define FOUR_ROUNDS(m0, i)                                                                         \
    do {                                                                                           \
        const __m128i k = _mm_loadu_si128((const __m128i *)(const void *)(round_constant + (i)));  \
        const __m128i t = _mm_add_epi32(m0, k);                                                    \
        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, t);                                               \
        abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(t, 0x0E));                      \
    } while (0)
#define NEXT_WORDS(m0, m1, m2, m3)                                                                 \
    (m0 = _mm_sha256msg2_epu32(                                                                    \
         _mm_add_epi32(_mm_sha256msg1_epu32(m0, m1), _mm_alignr_epi8(m3, m2, 4)), m3))

/** The same with the CPU's instructions for SHA-256 (sha, sse4.1). */
__attribute__((target("sha,sse4.1"))) static void blocks_sha(uint32_t h[8], const uint8_t *p,
                                                             size_t n)
{
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    const __m128i dcba = _mm_loadu_si128((const __m128i *)(const void *)h);
    const __m128i hgfe = _mm_loadu_si128((const __m128i *)(const void *)(h + 4));
    const __m128i cdab = _mm_shuffle_epi32(dcba, 0xB1);
    const __m128i efgh = _mm_shuffle_epi32(hgfe, 0x1B);
    __m128i abef = _mm_alignr_epi8(cdab, efgh, 8);
    __m128i cdgh = _mm_blend_epi16(efgh, cdab, 0xF0);
    for (; n > 0; n--, p += 64) {
        const __m128i abef_before = abef, cdgh_before = cdgh;
        __m128i m[4];
        for (int i = 0; i < 4; i++) {
            m[i] = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
            m[i] = _mm_shuffle_epi8(m[i], big_endian);
        }
        for (int i = 0; i < 48; i += 16) {
            FOUR_ROUNDS(m[0], i);
            NEXT_WORDS(m[0], m[1], m[2], m[3]);
            FOUR_ROUNDS(m[1], i + 4);
            NEXT_WORDS(m[1], m[2], m[3], m[0]);
            FOUR_ROUNDS(m[2], i + 8);
            NEXT_WORDS(m[2], m[3], m[0], m[1]);
            FOUR_ROUNDS(m[3], i + 12);
            NEXT_WORDS(m[3], m[0], m[1], m[2]);
        }
        for (int i = 0; i < 4; i++) {
            FOUR_ROUNDS(m[i], 48 + 4 * i);
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    const __m128i feba = _mm_shuffle_epi32(abef, 0x1B);
    const __m128i dchg = _mm_shuffle_epi32(cdgh, 0xB1);
    _mm_storeu_si128((__m128i *)(void *)h, _mm_blend_epi16(feba, dchg, 0xF0));
    _mm_storeu_si128((__m128i *)(void *)(h + 4), _mm_alignr_epi8(dchg, feba, 8));
}
#endif

void itr_sha256_init(itr_sha256 *s)
{
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(s->h, start, sizeof start);
    s->bytes = 0;
    s->blocks = NULL;
}

/** The fastest code; asking the CPU takes as long as some blocks do, so short texts do not. */
static void hash_blocks(itr_sha256 *s, const uint8_t *p, size_t n)
{
#ifdef ITR_X86
    enum { ASK = 64 };
    if (!s->blocks && n >= ASK) {
        s->blocks = itr_cpu_has_sha() ? blocks_sha : itr_sha256_blocks_ref;
    }
#endif
    (s->blocks ? s->blocks : itr_sha256_blocks_ref)(s->h, p, n);
}

void itr_sha256_update(itr_sha256 *s, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    size_t have = (size_t)(s->bytes % 64);
    s->bytes += n;
    while (n > 0) {
        if (have == 0 && n >= 64) {
            hash_blocks(s, p, n / 64);
            p += n / 64 * 64;
            n %= 64;
            continue;
        }
        const size_t take = n < 64 - have ? n : 64 - have;
        memcpy(s->block + have, p, take);
        have += take;
        p += take;
        n -= take;
        if (have == 64) {
            hash_blocks(s, s->block, 1);
            have = 0;
        }
    }
}

void itr_sha256_final(itr_sha256 *s, uint8_t hash[32])
{
    static const uint8_t padding[64] = {0x80};
    const uint64_t bits = s->bytes * 8;
    const size_t have = (size_t)(s->bytes % 64);
    itr_sha256_update(s, padding, have < 56 ? 56 - have : 120 - have);
    uint8_t length[8];
    for (int i = 0; i < 8; i++) {
        length[i] = (uint8_t)(bits >> (56 - 8 * i));
    }
    itr_sha256_update(s, length, 8);
    for (int i = 0; i < 32; i++) {
        hash[i] = (uint8_t)(s->h[i / 4] >> (24 - 8 * (i % 4)));
    }
}

void itr_sha256_hex(const uint8_t hash[32], char text[65])
{
    static const char digit[] = "0123456789abcdef";
    for (int i = 0; i < 32; i++) {
        text[2 * i] = digit[hash[i] >> 4];
        text[2 * i + 1] = digit[hash[i] & 15];
    }
    text[64] = 0;
}
