/*
 * What a trainer's data pipeline feeds, for a comparison with bench/pipeline.py:
 *
 *     feed_rows SPEC SEED EPOCHS BATCH >bytes
 *
 * A step's ids (i32), then its rows, for a model that takes pictures [3,32,32] as they are.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/host/pipeline.h"

enum { PIXELS = 3 * 32 * 32 };

static int feed(itr_pipeline *p, int64_t rows, int64_t epochs, int32_t batch)
{
    for (int64_t epoch = 0; epoch < epochs; epoch++) {
        itr_pipeline_start(p, epoch);
        for (int64_t row = 0; row < rows; row += batch) {
            const size_t n = (size_t)(rows - row < batch ? rows - row : batch);
            itr_pipeline_rows(p, row, (int32_t)n);
            if (fwrite(p->arrays[1].data, sizeof(int32_t), n, stdout) != n ||
                fwrite(p->arrays[0].data, PIXELS, n, stdout) != n) {
                return 3;
            }
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    itr_data_spec spec;
    itr_dataset data;
    itr_pipeline p;
    itr_message m;
    if (argc != 5) {
        fputs("usage: feed_rows SPEC SEED EPOCHS BATCH\n", stderr);
        return 2;
    }
    const itr_port_info in = {.name = "x", .rank = 3, .dims = {3, 32, 32}, .elements = PIXELS};
    const itr_port_info target = {.name = "y", .is_ids = true, .elements = 1};
    const itr_model model = {.batch = atoi(argv[4]),
                             .inputs = &in,
                             .targets = &target,
                             .input_count = 1,
                             .target_count = 1};
    memset(&m, 0, sizeof m);
    int code = itr_data_spec_parse(argv[1], &spec, &m);
    code = code ? code : itr_dataset_open(&data, &spec, &model, false, &m);
    code = code
               ? code
               : itr_pipeline_open(&p, &model, &data, &spec, strtoull(argv[2], NULL, 10), true, &m);
    if (code != 0) {
        fprintf(stderr, "feed_rows: %s\n", m.text);
        return code;
    }
    code = feed(&p, data.rows, atoi(argv[3]), model.batch);
    itr_pipeline_free(&p);
    itr_dataset_free(&data);
    itr_data_spec_free(&spec);
    return code;
}
