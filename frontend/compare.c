/* Two logs as one table. */
#include "frontend/compare.h"

#include "frontend/runlog.h"

#include <errno.h>
#include <string.h>

enum { STRETCHES = 20 };

typedef struct pair {
    FILE *out;
    itc_runlog run[2];
    const char *name[2];
} pair;

typedef struct mean {
    double loss, accuracy;
    int n;
} mean;

/* Of the steps after `from`, up to and with `to`; `at` moves on to the first one behind. */
static mean mean_of(const itc_runlog *r, int *at, int64_t to)
{
    mean m = {0};
    for (; *at < r->n_steps && r->steps[*at].step <= to; (*at)++) {
        m.n++;
        m.loss += (r->steps[*at].loss - m.loss) / m.n;
        m.accuracy += (r->steps[*at].accuracy - m.accuracy) / m.n;
    }
    return m;
}

static int64_t last_step(const itc_runlog *r)
{
    return r->n_steps > 0 ? r->steps[r->n_steps - 1].step : 0;
}

static void heading(const pair *p, const char *title, bool accuracy)
{
    fprintf(p->out, "%s\n%10s  %14.14s  %14.14s  %10s", title, "step", p->name[0], p->name[1],
            "difference");
    if (accuracy) {
        fprintf(p->out, "  %14.14s  %14.14s  %10s", p->name[0], p->name[1], "difference");
    }
    fputc('\n', p->out);
}

static void row(const pair *p, int64_t step, mean a, mean b, bool accuracy)
{
    fprintf(p->out, "%10lld  %14.5f  %14.5f  %+10.5f", (long long)step, a.loss, b.loss,
            b.loss - a.loss);
    if (accuracy) {
        fprintf(p->out, "  %12.2f %%  %12.2f %%  %+10.2f", 100 * a.accuracy, 100 * b.accuracy,
                100 * (b.accuracy - a.accuracy));
    }
    fputc('\n', p->out);
}

static void print_training(const pair *p)
{
    const itc_runlog *a = &p->run[0], *b = &p->run[1];
    const int64_t end = last_step(a) < last_step(b) ? last_step(a) : last_step(b);
    const bool accuracy =
        a->n_steps > 0 && b->n_steps > 0 && a->steps[0].accuracy >= 0 && b->steps[0].accuracy >= 0;
    int at[2] = {0, 0};
    int64_t done = 0;
    heading(p,
            accuracy ? "training: mean loss and accuracy of the steps up to"
                     : "training: mean loss of the steps up to",
            accuracy);
    for (int i = 1; i <= STRETCHES; i++) {
        /* end * i would overflow for steps near the end of the range. */
        const int64_t to = end / STRETCHES * i + end % STRETCHES * i / STRETCHES;
        if (to == done) {
            continue;
        }
        const mean ma = mean_of(a, &at[0], to), mb = mean_of(b, &at[1], to);
        if (ma.n > 0 && mb.n > 0) {
            row(p, to, ma, mb, accuracy);
        }
        done = to;
    }
}

static mean mean_eval(const itc_run_point *e)
{
    return (mean){e->loss, e->accuracy, 1};
}

static void print_evaluations(const pair *p)
{
    const itc_runlog *a = &p->run[0], *b = &p->run[1];
    bool first = true;
    for (int i = 0, k = 0; i < a->n_evals && k < b->n_evals;) {
        const itc_run_point *x = &a->evals[i], *y = &b->evals[k];
        if (x->step != y->step) {
            i += x->step < y->step;
            k += y->step < x->step;
            continue;
        }
        const bool accuracy = x->accuracy >= 0 && y->accuracy >= 0;
        if (first) {
            fputc('\n', p->out);
            heading(p, accuracy ? "evaluation: loss and accuracy" : "evaluation: loss", accuracy);
        }
        row(p, x->step, mean_eval(x), mean_eval(y), accuracy);
        first = false;
        i++;
        k++;
    }
}

static void print_ends(const pair *p)
{
    fputc('\n', p->out);
    for (int i = 0; i < 2; i++) {
        const itc_runlog *r = &p->run[i];
        const double seconds = r->n_steps > 0 ? r->steps[r->n_steps - 1].seconds : 0;
        fprintf(p->out, "%s: %lld steps", p->name[i], (long long)last_step(r));
        if (seconds > 0) {
            fprintf(p->out, ", %.0f samples/s", (double)r->steps[r->n_steps - 1].samples / seconds);
        }
        fprintf(p->out, "%s\n", !*r->status && !*r->digest ? ", did not end" : "");
    }
}

itc_status itc_compare_print(itc_ctx *ctx, FILE *out, const char *log_a, const char *log_b)
{
    pair p = {.out = out};
    ITC_TRY(itc_runlog_read(ctx, log_a, &p.run[0]));
    ITC_TRY(itc_runlog_read(ctx, log_b, &p.run[1]));
    const bool named =
        *p.run[0].arith && *p.run[1].arith && strcmp(p.run[0].arith, p.run[1].arith) != 0;
    for (int i = 0; i < 2; i++) {
        p.name[i] = named ? p.run[i].arith : p.run[i].label;
    }
    print_training(&p);
    print_evaluations(&p);
    print_ends(&p);
    itc_set_file(ctx, NULL);
    if (fflush(out) != 0 || ferror(out)) {
        return itc_error(ctx, NULL, ITC_WRITE, "E0003", "the table cannot be written: %s",
                         strerror(errno));
    }
    return ITC_OK;
}
