#include "frontend/option_check.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "passes/optimizer.h"
#include "passes/pass.h"
#include "runtime/host/args.h"
#include "runtime/host/decimal.h"

static itc_status refuse(itc_ctx *ctx, const itc_option_def *d, const char *value,
                         const char *expected)
{
    return itc_error(ctx, NULL, ITC_RANGE, "E0604", "--%s: found \"%s\", expected %s", d->name,
                     value, expected);
}

static itc_status not_yet(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    return itc_error(ctx, NULL, ITC_UNSUPPORTED, "E0605", "--%s: %s is not available yet", d->name,
                     value);
}

/** Whether the n characters at s are one of the words, which a '|' separates. */
static bool is_word(const char *s, size_t n, const char *words)
{
    for (const char *p = words; n > 0 && *p;) {
        const size_t len = strcspn(p, "|");
        if (len == n && memcmp(p, s, n) == 0) {
            return true;
        }
        p += len + (p[len] == '|');
    }
    return false;
}

/** A word that is taken, one of later, or neither. */
static itc_status check_word(itc_ctx *ctx, const itc_option_def *d, const char *value, size_t n,
                             const char *now, const char *later)
{
    if (is_word(value, n, now)) {
        return ITC_OK;
    }
    const char *word = itc_strndup(ctx, value, n);
    if (is_word(value, n, later)) {
        return not_yet(ctx, d, word);
    }
    itc_strbuf b;
    itc_strbuf_init(&b, ctx);
    for (const char *p = now; *p;) {
        const size_t len = strcspn(p, "|");
        const bool last = p[len] == '\0' || !strchr(p + len + 1, '|');
        itc_strbuf_add_n(&b, p, len);
        p += len + (p[len] == '|');
        itc_strbuf_add(&b, *p == '\0' ? "" : last ? " or " : ", ");
    }
    return refuse(ctx, d, word, b.text);
}

static itc_status check_range(itc_ctx *ctx, const itc_option_def *d, const char *value,
                              uint64_t least, uint64_t most)
{
    uint64_t n = 0;
    if (itr_parse_unsigned(value, most, &n) && n >= least) {
        return ITC_OK;
    }
    return refuse(ctx, d, value,
                  itc_format(ctx, "an integer from %llu to %llu", (unsigned long long)least,
                             (unsigned long long)most));
}

itc_status itc_check_any(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    (void)ctx;
    (void)d;
    (void)value;
    return ITC_OK;
}

/* The part before the last '=' names an output, and the weight and options are for the pass. */
itc_status itc_check_loss(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    const size_t end = strcspn(value, ",");
    const char *kind = value;
    for (const char *p = value; p < value + end; p++) {
        kind = *p == '=' ? p + 1 : kind;
    }
    if (strchr(value, ';')) {
        return refuse(ctx, d, value, "one loss (repeat --loss for several)");
    }
    return check_word(ctx, d, kind, strcspn(kind, ":,"), "cross-entropy|mse|graph", "l1|bce|ctc");
}

itc_status itc_check_optimizer(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    itc_optimizer o;
    bool unknown = false;
    const char *expected = itc_optimizer_parse(value, &o, &unknown);
    return expected ? refuse(ctx, d, value, expected) : ITC_OK;
}

itc_status itc_check_lr(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    itr_scalar x;
    return itr_parse_scalar(value, &x) && x.m >= 0 ? ITC_OK
                                                   : refuse(ctx, d, value, "a number such as 0.05");
}

itc_status itc_check_schedule(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    itr_schedule s;
    return itr_parse_schedule(value, &s) ? ITC_OK
                                         : refuse(ctx, d, value,
                                                  "constant, step:PERIOD[:FACTOR], cosine:STEPS, "
                                                  "linear:STEPS or inverse:DECAY[:FIRST]");
}

itc_status itc_check_count(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    return check_range(ctx, d, value, 0, INT64_MAX);
}

itc_status itc_check_batch(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    return check_range(ctx, d, value, 1, 65535);
}

itc_status itc_check_micro_batch(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    return check_range(ctx, d, value, 0, 65535);
}

itc_status itc_check_arith(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    return check_word(ctx, d, value, strlen(value), "int8|int16|float32", "");
}

itc_status itc_check_bits(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    uint64_t n = 0;
    return itr_parse_unsigned(value, 16, &n) && n != 1
               ? ITC_OK
               : refuse(ctx, d, value, "a width from 2 to 16 (or 0: that of --arith)");
}

itc_status itc_check_rounding(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    for (const char *p = value;;) {
        const size_t n = strcspn(p, ","), name = strcspn(p, "=,");
        if (!is_word(p, name, "forward|backward|update") || p[name] != '=' ||
            !is_word(p + name + 1, n - name - 1, "nearest|stochastic|floor")) {
            return refuse(ctx, d, itc_strndup(ctx, p, n),
                          "forward=, backward= or update= with nearest, stochastic or floor");
        }
        p += n;
        if (*p++ != ',') {
            return ITC_OK;
        }
    }
}

itc_status itc_check_exponent(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    return check_word(ctx, d, value, strlen(value), "exact|bitlength", "predicted|hindsight");
}

itc_status itc_check_norm(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    return check_word(ctx, d, value, strlen(value), "train|frozen", "");
}

itc_status itc_check_init(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    return check_word(ctx, d, value, strlen(value), "keep|kaiming|xavier", "");
}

itc_status itc_check_training_info(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    return check_word(ctx, d, value, strlen(value), "use|ignore", "");
}

itc_status itc_check_input(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    const char *equals = strrchr(value, '=');
    char *end = NULL;
    const double v = equals ? strtod(equals + 1, &end) : 0;
    const bool number = equals && end != equals + 1 && *end == '\0' && fabs(v) <= FLT_MAX;
    return number && equals > value && !strchr(value, ';')
               ? ITC_OK
               : refuse(ctx, d, value, "NAME=VALUE with a number VALUE");
}

itc_status itc_check_dim(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    uint64_t n = 0;
    const char *equals = strrchr(value, '=');
    return equals && equals > value && !strchr(value, ';') &&
                   itr_parse_unsigned(equals + 1, INT32_MAX, &n) && n > 0
               ? ITC_OK
               : refuse(ctx, d, value, "NAME=N with a positive integer N");
}

itc_status itc_check_size(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    int64_t n = 0;
    return itc_parse_bytes(value, &n)
               ? ITC_OK
               : refuse(ctx, d, value, "a number of bytes such as 4096, 64K or 2MiB");
}

itc_status itc_check_threads(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    return check_range(ctx, d, value, 1, 1024);
}

itc_status itc_check_target(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    return check_word(ctx, d, value, strlen(value), "any|cortex-m", "");
}

itc_status itc_check_seed(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    return check_range(ctx, d, value, 0, INT64_MAX);
}

itc_status itc_check_emit(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    return check_word(ctx, d, value, strlen(value), "c|source|body", "obj|llvm-ir");
}

static itc_status check_pass(itc_ctx *ctx, const itc_option_def *d, const char *name)
{
    if (itc_pass_find(name)) {
        return ITC_OK;
    }
    const char *names[64];
    int n = 0;
    while (n < 64 && itc_pass_at(n)) {
        names[n] = itc_pass_at(n)->name;
        n++;
    }
    const char *near = itc_nearest(name, names, n);
    return refuse(ctx, d, name,
                  near ? itc_format(ctx, "a pass; did you mean %s?", near)
                       : "a pass (`intrain passes` lists them)");
}

itc_status itc_check_passes(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    for (const char *p = value; *p;) {
        const size_t n = strcspn(p, ",");
        ITC_TRY(check_pass(ctx, d, itc_strndup(ctx, p, n)));
        p += n + (p[n] == ',');
    }
    return ITC_OK;
}

itc_status itc_check_pass(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    return check_pass(ctx, d, value);
}

itc_status itc_check_stage(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    itc_stage s;
    return itc_stage_parse(value, &s)
               ? ITC_OK
               : refuse(ctx, d, value,
                        "import, shape, loss, backward, integer, plan, schedule or memory");
}

itc_status itc_check_format(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    return check_word(ctx, d, value, strlen(value), "text|dot|json", "");
}

itc_status itc_check_extent(itc_ctx *ctx, const itc_option_def *d, const char *value)
{
    int w = 0, h = 0;
    return itc_parse_extent(value, &w, &h)
               ? ITC_OK
               : refuse(ctx, d, value, "a width and a height such as 32x32, up to 4096");
}
