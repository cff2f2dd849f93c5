#include "data.h"

#include "../numeric.h"
#include "csv.h"
#include "formats.h"
#include "sha256.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CIFAR_IMAGE 3072
#define CIFAR_RECORD (1 + CIFAR_IMAGE)

/* Numbers of any origin, in the order of rows and elements; false: not finite. */
typedef bool (*get_fn)(const void *source, size_t index, int64_t *mantissa, int32_t *exponent);

/* What becomes a column, and for whom. */
typedef struct source {
    const char *file;
    const itr_port_info *port;
    int64_t rows;
    get_fn get;
    const void *from;
    int size; /* bytes of the narrowest type that its elements may take */
    itr_message *m;
} source;

/* The extent of all numbers: multiples of 2^low below 2^high. */
typedef struct extent {
    bool any; /* some number is not 0 */
    int low, high;
    int64_t min, max; /* where low >= 0 and high <= 31 */
} extent;

static const itr_port_info *port_of(const itr_model *model, int32_t i)
{
    return i < model->input_count ? &model->inputs[i] : &model->targets[i - model->input_count];
}

static int fail_value(const source *s, const char *id, size_t index, const char *what)
{
    return itr_fail(s->m, ITR_EXIT_INPUT, id, "file \"%s\": row %zu: %s", s->file,
                    index / (size_t)s->port->elements, what);
}

static int trailing_zeros(uint64_t x)
{
    return itr_bitlen64(x & (~x + 1)) - 1;
}

static int survey(const source *s, extent *x)
{
    const size_t n = (size_t)(s->rows * s->port->elements);
    memset(x, 0, sizeof *x);
    for (size_t i = 0; i < n; i++) {
        int64_t v = 0;
        int32_t e = 0;
        if (!s->get(s->from, i, &v, &e)) {
            return fail_value(s, "E0516", i, "found NaN or infinity, expected finite numbers");
        }
        const uint64_t a = itr_abs64(v);
        const int bits = itr_bitlen64(a);
        if (bits > 62) {
            return fail_value(s, "E0516", i, "found an integer of 2^62 or more");
        }
        if (bits == 0) {
            x->min = x->min < 0 ? x->min : 0;
            x->max = x->max > 0 ? x->max : 0;
            continue;
        }
        const int low = e + trailing_zeros(a);
        x->low = !x->any || low < x->low ? low : x->low;
        x->high = !x->any || e + bits > x->high ? e + bits : x->high;
        x->any = true;
        if (x->low >= 0 && x->high <= 31) {
            v = e >= 0 ? itr_shl64(v, e) : v >> -e; /* exact: low >= 0 */
            x->min = v < x->min ? v : x->min;
            x->max = v > x->max ? v : x->max;
        }
    }
    return 0;
}

/* Exponent of the column: 0 for integers, else exact in 30 bits if possible, else 30 bits. */
static int32_t choose_exponent(const extent *x)
{
    if (!x->any || (x->low >= 0 && x->high <= 31)) {
        return 0;
    }
    const int low = x->low < 0 ? x->low : 0;
    return x->high - low <= 30 ? low : x->high - 30;
}

static itr_dtype choose_type(const extent *x, int32_t exponent, int size)
{
    if (exponent != 0 || size > 2 || x->high > 31) {
        return ITR_I32;
    }
    if (size == 1 && x->min >= 0 && x->max <= UINT8_MAX) {
        return ITR_U8;
    }
    if (size == 1 && x->min >= -INT8_MAX && x->max <= INT8_MAX) {
        return ITR_I8;
    }
    return x->min >= -INT16_MAX && x->max <= INT16_MAX ? ITR_I16 : ITR_I32;
}

static void store(void *to, itr_dtype dtype, size_t i, int64_t v)
{
    switch (dtype) {
    case ITR_U8:
        ((uint8_t *)to)[i] = (uint8_t)v;
        break;
    case ITR_I8:
        ((int8_t *)to)[i] = (int8_t)v;
        break;
    case ITR_I16:
        ((int16_t *)to)[i] = (int16_t)v;
        break;
    default:
        ((int32_t *)to)[i] = (int32_t)v;
    }
}

static int convert(const source *s, itr_column *c)
{
    extent x;
    const int code = survey(s, &x);
    if (code != 0) {
        return code;
    }
    c->exponent = choose_exponent(&x);
    c->dtype = choose_type(&x, c->exponent, s->size);
    c->elements = s->port->elements;
    const size_t n = (size_t)(s->rows * c->elements);
    const size_t size = itr_dtype_size(c->dtype);
    c->stride = (size_t)c->elements * size;
    c->owned = n > SIZE_MAX / size ? NULL : malloc(n * size);
    c->data = c->owned;
    if (!c->owned) {
        return itr_fail_memory(s->m);
    }
    c->min = c->max = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t v = 0;
        int32_t e = 0;
        s->get(s->from, i, &v, &e);
        if (v != 0) {
            const int shift = e - c->exponent;
            v = shift >= 0 ? itr_shl64(v, shift) : itr_round_nearest(v, -shift);
        }
        store(c->owned, c->dtype, i, v);
        c->min = v < c->min ? v : c->min;
        c->max = v > c->max ? v : c->max;
    }
    return 0;
}

/* Bytes that a row of the port shows as they lie in a file. */
static void view(itr_column *c, const uint8_t *data, size_t stride, itr_dtype dtype,
                 int64_t elements)
{
    c->data = data;
    c->stride = stride;
    c->dtype = dtype;
    c->elements = elements;
    c->min = dtype == ITR_U8 ? 0 : -INT8_MAX;
    c->max = dtype == ITR_U8 ? UINT8_MAX : INT8_MAX;
}

/* Ids are integers; class ids of a target are in range. */
static int check_ids(const source *s, const itr_column *c)
{
    if (!s->port->is_ids) {
        return 0;
    }
    if (c->exponent != 0) {
        return itr_fail(s->m, ITR_EXIT_INPUT, "E0515",
                        "file \"%s\": found fractions or huge numbers, expected 32-bit integers "
                        "for \"%s\"",
                        s->file, s->port->name);
    }
    for (int64_t i = 0; s->port->classes > 0 && i < s->rows; i++) {
        for (int64_t j = 0; j < c->elements; j++) {
            const int64_t v = itr_column_get(c, i, j);
            if ((v < 0 || v >= s->port->classes) && v != s->port->ignored) {
                return itr_fail(s->m, ITR_EXIT_INPUT, "E0515",
                                "file \"%s\": row %" PRId64 ": found label %" PRId64
                                ", expected 0 to %" PRId64,
                                s->file, i, v, s->port->classes - 1);
            }
        }
    }
    return 0;
}

static int set_rows(itr_dataset *d, int32_t column, const char *file, int64_t rows, itr_message *m)
{
    if (column > 0 && rows != d->rows) {
        return itr_fail(m, ITR_EXIT_INPUT, "E0514",
                        "file \"%s\": found %" PRId64 " rows, expected %" PRId64 " as before it",
                        file, rows, d->rows);
    }
    d->rows = rows;
    return 0;
}

static int check_elements(const char *file, const itr_port_info *port, int64_t elements,
                          itr_message *m)
{
    if (elements == port->elements) {
        return 0;
    }
    return itr_fail(m, ITR_EXIT_INPUT, "E0514",
                    "file \"%s\": found %" PRId64 " elements a row, expected %" PRId64
                    " as \"%s\" of the model takes",
                    file, elements, port->elements, port->name);
}

static bool get_raw(const void *from, size_t i, int64_t *mantissa, int32_t *exponent)
{
    return itr_raw_get(from, i, mantissa, exponent);
}

static int add_raw(itr_dataset *d, int32_t column, const itr_port_info *port, const char *file,
                   const itr_raw *a, itr_message *m)
{
    int code = set_rows(d, column, file, a->dims[0], m);
    code = code ? code : check_elements(file, port, a->elements, m);
    if (code != 0) {
        return code;
    }
    itr_column *c = &d->columns[column];
    const source s = {file, port, a->dims[0], get_raw, a, (int)itr_raw_size(a->type), m};
    const size_t n = (size_t)(a->dims[0] * a->elements);
    if (a->type == ITR_RAW_U8 || (a->type == ITR_RAW_I8 && !memchr(a->bytes, 0x80, n))) {
        view(c, a->bytes, (size_t)a->elements, a->type == ITR_RAW_U8 ? ITR_U8 : ITR_I8,
             a->elements);
    } else {
        code = convert(&s, c);
    }
    return code ? code : check_ids(&s, c);
}

static int build_arrays(itr_dataset *d, const itr_data_spec *spec, const itr_model *model,
                        itr_message *m)
{
    if (spec->kind != ITR_DATA_NPZ && d->file_count != d->count) {
        return itr_fail(m, ITR_EXIT_INPUT, "E0514",
                        "data: found %d files, expected %d: one for each input, then one for each "
                        "target",
                        d->file_count, (int)d->count);
    }
    for (int32_t i = 0; i < d->count; i++) {
        const itr_port_info *port = port_of(model, i);
        const itr_file *f = &d->files[spec->kind == ITR_DATA_NPZ ? 0 : i];
        itr_raw a;
        int code = spec->kind == ITR_DATA_NPZ
                       ? itr_npz_parse(f->name, f->bytes, f->size, port->name, &a, m)
                   : spec->kind == ITR_DATA_NPY ? itr_npy_parse(f->name, f->bytes, f->size, &a, m)
                                                : itr_idx_parse(f->name, f->bytes, f->size, &a, m);
        code = code ? code : add_raw(d, i, port, f->name, &a, m);
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

static int expect_pair(const itr_dataset *d, const char *kind, const itr_model *model,
                       itr_message *m)
{
    if (model->input_count == 1 && model->target_count == 1) {
        return 0;
    }
    return itr_fail(m, ITR_EXIT_INPUT, "E0514",
                    "file \"%s\": %s data serve one input and one target; the model has %d and %d",
                    d->files[0].name, kind, (int)model->input_count, (int)model->target_count);
}

static int build_cifar(itr_dataset *d, const itr_model *model, itr_message *m)
{
    int code = expect_pair(d, "cifar10", model, m);
    size_t total = 0;
    for (int i = 0; code == 0 && i < d->file_count; i++) {
        const itr_file *f = &d->files[i];
        if (f->size == 0 || f->size % CIFAR_RECORD != 0) {
            return itr_fail(m, ITR_EXIT_INPUT, "E0512",
                            "file \"%s\": found %zu bytes, expected records of %d bytes", f->name,
                            f->size, CIFAR_RECORD);
        }
        total += f->size;
    }
    code = code ? code : check_elements(d->files[0].name, &model->inputs[0], CIFAR_IMAGE, m);
    code = code ? code : check_elements(d->files[0].name, &model->targets[0], 1, m);
    uint8_t *all = code == 0 ? malloc(total) : NULL;
    if (!all) {
        return code ? code : itr_fail_memory(m);
    }
    d->columns[0].owned = all;
    size_t at = 0;
    for (int i = 0; i < d->file_count; i++) {
        memcpy(all + at, d->files[i].bytes, d->files[i].size);
        at += d->files[i].size;
        free(d->files[i].bytes);
        d->files[i].bytes = NULL;
    }
    d->rows = (int64_t)(total / CIFAR_RECORD);
    view(&d->columns[0], all + 1, CIFAR_RECORD, ITR_U8, CIFAR_IMAGE);
    view(&d->columns[1], all, CIFAR_RECORD, ITR_U8, 1);
    const source s = {d->files[0].name, &model->targets[0], d->rows, NULL, NULL, 1, m};
    return check_ids(&s, &d->columns[1]);
}

static int build_text(itr_dataset *d, const itr_model *model, itr_message *m)
{
    int code = expect_pair(d, "text", model, m);
    if (code != 0) {
        return code;
    }
    const itr_file *f = &d->files[0];
    const itr_port_info *in = &model->inputs[0];
    const itr_port_info *out = &model->targets[0];
    if (!in->is_ids || !out->is_ids || (out->elements != in->elements && out->elements != 1)) {
        return itr_fail(m, ITR_EXIT_INPUT, "E0514",
                        "file \"%s\": text data need a model from T ids to T (or 1) target ids; "
                        "input \"%s\" or target \"%s\" is not such",
                        f->name, in->name, out->name);
    }
    const size_t t = (size_t)in->elements;
    if (f->size <= t) {
        return itr_fail(m, ITR_EXIT_INPUT, "E0514",
                        "file \"%s\": found %zu bytes, expected more than %zu, the model's window",
                        f->name, f->size, t);
    }
    /* windows side by side; the targets are the same bytes, one later */
    d->rows = (int64_t)((f->size - 1) / t);
    view(&d->columns[0], f->bytes, t, ITR_U8, in->elements);
    view(&d->columns[1], f->bytes + (out->elements == 1 ? t : 1), t, ITR_U8, out->elements);
    const source s = {f->name, out, d->rows, NULL, NULL, 1, m};
    return check_ids(&s, &d->columns[1]);
}

/* `elements` columns of a table; those from `skip_from` on are `skip` further to the right. */
typedef struct table_part {
    const itr_csv *table;
    int64_t first, elements, skip_from, skip;
} table_part;

static bool get_csv(const void *from, size_t i, int64_t *mantissa, int32_t *exponent)
{
    const table_part *p = from;
    const int64_t row = (int64_t)i / p->elements;
    int64_t column = p->first + (int64_t)i % p->elements;
    column += column >= p->skip_from ? p->skip : 0;
    const itr_scalar x = p->table->values[row * p->table->columns + column];
    *mantissa = x.m;
    *exponent = x.e;
    return true;
}

static int64_t count_elements(const itr_port_info *ports, int32_t count)
{
    int64_t n = 0;
    for (int32_t i = 0; i < count; i++) {
        n += ports[i].elements;
    }
    return n;
}

static int build_columns(itr_dataset *d, const itr_data_spec *spec, const itr_csv *table,
                         const itr_model *model, itr_message *m)
{
    const char *file = d->files[0].name;
    const int64_t inputs = count_elements(model->inputs, model->input_count);
    const int64_t targets = count_elements(model->targets, model->target_count);
    if (table->columns != inputs + targets) {
        return itr_fail(m, ITR_EXIT_INPUT, "E0514",
                        "file \"%s\": found %" PRId64 " columns, expected %" PRId64
                        " for the inputs and %" PRId64 " for the targets",
                        file, table->columns, inputs, targets);
    }
    const int64_t label = spec->label ? table->label : inputs;
    if (label > inputs) {
        return itr_fail(m, ITR_EXIT_INPUT, "E0514",
                        "file \"%s\": the targets take %" PRId64 " columns from \"%s\" on", file,
                        targets, spec->label);
    }
    d->rows = table->rows;
    int64_t at = 0;
    for (int32_t i = 0; i < d->count; i++) {
        const itr_port_info *port = port_of(model, i);
        const bool input = i < model->input_count;
        at = i == model->input_count ? label : at;
        const table_part part = {table, at, port->elements, input ? label : INT64_MAX, targets};
        const source s = {file, port, d->rows, get_csv, &part, 1, m};
        int code = convert(&s, &d->columns[i]);
        code = code ? code : check_ids(&s, &d->columns[i]);
        if (code != 0) {
            return code;
        }
        at += port->elements;
    }
    return 0;
}

static int build_csv(itr_dataset *d, const itr_data_spec *spec, const itr_model *model,
                     itr_message *m)
{
    itr_csv table;
    const itr_file *f = &d->files[0];
    int code = itr_csv_parse(f->name, f->bytes, f->size, spec->label, &table, m);
    code = code ? code : build_columns(d, spec, &table, model, m);
    free(table.values);
    return code;
}

int itr_dataset_build(itr_dataset *d, const itr_data_spec *spec, const itr_model *model,
                      itr_message *m)
{
    d->count = model->input_count + model->target_count;
    d->columns = calloc((size_t)d->count, sizeof *d->columns);
    if (!d->columns) {
        return itr_fail_memory(m);
    }
    int code = 0;
    switch (spec->kind) {
    case ITR_DATA_IDX:
    case ITR_DATA_NPY:
    case ITR_DATA_NPZ:
        code = build_arrays(d, spec, model, m);
        break;
    case ITR_DATA_CIFAR10:
        code = build_cifar(d, model, m);
        break;
    case ITR_DATA_CSV:
        code = build_csv(d, spec, model, m);
        break;
    case ITR_DATA_TEXT:
        code = build_text(d, model, m);
        break;
    }
    if (code == 0 && d->rows > UINT32_MAX) {
        return itr_fail(m, ITR_EXIT_INPUT, "E0514",
                        "file \"%s\": found %" PRId64 " rows, expected fewer than 2^32",
                        d->files[0].name, d->rows);
    }
    if (spec->limit > 0 && d->rows > spec->limit) {
        d->rows = spec->limit;
    }
    return code;
}

int itr_dataset_open(itr_dataset *d, const itr_data_spec *spec, const itr_model *model, bool hash,
                     itr_message *m)
{
    memset(d, 0, sizeof *d);
    for (int i = 0; i < spec->file_count; i++) {
        itr_file *f = &d->files[d->file_count++];
        const int code = itr_file_read(spec->files[i], f, m);
        if (code != 0) {
            return code;
        }
        if (hash) {
            itr_sha256 s;
            itr_sha256_init(&s);
            itr_sha256_update(&s, f->bytes, f->size);
            itr_sha256_final(&s, f->hash);
        }
    }
    return itr_dataset_build(d, spec, model, m);
}

void itr_dataset_free(itr_dataset *d)
{
    for (int32_t i = 0; d->columns && i < d->count; i++) {
        free(d->columns[i].owned);
    }
    free(d->columns);
    for (int i = 0; i < d->file_count; i++) {
        itr_file_free(&d->files[i]);
    }
    memset(d, 0, sizeof *d);
}
