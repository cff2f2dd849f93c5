/**
 * Decimal text to and from integer mantissas and exponents, without floating point.
 */
#ifndef ITR_HOST_DECIMAL_H
#define ITR_HOST_DECIMAL_H

#include "../itr.h"

/**
 * Parses [+-]digits[.digits][e[+-]digits] into the nearest scalar with a 31-bit mantissa
 * (2^30 <= |m| < 2^31, ties to even; zero is m = 0, e = 0). Refuses everything else: nan, inf,
 * blanks, hexadecimal, and magnitudes outside [1e-320, 1e320).
 */
bool itr_parse_scalar(const char *text, itr_scalar *out);
/** The same for n characters without a NUL. */
bool itr_parse_scalar_n(const char *text, size_t n, itr_scalar *out);

/** Parses digits alone, at most `limit`. */
bool itr_parse_unsigned(const char *text, uint64_t limit, uint64_t *out);

/** An exact fraction in lowest terms; den >= 1. */
typedef struct itr_ratio {
    int64_t num;
    int64_t den;
} itr_ratio;

/**
 * Parses a decimal number, or two with a slash between ("1/255"), exactly. Refuses what does not
 * fit a numerator and a denominator of 63 bits.
 */
bool itr_parse_ratio(const char *text, size_t n, itr_ratio *out);

/** floor(log2(num0*num1 / (den0*den1))) + 1 or that + 1; no factor is 0. */
int itr_fraction_bits(const uint64_t num[2], const uint64_t den[2]);
/** floor(num0*num1 * 2^shift / (den0*den1)), 32 bits a word, lowest first; false: over 128 bits. */
bool itr_fraction_shift(const uint64_t num[2], const uint64_t den[2], int shift, uint32_t out[4]);

#define ITR_DECIMAL_ROOM 400

/** A scalar as a plain decimal of 6 significant digits, rounded to nearest: "0.05", "1.25". */
void itr_format_scalar(itr_scalar x, char text[ITR_DECIMAL_ROOM]);
/** x / (2^fraction_bits * den), rounded to nearest at `places` <= 9 decimals; fraction_bits <= 24.
 */
void itr_format_mean(int64_t x, int fraction_bits, int64_t den, int places,
                     char text[ITR_DECIMAL_ROOM]);

#endif
