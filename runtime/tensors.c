#include "tensors.h"

#include "core.h"
#include "host/sha256.h"

#include <string.h>

#define VERSION 1u
#define CHUNK 1024

typedef struct stream {
    const itr_model *model;
    itr_write_fn write; /* one of the two, or neither to hash alone */
    itr_read_fn read;
    void *user;
    itr_sha256 hash;
    bool broken; /* a callback failed */
    itr_refusal why;
} stream;

static void refuse(stream *s, int32_t tensor, const char *problem)
{
    if (!s->why.problem) {
        s->why.problem = problem;
        s->why.tensor = tensor;
    }
}

static void put(stream *s, const void *bytes, size_t n)
{
    itr_sha256_update(&s->hash, bytes, n);
    if (!s->broken && s->write && !s->write(s->user, bytes, n)) {
        s->broken = true;
    }
}

/* After a failure all bytes are 0, so that callers need not look until the end. */
static void get(stream *s, void *bytes, size_t n)
{
    if (!s->broken && !s->read(s->user, bytes, n)) {
        s->broken = true;
        refuse(s, -1, "it ends too early");
    }
    if (s->broken) {
        memset(bytes, 0, n);
    }
    itr_sha256_update(&s->hash, bytes, n);
}

static void put_number(stream *s, uint64_t x, size_t bytes)
{
    uint8_t b[8];
    for (size_t i = 0; i < bytes; i++) {
        b[i] = (uint8_t)(x >> (8 * i));
    }
    put(s, b, bytes);
}

static uint64_t get_number(stream *s, size_t bytes)
{
    uint8_t b[8];
    uint64_t x = 0;
    get(s, b, bytes);
    for (size_t i = 0; i < bytes; i++) {
        x |= (uint64_t)b[i] << (8 * i);
    }
    return x;
}

static int64_t get_i64(stream *s)
{
    return (int64_t)get_number(s, 8);
}

static int32_t get_i32(stream *s)
{
    return (int32_t)(uint32_t)get_number(s, 4);
}

static size_t text_length(const char *text)
{
    size_t n = 0;
    while (text[n] && n < 65535) {
        n++;
    }
    return n;
}

static void put_string(stream *s, const char *text)
{
    const size_t n = text_length(text);
    put_number(s, n, 2);
    put(s, text, n);
}

/* Whether the next string is this one; after false the stream cannot be read on. */
static bool get_string(stream *s, const char *text)
{
    const size_t n = text_length(text);
    if (get_number(s, 2) != n) {
        return false;
    }
    bool same = true;
    for (size_t i = 0; i < n; i++) {
        char c = 0;
        get(s, &c, 1);
        same = same && c == text[i];
    }
    return same;
}

/* Native to little-endian or back, in place. */
static void swap_if_big_endian(uint8_t *p, size_t count, size_t size)
{
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    if (first == 1) {
        return;
    }
    for (size_t i = 0; i < count; i++, p += size) {
        for (size_t a = 0, b = size - 1; a < b; a++, b--) {
            const uint8_t t = p[a];
            p[a] = p[b];
            p[b] = t;
        }
    }
}

int64_t itr_tensor_elements(const itr_tensor_info *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) {
        n *= t->dims[i];
    }
    return n;
}

static int32_t exponent_count(const itr_tensor_info *t)
{
    return t->exp_index < 0 ? 0 : t->exp_count;
}

static void put_shape(stream *s, const itr_tensor_info *t)
{
    put_number(s, (uint64_t)t->dtype, 1);
    put_number(s, t->rank, 1);
    for (int i = 0; i < t->rank; i++) {
        put_number(s, (uint64_t)t->dims[i], 8);
    }
}

static void put_values(stream *s, void *state, const itr_tensor_info *t)
{
    for (int32_t i = 0; i < exponent_count(t); i++) {
        put_number(s, (uint32_t)s->model->exponents(state)[t->exp_index + i], 4);
    }
    const uint8_t *from = (const uint8_t *)state + t->offset;
    const size_t size = itr_dtype_size(t->dtype);
    uint8_t chunk[CHUNK];
    for (size_t left = (size_t)itr_tensor_elements(t); left > 0;) {
        const size_t n = left < CHUNK / size ? left : CHUNK / size;
        memcpy(chunk, from, n * size);
        swap_if_big_endian(chunk, n, size);
        put(s, chunk, n * size);
        from += n * size;
        left -= n;
    }
}

static bool has_reserved_mantissa(const uint8_t *chunk, size_t n, itr_dtype dtype)
{
    for (size_t i = 0; i < n; i++) {
        if (dtype == ITR_I8 && chunk[i] == 0x80) {
            return true;
        }
        if (dtype == ITR_I16) {
            int16_t m;
            memcpy(&m, chunk + 2 * i, 2);
            if (m == INT16_MIN) {
                return true;
            }
        }
    }
    return false;
}

static void get_values(stream *s, void *state, int32_t index)
{
    const itr_tensor_info *t = &s->model->tensors[index];
    for (int32_t i = 0; i < exponent_count(t); i++) {
        const int32_t e = get_i32(s);
        if (e != ITR_EXPONENT_UNSET && (e < -ITR_EXPONENT_LIMIT || e > ITR_EXPONENT_LIMIT)) {
            refuse(s, index, "an exponent is out of range");
        } else if (state) {
            s->model->exponents(state)[t->exp_index + i] = e;
        }
    }
    const bool trained = t->kind == ITR_PARAM || t->kind == ITR_SLOT;
    const size_t size = itr_dtype_size(t->dtype);
    uint8_t *to = state ? (uint8_t *)state + t->offset : NULL;
    uint8_t chunk[CHUNK];
    for (size_t left = (size_t)itr_tensor_elements(t); left > 0 && !s->broken;) {
        const size_t n = left < CHUNK / size ? left : CHUNK / size;
        get(s, chunk, n * size);
        swap_if_big_endian(chunk, n, size);
        if (trained && has_reserved_mantissa(chunk, n, t->dtype)) {
            refuse(s, index, "a mantissa is out of range");
        }
        if (to) {
            memcpy(to, chunk, n * size);
            to += n * size;
        }
        left -= n;
    }
}

static bool included(const itr_tensor_info *t, bool constants)
{
    return constants || t->kind != ITR_CONST;
}

static uint32_t tensor_count(const itr_model *model, bool constants)
{
    uint32_t n = 0;
    for (int32_t i = 0; i < model->tensor_count; i++) {
        n += included(&model->tensors[i], constants);
    }
    return n;
}

static void put_tensors(stream *s, void *state, bool constants)
{
    put_number(s, tensor_count(s->model, constants), 4);
    for (int32_t i = 0; i < s->model->tensor_count; i++) {
        const itr_tensor_info *t = &s->model->tensors[i];
        if (included(t, constants)) {
            put_string(s, t->name);
            put_number(s, (uint64_t)t->kind, 1);
            put_shape(s, t);
            put_number(s, (uint64_t)exponent_count(t), 4);
            put_values(s, state, t);
        }
    }
}

static void get_tensor(stream *s, void *state, int32_t index)
{
    const itr_tensor_info *t = &s->model->tensors[index];
    if (!get_string(s, t->name)) {
        refuse(s, index, "another name is found in its place");
        return;
    }
    if (get_number(s, 1) != (uint64_t)t->kind || get_number(s, 1) != (uint64_t)t->dtype) {
        refuse(s, index, "its kind or type differs");
        return;
    }
    bool same = get_number(s, 1) == t->rank;
    for (int i = 0; same && i < t->rank; i++) {
        same = get_i64(s) == t->dims[i];
    }
    if (!same) {
        refuse(s, index, "its shape differs");
    } else if (get_number(s, 4) != (uint64_t)exponent_count(t)) {
        refuse(s, index, "its number of exponents differs");
    } else {
        get_values(s, state, index);
    }
}

static void get_tensors(stream *s, void *state, bool constants)
{
    if (get_number(s, 4) != tensor_count(s->model, constants)) {
        refuse(s, -1, "its number of tensors differs");
    }
    for (int32_t i = 0; i < s->model->tensor_count && !s->why.problem; i++) {
        if (included(&s->model->tensors[i], constants)) {
            get_tensor(s, state, i);
        }
    }
}

static void put_head(stream *s, const char *magic)
{
    put(s, magic, 8);
    put_number(s, VERSION, 4);
    put(s, s->model->plan_hash, 32);
    put_string(s, s->model->arith);
}

static void get_head(stream *s, const char *magic)
{
    for (int i = 0; i < 8; i++) {
        char c = 0;
        get(s, &c, 1);
        if (c != magic[i]) {
            refuse(s, -1, "it does not begin as such a file does");
            return;
        }
    }
    if (get_number(s, 4) != VERSION) {
        refuse(s, -1, "its version is not 1");
        return;
    }
    uint8_t diff = 0;
    for (int i = 0; i < 32; i++) {
        uint8_t b = 0;
        get(s, &b, 1);
        diff |= (uint8_t)(b ^ s->model->plan_hash[i]);
    }
    if (!s->why.problem && (diff || !get_string(s, s->model->arith))) {
        refuse(s, -1, "it was written for another model or other compile options");
        s->why.other_model = true;
    }
}

static void put_scalar(stream *s, itr_scalar x)
{
    put_number(s, (uint32_t)x.m, 4);
    put_number(s, (uint32_t)x.e, 4);
}

static itr_scalar get_scalar(stream *s)
{
    itr_scalar x;
    x.m = get_i32(s);
    x.e = get_i32(s);
    if (x.m < 0 || x.e < -ITR_EXPONENT_LIMIT || x.e > ITR_EXPONENT_LIMIT) {
        refuse(s, -1, "its learning-rate schedule makes no sense");
    }
    return x;
}

static void put_run(stream *s, const itr_run *run, const itr_position *position)
{
    const itr_position start = {0, 0, 0};
    const itr_position *p = position ? position : &start;
    put_number(s, run->seed, 8);
    put_number(s, (uint64_t)run->step, 8);
    put_number(s, (uint64_t)p->epoch, 8);
    put_number(s, (uint64_t)p->row, 8);
    put_number(s, (uint64_t)p->rows, 8);
    put_number(s, (uint64_t)run->schedule.kind, 4);
    put_scalar(s, run->schedule.lr);
    put_number(s, (uint64_t)run->schedule.horizon, 8);
    put_scalar(s, run->schedule.factor);
    put_number(s, (uint64_t)run->schedule.warmup, 8);
}

static void get_run(stream *s, itr_run *run, itr_position *p)
{
    memset(run, 0, sizeof *run);
    run->seed = get_number(s, 8);
    run->step = get_i64(s);
    p->epoch = get_i64(s);
    p->row = get_i64(s);
    p->rows = get_i64(s);
    const uint64_t kind = get_number(s, 4);
    run->schedule.lr = get_scalar(s);
    run->schedule.horizon = get_i64(s);
    run->schedule.factor = get_scalar(s);
    run->schedule.warmup = get_i64(s);
    if (run->step < 0 || p->epoch < 0 || p->row < 0 || p->rows < 0 ||
        (p->rows > 0 && p->row > p->rows)) {
        refuse(s, -1, "its position makes no sense");
    }
    if (kind > ITR_SCHEDULE_INVERSE || run->schedule.warmup < 0 || run->schedule.horizon < 0 ||
        (kind != ITR_SCHEDULE_CONSTANT && kind != ITR_SCHEDULE_INVERSE &&
         run->schedule.horizon == 0)) {
        refuse(s, -1, "its learning-rate schedule makes no sense");
        return;
    }
    run->schedule.kind = (itr_schedule_kind)kind;
}

static itr_status put_hash(stream *s)
{
    uint8_t hash[32];
    itr_sha256_final(&s->hash, hash);
    put(s, hash, 32);
    return s->broken ? ITR_IO : ITR_OK;
}

static itr_status get_hash(stream *s, itr_refusal *why)
{
    if (!s->why.problem) {
        uint8_t expected[32];
        uint8_t found[32];
        itr_sha256_final(&s->hash, expected);
        get(s, found, 32);
        uint8_t diff = 0;
        for (int i = 0; i < 32; i++) {
            diff |= (uint8_t)(expected[i] ^ found[i]);
        }
        if (diff) {
            refuse(s, -1, "its checksum does not match");
        }
    }
    if (why) {
        *why = s->why;
    }
    return s->why.problem ? ITR_IO : ITR_OK;
}

static void stream_init(stream *s, const itr_model *model, void *user)
{
    memset(s, 0, sizeof *s);
    s->model = model;
    s->user = user;
    s->why.tensor = -1;
    itr_sha256_init(&s->hash);
}

itr_status itr_tensors_write(const itr_model *model, void *state, itr_write_fn write, void *user)
{
    stream s;
    stream_init(&s, model, user);
    s.write = write;
    put_head(&s, "ITRDATA1");
    put_tensors(&s, state, true);
    return put_hash(&s);
}

itr_status itr_tensors_check(const itr_model *model, void *state, itr_read_fn read, void *user,
                             itr_refusal *why)
{
    stream s;
    stream_init(&s, model, user);
    s.read = read;
    get_head(&s, "ITRDATA1");
    if (!s.why.problem) {
        get_tensors(&s, state, true);
    }
    return get_hash(&s, why);
}

itr_status itr_tensors_read(const itr_model *model, void *state, itr_read_fn read, void *user)
{
    return itr_tensors_check(model, state, read, user, NULL);
}

itr_status itr_checkpoint_write(const itr_model *model, void *state, const itr_position *position,
                                itr_write_fn write, void *user)
{
    stream s;
    stream_init(&s, model, user);
    s.write = write;
    put_head(&s, "ITRCKPT1");
    put_run(&s, model->run(state), position);
    put_tensors(&s, state, false);
    return put_hash(&s);
}

itr_status itr_checkpoint_read(const itr_model *model, void *state, itr_position *position,
                               itr_read_fn read, void *user, itr_refusal *why)
{
    stream s;
    itr_run run;
    itr_position found = {0, 0, 0};
    stream_init(&s, model, user);
    s.read = read;
    memset(&run, 0, sizeof run);
    get_head(&s, "ITRCKPT1");
    if (!s.why.problem) {
        get_run(&s, &run, &found);
    }
    if (!s.why.problem) {
        get_tensors(&s, state, false);
    }
    const itr_status status = get_hash(&s, why);
    if (status == ITR_OK && state) {
        run.watch = model->run(state)->watch;
        *model->run(state) = run;
    }
    if (status == ITR_OK && position) {
        *position = found;
    }
    return status;
}

void itr_digest(const itr_model *model, void *state, uint8_t hash[32])
{
    stream s;
    stream_init(&s, model, NULL);
    for (int32_t i = 0; i < model->tensor_count; i++) {
        const itr_tensor_info *t = &model->tensors[i];
        if (included(t, false)) {
            put(&s, t->name, text_length(t->name));
            put_number(&s, 0, 1);
            put_shape(&s, t);
            put_values(&s, state, t);
        }
    }
    itr_sha256_final(&s.hash, hash);
}
