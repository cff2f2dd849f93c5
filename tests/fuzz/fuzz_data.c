/**
 * Fuzzes what the trainer reads: the first byte chooses the format, the rest is the file.
 * 0 npy, 1 idx, 2 csv, 3 npz, 4 cifar10, 5 text, 6 checkpoint, 7 a data specification, 8 a decimal.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/host/args.h"
#include "runtime/host/checkpoint.h"
#include "runtime/host/pipeline.h"
#include "runtime/host/sha256.h"
#include "tests/unit/host_toy.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* A data set of this one file for input and target, and its first batch. */
static void read_data(const char *text, const uint8_t *bytes, size_t size, bool ids)
{
    static const itr_port_info target = {
        .name = "y", .is_ids = true, .classes = 10, .rank = 1, .dims = {1}, .elements = 1};
    itr_port_info input = toy_input;
    itr_model model = toy_model;
    itr_data_spec spec;
    itr_message m = {0};
    itr_dataset d;
    itr_pipeline p;
    memset(&d, 0, sizeof d);
    memset(&p, 0, sizeof p);
    input.is_ids = ids;
    model.inputs = &input;
    model.targets = ids || size % 2 ? &target : &toy_target;
    if (itr_data_spec_parse(text, &spec, &m) != 0) {
        abort();
    }
    while (d.file_count < spec.file_count && m.exit_code == 0) {
        itr_file_copy("f", bytes, size, &d.files[d.file_count++], &m);
    }
    if (itr_dataset_build(&d, &spec, &model, &m) == 0 && d.rows < 100000 &&
        itr_pipeline_open(&p, &model, &d, &spec, 1, true, &m) == 0) {
        itr_pipeline_rows(&p, 0, d.rows < model.batch ? (int32_t)d.rows : model.batch);
    }
    itr_pipeline_free(&p);
    itr_dataset_free(&d);
    itr_data_spec_free(&spec);
}

/* Sealed with the right checksum, since no fuzzer finds one. */
static void read_checkpoint(const uint8_t *bytes, size_t size)
{
    toy_state state;
    itr_position position;
    itr_message m = {0};
    itr_sha256 s;
    uint8_t *sealed = malloc(size + 32);
    if (!sealed) {
        return;
    }
    memcpy(sealed, bytes, size);
    itr_sha256_init(&s);
    itr_sha256_update(&s, bytes, size);
    itr_sha256_final(&s, sealed + size);
    toy_fill(&state);
    itr_checkpoint_load_bytes("f", sealed, size + 32, &toy_model, &state, &position, &m);
    m.exit_code = 0;
    itr_parameters_load_bytes("f", sealed, size + 32, &toy_model, &state, &m);
    free(sealed);
}

static void read_text(const uint8_t *bytes, size_t size, bool spec)
{
    char *text = malloc(size + 1);
    if (!text) {
        return;
    }
    memcpy(text, bytes, size);
    text[size] = 0;
    itr_data_spec s;
    itr_message m = {0};
    itr_schedule schedule = {.kind = ITR_SCHEDULE_CONSTANT};
    if (spec) {
        itr_data_spec_parse(text, &s, &m);
        itr_data_spec_free(&s);
        if (itr_parse_schedule(text, &schedule)) {
            char out[ITR_DECIMAL_ROOM];
            itr_format_schedule(&schedule, out, sizeof out);
        }
    }
    itr_scalar x;
    itr_ratio r;
    if (itr_parse_scalar(text, &x)) {
        char out[ITR_DECIMAL_ROOM];
        itr_format_scalar(x, out);
    }
    (void)itr_parse_ratio(text, size, &r);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const uint8_t form = bytes[0] % 9;
    bytes++;
    size--;
    switch (form) {
    case 0:
        read_data("npy:x,y,scale=1/255,mean=1:2,std=3", bytes, size, false);
        break;
    case 1:
        read_data("idx:x,y,std=0.5", bytes, size, false);
        break;
    case 2:
        read_data("csv:x,mean=0.5,scale=3", bytes, size, false);
        break;
    case 3:
        read_data("npz:x", bytes, size, false);
        break;
    case 4:
        read_data("cifar10:x,y", bytes, size, false);
        break;
    case 5:
        read_data("text:x", bytes, size, true);
        break;
    case 6:
        read_checkpoint(bytes, size);
        break;
    default:
        read_text(bytes, size, form == 7);
        break;
    }
    return 0;
}
