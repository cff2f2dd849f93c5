#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host_toy.h"
#include "runtime/host/checkpoint.h"
#include "runtime/host/sha256.h"

typedef struct buffer {
    uint8_t bytes[4096];
    size_t size;
    size_t room; /* writes beyond it fail */
} buffer;

static bool append(void *user, const void *bytes, size_t n)
{
    buffer *b = user;
    if (n > b->room - b->size) {
        return false;
    }
    memcpy(b->bytes + b->size, bytes, n);
    b->size += n;
    return true;
}

static void fill_trained(toy_state *s)
{
    toy_fill(s);
    s->w[2] = -12345;
    s->momentum[0] = 77;
    s->seen = 99;
    s->run.seed = 0x123456789abcdef0u;
    s->run.step = 137;
    s->run.schedule = (itr_schedule){ITR_SCHEDULE_STEP, {1 << 30, -34}, 50, {1 << 30, -31}, 3};
}

static void write_checkpoint(buffer *b, toy_state *s)
{
    const itr_position position = {2, 8, 30};
    b->size = 0;
    b->room = sizeof b->bytes;
    assert_int_equal(itr_checkpoint_write(&toy_model, s, &position, append, b), ITR_OK);
}

static int load(const void *bytes, size_t n, toy_state *s, itr_position *p, itr_message *m)
{
    memset(m, 0, sizeof *m);
    return itr_checkpoint_load_bytes("c.ckpt", bytes, n, &toy_model, s, p, m);
}

static void checkpoint_round_trip(void **state)
{
    (void)state;
    toy_state a;
    toy_state b;
    buffer out;
    itr_position position;
    itr_message m;
    fill_trained(&a);
    write_checkpoint(&out, &a);
    toy_fill(&b);
    assert_int_equal(load(out.bytes, out.size, &b, &position, &m), 0);
    assert_memory_equal(a.w, b.w, sizeof a.w);
    assert_memory_equal(a.momentum, b.momentum, sizeof a.momentum);
    assert_memory_equal(a.exponents, b.exponents, sizeof a.exponents);
    assert_int_equal(b.seen, 99);
    assert_true(b.run.seed == a.run.seed && b.run.step == 137);
    assert_int_equal(b.run.schedule.kind, ITR_SCHEDULE_STEP);
    assert_true(b.run.schedule.lr.e == -34 && b.run.schedule.factor.e == -31);
    assert_true(b.run.schedule.horizon == 50 && b.run.schedule.warmup == 3);
    assert_true(position.epoch == 2 && position.row == 8 && position.rows == 30);
}

/* The documented layout, byte by byte, of the fields whose place does not depend on names. */
static void checkpoint_bytes_are_as_documented(void **state)
{
    (void)state;
    toy_state a;
    buffer out;
    fill_trained(&a);
    write_checkpoint(&out, &a);
    static const uint8_t head[] = {'I', 'T', 'R', 'C', 'K', 'P', 'T', '1', 1, 0, 0, 0, 1, 2, 3, 0};
    assert_memory_equal(out.bytes, head, sizeof head);
    static const uint8_t run[] = {5,    0,    'i',  'n',  't', '1', '6', 0xf0, 0xde, 0xbc, 0x9a,
                                  0x78, 0x56, 0x34, 0x12, 137, 0,   0,   0,    0,    0,    0,
                                  0,    2,    0,    0,    0,   0,   0,   0,    0,    8};
    assert_memory_equal(out.bytes + 44, run, sizeof run);
    /* count; name "w"; PARAM, I16, rank 1, dim 3; 1 exponent -8; 100, -3, -12345 */
    static const uint8_t tensor[] = {3,    0,    0,    0,    1,   0, 'w',  0,    1,    1,   3,
                                     0,    0,    0,    0,    0,   0, 0,    1,    0,    0,   0,
                                     0xf8, 0xff, 0xff, 0xff, 100, 0, 0xfd, 0xff, 0xc7, 0xcf};
    assert_memory_equal(out.bytes + 44 + 7 + 5 * 8 + 4 + 8 + 8 + 8 + 8, tensor, sizeof tensor);
    uint8_t hash[32];
    itr_sha256 s;
    itr_sha256_init(&s);
    itr_sha256_update(&s, out.bytes, out.size - 32);
    itr_sha256_final(&s, hash);
    assert_memory_equal(out.bytes + out.size - 32, hash, 32);
}

static void checkpoint_refuses_every_truncation(void **state)
{
    (void)state;
    toy_state a;
    buffer out;
    itr_position position;
    itr_message m;
    fill_trained(&a);
    write_checkpoint(&out, &a);
    for (size_t n = 0; n < out.size; n++) {
        toy_state b;
        toy_state before;
        toy_fill(&b);
        before = b;
        uint8_t *exact = malloc(n + 1); /* so that a sanitizer sees a read past the end */
        memcpy(exact, out.bytes, n);
        exact = realloc(exact, n ? n : 1);
        assert_int_equal(load(exact, n, &b, &position, &m), 2);
        assert_memory_equal(&b, &before, sizeof b);
        assert_non_null(strstr(m.text, "c.ckpt"));
        free(exact);
    }
    out.bytes[out.size] = 0;
    toy_state b;
    toy_fill(&b);
    assert_int_equal(load(out.bytes, out.size + 1, &b, &position, &m), 2);
    assert_int_equal(b.seen, 0);
}

static void checkpoint_refuses_every_flipped_bit(void **state)
{
    (void)state;
    toy_state a;
    buffer out;
    itr_position position;
    itr_message m;
    fill_trained(&a);
    write_checkpoint(&out, &a);
    for (size_t i = 0; i < 8 * out.size; i++) {
        toy_state b;
        toy_state before;
        toy_fill(&b);
        before = b;
        out.bytes[i / 8] ^= (uint8_t)(1u << (i % 8));
        assert_int_equal(load(out.bytes, out.size, &b, &position, &m), 2);
        out.bytes[i / 8] ^= (uint8_t)(1u << (i % 8));
        assert_memory_equal(&b, &before, sizeof b);
    }
}

/* Intact, with a good checksum, but written for something else. */
static void checkpoint_refuses_other_models(void **state)
{
    (void)state;
    toy_state a;
    buffer out;
    itr_position position;
    itr_message m;
    itr_tensor_info tensors[4];
    fill_trained(&a);
    write_checkpoint(&out, &a);
    memcpy(tensors, toy_tensors, sizeof tensors);
    itr_model other = toy_model;
    other.tensors = tensors;
    other.plan_hash[31] = 9;
    memset(&m, 0, sizeof m);
    assert_int_equal(itr_checkpoint_load_bytes("c", out.bytes, out.size, &other, &a, &position, &m),
                     2);
    assert_string_equal(m.id, "E0521");
    other = toy_model;
    other.tensors = tensors;
    other.arith = "int8";
    memset(&m, 0, sizeof m);
    assert_int_equal(itr_checkpoint_load_bytes("c", out.bytes, out.size, &other, &a, &position, &m),
                     2);
    assert_string_equal(m.id, "E0521");
    other.arith = "int16";
    tensors[1].dims[0] = 2;
    memset(&m, 0, sizeof m);
    assert_int_equal(itr_checkpoint_load_bytes("c", out.bytes, out.size, &other, &a, &position, &m),
                     2);
    assert_non_null(strstr(m.text, "w.momentum"));
    assert_non_null(strstr(m.text, "shape"));
}

static void checkpoint_refuses_reserved_values(void **state)
{
    (void)state;
    toy_state a;
    toy_state b;
    buffer out;
    itr_position position;
    itr_message m;
    fill_trained(&a);
    a.w[1] = INT16_MIN;
    write_checkpoint(&out, &a);
    toy_fill(&b);
    assert_int_equal(load(out.bytes, out.size, &b, &position, &m), 2);
    assert_non_null(strstr(m.text, "mantissa"));
    fill_trained(&a);
    a.exponents[1] = INT32_MAX;
    write_checkpoint(&out, &a);
    assert_int_equal(load(out.bytes, out.size, &b, &position, &m), 2);
    assert_non_null(strstr(m.text, "exponent"));
    fill_trained(&a);
    a.exponents[1] = INT32_MIN; /* ITR_EXPONENT_UNSET is one that a step leaves */
    write_checkpoint(&out, &a);
    assert_int_equal(load(out.bytes, out.size, &b, &position, &m), 0);
    assert_int_equal(b.exponents[1], INT32_MIN);
    fill_trained(&a);
    a.run.step = -1;
    write_checkpoint(&out, &a);
    assert_int_equal(load(out.bytes, out.size, &b, &position, &m), 2);
}

static void tensors_round_trip_with_constants(void **state)
{
    (void)state;
    toy_state a;
    toy_state b;
    buffer out = {.room = sizeof out.bytes};
    itr_message m = {0};
    fill_trained(&a);
    assert_int_equal(itr_tensors_write(&toy_model, &a, append, &out), ITR_OK);
    memset(&b, 0, sizeof b);
    assert_int_equal(itr_parameters_load_bytes("p", out.bytes, out.size, &toy_model, &b, &m), 0);
    assert_int_equal(b.table[1], 200);
    assert_memory_equal(a.w, b.w, sizeof a.w);
    for (size_t n = 0; n < out.size; n++) {
        memset(&m, 0, sizeof m);
        assert_int_equal(itr_parameters_load_bytes("p", out.bytes, n, &toy_model, &b, &m), 2);
        assert_string_equal(m.id, "E0523");
    }
}

static void write_failures_are_seen(void **state)
{
    (void)state;
    toy_state a;
    buffer out;
    fill_trained(&a);
    write_checkpoint(&out, &a);
    const size_t size = out.size;
    for (size_t room = 0; room < size; room++) {
        out.size = 0;
        out.room = room;
        assert_int_equal(itr_checkpoint_write(&toy_model, &a, NULL, append, &out), ITR_IO);
    }
}

/* The digest, composed by hand from its definition. */
static void digest_covers_the_canonical_bytes(void **state)
{
    (void)state;
    toy_state a;
    uint8_t got[32];
    uint8_t want[32];
    fill_trained(&a);
    itr_digest(&toy_model, &a, got);
    static const uint8_t bytes[] = "w\0\1\1\3\0\0\0\0\0\0\0\xf8\xff\xff\xff\x64\0\xfd\xff\xc7\xcf"
                                   "w.momentum\0\1\1\3\0\0\0\0\0\0\0\xf8\xff\xff\xff\x4d\0\0\0\0\0"
                                   "seen\0\2\0\0\0\0\0\x63\0\0";
    itr_sha256 s;
    itr_sha256_init(&s);
    itr_sha256_update(&s, bytes, sizeof bytes); /* with the last NUL: 99 as 4 bytes */
    itr_sha256_final(&s, want);
    assert_memory_equal(got, want, 32);
    a.table[0] = 1; /* a constant does not enter */
    itr_digest(&toy_model, &a, got);
    assert_memory_equal(got, want, 32);
    a.exponents[2] = 1;
    itr_digest(&toy_model, &a, got);
    assert_memory_not_equal(got, want, 32);
}

static void save_replaces_the_file_or_leaves_it(void **state)
{
    (void)state;
    char folder[] = "/tmp/itr_host_XXXXXX";
    char path[64];
    char temporary[96];
    toy_state a;
    itr_position position = {0, 0, 0};
    itr_message m = {0};
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/c.ckpt", folder);
    snprintf(temporary, sizeof temporary, "%s.tmp.%ld", path, (long)getpid());
    fill_trained(&a);
    assert_int_equal(itr_checkpoint_save(path, &toy_model, &a, &position, &m), 0);
    assert_int_not_equal(access(temporary, F_OK), 0);
    toy_state b;
    toy_fill(&b);
    assert_int_equal(itr_checkpoint_load(path, &toy_model, &b, &position, &m), 0);
    assert_int_equal(b.seen, 99);
    assert_int_equal(unlink(path), 0);
    /* a folder in its place: the rename fails, and nothing stays behind */
    assert_int_equal(itr_checkpoint_save("/nowhere/c.ckpt", &toy_model, &a, &position, &m), 3);
    assert_string_equal(m.id, "E0540");
    if (access("/dev/full", W_OK) == 0) {
        memset(&m, 0, sizeof m);
        assert_int_equal(itr_checkpoint_save("/dev/full", &toy_model, &a, &position, &m), 3);
        struct stat info;
        assert_int_equal(stat("/dev/full", &info), 0);
        assert_true(S_ISCHR(info.st_mode));
    }
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(checkpoint_round_trip),
                                       cmocka_unit_test(checkpoint_bytes_are_as_documented),
                                       cmocka_unit_test(checkpoint_refuses_every_truncation),
                                       cmocka_unit_test(checkpoint_refuses_every_flipped_bit),
                                       cmocka_unit_test(checkpoint_refuses_other_models),
                                       cmocka_unit_test(checkpoint_refuses_reserved_values),
                                       cmocka_unit_test(tensors_round_trip_with_constants),
                                       cmocka_unit_test(write_failures_are_seen),
                                       cmocka_unit_test(digest_covers_the_canonical_bytes),
                                       cmocka_unit_test(save_replaces_the_file_or_leaves_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
