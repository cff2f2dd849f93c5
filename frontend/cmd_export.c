/*
 * export: parameters of a checkpoint as floats in the ONNX model that they came from.
 *
 * Reads the checkpoint by its format (runtime/tensors.h) alone, so that it need not be known with
 * which options the trainer was compiled; tensors are matched by name, and the ONNX side checks
 * their shapes.
 */
#include <math.h>
#include <string.h>

#include "frontend/cli.h"
#include "frontend/onnx_export.h"
#include "runtime/itr.h"

typedef struct reader {
    itc_ctx *ctx;
    const unsigned char *p;
    size_t left;
    bool bad;
} reader;

static const unsigned char *take(reader *r, size_t n)
{
    static const unsigned char zeros[8] = {0};
    if (r->bad || n > r->left) {
        r->bad = true;
        return n <= sizeof zeros ? zeros : NULL;
    }
    const unsigned char *at = r->p;
    r->p += n;
    r->left -= n;
    return at;
}

/** An integer of 1 to 8 bytes, little-endian. */
static uint64_t take_le(reader *r, int bytes)
{
    const unsigned char *p = take(r, (size_t)bytes);
    uint64_t v = 0;
    for (int i = bytes - 1; i >= 0; i--) {
        v = v << 8 | p[i];
    }
    return v;
}

static const char *take_string(reader *r)
{
    const size_t n = (size_t)take_le(r, 2);
    const unsigned char *p = take(r, n);
    return p ? itc_strndup(r->ctx, (const char *)p, n) : "";
}

/** Magic, version, checksum; leaves the reader at the number of tensors. */
static itc_status open_checkpoint(itc_ctx *ctx, const char *path, reader *r)
{
    char *bytes = NULL;
    size_t n = 0;
    uint8_t hash[32];
    ITC_TRY(itc_read_file(ctx, path, ITC_MAX_FILE, &bytes, &n));
    if (n < 8 + 4 + 32 + 32 || memcmp(bytes, "ITRCKPT1", 8) != 0) {
        return itc_error(ctx, NULL, ITC_PARSE, "E0630", "file \"%s\" is not a checkpoint", path);
    }
    itc_sha256(bytes, n - 32, hash);
    if (memcmp(hash, bytes + n - 32, 32) != 0) {
        return itc_error(ctx, NULL, ITC_PARSE, "E0631",
                         "checkpoint \"%s\" is damaged: its SHA-256 does not match", path);
    }
    *r = (reader){ctx, (const unsigned char *)bytes + 8, n - 8 - 32, false};
    const uint64_t version = take_le(r, 4);
    if (version != 1) {
        return itc_error(ctx, NULL, ITC_UNSUPPORTED, "E0631",
                         "checkpoint \"%s\" has version %llu, expected 1", path,
                         (unsigned long long)version);
    }
    (void)take(r, 32);      /* plan hash */
    (void)take_string(r);   /* arithmetic */
    (void)take(r, 5 * 8);   /* seed, step, epoch, row, rows */
    (void)take(r, 4 + 8 + 8 + 8 + 8); /* schedule */
    return ITC_OK;
}

static int64_t sign_extend(uint64_t v, int bytes)
{
    const int shift = 64 - 8 * bytes;
    const uint64_t top = (uint64_t)1 << (63 - shift);
    return (int64_t)((v ^ top) - top);
}

/** One tensor record; *out is NULL where it is not a parameter or a statistic. */
static itc_status take_tensor(reader *r, const char *path, itc_onnx_tensor_update *out)
{
    static const int width[] = {1, 2, 4, 8, 4, 1}; /* by itr_dtype */
    int64_t dim[ITC_MAX_RANK], count = 1;
    out->name = take_string(r);
    out->data = NULL;
    const int kind = (int)take_le(r, 1), dtype = (int)take_le(r, 1), rank = (int)take_le(r, 1);
    bool ok = !r->bad && dtype <= ITR_U8 && rank <= ITC_MAX_RANK;
    for (int i = 0; ok && i < rank; i++) {
        dim[i] = (int64_t)take_le(r, 8);
        ok = !r->bad && dim[i] >= 0 && itc_size_mul(count, dim[i], &count);
    }
    const uint32_t exponents = ok ? (uint32_t)take_le(r, 4) : 0;
    const int32_t e = exponents > 0 ? (int32_t)(uint32_t)take_le(r, 4) : 0;
    ok = ok && exponents <= 1 && count <= (int64_t)r->left;
    if (!ok || r->bad) {
        return itc_error(r->ctx, NULL, ITC_PARSE, "E0631", "checkpoint \"%s\" is malformed", path);
    }
    const bool wanted = kind == ITR_PARAM || kind == ITR_STAT;
    itc_tensor *t = wanted ? itc_tensor_new(r->ctx, ITC_F32, rank, dim) : NULL;
    for (int64_t i = 0; i < count; i++) {
        const uint64_t bits = take_le(r, width[dtype]);
        const uint32_t word = (uint32_t)bits;
        if (t && dtype == ITR_F32) {
            memcpy((float *)t->data + i, &word, sizeof word);
        } else if (t) {
            ((float *)t->data)[i] = (float)ldexp((double)sign_extend(bits, width[dtype]), e);
        }
    }
    if (r->bad) {
        return itc_error(r->ctx, NULL, ITC_PARSE, "E0631", "checkpoint \"%s\" is malformed", path);
    }
    out->data = t;
    return ITC_OK;
}

static itc_status export(itc_cli *c)
{
    const char *path = c->options.args[1], *out = itc_cli_output(c, NULL);
    reader r;
    itc_onnx_model *model = NULL;
    if (!out) {
        return itc_error(c->ctx, NULL, ITC_RANGE, "E0609", "say where to write: -o OUT.onnx");
    }
    ITC_TRY(open_checkpoint(c->ctx, path, &r));
    const uint32_t n = (uint32_t)take_le(&r, 4);
    if (r.bad || n > r.left) {
        return itc_error(c->ctx, NULL, ITC_PARSE, "E0631", "checkpoint \"%s\" is malformed", path);
    }
    itc_onnx_tensor_update *updates = ITC_NEW_ARRAY(c->ctx, itc_onnx_tensor_update, n + 1);
    int count = 0;
    for (uint32_t i = 0; i < n; i++) {
        ITC_TRY(take_tensor(&r, path, &updates[count]));
        count += updates[count].data != NULL;
    }
    ITC_TRY(itc_onnx_read(c->ctx, c->options.args[0], &model));
    const itc_status s = itc_onnx_export(c->ctx, model, updates, count, out);
    itc_onnx_close(model);
    return s;
}

int itc_cmd_export(itc_cli *c)
{
    return itc_exit_code(export(c));
}
