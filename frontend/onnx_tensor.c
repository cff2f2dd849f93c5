#include "frontend/onnx_tensor.h"

#include <float.h>
#include <math.h>
#include <string.h>

typedef enum family { NOT_READ, REAL, SIGNED, UNSIGNED, BOOLEAN } family;

static const struct {
    const char *name;
    uint8_t bytes;
    family family;
} types[] = {{"undefined", 0, NOT_READ},
             {"float", 4, REAL},
             {"uint8", 1, UNSIGNED},
             {"int8", 1, SIGNED},
             {"uint16", 2, UNSIGNED},
             {"int16", 2, SIGNED},
             {"int32", 4, SIGNED},
             {"int64", 8, SIGNED},
             {"string", 0, NOT_READ},
             {"bool", 1, BOOLEAN},
             {"float16", 2, REAL},
             {"double", 8, REAL},
             {"uint32", 4, UNSIGNED},
             {"uint64", 8, UNSIGNED},
             {"complex64", 8, NOT_READ},
             {"complex128", 16, NOT_READ},
             {"bfloat16", 2, REAL},
             {"float8e4m3fn", 1, NOT_READ},
             {"float8e4m3fnuz", 1, NOT_READ},
             {"float8e5m2", 1, NOT_READ},
             {"float8e5m2fnuz", 1, NOT_READ},
             {"uint4", 0, NOT_READ},
             {"int4", 0, NOT_READ},
             {"float4e2m1", 0, NOT_READ},
             {"float8e8m0", 1, NOT_READ},
             {"uint2", 0, NOT_READ},
             {"int2", 0, NOT_READ}};

#define N_TYPES ((int32_t)(sizeof types / sizeof types[0]))

static family family_of(int32_t type)
{
    return type >= 0 && type < N_TYPES ? types[type].family : NOT_READ;
}

const char *itc_onnx_type_name(itc_ctx *ctx, int32_t type)
{
    return type >= 0 && type < N_TYPES ? types[type].name : itc_format(ctx, "number %d", type);
}

bool itc_onnx_type_dtype(int32_t type, itc_dtype *out)
{
    const family f = family_of(type);
    *out = f == REAL ? ITC_F32 : f == BOOLEAN ? ITC_BOOL : ITC_I64;
    return f != NOT_READ;
}

/* ---- elements: the bits of the file <-> f32, i64, bool ---- */

static float bits_to_float(uint32_t bits)
{
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static uint32_t float_to_bits(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

/** IEEE 754 binary16: exact in float. */
static float half_to_float(uint32_t h)
{
    const uint32_t sign = (h & 0x8000u) << 16;
    const uint32_t exponent = h >> 10 & 0x1f;
    const uint32_t fraction = h & 0x3ff;
    if (exponent == 0) {
        const float v = (float)fraction * 0x1p-24f;
        return sign != 0 ? -v : v;
    }
    if (exponent == 31) {
        return bits_to_float(sign | 0x7f800000u | fraction << 13);
    }
    return bits_to_float(sign | (exponent + 112) << 23 | fraction << 13);
}

/** Bits that are shifted out round to the nearest, ties to even. shift < 32 */
static uint32_t shift_even(uint32_t v, unsigned shift)
{
    const uint32_t half = ((uint32_t)1 << shift) >> 1;
    const uint32_t rest = v & (((uint32_t)1 << shift) - 1);
    const uint32_t q = v >> shift;
    return q + (rest > half || (rest == half && half != 0 && (q & 1) != 0) ? 1 : 0);
}

static uint32_t float_to_half(float v)
{
    const uint32_t bits = float_to_bits(v);
    const uint32_t sign = bits >> 16 & 0x8000u;
    const uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {
        return sign | 0x7e00u;
    }
    if (magnitude >= 0x47800000u) { /* 65536 and more */
        return sign | 0x7c00u;
    }
    const uint32_t exponent = magnitude >> 23;
    if (exponent >= 113) {
        /* A carry out of the fraction moves the exponent on, up to infinity, as it should. */
        return sign | shift_even(magnitude - (112u << 23), 13);
    }
    if (exponent < 102) {
        return sign;
    }
    return sign | shift_even((magnitude & 0x7fffffu) | 0x800000u, 126 - exponent);
}

static uint32_t float_to_bfloat(float v)
{
    const uint32_t bits = float_to_bits(v);
    if ((bits & 0x7fffffffu) > 0x7f800000u) {
        return bits >> 16 | 0x40u;
    }
    return shift_even(bits, 16);
}

static uint64_t load_le(const uint8_t *p, int n)
{
    uint64_t v = 0;
    for (int i = 0; i < n; i++) {
        v |= (uint64_t)p[i] << (8 * i);
    }
    return v;
}

static void store_le(uint8_t *p, int n, uint64_t v)
{
    for (int i = 0; i < n; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

/** The element as real number; false for a double beyond the range of float. */
static bool real_of_bits(int32_t type, uint64_t bits, float *out)
{
    if (type == ITC_ONNX_FLOAT) {
        *out = bits_to_float((uint32_t)bits);
    } else if (type == ITC_ONNX_FLOAT16) {
        *out = half_to_float((uint32_t)bits);
    } else if (type == ITC_ONNX_BFLOAT16) {
        *out = bits_to_float((uint32_t)bits << 16);
    } else {
        double v;
        memcpy(&v, &bits, sizeof v);
        /* From here on the nearest float would be infinity. */
        if (isfinite(v) && fabs(v) >= 0x1.ffffffp127) {
            return false;
        }
        *out = (float)v;
    }
    return true;
}

/** Sign-extends n bytes; false for an unsigned number beyond int64. */
static bool integer_of_bits(int32_t type, uint64_t bits, int64_t *out)
{
    if (types[type].family == UNSIGNED) {
        *out = (int64_t)(bits & INT64_MAX);
        return bits <= INT64_MAX;
    }
    const uint64_t sign = (uint64_t)1 << (8 * types[type].bytes - 1);
    const uint64_t low = bits & (sign - 1);
    *out = (bits & sign) != 0 ? -(int64_t)(sign - 1 - low) - 1 : (int64_t)low;
    return true;
}

/** False: the value has no place in the decoded type. */
static bool put_element(itc_tensor *to, int64_t i, int32_t type, uint64_t bits)
{
    switch (types[type].family) {
    case REAL:
        return real_of_bits(type, bits, (float *)to->data + i);
    case SIGNED:
    case UNSIGNED:
        return integer_of_bits(type, bits, (int64_t *)to->data + i);
    case BOOLEAN:
        ((uint8_t *)to->data)[i] = bits != 0;
        return true;
    case NOT_READ:
        break;
    }
    return false;
}

/** Bits of element i of a typed field; false where a number is outside its type. */
static bool typed_bits(const Onnx__TensorProto *t, int64_t i, uint64_t *out)
{
    switch (t->data_type) {
    case ITC_ONNX_FLOAT:
        *out = float_to_bits(t->float_data[i]);
        return true;
    case ITC_ONNX_DOUBLE:
        memcpy(out, &t->double_data[i], sizeof *out);
        return true;
    case ITC_ONNX_INT64:
        *out = (uint64_t)t->int64_data[i];
        return true;
    case ITC_ONNX_UINT32:
        *out = t->uint64_data[i];
        return *out <= UINT32_MAX;
    case ITC_ONNX_UINT64:
        *out = t->uint64_data[i];
        return true;
    default:
        break;
    }
    const int64_t v = t->int32_data[i];
    const int64_t range = (int64_t)1 << (8 * types[t->data_type].bytes);
    *out = (uint64_t)v;
    if (types[t->data_type].family == SIGNED) {
        return v >= -(range / 2) && v < range / 2;
    }
    /* bool, and the bit patterns of 16-bit floats, are written without a sign */
    return v >= 0 && v < range;
}

static size_t typed_count(const Onnx__TensorProto *t)
{
    switch (t->data_type) {
    case ITC_ONNX_FLOAT:
        return t->n_float_data;
    case ITC_ONNX_DOUBLE:
        return t->n_double_data;
    case ITC_ONNX_INT64:
        return t->n_int64_data;
    case ITC_ONNX_UINT32:
    case ITC_ONNX_UINT64:
        return t->n_uint64_data;
    default:
        return t->n_int32_data;
    }
}

/* ---- checks ---- */

static itc_status check_type(itc_onnx_source *src, const char *name, int32_t type)
{
    if (family_of(type) == NOT_READ) {
        return itc_error(src->ctx, NULL, ITC_UNSUPPORTED, "E0212",
                         "tensor \"%s\" is of type %s, which is not supported", name,
                         itc_onnx_type_name(src->ctx, type));
    }
    return ITC_OK;
}

/** Elements of dims; takes their decoded bytes from the budget. */
static itc_status check_dims(itc_onnx_source *src, const char *name, int32_t type, size_t rank,
                             const int64_t *dims, int64_t *count)
{
    if (rank > ITC_MAX_RANK) {
        return itc_error(src->ctx, NULL, ITC_UNSUPPORTED, "E0213",
                         "tensor \"%s\" has rank %zu, the limit is %d", name, rank, ITC_MAX_RANK);
    }
    *count = 1;
    bool fits = true;
    for (size_t i = 0; i < rank; i++) {
        if (dims[i] < 0) {
            return itc_error(src->ctx, NULL, ITC_PARSE, "E0213",
                             "tensor \"%s\": extent %lld of axis %zu is negative", name,
                             (long long)dims[i], i);
        }
        fits = fits && itc_size_mul(*count, dims[i], count);
    }
    itc_dtype dtype;
    (void)itc_onnx_type_dtype(type, &dtype);
    int64_t bytes = 0;
    fits = fits && itc_size_mul(*count, (int64_t)itc_dtype_size(dtype), &bytes);
    if (!fits || bytes > src->budget) {
        return itc_error(src->ctx, NULL, ITC_RANGE, "E0213",
                         "tensor \"%s\" is too large: %s, and %lld bytes are left for tensors",
                         name,
                         fits ? itc_format(src->ctx, "it has %lld bytes", (long long)bytes)
                              : "its element count overflows",
                         (long long)src->budget);
    }
    src->budget -= bytes;
    return ITC_OK;
}

static bool is_external(const Onnx__TensorProto *t)
{
    return t->has_data_location && (int)t->data_location == 1;
}

/** E0214 unless exactly one encoding is there, with as many elements as dims say. */
static itc_status check_encoding(itc_onnx_source *src, const char *name, const Onnx__TensorProto *t,
                                 int64_t count)
{
    const size_t typed = t->n_float_data + t->n_int32_data + t->n_int64_data + t->n_double_data +
                         t->n_uint64_data + t->n_string_data;
    const int used = (t->has_raw_data && t->raw_data.len > 0) + (typed > 0) + is_external(t);
    if (t->segment) {
        return itc_error(src->ctx, NULL, ITC_UNSUPPORTED, "E0214",
                         "tensor \"%s\" is stored in segments, which are not supported", name);
    }
    if (used > 1 || typed > typed_count(t)) {
        return itc_error(src->ctx, NULL, ITC_PARSE, "E0214",
                         "tensor \"%s\" has its contents in more than one field, or in a field "
                         "that is not %s's",
                         name, itc_onnx_type_name(src->ctx, t->data_type));
    }
    if (is_external(t)) {
        return ITC_OK;
    }
    const size_t width = types[t->data_type].bytes;
    if (t->has_raw_data && typed == 0) {
        const uint64_t wanted = (uint64_t)count * width;
        if (t->raw_data.len != wanted) {
            return itc_error(src->ctx, NULL, ITC_PARSE, "E0214",
                             "tensor \"%s\" has %zu bytes of data, its dims need %llu", name,
                             t->raw_data.len, (unsigned long long)wanted);
        }
    } else if (typed != (uint64_t)count) {
        return itc_error(src->ctx, NULL, ITC_PARSE, "E0214",
                         "tensor \"%s\" has %zu elements of data, its dims need %lld", name, typed,
                         (long long)count);
    }
    return ITC_OK;
}

/* ---- decoding ---- */

/** raw: the elements in the file's order of bytes; NULL: a typed field has them. */
static itc_status convert(itc_onnx_source *src, const char *name, const Onnx__TensorProto *t,
                          const uint8_t *raw, itc_tensor *to)
{
    const int width = types[t->data_type].bytes;
    for (int64_t i = 0; i < to->count; i++) {
        uint64_t bits = 0;
        bool ok = true;
        if (raw) {
            bits = load_le(raw + i * width, width);
        } else {
            ok = typed_bits(t, i, &bits);
        }
        if (!ok || !put_element(to, i, t->data_type, bits)) {
            return itc_error(src->ctx, NULL, ITC_RANGE, "E0214",
                             "tensor \"%s\": element %lld does not fit: a %s for %s", name,
                             (long long)i, itc_onnx_type_name(src->ctx, t->data_type),
                             itc_dtype_name(to->dtype));
        }
    }
    return ITC_OK;
}

static itc_status decode_external(itc_onnx_source *src, const char *name,
                                  const Onnx__TensorProto *t, itc_tensor *to)
{
    itc_ctx *scratch = itc_ctx_new();
    const size_t n = (size_t)to->count * types[t->data_type].bytes;
    uint8_t *raw = itc_alloc(scratch, n);
    itc_status s = itc_onnx_external_read(src, name, t, raw, n);
    if (s == ITC_OK) {
        s = convert(src, name, t, raw, to);
    }
    itc_ctx_free(scratch);
    return s;
}

itc_status itc_onnx_tensor_decode(itc_onnx_source *src, const char *name,
                                  const Onnx__TensorProto *t, itc_tensor **out)
{
    const int32_t type = t->has_data_type ? t->data_type : 0;
    int64_t count = 0;
    itc_dtype dtype;
    ITC_TRY(check_type(src, name, type));
    ITC_TRY(check_dims(src, name, type, t->n_dims, t->dims, &count));
    ITC_TRY(check_encoding(src, name, t, count));
    (void)itc_onnx_type_dtype(type, &dtype);
    *out = itc_tensor_new(src->ctx, dtype, (int)t->n_dims, t->dims);
    if (is_external(t)) {
        return decode_external(src, name, t, *out);
    }
    const bool raw = t->has_raw_data && t->raw_data.len > 0;
    return convert(src, name, t, raw ? t->raw_data.data : NULL, *out);
}

/* ---- sparse tensors ---- */

/** The position of entry i in the dense tensor, or -1 where an index is outside. */
static int64_t sparse_position(const itc_tensor *indices, const itc_tensor *dense, int64_t i)
{
    const int64_t *v = indices->data;
    if (indices->rank == 1) {
        return v[i] >= 0 && v[i] < dense->count ? v[i] : -1;
    }
    int64_t at = 0;
    for (int k = 0; k < dense->rank; k++) {
        const int64_t index = v[i * dense->rank + k];
        if (index < 0 || index >= dense->dim[k]) {
            return -1;
        }
        at = at * dense->dim[k] + index;
    }
    return at;
}

static itc_status scatter(itc_onnx_source *src, const char *name, const itc_tensor *values,
                          const itc_tensor *indices, itc_tensor *dense)
{
    const size_t width = itc_dtype_size(dense->dtype);
    int64_t last = -1;
    for (int64_t i = 0; i < values->count; i++) {
        const int64_t at = sparse_position(indices, dense, i);
        if (at <= last) {
            return itc_error(src->ctx, NULL, ITC_PARSE, "E0216",
                             "sparse tensor \"%s\": index %lld is outside the tensor, or not "
                             "behind the one before",
                             name, (long long)i);
        }
        memcpy((char *)dense->data + (size_t)at * width,
               (const char *)values->data + (size_t)i * width, width);
        last = at;
    }
    return ITC_OK;
}

itc_status itc_onnx_sparse_decode(itc_onnx_source *src, const char *name,
                                  const Onnx__SparseTensorProto *s, itc_tensor **out)
{
    if (!s->values || !s->indices) {
        return itc_error(src->ctx, NULL, ITC_PARSE, "E0216", "sparse tensor \"%s\" lacks its %s",
                         name, s->values ? "indices" : "values");
    }
    itc_tensor *values = NULL;
    itc_tensor *indices = NULL;
    int64_t count = 0;
    ITC_TRY(itc_onnx_tensor_decode(src, name, s->values, &values));
    ITC_TRY(itc_onnx_tensor_decode(src, name, s->indices, &indices));
    const bool linear = indices->rank == 1;
    const bool table = indices->rank == 2 && indices->dim[1] == (int64_t)s->n_dims;
    if (values->rank != 1 || s->indices->data_type != ITC_ONNX_INT64 || !(linear || table) ||
        indices->dim[0] != values->count) {
        return itc_error(src->ctx, NULL, ITC_PARSE, "E0216",
                         "sparse tensor \"%s\": its values, indices and rank %zu do not match",
                         name, s->n_dims);
    }
    ITC_TRY(check_dims(src, name, s->values->data_type, s->n_dims, s->dims, &count));
    *out = itc_tensor_new(src->ctx, values->dtype, (int)s->n_dims, s->dims);
    return scatter(src, name, values, indices, *out);
}

/* ---- export ---- */

static void clear_contents(Onnx__TensorProto *t)
{
    t->n_float_data = 0;
    t->n_int32_data = 0;
    t->n_int64_data = 0;
    t->n_double_data = 0;
    t->n_uint64_data = 0;
    t->n_external_data = 0;
    t->has_data_location = 0;
}

static void set_raw(Onnx__TensorProto *t, uint8_t *raw, size_t n)
{
    clear_contents(t);
    t->has_raw_data = 1;
    t->raw_data.data = raw;
    t->raw_data.len = n;
}

itc_status itc_onnx_tensor_inline(itc_onnx_source *src, itc_ctx *arena, const char *name,
                                  Onnx__TensorProto *t)
{
    if (!is_external(t)) {
        return ITC_OK;
    }
    const int32_t type = t->has_data_type ? t->data_type : 0;
    int64_t count = 0;
    int64_t bytes = 0;
    ITC_TRY(check_type(src, name, type));
    ITC_TRY(check_dims(src, name, type, t->n_dims, t->dims, &count));
    ITC_TRY(check_encoding(src, name, t, count));
    if (!itc_size_mul(count, types[type].bytes, &bytes) || bytes > INT32_MAX) {
        return itc_error(src->ctx, NULL, ITC_RANGE, "E0217",
                         "tensor \"%s\" makes the model larger than 2 GiB", name);
    }
    uint8_t *raw = itc_alloc(arena, (size_t)bytes);
    ITC_TRY(itc_onnx_external_read(src, name, t, raw, (size_t)bytes));
    set_raw(t, raw, (size_t)bytes);
    return ITC_OK;
}

/** False: a finite number that would become infinite. */
static bool encode_real(int32_t type, float v, uint64_t *out)
{
    if (type == ITC_ONNX_FLOAT) {
        *out = float_to_bits(v);
    } else if (type == ITC_ONNX_DOUBLE) {
        const double d = (double)v;
        memcpy(out, &d, sizeof *out);
    } else if (type == ITC_ONNX_FLOAT16) {
        *out = float_to_half(v);
        return !isfinite(v) || (*out & 0x7fff) != 0x7c00;
    } else {
        *out = float_to_bfloat(v);
        return !isfinite(v) || (*out & 0x7fff) != 0x7f80;
    }
    return true;
}

/** Whether new contents have the tensor's shape; flat ones need only as many elements. */
static bool fits_shape(const Onnx__TensorProto *t, const itc_tensor *data)
{
    int64_t count = 1;
    bool same = t->n_dims == data->rank;
    for (size_t i = 0; i < t->n_dims; i++) {
        if (!itc_size_mul(count, t->dims[i], &count)) {
            return false;
        }
        same = same && t->dims[i] == data->dim[i];
    }
    return same || (data->rank == 1 && count == data->count);
}

itc_status itc_onnx_tensor_replace(itc_ctx *ctx, itc_ctx *arena, const char *name,
                                   Onnx__TensorProto *t, const itc_tensor *data)
{
    const int32_t type = t->has_data_type ? t->data_type : 0;
    if (family_of(type) != REAL || data->dtype != ITC_F32) {
        return itc_error(ctx, NULL, ITC_TYPE, "E0218",
                         "tensor \"%s\" is of type %s and cannot take %s contents", name,
                         itc_onnx_type_name(ctx, type), itc_dtype_name(data->dtype));
    }
    if (!fits_shape(t, data)) {
        return itc_error(ctx, NULL, ITC_SHAPE, "E0218",
                         "tensor \"%s\" has another shape than its %lld new elements", name,
                         (long long)data->count);
    }
    const int width = types[type].bytes;
    const size_t n = (size_t)data->count * (size_t)width;
    uint8_t *raw = itc_alloc(arena, n);
    for (int64_t i = 0; i < data->count; i++) {
        uint64_t bits = 0;
        const float v = ((const float *)data->data)[i];
        if (!encode_real(type, v, &bits)) {
            return itc_error(ctx, NULL, ITC_RANGE, "E0218",
                             "tensor \"%s\": %g does not fit its type %s", name, (double)v,
                             itc_onnx_type_name(ctx, type));
        }
        store_le(raw + i * width, width, bits);
    }
    set_raw(t, raw, n);
    return ITC_OK;
}
