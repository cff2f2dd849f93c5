/* Types, tensors and literals of the text form. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/lex.h"

#define LARGEST_SIDE_FILE ((size_t)1 << 36)

static itc_status error_at(itc_parser *p, const itc_token *t, const char *id, const char *text)
{
    return itc_error_at(p->ctx, t->line, t->col, ITC_PARSE, id, "%s", text);
}

/* ---- types ---- */

static itc_status extent(itc_parser *p, itc_dim *out)
{
    const itc_token *t = &p->lex.tok;
    if (itc_lex_is_word(p, "N")) {
        *out = (itc_dim){1, true};
        return itc_lex_next(p);
    }
    if (t->kind == ITC_TOK_NUMBER && t->text[t->n - 1] == 'N') {
        /* 16N: the same token without its last letter is an integer. */
        p->lex.tok.n--;
        out->batch = true;
    }
    return itc_lex_take_int(p, "an extent", 0, INT64_MAX, &out->size);
}

itc_status itc_parse_type(itc_parser *p, itc_type *out)
{
    *out = (itc_type){.exp_axis = -1};
    const itc_token start = p->lex.tok;
    if (itc_lex_is(p, '?')) {
        return itc_lex_next(p);
    }
    if (start.kind != ITC_TOK_WORD || !itc_dtype_parse(start.text, start.n, &out->dtype)) {
        return itc_lex_expected(p, "a type (f32, i8, i16, i32, i64, u8, bool or ?)");
    }
    out->known = true;
    ITC_TRY(itc_lex_next(p));
    ITC_TRY(itc_lex_take(p, '['));
    bool more = !itc_lex_is(p, ']');
    while (more) {
        if (out->rank == ITC_MAX_RANK) {
            return error_at(p, &start, "E0110", "a type has at most 8 extents");
        }
        ITC_TRY(extent(p, &out->dim[out->rank++]));
        ITC_TRY(itc_lex_accept(p, ',', &more));
    }
    ITC_TRY(itc_lex_take(p, ']'));
    itc_dim count;
    int64_t bytes;
    if (!itc_type_count(out, &count) ||
        !itc_size_mul(count.size, (int64_t)itc_dtype_size(out->dtype), &bytes)) {
        return error_at(p, &start, "E0110", "the extents hold N twice or too many elements");
    }
    return ITC_OK;
}

/* ---- numbers ---- */

/** A number as the text gives it: whether it is an integer, and what it counts. */
typedef struct literal_number {
    double f;
    int64_t i; /**< where is_int */
    bool is_int;
    bool rows; /**< an N behind an integer */
    itc_symbol symbol;
} literal_number;

/** Reads the decimal text of a token: 1, 1.5, 1e-5, 0.1f, 3N. */
static itc_status decimal(itc_parser *p, bool negative, bool single, literal_number *out)
{
    const itc_token t = p->lex.tok;
    char text[64];
    if (t.n + 2 > sizeof text) {
        return error_at(p, &t, "E0104", "a number has at most 62 characters");
    }
    text[0] = '-';
    memcpy(text + 1, t.text, t.n);
    text[t.n + 1] = '\0';
    char *from = negative ? text : text + 1;
    out->rows = text[t.n] == 'N';
    const bool narrow = text[t.n] == 'f';
    if (out->rows || narrow) {
        text[t.n] = '\0';
    }
    out->is_int = !narrow && text[1 + strspn(text + 1, "0123456789")] == '\0';
    char *end = NULL;
    out->f = narrow || single ? (double)strtof(from, &end) : strtod(from, &end);
    if (*end != '\0' || text[1] == '\0' || text[1 + strspn(text + 1, "0123456789.eE+-")] != '\0' ||
        (out->rows && !out->is_int)) {
        return itc_lex_expected(p, "a number");
    }
    if (isinf(out->f)) {
        return error_at(p, &t, "E0104", "a number is too large for its type");
    }
    /* Within a float tensor integers are only short floats; so are those beyond 19 digits. */
    const bool lowest = out->is_int && negative && strcmp(text + 1, "9223372036854775808") == 0;
    out->is_int = out->is_int && !single && strlen(text + 1) <= 19;
    if (lowest) {
        out->i = INT64_MIN;
    } else if (out->is_int) {
        p->lex.tok.n = strlen(text + 1);
        ITC_TRY(itc_lex_take_int(p, "an integer", 0, INT64_MAX, &out->i));
        out->i = negative ? -out->i : out->i;
        return ITC_OK;
    }
    return itc_lex_next(p);
}

/** A number, inf, nan, or a coefficient such as -0.5*lr. single: of a float tensor. */
static itc_status read_number(itc_parser *p, bool single, literal_number *out)
{
    *out = (literal_number){0};
    bool negative;
    ITC_TRY(itc_lex_accept(p, '-', &negative));
    const double sign = negative ? -1.0 : 1.0;
    if (p->lex.tok.kind == ITC_TOK_NUMBER) {
        ITC_TRY(decimal(p, negative, single, out));
    } else if (itc_lex_is_word(p, "inf")) {
        out->f = sign * (double)INFINITY;
        ITC_TRY(itc_lex_next(p));
    } else if (itc_lex_is_word(p, "nan")) {
        out->f = (double)NAN;
        return itc_lex_next(p);
    } else if (itc_lex_is_word(p, "N")) {
        *out = (literal_number){.f = sign, .i = negative ? -1 : 1, .is_int = true, .rows = true};
        return itc_lex_next(p);
    } else {
        out->f = sign;
        out->symbol = itc_lex_is_word(p, "lr")      ? ITC_SYM_LR
                      : itc_lex_is_word(p, "inv_n") ? ITC_SYM_INV_N
                                                    : ITC_SYM_NONE;
        return out->symbol == ITC_SYM_NONE ? itc_lex_expected(p, "a number") : itc_lex_next(p);
    }
    if (!single && itc_lex_is(p, '*') && !out->rows) {
        ITC_TRY(itc_lex_next(p));
        out->is_int = false;
        out->symbol = itc_lex_is_word(p, "lr")      ? ITC_SYM_LR
                      : itc_lex_is_word(p, "inv_n") ? ITC_SYM_INV_N
                                                    : ITC_SYM_NONE;
        return out->symbol == ITC_SYM_NONE ? itc_lex_expected(p, "lr or inv_n") : itc_lex_next(p);
    }
    return ITC_OK;
}

/* ---- tensors ---- */

static bool fits(itc_dtype t, int64_t v)
{
    switch (t) {
    case ITC_I8:
        return v >= INT8_MIN && v <= INT8_MAX;
    case ITC_I16:
        return v >= INT16_MIN && v <= INT16_MAX;
    case ITC_I32:
        return v >= INT32_MIN && v <= INT32_MAX;
    case ITC_U8:
        return v >= 0 && v <= UINT8_MAX;
    case ITC_BOOL:
        return v == 0 || v == 1;
    case ITC_F32:
    case ITC_I64:
    case ITC_DTYPE_COUNT:
        break;
    }
    return true;
}

static void store(itc_tensor *t, int64_t i, int64_t v)
{
    switch (t->dtype) {
    case ITC_I8:
        ((int8_t *)t->data)[i] = (int8_t)v;
        break;
    case ITC_I16:
        ((int16_t *)t->data)[i] = (int16_t)v;
        break;
    case ITC_I32:
        ((int32_t *)t->data)[i] = (int32_t)v;
        break;
    case ITC_I64:
        ((int64_t *)t->data)[i] = v;
        break;
    case ITC_U8:
    case ITC_BOOL:
        ((uint8_t *)t->data)[i] = (uint8_t)v;
        break;
    case ITC_F32:
    case ITC_DTYPE_COUNT:
        break;
    }
}

/** nan or nan(0x7fc00001) */
static itc_status nan_bits(itc_parser *p, float *out)
{
    uint32_t bits = 0x7fc00000u;
    ITC_TRY(itc_lex_next(p));
    if (itc_lex_is(p, '(')) {
        ITC_TRY(itc_lex_next(p));
        const itc_token t = p->lex.tok;
        char text[11] = "";
        if (t.kind == ITC_TOK_NUMBER && t.n == 10) {
            memcpy(text, t.text, t.n);
        }
        char *end = text;
        bits = (uint32_t)strtoul(text, &end, 16);
        if (end != text + 10 || (bits & 0x7fffffffu) <= 0x7f800000u) {
            return itc_lex_expected(p, "the bits of a NaN such as 0x7fc00001");
        }
        ITC_TRY(itc_lex_next(p));
        ITC_TRY(itc_lex_take(p, ')'));
    }
    memcpy(out, &bits, sizeof bits);
    return ITC_OK;
}

static itc_status element(itc_parser *p, itc_tensor *t, int64_t i)
{
    const itc_token at = p->lex.tok;
    literal_number v;
    if (t->dtype == ITC_F32) {
        float *x = &((float *)t->data)[i];
        if (itc_lex_is_word(p, "nan")) {
            return nan_bits(p, x);
        }
        ITC_TRY(read_number(p, true, &v));
        *x = (float)v.f;
        return v.rows || v.symbol != ITC_SYM_NONE
                   ? error_at(p, &at, "E0111", "expected a plain number")
                   : ITC_OK;
    }
    ITC_TRY(read_number(p, false, &v));
    if (!v.is_int || !fits(t->dtype, v.i)) {
        return itc_error_at(p->ctx, at.line, at.col, ITC_PARSE, "E0111",
                            "expected an integer that fits %s", itc_dtype_name(t->dtype));
    }
    if (v.rows && !t->batch) {
        t->batch = ITC_NEW_ARRAY(p->ctx, uint8_t, t->count);
    }
    if (v.rows) {
        t->batch[i] = 1;
    }
    store(t, i, v.i);
    return ITC_OK;
}

static itc_status elements(itc_parser *p, itc_tensor *t)
{
    const itc_token start = p->lex.tok;
    /* Each element but the last takes two bytes at least: a longer tensor cannot be complete, and
     * is refused before memory is taken for it. */
    if ((uint64_t)t->count > (p->lex.n - p->lex.pos) / 2 + 1) {
        return itc_error_at(p->ctx, start.line, start.col, ITC_PARSE, "E0111",
                            "expected %lld elements, found fewer", (long long)t->count);
    }
    t->data = itc_alloc_array(p->ctx, (size_t)t->count, itc_dtype_size(t->dtype));
    ITC_TRY(itc_lex_take(p, '['));
    int64_t n = 0;
    bool more = !itc_lex_is(p, ']');
    while (more) {
        if (n == t->count) {
            return itc_error_at(p->ctx, p->lex.tok.line, p->lex.tok.col, ITC_PARSE, "E0111",
                                "expected %lld elements, found more", (long long)t->count);
        }
        ITC_TRY(element(p, t, n++));
        ITC_TRY(itc_lex_accept(p, ',', &more));
    }
    if (n != t->count && itc_lex_is(p, ']')) {
        return itc_error_at(p->ctx, start.line, start.col, ITC_PARSE, "E0111",
                            "expected %lld elements, found %lld", (long long)t->count,
                            (long long)n);
    }
    return itc_lex_take(p, ']');
}

static itc_status side_file(itc_parser *p, const itc_token *at, itc_side_file **out)
{
    const char *name = at->text;
    if (strchr(name, '/') || strchr(name, '\\') || strcmp(name, "..") == 0 ||
        strcmp(name, ".") == 0 || strcmp(name, "-") == 0 || name[0] == '\0') {
        return error_at(p, at, "E0112", "a side file must lie beside the text");
    }
    for (int i = 0; i < p->n_files; i++) {
        if (strcmp(p->files[i].name, name) == 0) {
            *out = &p->files[i];
            return ITC_OK;
        }
    }
    const char *slash = p->path ? strrchr(p->path, '/') : NULL;
    const int folder = slash ? (int)(slash - p->path) + 1 : 0;
    const char *path = itc_format(p->ctx, "%.*s%s", folder, p->path ? p->path : "", name);
    itc_side_file f = {.name = name};
    FILE *exists = fopen(path, "rb");
    if (!exists) {
        return itc_error_at(p->ctx, at->line, at->col, ITC_IO, "E0112", "cannot open side file %s",
                            path);
    }
    (void)fclose(exists);
    ITC_TRY(itc_read_file(p->ctx, path, LARGEST_SIDE_FILE, &f.bytes, &f.n));
    ITC_PUSH(p->ctx, p->files, p->n_files, p->cap_files, f);
    *out = &p->files[p->n_files - 1];
    return ITC_OK;
}

static itc_status load(itc_parser *p, const itc_token *at, int64_t offset, size_t bytes,
                       itc_tensor *t)
{
    itc_side_file *f = NULL;
    ITC_TRY(side_file(p, at, &f));
    if (offset % ITC_BLOB_ALIGN != 0 || (uint64_t)offset > f->n || bytes > f->n - (size_t)offset ||
        bytes > f->n - f->used) {
        return itc_error_at(p->ctx, at->line, at->col, ITC_PARSE, "E0112",
                            "%zu bytes at offset %lld do not lie in %s (%zu bytes, aligned to %d)",
                            bytes, (long long)offset, f->name, f->n, ITC_BLOB_ALIGN);
    }
    f->used += bytes;
    uint8_t hash[32];
    t->data = f->bytes + offset;
    itc_sha256(t->data, bytes, hash);
    if (memcmp(hash, t->sha256, sizeof hash) != 0) {
        return itc_error_at(p->ctx, at->line, at->col, ITC_PARSE, "E0112",
                            "%s holds other bytes than the text says (SHA-256 differs)", f->name);
    }
    /* Little-endian on the way out, so the same step brings it back. */
    const void *native = itc_tensor_bytes(p->ctx, t);
    t->data = native == t->data ? t->data : memcpy(itc_alloc(p->ctx, bytes), native, bytes);
    for (size_t i = 0; t->dtype == ITC_BOOL && i < bytes; i++) {
        if (((const uint8_t *)t->data)[i] > 1) {
            return error_at(p, at, "E0111", "a bool in the side file is neither 0 nor 1");
        }
    }
    return ITC_OK;
}

static itc_status blob(itc_parser *p, itc_tensor *t)
{
    ITC_TRY(itc_lex_next(p));
    ITC_TRY(itc_lex_take(p, '('));
    const itc_token file = p->lex.tok;
    int64_t offset = 0;
    if (file.kind == ITC_TOK_STRING) {
        ITC_TRY(itc_lex_next(p));
        ITC_TRY(itc_lex_take(p, ','));
        ITC_TRY(itc_lex_take_word(p, "offset"));
        ITC_TRY(itc_lex_take(p, '='));
        ITC_TRY(itc_lex_take_int(p, "an offset", 0, INT64_MAX, &offset));
        ITC_TRY(itc_lex_take(p, ','));
    }
    const itc_token size = p->lex.tok;
    const int64_t right = t->count * (int64_t)itc_dtype_size(t->dtype);
    int64_t bytes = 0;
    ITC_TRY(itc_lex_take_word(p, "bytes"));
    ITC_TRY(itc_lex_take(p, '='));
    ITC_TRY(itc_lex_take_int(p, "a number of bytes", 0, INT64_MAX, &bytes));
    if (bytes != right) {
        return itc_error_at(p->ctx, size.line, size.col, ITC_PARSE, "E0111",
                            "the type needs %lld bytes, found %lld", (long long)right,
                            (long long)bytes);
    }
    ITC_TRY(itc_lex_take(p, ','));
    ITC_TRY(itc_lex_take_word(p, "sha256"));
    ITC_TRY(itc_lex_take(p, '='));
    ITC_TRY(itc_lex_take_hash(p, t->sha256));
    if (file.kind == ITC_TOK_STRING) {
        ITC_TRY(load(p, &file, offset, (size_t)bytes, t));
    }
    return itc_lex_take(p, ')');
}

itc_status itc_parse_tensor(itc_parser *p, const itc_type *type, itc_tensor **out)
{
    itc_tensor *t = ITC_NEW(p->ctx, itc_tensor);
    t->dtype = type->dtype;
    t->rank = type->rank;
    t->count = 1;
    for (int i = 0; i < type->rank; i++) {
        t->dim[i] = type->dim[i].size;
        if (type->dim[i].batch || !itc_size_mul(t->count, t->dim[i], &t->count)) {
            return error_at(p, &p->lex.tok, "E0110", "contents need a type without N");
        }
    }
    if (!type->known) {
        return error_at(p, &p->lex.tok, "E0110", "contents need a type");
    }
    *out = t;
    if (itc_lex_is_word(p, "blob")) {
        return blob(p, t);
    }
    return itc_lex_is(p, '[') ? elements(p, t) : itc_lex_expected(p, "'[' or blob(…)");
}

/* ---- literals ---- */

static const char *kind_name(itc_attr_kind k)
{
    static const char *const names[] = {[ITC_ATTR_INT] = "an integer",
                                        [ITC_ATTR_FLOAT] = "a number",
                                        [ITC_ATTR_STRING] = "a string",
                                        [ITC_ATTR_INTS] = "a list of integers",
                                        [ITC_ATTR_FLOATS] = "a list of numbers",
                                        [ITC_ATTR_TENSOR] = "a tensor",
                                        [ITC_ATTR_COEFS] = "a list of coefficients"};
    return names[k];
}

/** Which list the numbers make where no row says so. */
static itc_attr_kind kind_of(const literal_number *v, int n)
{
    itc_attr_kind kind = ITC_ATTR_INTS;
    for (int i = 0; i < n; i++) {
        if (v[i].symbol != ITC_SYM_NONE) {
            return ITC_ATTR_COEFS;
        }
        kind = v[i].is_int ? kind : ITC_ATTR_FLOATS;
    }
    return kind;
}

static bool number_is(const literal_number *v, itc_attr_kind list)
{
    return !v->rows && (list == ITC_ATTR_COEFS || v->symbol == ITC_SYM_NONE) &&
           (list != ITC_ATTR_INTS || v->is_int);
}

static itc_status list(itc_parser *p, const itc_attr_kind *want, itc_attr *out)
{
    const itc_token start = p->lex.tok;
    literal_number *v = NULL;
    int n = 0;
    int cap = 0;
    ITC_TRY(itc_lex_take(p, '['));
    bool more = !itc_lex_is(p, ']');
    while (more) {
        literal_number x;
        ITC_TRY(read_number(p, false, &x));
        ITC_PUSH(p->ctx, v, n, cap, x);
        ITC_TRY(itc_lex_accept(p, ',', &more));
    }
    ITC_TRY(itc_lex_take(p, ']'));
    out->kind = want ? *want : kind_of(v, n);
    out->n = n;
    int64_t *ints = ITC_NEW_ARRAY(p->ctx, int64_t, out->kind == ITC_ATTR_INTS ? n : 0);
    double *floats = ITC_NEW_ARRAY(p->ctx, double, out->kind == ITC_ATTR_FLOATS ? n : 0);
    itc_coef *coefs = ITC_NEW_ARRAY(p->ctx, itc_coef, out->kind == ITC_ATTR_COEFS ? n : 0);
    for (int i = 0; i < n; i++) {
        if (!number_is(&v[i], out->kind)) {
            return itc_error_at(p->ctx, start.line, start.col, ITC_PARSE, "E0102",
                                "expected %s, found something else at element %d",
                                kind_name(out->kind), i);
        }
        if (out->kind == ITC_ATTR_INTS) {
            ints[i] = v[i].i;
        } else if (out->kind == ITC_ATTR_FLOATS) {
            floats[i] = v[i].f;
        } else {
            coefs[i] = (itc_coef){v[i].f, v[i].symbol};
        }
    }
    if (out->kind == ITC_ATTR_INTS) {
        out->u.ints = ints;
    } else if (out->kind == ITC_ATTR_FLOATS) {
        out->u.floats = floats;
    } else {
        out->u.coefs = coefs;
    }
    return ITC_OK;
}

static itc_status scalar(itc_parser *p, const itc_attr_kind *want, itc_attr *out)
{
    const itc_token start = p->lex.tok;
    literal_number v;
    ITC_TRY(read_number(p, false, &v));
    if (v.rows || v.symbol != ITC_SYM_NONE) {
        return error_at(p, &start, "E0102", "expected a plain number");
    }
    /* Where a number is wanted, 1 is 1.0. */
    out->kind = v.is_int && !(want && *want == ITC_ATTR_FLOAT) ? ITC_ATTR_INT : ITC_ATTR_FLOAT;
    if (out->kind == ITC_ATTR_INT) {
        out->u.i = v.i;
    } else {
        out->u.f = v.f;
    }
    return ITC_OK;
}

static itc_status any_literal(itc_parser *p, const itc_attr_kind *want, itc_attr *out)
{
    const itc_token *t = &p->lex.tok;
    itc_dtype dtype;
    if (t->kind == ITC_TOK_STRING) {
        out->kind = ITC_ATTR_STRING;
        return itc_lex_take_string(p, "a string", &out->u.s);
    }
    if (t->kind == ITC_TOK_WORD && itc_dtype_parse(t->text, t->n, &dtype)) {
        itc_type type;
        itc_tensor *tensor = NULL;
        ITC_TRY(itc_parse_type(p, &type));
        ITC_TRY(itc_parse_tensor(p, &type, &tensor));
        out->kind = ITC_ATTR_TENSOR;
        out->u.tensor = tensor;
        return ITC_OK;
    }
    if (itc_lex_is(p, '[')) {
        const bool typed =
            want && (*want == ITC_ATTR_INTS || *want == ITC_ATTR_FLOATS || *want == ITC_ATTR_COEFS);
        return list(p, typed ? want : NULL, out);
    }
    if (itc_lex_is_word(p, "floats") || itc_lex_is_word(p, "coefs")) {
        const itc_attr_kind kind = itc_lex_is_word(p, "floats") ? ITC_ATTR_FLOATS : ITC_ATTR_COEFS;
        ITC_TRY(itc_lex_next(p));
        return list(p, &kind, out);
    }
    return scalar(p, want, out);
}

itc_status itc_parse_literal(itc_parser *p, const itc_attr_spec *spec, itc_attr *out)
{
    const itc_token start = p->lex.tok;
    const itc_attr_kind kind = spec ? spec->kind : ITC_ATTR_INT;
    ITC_TRY(any_literal(p, spec ? &kind : NULL, out));
    if (spec && out->kind != kind) {
        return itc_error_at(p->ctx, start.line, start.col, ITC_PARSE, "E0102",
                            "attribute \"%s\" is %s, found %s", spec->name, kind_name(kind),
                            kind_name(out->kind));
    }
    return ITC_OK;
}
