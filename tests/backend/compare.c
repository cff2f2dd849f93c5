#include "tests/backend/compare.h"

#include <math.h>

#include "frontend/onnx_tensor.h"

static double relative_tolerance(int32_t onnx_type)
{
    return onnx_type == ITC_ONNX_BFLOAT16 ? 0x1p-7 : onnx_type == ITC_ONNX_FLOAT16 ? 0x1p-9 : 1e-3;
}

static bool close_to(double got, double want, double relative, double noise)
{
    if (isnan(want) || isnan(got)) {
        return isnan(want) && isnan(got);
    }
    if (isinf(want) || isinf(got)) {
        return isinf(want) && isinf(got) && (want > 0) == (got > 0);
    }
    return fabs(got - want) <= 1e-7 + noise + relative * fabs(want);
}

/** What sums that cancel leave in floats of 24 bits: two units of the last place of the largest. */
static double noise_of(const itc_tensor *t)
{
    double largest = 0;
    for (int64_t i = 0; i < t->count; i++) {
        const double v = fabs(itc_tensor_get(t, i));
        largest = isfinite(v) && v > largest ? v : largest;
    }
    return 0x1p-23 * largest;
}

static int64_t integer_at(itc_dtype t, const void *p, int64_t i)
{
    switch (t) {
    case ITC_I8:
        return ((const int8_t *)p)[i];
    case ITC_I16:
        return ((const int16_t *)p)[i];
    case ITC_I32:
        return ((const int32_t *)p)[i];
    case ITC_I64:
        return ((const int64_t *)p)[i];
    case ITC_U8:
    case ITC_BOOL:
        return ((const uint8_t *)p)[i];
    case ITC_F32:
    case ITC_DTYPE_COUNT:
        break;
    }
    return 0;
}

static const char *compare_types(itc_ctx *ctx, const itc_tensor *want, const itc_type *type)
{
    bool same = want->rank == type->rank && want->dtype == type->dtype;
    itc_dim dim[ITC_MAX_RANK];
    for (int i = 0; i < want->rank; i++) {
        dim[i] = (itc_dim){want->dim[i], false};
        same = same && itc_dim_equal(type->dim[i], dim[i]);
    }
    const itc_type expected = itc_type_make(want->dtype, want->rank, dim);
    return same ? NULL
                : itc_format(ctx, "is %s, expected %s", itc_type_text(ctx, type),
                             itc_type_text(ctx, &expected));
}

const char *backend_compare(itc_ctx *ctx, const itc_tensor *want, int32_t onnx_type,
                            const itc_type *type, const void *got)
{
    const char *wrong = compare_types(ctx, want, type);
    const double noise = want->dtype == ITC_F32 ? noise_of(want) : 0;
    for (int64_t i = 0; !wrong && i < want->count; i++) {
        if (want->dtype == ITC_F32) {
            const double a = (double)((const float *)got)[i], b = itc_tensor_get(want, i);
            if (!close_to(a, b, relative_tolerance(onnx_type), noise)) {
                wrong = itc_format(ctx, "element %lld is %.9g, expected %.9g", (long long)i, a, b);
            }
        } else {
            const int64_t a = integer_at(type->dtype, got, i), b = itc_tensor_get_int(want, i);
            if (a != b) {
                wrong = itc_format(ctx, "element %lld is %lld, expected %lld", (long long)i,
                                   (long long)a, (long long)b);
            }
        }
    }
    return wrong;
}
