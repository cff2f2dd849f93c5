/*
 * The directory that `intrain compile` writes: templates with their holes filled, the files of the
 * runtime that the model needs, initial parameters, build files and the plan.
 */
#include "codegen/codegen.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "codegen/c_writer.h"
#include "codegen/eval.h"
#include "codegen/plan_text.h"

typedef struct hole {
    const char *name;
    const char *text;
} hole;

#define MAX_HOLES 48

typedef struct output {
    itc_ctx *ctx;
    itc_graph *g;
    itc_codegen_options opt;
    itc_program *program;
    itc_model_info *info;
    itc_c_writer *w;
    void *data; /* initial parameters */
    size_t data_size;
    bool *needed; /* by position in itc_embedded_files */
    hole hole[MAX_HOLES];
    int n_holes;
} output;

static void set_hole(output *o, const char *name, const char *text)
{
    o->hole[o->n_holes++] = (hole){name, text};
}

static const itc_embedded *embedded(const char *path)
{
    for (int i = 0; i < itc_embedded_count; i++) {
        if (strcmp(itc_embedded_files[i].path, path) == 0) {
            return &itc_embedded_files[i];
        }
    }
    return NULL;
}

/** Copies a template, each @NAME@ replaced; an unknown one is a bug of ours. */
static itc_status fill(output *o, const char *name, itc_strbuf *b)
{
    const itc_embedded *t = embedded(itc_format(o->ctx, "codegen/templates/%s", name));
    if (!t) {
        return itc_error(o->ctx, NULL, ITC_INTERNAL, "E0412", "template %s is missing", name);
    }
    const char *p = itc_strndup(o->ctx, (const char *)t->bytes, t->size);
    for (const char *at = strchr(p, '@'); at; at = strchr(p, '@')) {
        itc_strbuf_add_n(b, p, (size_t)(at - p));
        const size_t n = strspn(at + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
        if (n == 0 || at[1 + n] != '@') {
            itc_strbuf_add(b, "@");
            p = at + 1;
            continue;
        }
        const char *text = NULL;
        for (int i = 0; i < o->n_holes && !text; i++) {
            const bool same =
                strlen(o->hole[i].name) == n && memcmp(o->hole[i].name, at + 1, n) == 0;
            text = same ? o->hole[i].text : NULL;
        }
        if (!text) {
            return itc_error(o->ctx, NULL, ITC_INTERNAL, "E0412", "template %s: nothing for %.*s",
                             name, (int)n, at + 1);
        }
        itc_strbuf_add(b, text);
        p = at + n + 2;
    }
    itc_strbuf_add(b, p);
    return ITC_OK;
}

/* ---- what the holes hold ---- */

static const char *collect(output *o, void (*write)(itc_c_writer *, itc_strbuf *))
{
    itc_strbuf b;
    itc_strbuf_init(&b, o->ctx);
    write(o->w, &b);
    return b.text;
}

static const char *number(output *o, int64_t v)
{
    return itc_format(o->ctx, "%lld", (long long)v);
}

/** Threads need room in the state; a small target's state has none. */
static void set_pool(output *o)
{
    const bool small = o->w->is_small;
    set_hole(o, "POOL_FIELD",
             small ? ""
                   : itc_format(o->ctx, "    itr_pool pool; /**< see %s_set_threads */\n",
                                o->info->model.name));
    set_hole(o, "POOL", small ? "NULL" : "&s->pool");
    set_hole(o, "SET_THREADS",
             small ? "    (void)s;\n    (void)threads;\n"
                   : itc_format(o->ctx,
                                "    itr_pool_resize(&s->pool, threads < %d ? threads : %d);\n",
                                o->info->model.max_threads, o->info->model.max_threads));
}

static void set_numbers(output *o)
{
    const itr_model *m = &o->info->model;
    const bool f = o->info->is_float;
    set_hole(o, "BATCH", number(o, m->batch));
    set_hole(o, "MICRO_BATCH", number(o, m->micro_batch));
    set_hole(o, "EXPONENTS", number(o, o->info->n_exponents));
    set_hole(o, "EXPONENTS_ROOM", number(o, o->info->n_exponents > 0 ? o->info->n_exponents : 1));
    set_hole(o, "ARENA", number(o, o->g->arena_bytes));
    set_hole(o, "ARENA_ROOM", number(o, o->g->arena_bytes > 0 ? o->g->arena_bytes : 1));
    set_hole(o, "INPUTS", number(o, m->input_count));
    set_hole(o, "IS_FLOAT", o->info->is_float ? "true" : "false");
    set_hole(o, "INPUTS_ROOM", number(o, m->input_count > 0 ? m->input_count : 1));
    set_hole(o, "TARGETS", number(o, m->target_count));
    set_hole(o, "TARGETS_ROOM", number(o, m->target_count > 0 ? m->target_count : 1));
    set_hole(o, "INPUTS_INFO", m->input_count > 0 ? "inputs_info" : "NULL");
    set_hole(o, "TARGETS_INFO", m->target_count > 0 ? "targets_info" : "NULL");
    set_hole(o, "FLOAT_NOTE", f ? ", and\n * with -DITR_FLOAT32=1 -ffp-contract=off" : "");
    set_hole(o, "FLOAT_CFLAGS", f ? " -DITR_FLOAT32=1 -ffp-contract=off" : "");
    set_hole(o, "FLOAT_DEFINITIONS", f ? " ITR_FLOAT32=1" : "");
    set_hole(o, "FLOAT_OPTIONS", f ? " -ffp-contract=off" : "");
    set_hole(o, "FLOAT_LIBS", f ? " -lm" : "");
    set_hole(o, "FLOAT_LINK", f ? " m" : "");
    set_pool(o);
    set_hole(o, "MATH", f ? "\n#include <math.h>" : "");
    set_hole(o, "RATES",
             f ? "    c.lr = itr_scalar_real(lr);\n    c.inv_n = 1.0 / n;\n"
               : "    c.lr = itr_scalar_narrow(lr, 15);\n"
                 "    c.inv_n = itr_scalar_narrow(itr_reciprocal(n), 15);\n");
}

static void set_texts(output *o)
{
    const itc_names *names = itc_c_writer_names(o->w);
    const char *source = o->opt.source ? o->opt.source : o->info->model.name;
    const char *slash = strrchr(source, '/');
    set_hole(o, "MODEL", names->model);
    set_hole(o, "UPPER", names->upper);
    set_hole(o, "NAME", names->model);
    set_hole(o, "ARITH", itc_name_comment(o->ctx, o->info->model.arith));
    set_hole(o, "VERSION", itc_version());
    set_hole(o, "SOURCE", itc_name_comment(o->ctx, slash ? slash + 1 : source));
    set_hole(o, "KERNEL_FIELDS", collect(o, itc_c_kernel_fields));
    set_hole(o, "KERNEL_FILL", collect(o, itc_c_kernel_fill));
    set_hole(o, "STATE_FIELDS", collect(o, itc_c_state_fields));
    set_hole(o, "TABLES", collect(o, itc_c_model_tables));
    set_hole(o, "MODEL_FIELDS", collect(o, itc_c_model_fields));
    set_hole(o, "COPY_OUTPUTS", collect(o, itc_c_copy_outputs));
    set_hole(o, "EXPONENTS_FIELD", o->info->is_float ? "" : "    .exponents = any_exponents,\n");
    set_hole(o, "EXPONENTS_FUNCTION",
             o->info->is_float ? ""
                               : itc_format(o->ctx,
                                            "\nstatic int32_t *any_exponents(void *s)\n{\n"
                                            "    return ((%s_state *)s)->e;\n}\n",
                                            names->model));
}

static void set_main(output *o)
{
    const char *m = o->info->model.name;
    if (o->opt.embed) {
        set_hole(o, "DATA_DECLARATION",
                 itc_format(o->ctx,
                            "\nextern const unsigned char %s_data[];\n"
                            "extern const size_t %s_data_size;\n",
                            m, m));
        set_hole(o, "TRAINER_CALL",
                 itc_format(o->ctx,
                            "itr_trainer_main_embedded(&%s_model, &state, argc, argv, "
                            "%s_data,\n                                     %s_data_size)",
                            m, m, m));
    } else {
        set_hole(o, "DATA_DECLARATION", "");
        set_hole(o, "TRAINER_CALL",
                 itc_format(o->ctx,
                            "itr_trainer_main(&%s_model, &state, argc, argv, "
                            "\"%s_data.bin\")",
                            m, m));
    }
}

/* ---- files of the runtime ---- */

static void need(output *o, int i)
{
    if (o->needed[i]) {
        return;
    }
    o->needed[i] = true;
    for (const int *k = itc_embedded_files[i].includes; *k >= 0; k++) {
        need(o, *k);
    }
}

static bool has_prefix(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool is_source(const char *path)
{
    return has_prefix(path, "runtime/") && path[strlen(path) - 1] == 'c' &&
           path[strlen(path) - 2] == '.';
}

static bool family_used(const output *o, const char *path)
{
    for (int i = 0; itc_kernel_at(i); i++) {
        const itc_kernel *k = itc_kernel_at(i);
        if (itc_c_uses_kernel(o->w, k) &&
            strcmp(itc_format(o->ctx, "runtime/ref/%s.c", k->family), path) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_variant(const char *path)
{
    return has_prefix(path, "runtime/x86/") || has_prefix(path, "runtime/arm/");
}

static bool variant_used(const output *o, const char *path)
{
    for (int i = 0; itc_variant_at(i); i++) {
        const itc_variant *v = itc_variant_at(i);
        if (itc_c_uses_variant(o->w, v) &&
            strcmp(itc_format(o->ctx, "runtime/%s.c", v->file), path) == 0) {
            return true;
        }
    }
    return false;
}

static void find_needed(output *o)
{
    o->needed = ITC_NEW_ARRAY(o->ctx, bool, itc_embedded_count + 1);
    for (int i = 0; i < itc_embedded_count; i++) {
        const char *path = itc_embedded_files[i].path;
        const bool wanted = has_prefix(path, "runtime/ref/") ? family_used(o, path)
                            : is_variant(path)               ? variant_used(o, path)
                                                             : is_source(path);
        if (wanted || strcmp(path, "runtime/program.h") == 0) {
            need(o, i);
        }
    }
}

static void set_sources(output *o)
{
    const char *m = o->info->model.name;
    itc_strbuf objects, sources;
    itc_strbuf_init(&objects, o->ctx);
    itc_strbuf_init(&sources, o->ctx);
    itc_strbuf_printf(&objects, "\t%s.o main.o", m);
    itc_strbuf_printf(&sources, "  %s.c main.c", m);
    if (o->opt.embed) {
        itc_strbuf_printf(&objects, " %s_data.o", m);
        itc_strbuf_printf(&sources, " %s_data.c", m);
    }
    for (int i = 0; i < itc_embedded_count; i++) {
        const char *path = itc_embedded_files[i].path;
        if (o->needed[i] && is_source(path)) {
            itc_strbuf_printf(&objects, " \\\n\t%.*s.o", (int)strlen(path) - 2, path);
            itc_strbuf_printf(&sources, "\n  %s", path);
        }
    }
    set_hole(o, "OBJECTS", objects.text);
    set_hole(o, "SOURCES", sources.text);
}

/* ---- writing ---- */

static itc_status make_directory(itc_ctx *ctx, const char *path)
{
    struct stat st;
    if (mkdir(path, 0777) == 0 ||
        (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))) {
        return ITC_OK;
    }
    return itc_error(ctx, NULL, ITC_WRITE, "E0411", "directory \"%s\" cannot be made: %s", path,
                     strerror(errno == EEXIST ? ENOTDIR : errno));
}

/** Whether a file has these bytes. */
static bool holds(const char *path, const void *bytes, size_t n)
{
    char part[1 << 14];
    FILE *f = fopen(path, "rb");
    bool same = f != NULL;
    size_t at = 0;
    while (same && at < n) {
        const size_t want = n - at < sizeof part ? n - at : sizeof part;
        same = fread(part, 1, want, f) == want && memcmp(part, (const char *)bytes + at, want) == 0;
        at += want;
    }
    same = same && fgetc(f) == EOF;
    if (f) {
        (void)fclose(f);
    }
    return same;
}

static itc_status put(output *o, const char *path, const void *bytes, size_t n)
{
    return o->opt.keep && holds(path, bytes, n) ? ITC_OK : itc_write_file(o->ctx, path, bytes, n);
}

static itc_status write_runtime(output *o, const char *dir)
{
    for (int i = 0; i < itc_embedded_count; i++) {
        const itc_embedded *f = &itc_embedded_files[i];
        if (!o->needed[i]) {
            continue;
        }
        for (const char *p = strchr(f->path, '/'); p; p = strchr(p + 1, '/')) {
            ITC_TRY(make_directory(
                o->ctx, itc_format(o->ctx, "%s/%.*s", dir, (int)(p - f->path), f->path)));
        }
        ITC_TRY(put(o, itc_format(o->ctx, "%s/%s", dir, f->path), f->bytes, f->size));
    }
    return ITC_OK;
}

static itc_status write_template(output *o, const char *dir, const char *name, const char *as)
{
    itc_strbuf b;
    itc_strbuf_init(&b, o->ctx);
    ITC_TRY(fill(o, name, &b));
    return put(o, itc_format(o->ctx, "%s/%s", dir, as), b.text, b.len);
}

static itc_status write_data(output *o, const char *dir)
{
    const char *m = o->info->model.name;
    const void *bytes = o->data;
    const size_t n = o->data_size;
    if (!o->opt.embed) {
        return put(o, itc_format(o->ctx, "%s/%s_data.bin", dir, m), bytes, n);
    }
    itc_strbuf b;
    itc_strbuf_init(&b, o->ctx);
    itc_strbuf_printf(&b, "/* What %s_data.bin would hold. */\n#include <stddef.h>\n\n", m);
    itc_strbuf_printf(&b, "extern const unsigned char %s_data[];\n", m);
    itc_strbuf_printf(&b, "extern const size_t %s_data_size;\n\n", m);
    itc_strbuf_printf(&b, "const size_t %s_data_size = %zu;\n", m, n);
    itc_strbuf_printf(&b, "const unsigned char %s_data[] = {", m);
    for (size_t i = 0; i < n; i++) {
        itc_strbuf_printf(&b, "%s%d,", i % 20 == 0 ? "\n    " : " ",
                          ((const unsigned char *)bytes)[i]);
    }
    itc_strbuf_add(&b, "\n};\n");
    return put(o, itc_format(o->ctx, "%s/%s_data.c", dir, m), b.text, b.len);
}

static itc_status write_plan(output *o, const char *dir)
{
    itc_strbuf text, json;
    itc_strbuf_init(&text, o->ctx);
    itc_strbuf_init(&json, o->ctx);
    ITC_TRY(itc_plan_text(o->info, &text));
    ITC_TRY(itc_plan_json(o->info, &json));
    ITC_TRY(put(o, itc_format(o->ctx, "%s/plan.txt", dir), text.text, text.len));
    return put(o, itc_format(o->ctx, "%s/plan.json", dir), json.text, json.len);
}

static const char *stem_of(const output *o)
{
    return o->opt.name ? o->opt.name : o->g->name;
}

/** Everything in memory, so that a graph that cannot be written leaves no half of a directory. */
static itc_status prepare(output *o, itc_graph *g, const itc_codegen_options *opt)
{
    *o = (output){.ctx = g->ctx, .g = g};
    if (opt) {
        o->opt = *opt;
    }
    ITC_TRY(itc_program_new(g, &o->program));
    ITC_TRY(itc_model_info_new(o->program, stem_of(o), &o->info));
    ITC_TRY(itc_c_writer_new(o->program, o->info, stem_of(o), &o->w));
    itc_strbuf body;
    itc_strbuf_init(&body, g->ctx);
    ITC_TRY(itc_c_body(o->w, &body));
    set_numbers(o);
    set_texts(o);
    set_main(o);
    set_hole(o, "BODY", body.text);
    set_hole(o, "CONSTANTS", collect(o, itc_c_constants)); /* after what reads them */
    find_needed(o);
    set_sources(o);
    return o->w->status;
}

itc_status itc_codegen_directory(itc_graph *g, const char *dir, const itc_codegen_options *opt)
{
    output o;
    ITC_TRY(prepare(&o, g, opt));
    ITC_TRY(itc_initial_data(o.info, &o.data, &o.data_size));
    const char *m = o.info->model.name;
    ITC_TRY(make_directory(g->ctx, dir));
    ITC_TRY(write_template(&o, dir, "model.h.in", itc_format(g->ctx, "%s.h", m)));
    ITC_TRY(write_template(&o, dir, "model.c.in", itc_format(g->ctx, "%s.c", m)));
    ITC_TRY(write_template(&o, dir, "main.c.in", "main.c"));
    ITC_TRY(write_template(&o, dir, "Makefile.in", "Makefile"));
    ITC_TRY(write_template(&o, dir, "CMakeLists.txt.in", "CMakeLists.txt"));
    ITC_TRY(write_data(&o, dir));
    ITC_TRY(write_plan(&o, dir));
    return write_runtime(&o, dir);
}

itc_status itc_codegen_source(itc_graph *g, const itc_codegen_options *opt, itc_strbuf *out)
{
    output o;
    ITC_TRY(prepare(&o, g, opt));
    return fill(&o, "model.c.in", out);
}

itc_status itc_codegen_body(itc_graph *g, itc_strbuf *out)
{
    output o;
    o = (output){.ctx = g->ctx, .g = g};
    ITC_TRY(itc_program_new(g, &o.program));
    ITC_TRY(itc_model_info_new(o.program, g->name, &o.info));
    ITC_TRY(itc_c_writer_new(o.program, o.info, g->name, &o.w));
    return itc_c_body(o.w, out);
}
