#include "checkpoint.h"

#include "sha256.h"

#include <string.h>

typedef struct content {
    const itr_model *model;
    void *state;
    const itr_position *position;
} content;

bool itr_memory_read(void *memory, void *bytes, size_t n)
{
    itr_memory *from = memory;
    if (n > from->left) {
        return false;
    }
    if (n > 0) {
        memcpy(bytes, from->at, n);
    }
    from->at += n;
    from->left -= n;
    return true;
}

static bool write_checkpoint(void *user, itr_write_fn write, void *out)
{
    const content *c = user;
    return itr_checkpoint_write(c->model, c->state, c->position, write, out) == ITR_OK;
}

int itr_checkpoint_save(const char *path, const itr_model *model, void *state,
                        const itr_position *position, itr_message *m)
{
    content c = {model, state, position};
    return itr_file_replace(path, write_checkpoint, &c, m);
}

/* A refusal as a message; `rest` bytes after the stream are one as well. */
static int judge(const char *name, const itr_model *model, itr_status status, size_t rest,
                 const itr_refusal *why, const char *damaged, itr_message *m)
{
    if (status == ITR_OK && rest == 0) {
        return 0;
    }
    const char *id = why->other_model ? "E0521" : damaged;
    const char *problem = status == ITR_OK ? "bytes follow its end" : why->problem;
    if (status != ITR_OK && why->tensor >= 0) {
        return itr_fail(m, ITR_EXIT_INPUT, id, "file \"%s\": tensor \"%s\": %s", name,
                        model->tensors[why->tensor].name, problem);
    }
    return itr_fail(m, ITR_EXIT_INPUT, id, "file \"%s\": %s", name, problem);
}

/* The checksum comes first: what a damaged file says of itself is not worth reporting. */
static int check_seal(const char *name, const uint8_t *bytes, size_t size, const char *magic,
                      const char *id, itr_message *m)
{
    itr_sha256 s;
    uint8_t hash[32];
    if (size < 8 || memcmp(bytes, magic, 8) != 0) {
        return itr_fail(m, ITR_EXIT_INPUT, id, "file \"%s\": it does not begin with \"%s\"", name,
                        magic);
    }
    itr_sha256_init(&s);
    itr_sha256_update(&s, bytes, size < 32 ? 0 : size - 32);
    itr_sha256_final(&s, hash);
    if (size < 32 || memcmp(hash, bytes + size - 32, 32) != 0) {
        return itr_fail(m, ITR_EXIT_INPUT, id,
                        "file \"%s\": it is truncated or damaged: its checksum does not match",
                        name);
    }
    return 0;
}

int itr_checkpoint_load_bytes(const char *name, const void *bytes, size_t size,
                              const itr_model *model, void *state, itr_position *position,
                              itr_message *m)
{
    itr_memory from = {bytes, size};
    itr_refusal why;
    int code = check_seal(name, bytes, size, "ITRCKPT1", "E0520", m);
    if (code != 0) {
        return code;
    }
    itr_status status = itr_checkpoint_read(model, NULL, NULL, itr_memory_read, &from, &why);
    code = judge(name, model, status, from.left, &why, "E0520", m);
    if (code != 0) {
        return code;
    }
    from.at = bytes;
    from.left = size;
    status = itr_checkpoint_read(model, state, position, itr_memory_read, &from, &why);
    return judge(name, model, status, from.left, &why, "E0520", m);
}

int itr_checkpoint_load(const char *path, const itr_model *model, void *state,
                        itr_position *position, itr_message *m)
{
    itr_file f;
    int code = itr_file_read(path, &f, m);
    if (code == 0) {
        code = itr_checkpoint_load_bytes(path, f.bytes, f.size, model, state, position, m);
    }
    itr_file_free(&f);
    return code;
}

int itr_parameters_load_bytes(const char *name, const void *bytes, size_t size,
                              const itr_model *model, void *state, itr_message *m)
{
    itr_memory from = {bytes, size};
    itr_refusal why;
    int code = check_seal(name, bytes, size, "ITRDATA1", "E0523", m);
    if (code != 0) {
        return code;
    }
    const itr_status status = itr_tensors_check(model, NULL, itr_memory_read, &from, &why);
    code = judge(name, model, status, from.left, &why, "E0523", m);
    if (code != 0) {
        return code;
    }
    from.at = bytes;
    from.left = size;
    if (model->init(state, itr_memory_read, &from) != ITR_OK) {
        return itr_fail(m, ITR_EXIT_INPUT, "E0523", "file \"%s\": the model cannot start from it",
                        name);
    }
    return 0;
}
