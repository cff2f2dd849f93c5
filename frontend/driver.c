#include "frontend/driver.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "frontend/onnx_import.h"

static bool ends_with(const char *s, const char *suffix)
{
    const size_t n = strlen(s), k = strlen(suffix);
    return n >= k && strcmp(s + n - k, suffix) == 0;
}

/** By the name; where that says nothing, by the text's first word. */
static bool is_text(const char *path)
{
    char head[4] = {0};
    if (ends_with(path, ".itc") || ends_with(path, ".onnx")) {
        return ends_with(path, ".itc");
    }
    FILE *f = fopen(path, "rb");
    const bool text =
        f && fread(head, 1, sizeof head, f) == sizeof head && memcmp(head, "itc ", 4) == 0;
    if (f) {
        (void)fclose(f);
    }
    return text;
}

itc_status itc_driver_blame(const char *path, itc_status s)
{
    return s == ITC_INTERNAL && is_text(path) ? ITC_PARSE : s;
}

static itc_status load_text(const itc_options *o, const char *path, itc_graph **out)
{
    char *text = NULL;
    size_t n = 0;
    itc_set_file(o->ctx, path);
    ITC_TRY(itc_read_file(o->ctx, path, ITC_MAX_FILE, &text, &n));
    ITC_TRY(itc_parse(o->ctx, path, text, n, out));
    ITC_TRY(itc_driver_blame(path, itc_verify(*out)));
    return itc_options_apply_late(o, *out);
}

/** --dim as the importer takes it; the values are checked already. */
static int read_dims(const itc_options *o, itc_import_dim **out)
{
    int n = 0, cap = 0;
    itc_import_dim *dims = NULL;
    char *text = itc_strdup(o->ctx, o->value[ITC_OPT_dim]);
    while (*text) {
        const size_t len = strcspn(text, ";");
        char *item = itc_strndup(o->ctx, text, len);
        char *equals = strrchr(item, '=');
        *equals = '\0';
        const itc_import_dim d = {item, strtoll(equals + 1, NULL, 10)};
        ITC_PUSH(o->ctx, dims, n, cap, d);
        text += len + (text[len] == ';');
    }
    *out = dims;
    return n;
}

/** --input likewise. */
static int read_fixed(const itc_options *o, itc_import_fixed **out)
{
    int n = 0, cap = 0;
    itc_import_fixed *fixed = NULL;
    for (const char *text = o->value[ITC_OPT_input]; *text;) {
        const size_t len = strcspn(text, ";");
        char *item = itc_strndup(o->ctx, text, len);
        char *equals = strrchr(item, '=');
        *equals = '\0';
        const itc_import_fixed f = {item, strtod(equals + 1, NULL)};
        ITC_PUSH(o->ctx, fixed, n, cap, f);
        text += len + (text[len] == ';');
    }
    *out = fixed;
    return n;
}

itc_status itc_driver_load(const itc_options *o, const char *path, itc_graph **out)
{
    if (is_text(path)) {
        return load_text(o, path, out);
    }
    itc_import_dim *dims = NULL;
    const int n = read_dims(o, &dims);
    itc_import_fixed *fixed = NULL;
    const int n_fixed = read_fixed(o, &fixed);
    const itc_import_options import = {.dims = dims,
                                       .n_dims = n,
                                       .fixed = fixed,
                                       .n_fixed = n_fixed,
                                       .ignore_training =
                                           strcmp(o->value[ITC_OPT_training_info], "ignore") == 0,
                                       .keep_start = o->given[ITC_OPT_init],
                                       .seed = (uint64_t)itc_options_int(o, ITC_OPT_seed)};
    itc_onnx_model *model = NULL;
    ITC_TRY(itc_onnx_read(o->ctx, path, &model));
    const itc_status s = itc_onnx_import(o->ctx, model, &import, out);
    itc_onnx_close(model);
    ITC_TRY(s);
    itc_options_apply(o, *out);
    return ITC_OK;
}

itc_pipeline_options itc_driver_pipeline(const itc_options *o)
{
    return (itc_pipeline_options){
        .print_after = o->given[ITC_OPT_print_after] ? o->value[ITC_OPT_print_after] : NULL,
        .skip = o->given[ITC_OPT_skip] ? o->value[ITC_OPT_skip] : NULL,
        .verify_each = itc_options_flag(o, ITC_OPT_verify_each)};
}

itc_status itc_driver_run(const itc_options *o, const char *path, itc_stage stage, itc_graph **out)
{
    const itc_pipeline_options pipeline = itc_driver_pipeline(o);
    ITC_TRY(itc_driver_load(o, path, out));
    if ((*out)->stage > stage) {
        return itc_error(o->ctx, NULL, ITC_RANGE, "E0608",
                         "the graph is of stage %s; stage %s lies before that",
                         itc_stage_name((*out)->stage), itc_stage_name(stage));
    }
    return itc_driver_blame(path, itc_run_to(*out, stage, &pipeline));
}

const char *itc_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/** Large tensors go to a file next to the text, unless the text goes to a device or a pipe. */
static bool has_side_file(const char *path)
{
    struct stat st;
    return strcmp(path, "-") != 0 &&
           (stat(path, &st) != 0 || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
}

itc_status itc_driver_print(itc_graph *g, const char *format, const char *path)
{
    const char *side = NULL;
    itc_strbuf text, blob;
    itc_strbuf_init(&text, g->ctx);
    itc_strbuf_init(&blob, g->ctx);
    if (strcmp(format, "dot") == 0) {
        itc_print_dot(g, &text);
    } else if (strcmp(format, "json") == 0) {
        itc_print_json(g, &text);
    } else if (!has_side_file(path)) {
        itc_print(g, &(itc_print_options){.comments = true}, &text, NULL);
    } else {
        side = itc_format(g->ctx, "%s.bin", path);
        itc_print(g, &(itc_print_options){.blob_path = itc_base_name(side), .comments = true},
                  &text, &blob);
    }
    if (blob.len > 0) {
        ITC_TRY(itc_write_file(g->ctx, side, blob.text, blob.len));
    }
    const itc_status s = itc_write_file(g->ctx, path, text.text, text.len);
    if (s != ITC_OK && blob.len > 0) {
        (void)remove(side); /* without its text it is of no use */
    }
    return s;
}
