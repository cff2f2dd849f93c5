#include <string.h>

#include "ir/ir.h"

static const struct {
    const char *name;
    size_t size;
} dtypes[ITC_DTYPE_COUNT] = {
    [ITC_F32] = {"f32", 4}, [ITC_I8] = {"i8", 1}, [ITC_I16] = {"i16", 2},  [ITC_I32] = {"i32", 4},
    [ITC_I64] = {"i64", 8}, [ITC_U8] = {"u8", 1}, [ITC_BOOL] = {"bool", 1}};

const char *itc_dtype_name(itc_dtype t)
{
    return dtypes[t].name;
}

bool itc_dtype_parse(const char *s, size_t n, itc_dtype *out)
{
    for (int i = 0; i < ITC_DTYPE_COUNT; i++) {
        if (strlen(dtypes[i].name) == n && memcmp(dtypes[i].name, s, n) == 0) {
            *out = (itc_dtype)i;
            return true;
        }
    }
    return false;
}

size_t itc_dtype_size(itc_dtype t)
{
    return dtypes[t].size;
}

itc_type itc_type_make(itc_dtype t, int rank, const itc_dim *dims)
{
    itc_type type = {.dtype = t, .rank = (uint8_t)rank, .known = true, .exp_axis = -1};
    for (int i = 0; i < rank; i++) {
        type.dim[i] = dims[i];
    }
    return type;
}

itc_type itc_type_scalar(itc_dtype t)
{
    return itc_type_make(t, 0, NULL);
}

bool itc_dim_equal(itc_dim a, itc_dim b)
{
    return a.size == b.size && a.batch == b.batch;
}

bool itc_type_equal(const itc_type *a, const itc_type *b)
{
    if (!a->known || !b->known) {
        return a->known == b->known;
    }
    if (a->dtype != b->dtype || a->rank != b->rank) {
        return false;
    }
    for (int i = 0; i < a->rank; i++) {
        if (!itc_dim_equal(a->dim[i], b->dim[i])) {
            return false;
        }
    }
    return true;
}

bool itc_type_count(const itc_type *t, itc_dim *out)
{
    itc_dim all = {1, false};
    for (int i = 0; i < t->rank; i++) {
        if (!itc_size_mul(all.size, t->dim[i].size, &all.size) || (all.batch && t->dim[i].batch)) {
            return false;
        }
        all.batch = all.batch || t->dim[i].batch;
    }
    *out = all;
    return true;
}

bool itc_extremes_type(const itc_type *x, uint32_t axes, itc_type *out)
{
    itc_type t = *x;
    itc_dim slices;
    for (int i = 0; i < t.rank; i++) {
        t.dim[i] = (axes >> i & 1) != 0 ? (itc_dim){1, false} : t.dim[i];
    }
    if (!itc_type_count(&t, &slices)) {
        return false;
    }
    *out = itc_type_make(x->dtype, 2, (const itc_dim[]){{2, false}, slices});
    return true;
}

int64_t itc_type_elements(const itc_type *t, int64_t n)
{
    int64_t count = 1;
    for (int i = 0; i < t->rank; i++) {
        count *= t->dim[i].size * (t->dim[i].batch ? n : 1);
    }
    return count;
}

const char *itc_type_text(itc_ctx *ctx, const itc_type *t)
{
    if (!t->known) {
        return "?";
    }
    itc_strbuf b;
    itc_strbuf_init(&b, ctx);
    itc_strbuf_printf(&b, "%s[", itc_dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++) {
        const itc_dim d = t->dim[i];
        itc_strbuf_add(&b, i > 0 ? "," : "");
        if (!d.batch || d.size != 1) {
            itc_strbuf_printf(&b, "%lld", (long long)d.size);
        }
        itc_strbuf_add(&b, d.batch ? "N" : "");
    }
    itc_strbuf_add(&b, "]");
    return b.text;
}

itc_tensor *itc_tensor_new(itc_ctx *ctx, itc_dtype t, int rank, const int64_t *dims)
{
    itc_tensor *x = ITC_NEW(ctx, itc_tensor);
    x->dtype = t;
    x->rank = (uint8_t)rank;
    x->count = 1;
    for (int i = 0; i < rank; i++) {
        x->dim[i] = dims[i];
        if (!itc_size_mul(x->count, dims[i], &x->count)) {
            x->count = INT64_MAX;
        }
    }
    x->data = itc_alloc_array(ctx, (size_t)x->count, itc_dtype_size(t));
    return x;
}

itc_tensor *itc_tensor_scalar_f32(itc_ctx *ctx, double v)
{
    itc_tensor *x = itc_tensor_new(ctx, ITC_F32, 0, NULL);
    *(float *)x->data = (float)v;
    return x;
}

itc_tensor *itc_tensor_i64(itc_ctx *ctx, int n, const int64_t *v)
{
    const int64_t dim = n;
    itc_tensor *x = itc_tensor_new(ctx, ITC_I64, 1, &dim);
    if (n > 0) {
        memcpy(x->data, v, (size_t)n * sizeof *v);
    }
    return x;
}

double itc_tensor_get(const itc_tensor *t, int64_t i)
{
    return t->dtype == ITC_F32 ? (double)((const float *)t->data)[i]
                               : (double)itc_tensor_get_int(t, i);
}

int64_t itc_tensor_get_int(const itc_tensor *t, int64_t i)
{
    switch (t->dtype) {
    case ITC_F32: {
        /* Beyond int64 the conversion would be undefined: hold at its ends, and 0 for NaN. */
        const double v = (double)((const float *)t->data)[i];
        if (v >= 9223372036854775808.0) {
            return INT64_MAX;
        }
        return v >= -9223372036854775808.0 ? (int64_t)v : v < 0 ? INT64_MIN : 0;
    }
    case ITC_I8:
        return ((const int8_t *)t->data)[i];
    case ITC_I16:
        return ((const int16_t *)t->data)[i];
    case ITC_I32:
        return ((const int32_t *)t->data)[i];
    case ITC_I64:
        return ((const int64_t *)t->data)[i];
    case ITC_U8:
    case ITC_BOOL:
        return ((const uint8_t *)t->data)[i];
    case ITC_DTYPE_COUNT:
        break;
    }
    return 0;
}

itc_type itc_tensor_type(const itc_tensor *t)
{
    itc_type type = {.dtype = t->dtype, .rank = t->rank, .known = true, .exp_axis = -1};
    for (int i = 0; i < t->rank; i++) {
        type.dim[i].size = t->dim[i];
    }
    return type;
}
