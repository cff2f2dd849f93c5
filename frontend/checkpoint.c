#include "frontend/checkpoint.h"

#include <math.h>
#include <string.h>

typedef struct reader {
    itc_ctx *ctx;
    const unsigned char *at;
    size_t left;
    bool bad; /**< something lay beyond the end */
} reader;

static uint64_t number(reader *r, int bytes)
{
    uint64_t v = 0;
    if (r->left < (size_t)bytes) {
        r->bad = true;
        return 0;
    }
    for (int i = 0; i < bytes; i++) {
        v |= (uint64_t)r->at[i] << (8 * i);
    }
    r->at += bytes;
    r->left -= (size_t)bytes;
    return v;
}

static void skip(reader *r, size_t n)
{
    r->bad = r->bad || r->left < n;
    if (!r->bad) {
        r->at += n;
        r->left -= n;
    }
}

static const char *string(reader *r)
{
    const size_t n = (size_t)number(r, 2);
    const char *s = (const char *)r->at;
    skip(r, n);
    return r->bad ? "" : itc_strndup(r->ctx, s, n);
}

static int64_t sign_extend(uint64_t v, int bytes)
{
    const int spare = 64 - 8 * bytes;
    const uint64_t top = (uint64_t)1 << (63 - spare);
    return (v & top) ? (int64_t)(v - top) - (int64_t)(top - 1) - 1 : (int64_t)v;
}

static itc_status damaged(itc_ctx *ctx, const char *what)
{
    return itc_error(ctx, NULL, ITC_PARSE, "E0610", "not a whole checkpoint: %s", what);
}

/** Which exponent an element has: that of its slice where there are several. */
static int exponent_axis(const itc_tensor *t, uint32_t n_exps)
{
    for (int i = 0; n_exps > 1 && i < t->rank; i++) {
        if (t->dim[i] == (int64_t)n_exps) {
            return i;
        }
    }
    return -1;
}

static float element(reader *r, itr_dtype dtype, int32_t e)
{
    const int bytes = (int)itr_dtype_size(dtype);
    const uint64_t bits = number(r, bytes);
    if (dtype == ITR_F32) {
        const uint32_t low = (uint32_t)bits;
        float f;
        memcpy(&f, &low, sizeof f);
        return f;
    }
    const int64_t m = dtype == ITR_U8 ? (int64_t)bits : sign_extend(bits, bytes);
    return (float)ldexp((double)m, e);
}

static itc_status read_tensor(reader *r, itc_checkpoint_tensor *out)
{
    int64_t dim[ITC_MAX_RANK] = {0}, count = 1;
    out->name = string(r);
    out->kind = (itr_tensor_kind)number(r, 1);
    const uint64_t dtype = number(r, 1), rank = number(r, 1);
    if (r->bad || dtype > ITR_U8 || rank > ITC_MAX_RANK) {
        return damaged(r->ctx, "a tensor's header makes no sense");
    }
    for (uint64_t i = 0; i < rank; i++) {
        const uint64_t d = number(r, 8);
        if (d > INT64_MAX || !itc_size_mul(count, (int64_t)d, &count)) {
            return damaged(r->ctx, "a tensor's extents make no sense");
        }
        dim[i] = (int64_t)d;
    }
    const uint32_t n_exps = (uint32_t)number(r, 4);
    const unsigned char *exps = r->at;
    skip(r, (size_t)n_exps * 4);
    if (r->bad || (uint64_t)count > r->left / itr_dtype_size((itr_dtype)dtype)) {
        return damaged(r->ctx, "a tensor lies beyond the end");
    }
    itc_tensor *t = itc_tensor_new(r->ctx, ITC_F32, (int)rank, dim);
    const int axis = exponent_axis(t, n_exps);
    int64_t inner = 1;
    for (int i = axis + 1; axis >= 0 && i < t->rank; i++) {
        inner *= t->dim[i];
    }
    for (int64_t i = 0; i < count; i++) {
        const int64_t k = axis >= 0 ? i / inner % t->dim[axis] : 0;
        reader e = {.ctx = r->ctx, .at = exps + 4 * k, .left = n_exps > 0 ? 4 : 0};
        const int32_t exponent = (int32_t)sign_extend(n_exps > 0 ? number(&e, 4) : 0, 4);
        ((float *)t->data)[i] = element(r, (itr_dtype)dtype, exponent);
    }
    out->data = t;
    return ITC_OK;
}

itc_status itc_checkpoint_open(itc_ctx *ctx, const char *path, itc_checkpoint *out)
{
    char *bytes = NULL;
    size_t n = 0;
    uint8_t hash[32];
    itc_set_file(ctx, path);
    ITC_TRY(itc_read_file(ctx, path, (size_t)1 << 36, &bytes, &n));
    if (n < 44 || memcmp(bytes, "ITRCKPT1", 8) != 0) {
        return damaged(ctx, "it does not begin as one");
    }
    itc_sha256(bytes, n - 32, hash);
    if (memcmp(hash, bytes + n - 32, 32) != 0) {
        return damaged(ctx, "its checksum does not match its contents");
    }
    reader r = {.ctx = ctx, .at = (const unsigned char *)bytes + 8, .left = n - 40};
    if (number(&r, 4) != 1) {
        return damaged(ctx, "it is of another version");
    }
    skip(&r, 32);
    out->arith = string(&r);
    skip(&r, 8);
    out->step = (int64_t)number(&r, 8);
    skip(&r, 3 * 8 + 4 + 8 + 8 + 8 + 8);
    const uint64_t count = number(&r, 4);
    if (r.bad || count > r.left) {
        return damaged(ctx, "it breaks off");
    }
    itc_checkpoint_tensor *tensors = ITC_NEW_ARRAY(ctx, itc_checkpoint_tensor, count + 1);
    for (uint64_t i = 0; i < count; i++) {
        ITC_TRY(read_tensor(&r, &tensors[i]));
    }
    out->n = (int)count;
    out->tensor = tensors;
    return r.bad || r.left > 0 ? damaged(ctx, "bytes follow its end") : ITC_OK;
}
