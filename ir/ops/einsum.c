/*
 * Einsum: the equation is read, and contract.c makes products, sums and moves of it.
 *
 * "a,b,…->y" names the axes of each operand and of the result by letters; "..." stands for the axes
 * that no letter names, which broadcast from the right. Without "->" the result has those first,
 * and then the letters that stand once in all operands, in alphabetical order. A letter that stands
 * twice in an operand takes its diagonal; letters that the result lacks are summed over.
 * Sources: ONNX Einsum-12; numpy.einsum.
 */
#include <string.h>

#include "ir/ops/contract.h"
#include "ir/ops/util.h"

/* Labels: letters in the order of ASCII, then the axes of "...", the last one the highest. */
enum { LETTERS = 52, ALL = LETTERS + ITC_MAX_RANK };

static int letter(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : -1;
}

static itc_status bad_equation(itc_graph *g, const itc_node *n, const char *why)
{
    return itc_error(g->ctx, n, ITC_RANGE, "E0221", "equation \"%s\": %s",
                     itc_string(n, "equation"), why);
}

/** The equation without blanks. */
static char *equation_of(itc_graph *g, const itc_node *n)
{
    char *text = itc_strdup(g->ctx, itc_string(n, "equation")), *to = text;
    for (const char *p = text; *p; p++) {
        if (*p != ' ' && *p != '\t') {
            *to++ = *p;
        }
    }
    *to = '\0';
    return text;
}

/**
 * One term, `len` characters: its letters, and `rank` axes in all, of which "..." has what letters
 * leave (without "..." they must leave none).
 */
static itc_status read_term(itc_graph *g, const itc_node *n, const char *term, size_t len, int rank,
                            itc_labelled *t)
{
    int letters = 0, dots = 0;
    for (size_t i = 0; i < len; i++) {
        letters += letter(term[i]) >= 0;
        dots += term[i] == '.';
    }
    const int rest = rank - letters;
    const char *ellipsis = memchr(term, '.', len);
    if (letters + dots != (int)len ||
        (dots > 0 && (dots != 3 || len - (size_t)(ellipsis - term) < 3 || ellipsis[1] != '.' ||
                      ellipsis[2] != '.'))) {
        return bad_equation(g, n, "terms are letters and one \"...\"");
    }
    if (rest < 0 || (dots == 0 && rest > 0)) {
        return bad_equation(g, n, "a term has another number of axes than its operand");
    }
    t->rank = 0;
    for (size_t i = 0; i < len; i++) {
        if (letter(term[i]) >= 0) {
            t->label[t->rank++] = (uint8_t)letter(term[i]);
            continue;
        }
        for (int k = 0; k < rest; k++) {
            t->label[t->rank++] = (uint8_t)(ALL - rest + k);
        }
        i += 2;
    }
    return ITC_OK;
}

/** How often each label stands in the operands. */
static void count_labels(int n, const itc_labelled *in, int *count)
{
    memset(count, 0, ALL * sizeof *count);
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < in[i].rank; k++) {
            count[in[i].label[k]]++;
        }
    }
}

/** The result that no "->" names. */
static itc_status implicit_result(itc_graph *g, const itc_node *n, const int *count,
                                  itc_labelled *y)
{
    for (int pass = 0; pass < 2; pass++) {
        for (int i = pass == 0 ? LETTERS : 0; i < (pass == 0 ? ALL : LETTERS); i++) {
            if (pass == 0 ? count[i] > 0 : count[i] == 1) {
                if (y->rank == ITC_MAX_RANK) {
                    return bad_equation(g, n, "the result has more than 8 axes");
                }
                y->label[y->rank++] = (uint8_t)i;
            }
        }
    }
    return ITC_OK;
}

static itc_status explicit_result(itc_graph *g, const itc_node *n, const char *term,
                                  const int *count, itc_labelled *y)
{
    int rank = 0, again[ALL];
    for (const char *p = term; *p; p++) {
        rank += letter(*p) >= 0;
    }
    for (int i = LETTERS; strchr(term, '.') && i < ALL; i++) {
        rank += count[i] > 0;
    }
    if (rank > ITC_MAX_RANK) {
        return bad_equation(g, n, "the result has more than 8 axes");
    }
    ITC_TRY(read_term(g, n, term, strlen(term), rank, y));
    count_labels(1, y, again);
    for (int i = 0; i < ALL; i++) {
        if (again[i] > 1 || (again[i] > 0 && count[i] == 0)) {
            return bad_equation(g, n, "an axis of the result stands twice, or in no operand");
        }
    }
    return ITC_OK;
}

static itc_status read_equation(itc_graph *g, const itc_node *n, itc_labelled *in, itc_labelled *y)
{
    char *term = equation_of(g, n), *arrow = strstr(term, "->");
    int count[ALL];
    if (arrow) {
        *arrow = '\0';
    }
    for (int i = 0; i < n->n_in; i++) {
        const size_t len = strcspn(term, ",");
        if ((term[len] == ',') != (i + 1 < n->n_in)) {
            return bad_equation(g, n, "it has another number of terms than operands");
        }
        in[i].x = n->in[i];
        ITC_TRY(read_term(g, n, term, len, n->in[i]->type.rank, &in[i]));
        term += len + 1;
    }
    count_labels(n->n_in, in, count);
    return arrow ? explicit_result(g, n, arrow + 2, count, y) : implicit_result(g, n, count, y);
}

/** In evaluation rows stand alone: what sums over them is no function of a row. */
static itc_status check_rows(itc_graph *g, const itc_node *n, const itc_labelled *in,
                             const itc_labelled *y)
{
    for (int i = 0; i < n->n_in; i++) {
        for (int k = 0; k < in[i].rank; k++) {
            if (in[i].x->type.dim[k].batch && !memchr(y->label, in[i].label[k], (size_t)y->rank)) {
                return itc_error(g->ctx, n, ITC_UNSUPPORTED, "E0224", "a sum over the rows N");
            }
        }
    }
    return ITC_OK;
}

static itc_status einsum_normalize(itc_graph *g, itc_node *n, itc_value **out)
{
    itc_labelled *in = ITC_NEW_ARRAY(g->ctx, itc_labelled, n->n_in), y = {.rank = 0};
    ITC_TRY(read_equation(g, n, in, &y));
    ITC_TRY(check_rows(g, n, in, &y));
    return itc_contract_build(g, n, n->n_in, in, &y, &out[0]);
}

static itc_status einsum_infer(itc_graph *g, itc_node *n)
{
    return itc_error(g->ctx, n, ITC_INTERNAL, "E0221", "Einsum is MatMul and Mul in our form");
}

static const itc_attr_spec einsum_attrs[] = {
    {.name = "equation", .kind = ITC_ATTR_STRING, .required = true},
    {.name = NULL},
};

/**
 * Sum of products by an equation, as MatMul, Mul, ReduceSumTo and data movement.
 * Shapes  as the equation says; at most 8 axes on the way
 * Range   sums are exact, and rounded once a product
 * Source  ONNX Einsum-12
 */
const itc_op_def itc_op_Einsum = {
    .name = "Einsum",
    .domain = "",
    .in_min = 1,
    .in_max = 255,
    .out_min = 1,
    .out_max = 1,
    .flags = ITC_OP_VARIADIC,
    .opset_min = 12,
    .versions = (const uint8_t[]){12, 0},
    .roles = (const itc_role_in[]){ITC_IN_PARAM},
    .attrs = einsum_attrs,
    .summary = "sum of products by an equation, as MatMul and Mul",
    .normalize = einsum_normalize,
    .infer = einsum_infer,
};
