#include "decimal.h"

#include "../numeric.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Unsigned numbers of up to 4,096 bits: enough for 128 digits times 10^320 and the shifts here. */
#define LIMBS 128

typedef struct big {
    int n; /* limbs in use; the highest is not 0 */
    uint32_t w[LIMBS];
} big;

static void big_set(big *a, uint64_t x)
{
    a->n = 0;
    for (; x; x >>= 32) {
        a->w[a->n++] = (uint32_t)x;
    }
}

/* a = a*m + c; false when it does not fit. */
static bool big_multiply_add(big *a, uint32_t m, uint32_t c)
{
    uint64_t carry = c;
    for (int i = 0; i < a->n; i++) {
        carry += (uint64_t)a->w[i] * m;
        a->w[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry) {
        if (a->n == LIMBS) {
            return false;
        }
        a->w[a->n++] = (uint32_t)carry;
    }
    return true;
}

static bool big_times_ten_to(big *a, int k)
{
    bool ok = true;
    for (; ok && k >= 9; k -= 9) {
        ok = big_multiply_add(a, 1000000000, 0);
    }
    for (; ok && k > 0; k--) {
        ok = big_multiply_add(a, 10, 0);
    }
    return ok;
}

/* a = x*y of 64 bits each. */
static void big_product(big *a, uint64_t x, uint64_t y)
{
    const uint64_t low = (x & UINT32_MAX) * (y & UINT32_MAX);
    const uint64_t mid = (x >> 32) * (y & UINT32_MAX) + (low >> 32);
    const uint64_t mid2 = (x & UINT32_MAX) * (y >> 32) + (mid & UINT32_MAX);
    const uint64_t high = (x >> 32) * (y >> 32) + (mid >> 32) + (mid2 >> 32);
    a->w[0] = (uint32_t)low;
    a->w[1] = (uint32_t)mid2;
    a->w[2] = (uint32_t)high;
    a->w[3] = (uint32_t)(high >> 32);
    a->n = 4;
    while (a->n > 0 && a->w[a->n - 1] == 0) {
        a->n--;
    }
}

static int big_bits(const big *a)
{
    return a->n == 0 ? 0 : 32 * (a->n - 1) + itr_bitlen64(a->w[a->n - 1]);
}

static bool big_shift_left(big *a, int s)
{
    if (a->n == 0) {
        return true;
    }
    const int limbs = s / 32;
    if (big_bits(a) + s > 32 * LIMBS) {
        return false;
    }
    memmove(a->w + limbs, a->w, (size_t)a->n * sizeof a->w[0]);
    memset(a->w, 0, (size_t)limbs * sizeof a->w[0]);
    a->n += limbs;
    return s % 32 == 0 || big_multiply_add(a, (uint32_t)1 << (s % 32), 0);
}

static void big_halve(big *a)
{
    for (int i = 0; i < a->n; i++) {
        const uint32_t above = i + 1 < a->n ? a->w[i + 1] << 31 : 0;
        a->w[i] = a->w[i] >> 1 | above;
    }
    if (a->n > 0 && a->w[a->n - 1] == 0) {
        a->n--;
    }
}

static int big_compare(const big *a, const big *b)
{
    if (a->n != b->n) {
        return a->n < b->n ? -1 : 1;
    }
    for (int i = a->n - 1; i >= 0; i--) {
        if (a->w[i] != b->w[i]) {
            return a->w[i] < b->w[i] ? -1 : 1;
        }
    }
    return 0;
}

/* a -= b, where a >= b. */
static void big_subtract(big *a, const big *b)
{
    uint64_t borrow = 0;
    for (int i = 0; i < a->n; i++) {
        const uint64_t t = (uint64_t)a->w[i] - (i < b->n ? b->w[i] : 0) - borrow;
        a->w[i] = (uint32_t)t;
        borrow = t >> 63;
    }
    while (a->n > 0 && a->w[a->n - 1] == 0) {
        a->n--;
    }
}

/* out = floor(num/den), num = the remainder; den is destroyed. False: the quotient has > 128 bits.
 */
static bool big_divide(big *num, big *den, uint32_t out[4])
{
    memset(out, 0, 4 * sizeof out[0]);
    int bit = big_bits(num) - big_bits(den);
    if (bit < 0) {
        return true;
    }
    if (bit >= 128 || !big_shift_left(den, bit)) {
        return false;
    }
    for (; bit >= 0; bit--) {
        if (big_compare(num, den) >= 0) {
            big_subtract(num, den);
            out[bit / 32] |= (uint32_t)1 << (bit % 32);
        }
        big_halve(den);
    }
    return true;
}

#define DIGITS 128

typedef struct decimal {
    bool negative;
    int count; /* significant digits kept */
    uint8_t digit[DIGITS + 1];
    int exponent; /* value = digits * 10^exponent */
} decimal;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* More digits than are kept: one digit 1 stands for a rest that is not zero (it only breaks ties).
 */
static void add_digit(decimal *d, int value, bool *rest, bool fraction)
{
    if (d->count == 0 && value == 0) {
        d->exponent -= fraction;
    } else if (d->count < DIGITS) {
        d->digit[d->count++] = (uint8_t)value;
        d->exponent -= fraction;
    } else {
        *rest = *rest || value != 0;
        d->exponent += !fraction;
    }
}

static bool parse_exponent(const char *s, size_t n, int *out)
{
    size_t i = n > 0 && (s[0] == '+' || s[0] == '-');
    if (i == n) {
        return false;
    }
    int e = 0;
    for (; i < n; i++) {
        if (!is_digit(s[i]) || e > 100000) {
            return false;
        }
        e = 10 * e + (s[i] - '0');
    }
    *out = s[0] == '-' ? -e : e;
    return true;
}

static bool parse_decimal(const char *s, size_t n, decimal *d)
{
    memset(d, 0, sizeof *d);
    size_t i = n > 0 && (s[0] == '+' || s[0] == '-');
    d->negative = i && s[0] == '-';
    bool rest = false;
    bool any = false;
    bool fraction = false;
    for (; i < n && (is_digit(s[i]) || (s[i] == '.' && !fraction)); i++) {
        if (s[i] == '.') {
            fraction = true;
            continue;
        }
        if (i > 100000) {
            return false;
        }
        add_digit(d, s[i] - '0', &rest, fraction);
        any = true;
    }
    if (rest) {
        d->digit[d->count++] = 1;
        d->exponent--;
    }
    if (i < n) {
        int e = 0;
        if ((s[i] != 'e' && s[i] != 'E') || !parse_exponent(s + i + 1, n - i - 1, &e)) {
            return false;
        }
        d->exponent += e;
    }
    while (d->count > 0 && d->digit[d->count - 1] == 0) {
        d->count--;
        d->exponent++;
    }
    return any;
}

bool itr_parse_scalar_n(const char *text, size_t n, itr_scalar *out)
{
    decimal d;
    out->m = 0;
    out->e = 0;
    if (!parse_decimal(text, n, &d)) {
        return false;
    }
    if (d.count == 0) {
        return true;
    }
    if (d.count + d.exponent > 320 || d.count + d.exponent < -319) {
        return false;
    }
    big num;
    big den;
    big_set(&num, 0);
    big_set(&den, 1);
    for (int i = 0; i < d.count; i++) {
        if (num.n == 0) {
            big_set(&num, d.digit[i]);
        } else if (!big_multiply_add(&num, 10, d.digit[i])) {
            return false;
        }
    }
    if (!big_times_ten_to(&num, d.exponent) || !big_times_ten_to(&den, -d.exponent)) {
        return false;
    }
    /* a quotient of 33 or 34 bits, so that the bits below the mantissa decide the rounding */
    const int shift = 33 + big_bits(&den) - big_bits(&num);
    uint32_t q[4];
    if (!big_shift_left(shift > 0 ? &num : &den, shift > 0 ? shift : -shift) ||
        !big_divide(&num, &den, q)) {
        return false;
    }
    const uint64_t wide = (uint64_t)q[1] << 32 | q[0];
    const int drop = itr_bitlen64(wide) - 31;
    const uint64_t half = (uint64_t)1 << (drop - 1);
    const uint64_t low = wide & (2 * half - 1);
    uint64_t m = wide >> drop;
    m += low > half || (low == half && (num.n > 0 || (m & 1)));
    int32_t e = drop - shift;
    if (m >> 31) {
        m >>= 1;
        e++;
    }
    out->m = d.negative ? -(int32_t)m : (int32_t)m;
    out->e = e;
    return true;
}

bool itr_parse_scalar(const char *text, itr_scalar *out)
{
    return itr_parse_scalar_n(text, strlen(text), out);
}

bool itr_parse_unsigned(const char *text, uint64_t limit, uint64_t *out)
{
    uint64_t x = 0;
    for (const char *c = text; *c; c++) {
        const uint64_t digit = (uint64_t)(*c - '0');
        if (!is_digit(*c) || x > (limit - digit) / 10 || digit > limit) {
            return false;
        }
        x = 10 * x + digit;
    }
    *out = x;
    return *text != 0;
}

static uint64_t greatest_divisor(uint64_t a, uint64_t b)
{
    while (b) {
        const uint64_t t = a % b;
        a = b;
        b = t;
    }
    return a;
}

static bool multiply_fits(uint64_t *a, uint64_t b)
{
    if (b != 0 && *a > (uint64_t)INT64_MAX / b) {
        return false;
    }
    *a *= b;
    return true;
}

static bool parse_one_ratio(const char *s, size_t n, itr_ratio *out)
{
    decimal d;
    if (!parse_decimal(s, n, &d)) {
        return false;
    }
    uint64_t num = 0;
    uint64_t den = 1;
    bool ok = true;
    for (int i = 0; ok && i < d.count; i++) {
        ok = multiply_fits(&num, 10) && num <= (uint64_t)INT64_MAX - 9;
        num += d.digit[i];
    }
    for (int i = 0; ok && num && i < d.exponent; i++) {
        ok = multiply_fits(&num, 10);
    }
    for (int i = 0; ok && num && i < -d.exponent; i++) {
        ok = multiply_fits(&den, 10);
    }
    const uint64_t g = greatest_divisor(den, num);
    out->num = d.negative ? -(int64_t)(num / g) : (int64_t)(num / g);
    out->den = (int64_t)(den / g);
    return ok;
}

bool itr_parse_ratio(const char *text, size_t n, itr_ratio *out)
{
    const char *slash = memchr(text, '/', n);
    if (!slash) {
        return parse_one_ratio(text, n, out);
    }
    const size_t first = (size_t)(slash - text);
    itr_ratio a;
    itr_ratio b;
    if (!parse_one_ratio(text, first, &a) || !parse_one_ratio(slash + 1, n - first - 1, &b) ||
        b.num == 0) {
        return false;
    }
    uint64_t num = itr_abs64(a.num);
    uint64_t den = itr_abs64(b.num);
    uint64_t num2 = (uint64_t)b.den;
    uint64_t den2 = (uint64_t)a.den;
    const uint64_t g = greatest_divisor(den, num);
    const uint64_t h = greatest_divisor(den2, num2);
    num /= g;
    den /= g;
    if (!multiply_fits(&num, num2 / h) || !multiply_fits(&den, den2 / h)) {
        return false;
    }
    out->num = (a.num < 0) != (b.num < 0) ? -(int64_t)num : (int64_t)num;
    out->den = (int64_t)den;
    return true;
}

int itr_fraction_bits(const uint64_t num[2], const uint64_t den[2])
{
    big a;
    big b;
    big_product(&a, num[0], num[1]);
    big_product(&b, den[0], den[1]);
    return big_bits(&a) - big_bits(&b) + 1;
}

bool itr_fraction_shift(const uint64_t num[2], const uint64_t den[2], int shift, uint32_t out[4])
{
    big a;
    big b;
    big_product(&a, num[0], num[1]);
    big_product(&b, den[0], den[1]);
    return big_shift_left(shift > 0 ? &a : &b, shift > 0 ? shift : -shift) &&
           big_divide(&a, &b, out);
}

/* round(x / 10^k), ties away from 0; false: out of the range of this file. */
static bool scale_scalar(itr_scalar x, int k, uint64_t *out)
{
    big num;
    big den;
    big_set(&num, itr_abs64(x.m));
    big_set(&den, 2); /* twice the divisor: the lowest bit of the quotient of 2*num is the half */
    if (!big_times_ten_to(&num, -k) || !big_times_ten_to(&den, k) || x.e > 2000 || x.e < -2000 ||
        !big_shift_left(x.e > 0 ? &num : &den, x.e > 0 ? x.e : -x.e) || !big_shift_left(&num, 2)) {
        return false;
    }
    uint32_t q[4];
    if (!big_divide(&num, &den, q) || q[2] || q[3]) {
        return false;
    }
    *out = (((uint64_t)q[1] << 32 | q[0]) + 1) >> 1;
    return true;
}

/* digits * 10^k with the point in its place, without zeros at the end. */
static void print_digits(char *text, size_t room, bool negative, uint64_t digits, int k)
{
    while (k < 0 && digits % 10 == 0 && digits > 0) {
        digits /= 10;
        k++;
    }
    char plain[32];
    const int n = snprintf(plain, sizeof plain, "%" PRIu64, digits);
    const char *sign = negative ? "-" : "";
    if (k >= 0) {
        snprintf(text, room, "%s%s%.*d", sign, plain, k, 0);
        if (k == 0) {
            snprintf(text, room, "%s%s", sign, plain);
        }
    } else if (n > -k) {
        snprintf(text, room, "%s%.*s.%s", sign, n + k, plain, plain + n + k);
    } else {
        snprintf(text, room, "%s0.%.*d%s", sign, -k - n, 0, plain);
        if (-k - n == 0) {
            snprintf(text, room, "%s0.%s", sign, plain);
        }
    }
}

void itr_format_scalar(itr_scalar x, char text[ITR_DECIMAL_ROOM])
{
    if (x.m == 0) {
        snprintf(text, ITR_DECIMAL_ROOM, "0");
        return;
    }
    /* floor(log10) from the bit length, then one off at most; /100000 must floor */
    const int64_t bits = (int64_t)x.e + itr_bitlen64(itr_abs64(x.m)) - 1;
    const int64_t t = bits * 30103;
    int k = (int)(t >= 0 ? t / 100000 : -((-t + 99999) / 100000)) - 5;
    uint64_t digits = 0;
    if (bits < -1063 || bits > 1063 || !scale_scalar(x, k, &digits)) {
        snprintf(text, ITR_DECIMAL_ROOM, "%s", x.e < 0 ? "0" : "1e320"); /* beyond what parses */
        return;
    }
    if (digits > 999999) {
        k++;
        scale_scalar(x, k, &digits);
    }
    print_digits(text, ITR_DECIMAL_ROOM, x.m < 0, digits, k);
}

void itr_format_mean(int64_t x, int fraction_bits, int64_t den, int places,
                     char text[ITR_DECIMAL_ROOM])
{
    if (den <= 0) {
        snprintf(text, ITR_DECIMAL_ROOM, "0");
        return;
    }
    const uint64_t a = itr_abs64(x);
    const uint64_t d = (uint64_t)den;
    uint64_t whole = (a / d) >> fraction_bits;
    uint64_t fraction = (a / d) & (((uint64_t)1 << fraction_bits) - 1);
    uint64_t rest = a % d;
    /* More bits of the quotient, one by one (den < 2^62): as many as may be multiplied by 10. */
    const int bits = 60;
    for (int i = fraction_bits; i < bits; i++) {
        rest <<= 1;
        fraction = fraction << 1 | (rest >= d);
        rest -= rest >= d ? d : 0;
    }
    const uint64_t mask = ((uint64_t)1 << bits) - 1;
    uint64_t digits = 0;
    uint64_t one = 1;
    for (int i = 0; i < places; i++) {
        fraction *= 10;
        digits = 10 * digits + (fraction >> bits);
        fraction &= mask;
        one *= 10;
    }
    digits += fraction >> (bits - 1);
    if (digits == one) {
        whole++;
        digits = 0;
    }
    snprintf(text, ITR_DECIMAL_ROOM, "%s%" PRIu64 ".%0*" PRIu64, x < 0 ? "-" : "", whole, places,
             digits);
}
