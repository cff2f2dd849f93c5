#include "formats.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

size_t itr_raw_size(itr_raw_type t)
{
    static const uint8_t size[] = {1, 1, 2, 2, 4, 4, 8, 4, 8};
    return size[t];
}

static uint64_t load(const uint8_t *p, size_t size, bool big_endian)
{
    uint64_t x = 0;
    for (size_t i = 0; i < size; i++) {
        x = x << 8 | p[big_endian ? i : size - 1 - i];
    }
    return x;
}

/* IEEE 754 bits with `bits` below the point and a bias, as an integer times a power of two. */
static bool decode_float(uint64_t x, int bits, int exponent_bits, int64_t *mantissa,
                         int32_t *exponent)
{
    const int top = (1 << exponent_bits) - 1;
    const int bias = top / 2;
    const int field = (int)(x >> bits) & top;
    int64_t m = (int64_t)(x & (((uint64_t)1 << bits) - 1));
    if (field == top) {
        return false;
    }
    if (field > 0) {
        m |= (int64_t)1 << bits;
    }
    *mantissa = x >> (bits + exponent_bits) & 1 ? -m : m;
    *exponent = (field > 0 ? field : 1) - bias - bits;
    return true;
}

bool itr_raw_get(const itr_raw *a, size_t index, int64_t *mantissa, int32_t *exponent)
{
    const size_t size = itr_raw_size(a->type);
    const uint64_t x = load(a->bytes + index * size, size, a->big_endian);
    *exponent = 0;
    switch (a->type) {
    case ITR_RAW_I8:
        *mantissa = (int8_t)(uint8_t)x;
        return true;
    case ITR_RAW_I16:
        *mantissa = (int16_t)(uint16_t)x;
        return true;
    case ITR_RAW_I32:
        *mantissa = (int32_t)(uint32_t)x;
        return true;
    case ITR_RAW_U8:
    case ITR_RAW_U16:
    case ITR_RAW_U32:
    case ITR_RAW_I64:
        *mantissa = (int64_t)x;
        return true;
    case ITR_RAW_F32:
        return decode_float(x, 23, 8, mantissa, exponent);
    case ITR_RAW_F64:
        return decode_float(x, 52, 11, mantissa, exponent);
    }
    return false;
}

static int fail(itr_message *m, const char *id, const char *name, const char *text)
{
    return itr_fail(m, ITR_EXIT_INPUT, id, "file \"%s\": %s", name, text);
}

/* The rest of a file must be exactly the array that its header describes. */
static int check_size(const char *name, itr_raw *a, size_t have, itr_message *m)
{
    uint64_t bytes = itr_raw_size(a->type);
    a->elements = 1;
    for (int i = 0; i < a->rank; i++) {
        const uint64_t d = (uint64_t)a->dims[i];
        if (d != 0 && bytes > (uint64_t)INT64_MAX / d) {
            return fail(m, "E0512", name, "its header announces more elements than can exist");
        }
        bytes *= d;
        if (i > 0) { /* with 0 rows this could overflow unseen, but then it means nothing */
            a->elements = bytes == 0 ? 0 : a->elements * a->dims[i];
        }
    }
    if (bytes != have) {
        return itr_fail(m, ITR_EXIT_INPUT, "E0512",
                        "file \"%s\": it is %s: found %zu bytes of elements, expected %" PRIu64,
                        name, have < bytes ? "truncated" : "too long", have, bytes);
    }
    if (a->dims[0] == 0 || a->elements == 0) {
        return fail(m, "E0514", name, "it has no elements");
    }
    return 0;
}

int itr_idx_parse(const char *name, const uint8_t *bytes, size_t size, itr_raw *out, itr_message *m)
{
    memset(out, 0, sizeof *out);
    if (size < 4 || bytes[0] != 0 || bytes[1] != 0) {
        return fail(m, "E0512", name,
                    size >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b
                        ? "it is gzipped; expected an IDX file (`intrain data` unpacks it)"
                        : "it is not an IDX file");
    }
    switch (bytes[2]) {
    case 0x08:
        out->type = ITR_RAW_U8;
        break;
    case 0x09:
        out->type = ITR_RAW_I8;
        break;
    case 0x0b:
        out->type = ITR_RAW_I16;
        break;
    case 0x0c:
        out->type = ITR_RAW_I32;
        break;
    case 0x0d:
        out->type = ITR_RAW_F32;
        break;
    case 0x0e:
        out->type = ITR_RAW_F64;
        break;
    default:
        return itr_fail(m, ITR_EXIT_INPUT, "E0513", "file \"%s\": unknown IDX type 0x%02x", name,
                        bytes[2]);
    }
    out->big_endian = true;
    out->rank = bytes[3];
    if (out->rank < 1 || out->rank > ITR_RAW_RANK) {
        return itr_fail(m, ITR_EXIT_INPUT, "E0512", "file \"%s\": rank %d, expected 1 to %d", name,
                        out->rank, ITR_RAW_RANK);
    }
    const size_t head = 4 + 4 * (size_t)out->rank;
    if (size < head) {
        return fail(m, "E0512", name, "it is truncated in its header");
    }
    for (int i = 0; i < out->rank; i++) {
        out->dims[i] = (int64_t)load(bytes + 4 + 4 * i, 4, true);
    }
    out->bytes = bytes + head;
    return check_size(name, out, size - head, m);
}

/* A cursor over the header of an npy file: a Python dictionary. */
typedef struct cursor {
    const char *p;
    const char *end;
} cursor;

static void skip_blanks(cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\t' || *c->p == '\r')) {
        c->p++;
    }
}

static bool take(cursor *c, char what)
{
    skip_blanks(c);
    if (c->p < c->end && *c->p == what) {
        c->p++;
        return true;
    }
    return false;
}

static bool take_word(cursor *c, const char *word)
{
    const size_t n = strlen(word);
    skip_blanks(c);
    if ((size_t)(c->end - c->p) >= n && memcmp(c->p, word, n) == 0) {
        c->p += n;
        return true;
    }
    return false;
}

/* A quoted string without escapes. */
static bool take_string(cursor *c, char *out, size_t room)
{
    skip_blanks(c);
    if (c->p == c->end || (*c->p != '\'' && *c->p != '"')) {
        return false;
    }
    const char quote = *c->p++;
    size_t n = 0;
    while (c->p < c->end && *c->p != quote && n + 1 < room) {
        out[n++] = *c->p++;
    }
    out[n] = 0;
    return take(c, quote);
}

static bool take_dims(cursor *c, itr_raw *a)
{
    if (!take(c, '(')) {
        return false;
    }
    while (!take(c, ')')) {
        uint64_t d = 0;
        bool any = false;
        for (; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++) {
            if (d > (uint64_t)INT64_MAX / 10 - 1) {
                return false;
            }
            d = 10 * d + (uint64_t)(*c->p - '0');
            any = true;
        }
        (void)take(c, 'L'); /* written by Python 2 */
        if (!any || a->rank == ITR_RAW_RANK) {
            return false;
        }
        a->dims[a->rank++] = (int64_t)d;
        if (!take(c, ',')) {
            return take(c, ')');
        }
        skip_blanks(c);
    }
    return true;
}

static bool find_type(const char *descr, itr_raw *a)
{
    static const struct {
        const char *name;
        itr_raw_type type;
    } types[] = {{"u1", ITR_RAW_U8},  {"b1", ITR_RAW_U8},  {"i1", ITR_RAW_I8},  {"u2", ITR_RAW_U16},
                 {"i2", ITR_RAW_I16}, {"u4", ITR_RAW_U32}, {"i4", ITR_RAW_I32}, {"i8", ITR_RAW_I64},
                 {"f4", ITR_RAW_F32}, {"f8", ITR_RAW_F64}};
    a->big_endian = descr[0] == '>';
    if (!strchr("<>|", descr[0])) {
        return false;
    }
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (descr[0] && strcmp(descr + 1, types[i].name) == 0) {
            a->type = types[i].type;
            return descr[0] != '|' || itr_raw_size(a->type) == 1;
        }
    }
    return false;
}

static int parse_npy_header(const char *name, cursor *c, itr_raw *out, itr_message *m)
{
    char key[32];
    char descr[32] = "";
    bool shape = false;
    bool order = false;
    bool ok = take(c, '{');
    while (ok && !take(c, '}')) {
        ok = take_string(c, key, sizeof key) && take(c, ':');
        if (ok && strcmp(key, "descr") == 0) {
            if (!take_string(c, descr, sizeof descr)) {
                return fail(m, "E0513", name, "structured element types are not supported");
            }
        } else if (ok && strcmp(key, "fortran_order") == 0) {
            if (take_word(c, "True")) {
                return fail(m, "E0513", name,
                            "it is in Fortran order; expected C order (numpy.ascontiguousarray)");
            }
            ok = order = take_word(c, "False");
        } else if (ok && strcmp(key, "shape") == 0) {
            ok = shape = !shape && take_dims(c, out);
        } else {
            ok = false;
        }
        (void)take(c, ',');
    }
    skip_blanks(c);
    if (!ok || !shape || !order || !descr[0] || c->p != c->end) {
        return fail(m, "E0512", name, "its npy header cannot be understood");
    }
    if (!find_type(descr, out)) {
        return itr_fail(m, ITR_EXIT_INPUT, "E0513",
                        "file \"%s\": element type \"%s\"; expected u1, i1, u2, i2, u4, i4, i8, f4 "
                        "or f8",
                        name, descr);
    }
    if (out->rank == 0) {
        return fail(m, "E0514", name, "it is a scalar; expected an axis of rows");
    }
    return 0;
}

int itr_npy_parse(const char *name, const uint8_t *bytes, size_t size, itr_raw *out, itr_message *m)
{
    memset(out, 0, sizeof *out);
    if (size < 10 || memcmp(bytes, "\x93NUMPY", 6) != 0) {
        return fail(m, "E0512", name,
                    size >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b
                        ? "it is gzipped; expected an npy file (`intrain data` unpacks it)"
                        : "it is not an npy file");
    }
    const int version = bytes[6];
    if (version < 1 || version > 3) {
        return itr_fail(m, ITR_EXIT_INPUT, "E0513", "file \"%s\": npy version %d, expected 1 to 3",
                        name, version);
    }
    const size_t start = version == 1 ? 10 : 12;
    const size_t length = size < start ? SIZE_MAX : (size_t)load(bytes + 8, start - 8, false);
    if (size < start || length > size - start) {
        return fail(m, "E0512", name, "it is truncated in its header");
    }
    cursor c = {(const char *)bytes + start, (const char *)bytes + start + length};
    const int code = parse_npy_header(name, &c, out, m);
    if (code != 0) {
        return code;
    }
    out->bytes = bytes + start + length;
    return check_size(name, out, size - start - length, m);
}

/* An entry of the central directory of a zip archive. */
typedef struct zip_entry {
    const char *name;
    size_t name_length;
    unsigned flags;
    unsigned method;
    uint32_t crc;
    uint64_t packed;
    uint64_t unpacked;
    uint64_t offset;
} zip_entry;

/* Sizes of 4 GiB and more stand in extra field 1, in this order, where the plain ones are ~0. */
static bool read_zip64(zip_entry *e, const uint8_t *p, size_t n)
{
    while (n >= 4) {
        const size_t id = (size_t)load(p, 2, false);
        size_t left = (size_t)load(p + 2, 2, false);
        p += 4;
        n -= 4;
        if (left > n) {
            return false;
        }
        n -= left;
        const uint8_t *next = p + left;
        uint64_t *field[3] = {&e->unpacked, &e->packed, &e->offset};
        for (int i = 0; id == 1 && i < 3; i++) {
            if (*field[i] == UINT32_MAX) {
                if (left < 8) {
                    return false;
                }
                *field[i] = load(p, 8, false);
                p += 8;
                left -= 8;
            }
        }
        p = next;
    }
    return true;
}

/* Reads the entry at *at and moves on to the next. */
static bool next_entry(const uint8_t *bytes, size_t size, size_t *at, zip_entry *e)
{
    if (size - *at < 46 || memcmp(bytes + *at, "PK\1\2", 4) != 0) {
        return false;
    }
    const uint8_t *p = bytes + *at;
    e->flags = (unsigned)load(p + 8, 2, false);
    e->method = (unsigned)load(p + 10, 2, false);
    e->crc = (uint32_t)load(p + 16, 4, false);
    e->packed = load(p + 20, 4, false);
    e->unpacked = load(p + 24, 4, false);
    e->name_length = (size_t)load(p + 28, 2, false);
    const size_t extra = (size_t)load(p + 30, 2, false);
    const size_t comment = (size_t)load(p + 32, 2, false);
    e->offset = load(p + 42, 4, false);
    const size_t total = 46 + e->name_length + extra + comment;
    if (total > size - *at) {
        return false;
    }
    e->name = (const char *)p + 46;
    *at += total;
    return read_zip64(e, p + 46 + e->name_length, extra);
}

/* Offset of the central directory, from the record that ends the file; false: none. */
static bool find_directory(const uint8_t *bytes, size_t size, size_t *at, uint64_t *entries)
{
    for (size_t back = 22; back <= size && back <= 22 + 65535; back++) {
        const uint8_t *p = bytes + size - back;
        if (memcmp(p, "PK\5\6", 4) != 0 || load(p + 20, 2, false) != back - 22) {
            continue;
        }
        *entries = load(p + 10, 2, false);
        uint64_t offset = load(p + 16, 4, false);
        if (offset == UINT32_MAX && size - back >= 20 && memcmp(p - 20, "PK\6\7", 4) == 0) {
            const uint64_t record = load(p - 12, 8, false);
            if (size < 56 || record > size - 56 || memcmp(bytes + record, "PK\6\6", 4) != 0) {
                return false;
            }
            *entries = load(bytes + record + 32, 8, false);
            offset = load(bytes + record + 48, 8, false);
        }
        *at = (size_t)offset;
        return offset < size;
    }
    return false;
}

static uint32_t crc32_of(const uint8_t *p, size_t n)
{
    uint32_t table[256];
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t x = i;
        for (int k = 0; k < 8; k++) {
            x = x & 1 ? x >> 1 ^ 0xedb88320u : x >> 1;
        }
        table[i] = x;
    }
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < n; i++) {
        crc = crc >> 8 ^ table[(crc ^ p[i]) & 255];
    }
    return ~crc;
}

static int open_entry(const char *label, const uint8_t *bytes, size_t size, const zip_entry *e,
                      itr_raw *out, itr_message *m)
{
    if (e->method != 0 || (e->flags & 1)) {
        return fail(m, "E0513", label,
                    e->method ? "it is deflated; expected stored (numpy.savez)"
                              : "it is encrypted");
    }
    if (e->offset > size || size - e->offset < 30 || memcmp(bytes + e->offset, "PK\3\4", 4) != 0) {
        return fail(m, "E0512", label, "its zip header is damaged");
    }
    const uint8_t *head = bytes + e->offset;
    const uint64_t skip = 30 + load(head + 26, 2, false) + load(head + 28, 2, false);
    if (skip > size - e->offset || e->packed > size - e->offset - skip ||
        e->packed != e->unpacked) {
        return fail(m, "E0512", label, "its zip header is damaged");
    }
    const uint8_t *data = head + skip;
    if (crc32_of(data, (size_t)e->packed) != e->crc) {
        return fail(m, "E0512", label, "its checksum does not match");
    }
    return itr_npy_parse(label, data, (size_t)e->packed, out, m);
}

int itr_npz_parse(const char *name, const uint8_t *bytes, size_t size, const char *array,
                  itr_raw *out, itr_message *m)
{
    size_t at = 0;
    uint64_t entries = 0;
    char found[256] = "";
    size_t used = 0;
    memset(out, 0, sizeof *out);
    if (!find_directory(bytes, size, &at, &entries)) {
        return fail(m, "E0512", name, "it is not an npz file");
    }
    const size_t wanted = strlen(array);
    for (uint64_t i = 0; i < entries; i++) {
        zip_entry e;
        if (!next_entry(bytes, size, &at, &e)) {
            return fail(m, "E0512", name, "its zip directory is damaged");
        }
        size_t n = e.name_length;
        n -= n >= 4 && memcmp(e.name + n - 4, ".npy", 4) == 0 ? 4 : 0;
        if (n == wanted && memcmp(e.name, array, n) == 0) {
            char label[600];
            snprintf(label, sizeof label, "%s:%s", name, array);
            return open_entry(label, bytes, size, &e, out, m);
        }
        const int wrote = snprintf(found + used, sizeof found - used, "%s%.*s", i ? ", " : "",
                                   n < 64 ? (int)n : 64, e.name);
        used += wrote > 0 && (size_t)wrote < sizeof found - used ? (size_t)wrote : 0;
    }
    return itr_fail(m, ITR_EXIT_INPUT, "E0514", "file \"%s\": no array \"%s\"; found %s", name,
                    array, found);
}
