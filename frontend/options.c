#include "frontend/options.h"

#include <stdlib.h>
#include <string.h>

#include "frontend/option_check.h"
#include "passes/optimizer.h"
#include "runtime/host/decimal.h"

static const itc_command_def commands[] = {
#define COMMAND(id, least, most, args, summary, example) {#id, least, most, args, summary, example},
#include "frontend/commands.def"
#undef COMMAND
};

#define IN(command) (1u << ITC_CMD_##command)
static const itc_option_def options[] = {
#define OPTION(id, name, letter, kind, arg, otherwise, setting, stage, check, in, help)            \
    {#id,                                                                                          \
     name,                                                                                         \
     letter,                                                                                       \
     ITC_OPTION_##kind,                                                                            \
     arg,                                                                                          \
     otherwise,                                                                                    \
     ITC_SETTING_##setting,                                                                        \
     ITC_STAGE_##stage,                                                                            \
     in,                                                                                           \
     itc_check_##check,                                                                            \
     help},
#include "frontend/options.def"
#undef OPTION
};
#undef IN

const itc_command_def *itc_command_at(int i)
{
    return i >= 0 && i < ITC_CMD_COUNT ? &commands[i] : NULL;
}

const itc_option_def *itc_option_at(int i)
{
    return i >= 0 && i < ITC_OPT_COUNT ? &options[i] : NULL;
}

bool itc_option_of(const itc_option_def *d, itc_command c)
{
    return (d->commands >> c & 1) != 0;
}

bool itc_parse_bytes(const char *text, int64_t *out)
{
    static const struct {
        const char *suffix;
        int64_t factor;
    } unit[] = {{"", 1},          {"K", 1000},      {"M", 1000000},  {"G", 1000000000},
                {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};
    char digits[20];
    const size_t n = strspn(text, "0123456789");
    uint64_t count = 0;
    if (n >= sizeof digits) {
        return false;
    }
    memcpy(digits, text, n);
    digits[n] = '\0';
    for (size_t i = 0; i < sizeof unit / sizeof unit[0]; i++) {
        if (strcmp(text + n, unit[i].suffix) == 0) {
            return itr_parse_unsigned(digits, INT64_MAX, &count) &&
                   itc_size_mul((int64_t)count, unit[i].factor, out);
        }
    }
    return false;
}

bool itc_parse_extent(const char *text, int *w, int *h)
{
    char width[8];
    const char *x = strchr(text, 'x');
    uint64_t a = 0, b = 0;
    if (!x || (size_t)(x - text) >= sizeof width) {
        return false;
    }
    memcpy(width, text, (size_t)(x - text));
    width[x - text] = '\0';
    if (!itr_parse_unsigned(width, 4096, &a) || !itr_parse_unsigned(x + 1, 4096, &b) || a == 0 ||
        b == 0) {
        return false;
    }
    *w = (int)a;
    *h = (int)b;
    return true;
}

/** Levenshtein's distance, of words of less than 32 characters. */
static int distance(const char *a, const char *b)
{
    int row[32];
    const int n = (int)strlen(b);
    for (int j = 0; j <= n; j++) {
        row[j] = j;
    }
    for (int i = 1; a[i - 1]; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            const int change = diagonal + (a[i - 1] != b[j - 1]);
            const int drop = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = change < drop ? change : drop;
        }
    }
    return row[n];
}

const char *itc_nearest(const char *found, const char *const *names, int n)
{
    const char *best = NULL;
    int least = strlen(found) < 4 ? 2 : 3;
    for (int i = 0; i < n && strlen(found) < 32; i++) {
        if (strlen(names[i]) >= 32) {
            continue;
        }
        const int d = distance(found, names[i]);
        if (d < least) {
            least = d;
            best = names[i];
        }
    }
    return best;
}

itc_status itc_command_parse(itc_ctx *ctx, const char *name, itc_command *out)
{
    const char *names[ITC_CMD_COUNT];
    for (int i = 0; i < ITC_CMD_COUNT; i++) {
        names[i] = commands[i].name;
        if (strcmp(name, names[i]) == 0) {
            *out = (itc_command)i;
            return ITC_OK;
        }
    }
    const char *near = itc_nearest(name, names, ITC_CMD_COUNT);
    return itc_error(ctx, NULL, ITC_RANGE, "E0601", "unknown command \"%s\"%s", name,
                     near ? itc_format(ctx, "; did you mean %s?", near) : "; see intrain --help");
}

void itc_options_init(itc_options *o, itc_ctx *ctx, itc_command command)
{
    memset(o, 0, sizeof *o);
    o->ctx = ctx;
    o->command = command;
    for (int i = 0; i < ITC_OPT_COUNT; i++) {
        o->value[i] = options[i].otherwise;
    }
}

static itc_status store(itc_options *o, int i, const char *value)
{
    const itc_option_def *d = &options[i];
    if (d->kind != ITC_OPTION_FLAG) {
        ITC_TRY(d->check(o->ctx, d, value));
    }
    if (d->kind == ITC_OPTION_FLAG) {
        o->value[i] = "1";
    } else if (d->kind == ITC_OPTION_LIST && o->given[i]) {
        o->value[i] = itc_format(o->ctx, "%s;%s", o->value[i], value);
    } else {
        o->value[i] = itc_strdup(o->ctx, value);
    }
    o->given[i] = true;
    return ITC_OK;
}

/** The option of n characters' name that the command takes; -1: none. */
static int find(const itc_options *o, const char *name, size_t n)
{
    for (int i = 0; i < ITC_OPT_COUNT; i++) {
        if (itc_option_of(&options[i], o->command) && strlen(options[i].name) == n &&
            memcmp(options[i].name, name, n) == 0) {
            return i;
        }
    }
    return -1;
}

static int find_letter(const itc_options *o, char letter)
{
    for (int i = 0; i < ITC_OPT_COUNT; i++) {
        if (itc_option_of(&options[i], o->command) && options[i].letter == letter) {
            return i;
        }
    }
    return -1;
}

static itc_status unknown(const itc_options *o, const char *text, const char *name)
{
    const char *names[ITC_OPT_COUNT];
    int n = 0;
    for (int i = 0; i < ITC_OPT_COUNT; i++) {
        if (itc_option_of(&options[i], o->command)) {
            names[n++] = options[i].name;
        }
    }
    const char *near = itc_nearest(name, names, n);
    const char *command = commands[o->command].name;
    return itc_error(o->ctx, NULL, ITC_RANGE, "E0602", "%s has no option %s%s", command, text,
                     near ? itc_format(o->ctx, "; did you mean --%s?", near)
                          : itc_format(o->ctx, "; see intrain %s --help", command));
}

itc_status itc_options_set(itc_options *o, const char *name, const char *value)
{
    const int i = find(o, name, strlen(name));
    if (i < 0) {
        return unknown(o, itc_format(o->ctx, "--%s", name), name);
    }
    return store(o, i, value);
}

/** One argument that begins with '-'; `next` is what follows. Returns how many were used in *used.
 */
static itc_status parse_one(itc_options *o, const char *text, const char *next, int *used)
{
    const bool is_long = text[1] == '-';
    const char *name = text + 2;
    const size_t n = is_long ? strcspn(name, "=") : 1;
    const int i = is_long ? find(o, name, n) : find_letter(o, text[1]);
    const char *value = is_long ? (name[n] == '=' ? name + n + 1 : NULL) : (*name ? name : NULL);
    if (i < 0) {
        return unknown(o, is_long ? itc_format(o->ctx, "--%.*s", (int)n, name) : text,
                       itc_strndup(o->ctx, name, n));
    }
    const bool flag = options[i].kind == ITC_OPTION_FLAG;
    *used = 1;
    if (flag && value) {
        return itc_error(o->ctx, NULL, ITC_RANGE, "E0603", "--%s takes no value", options[i].name);
    }
    if (!flag && !value) {
        if (!next) {
            return itc_error(o->ctx, NULL, ITC_RANGE, "E0603", "--%s needs a value: %s",
                             options[i].name, options[i].arg);
        }
        value = next;
        *used = 2;
    }
    return store(o, i, value);
}

static itc_status check_together(const itc_options *o)
{
    const itc_command_def *c = &commands[o->command];
    if (o->given[ITC_OPT_help] || o->given[ITC_OPT_version]) {
        return ITC_OK;
    }
    if (o->n_args < c->least || o->n_args > c->most) {
        return itc_error(o->ctx, NULL, ITC_RANGE, "E0606", "%s takes %s%s, found %d argument%s",
                         c->name, *c->args ? c->args : "no arguments",
                         o->n_args < c->least ? " (see --help)" : "", o->n_args,
                         o->n_args == 1 ? "" : "s");
    }
    if (itc_options_int(o, ITC_OPT_micro_batch) > itc_options_int(o, ITC_OPT_batch) &&
        o->given[ITC_OPT_micro_batch]) {
        return itc_error(o->ctx, NULL, ITC_RANGE, "E0604",
                         "--micro-batch: found %s, expected at most --batch, which is %s",
                         o->value[ITC_OPT_micro_batch], o->value[ITC_OPT_batch]);
    }
    if (itc_options_int(o, ITC_OPT_bits) > 0 && strcmp(o->value[ITC_OPT_arith], "float32") == 0) {
        return itc_error(o->ctx, NULL, ITC_RANGE, "E0604",
                         "--bits %s: --arith float32 has no integers whose width it could be",
                         o->value[ITC_OPT_bits]);
    }
    return ITC_OK;
}

itc_status itc_options_parse(itc_options *o, int argc, char **argv)
{
    bool only_args = false;
    o->args = ITC_NEW_ARRAY(o->ctx, const char *, argc + 1);
    for (int i = 0; i < argc;) {
        int used = 1;
        if (!only_args && strcmp(argv[i], "--") == 0) {
            only_args = true;
        } else if (only_args || argv[i][0] != '-' || argv[i][1] == '\0') {
            o->args[o->n_args++] = argv[i];
        } else {
            ITC_TRY(parse_one(o, argv[i], i + 1 < argc ? argv[i + 1] : NULL, &used));
        }
        i += used;
    }
    return check_together(o);
}

bool itc_options_flag(const itc_options *o, itc_option id)
{
    return o->given[id];
}

int64_t itc_options_int(const itc_options *o, itc_option id)
{
    int64_t n = 0;
    return itc_parse_bytes(o->value[id], &n) ? n : 0;
}

static itc_attr setting_of(const itc_options *o, int i)
{
    itc_attr a = {.name = options[i].id};
    if (options[i].setting == ITC_SETTING_INT) {
        a.kind = ITC_ATTR_INT;
        a.u.i = itc_options_int(o, (itc_option)i);
    } else {
        a.kind = ITC_ATTR_STRING;
        a.u.s = o->value[i];
    }
    return a;
}

/** Without --lr, the optimizer's own rate. */
static void set_default_lr(const itc_options *o, itc_graph *g)
{
    itc_optimizer optimizer;
    bool unknown = false;
    if (!o->given[ITC_OPT_lr] &&
        !itc_optimizer_parse(itc_setting_string(g, "optimizer", ""), &optimizer, &unknown)) {
        const itc_attr lr = {.name = options[ITC_OPT_lr].id,
                             .kind = ITC_ATTR_STRING,
                             .u.s = itc_optimizer_default_lr(optimizer.kind)};
        itc_setting_set(g, lr);
    }
}

/** What the model itself says of an option: a setting that import has made. An optimizer that is
 * given replaces the model's with all that belongs to it. */
static const itc_attr *model_says(const itc_options *o, const itc_graph *g, int i)
{
    const bool of_optimizer =
        i == ITC_OPT_optimizer || i == ITC_OPT_lr || i == ITC_OPT_schedule || i == ITC_OPT_no_decay;
    const bool replaced = o->given[i] || (of_optimizer && o->given[ITC_OPT_optimizer]);
    return replaced ? NULL : itc_setting(g, options[i].id);
}

void itc_options_apply(const itc_options *o, itc_graph *g)
{
    itc_graph own = {.settings = g->settings, .n_settings = g->n_settings};
    g->settings = NULL; /* in the order of options.def */
    g->n_settings = g->cap_settings = 0;
    const bool own_lr = model_says(o, &own, ITC_OPT_lr) != NULL;
    for (int i = 0; i < ITC_OPT_COUNT; i++) {
        const itc_attr *says = model_says(o, &own, i);
        if (options[i].setting != ITC_SETTING_NONE) {
            itc_setting_set(g, says ? *says : setting_of(o, i));
        }
    }
    if (!own_lr) {
        set_default_lr(o, g);
    }
}

static const char *setting_text(const itc_graph *g, const itc_option_def *d)
{
    const itc_attr *a = itc_setting(g, d->id);
    return !a                          ? d->otherwise
           : a->kind == ITC_ATTR_INT   ? itc_format(g->ctx, "%lld", (long long)a->u.i)
           : a->kind == ITC_ATTR_FLOAT ? itc_format(g->ctx, "%.9g", a->u.f)
                                       : a->u.s;
}

itc_status itc_options_apply_late(const itc_options *o, itc_graph *g)
{
    for (int i = 0; i < ITC_OPT_COUNT; i++) {
        const itc_option_def *d = &options[i];
        if (d->setting == ITC_SETTING_NONE || !o->given[i]) {
            continue;
        }
        const itc_attr want = setting_of(o, i);
        const char *found = setting_text(g, d);
        const bool same = want.kind == ITC_ATTR_INT
                              ? itc_setting_int(g, d->id, strtoll(found, NULL, 10)) == want.u.i
                              : strcmp(found, want.u.s) == 0;
        if (!same && g->stage >= d->stage) {
            return itc_error(g->ctx, NULL, ITC_RANGE, "E0607",
                             "--%s %s comes too late: the graph is of stage %s, made with %s",
                             d->name, o->value[i], itc_stage_name(g->stage),
                             *found ? found : "none");
        }
        if (!same) {
            itc_setting_set(g, want);
        }
        if (!same && i == ITC_OPT_optimizer) {
            set_default_lr(o, g);
        }
    }
    return ITC_OK;
}
