/**
 * ONNX tensors: every encoding of the file to the two that constants have here (f32, i64; and
 * bool), and back for export.
 */
#ifndef ITC_FRONTEND_ONNX_TENSOR_H
#define ITC_FRONTEND_ONNX_TENSOR_H

#include <onnx.pb-c.h>

#include "ir/ir.h"

/** TensorProto.DataType. Our own names: an older schema lacks the newer types. */
enum {
    ITC_ONNX_FLOAT = 1,
    ITC_ONNX_UINT8,
    ITC_ONNX_INT8,
    ITC_ONNX_UINT16,
    ITC_ONNX_INT16,
    ITC_ONNX_INT32,
    ITC_ONNX_INT64,
    ITC_ONNX_STRING,
    ITC_ONNX_BOOL,
    ITC_ONNX_FLOAT16,
    ITC_ONNX_DOUBLE,
    ITC_ONNX_UINT32,
    ITC_ONNX_UINT64,
    ITC_ONNX_COMPLEX64,
    ITC_ONNX_COMPLEX128,
    ITC_ONNX_BFLOAT16
};

/** Where tensors come from, and how much room is left for them. */
typedef struct itc_onnx_source {
    itc_ctx *ctx;
    const char *dir; /**< folder of external data; NULL: none */
    int64_t budget;  /**< bytes that may still be decoded */
} itc_onnx_source;

/** "float16", …; "type 77" for one that is not known. */
const char *itc_onnx_type_name(itc_ctx *ctx, int32_t type);
/** F32 for floats, I64 for integers, BOOL; false for types that are not read here. */
bool itc_onnx_type_dtype(int32_t type, itc_dtype *out);

/**
 * Decodes a tensor; `name` is what messages call it. float16, bfloat16 and double become f32,
 * integers i64. Consumes budget. E0212: its type; E0213: its dims; E0214: contents that do not
 * fit them, are out of range, or come twice; E0215: external data.
 */
ITC_NODISCARD itc_status itc_onnx_tensor_decode(itc_onnx_source *src, const char *name,
                                                const Onnx__TensorProto *t, itc_tensor **out);
/** The same for a sparse tensor, whose other elements are zero. E0216: its indices. */
ITC_NODISCARD itc_status itc_onnx_sparse_decode(itc_onnx_source *src, const char *name,
                                                const Onnx__SparseTensorProto *s, itc_tensor **out);
/** Puts external contents into the message (raw_data, in `arena`); nothing where there are none. */
ITC_NODISCARD itc_status itc_onnx_tensor_inline(itc_onnx_source *src, itc_ctx *arena,
                                                const char *name, Onnx__TensorProto *t);
/**
 * Replaces the contents of a float tensor, its type kept, rounding to nearest even; memory from
 * `arena`. E0218: it has another shape, is no float tensor, or a value does not fit its type.
 */
ITC_NODISCARD itc_status itc_onnx_tensor_replace(itc_ctx *ctx, itc_ctx *arena, const char *name,
                                                 Onnx__TensorProto *t, const itc_tensor *data);

/**
 * Reads n bytes of the tensor's external file into `to`. The file must be a regular one inside
 * src->dir, links followed. E0215.
 */
ITC_NODISCARD itc_status itc_onnx_external_read(const itc_onnx_source *src, const char *name,
                                                const Onnx__TensorProto *t, void *to, size_t n);

#endif
