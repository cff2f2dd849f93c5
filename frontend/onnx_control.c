/*
 * Control flow that is decided while compiling.
 *
 *   If     the branch that the condition chooses, in place of the node
 *   Loop   the body as often as the trip count and the condition say, one copy after the other
 *   Scan   the body once an element of the scanned axes
 *
 * What depends on data is refused by name. Sources: ONNX If-1, Loop-1, Scan-9 and their successors.
 */
#include <string.h>

#include "frontend/onnx_model.h"
#include "ir/ops/util.h"

static const Onnx__GraphProto *body_of(const itc_scope *scope, const itc_body_node *p,
                                       const char *name)
{
    const Onnx__AttributeProto *a = itc_scope_node_attr(scope, p->proto, name);
    return a ? a->g : NULL;
}

static itc_status no_body(itc_importer *im, const itc_scope *scope, const itc_body_node *p,
                          const char *name)
{
    return itc_error(im->ctx, itc_onnx_describe(im, scope, p), ITC_PARSE, "E0207",
                     "%s needs a graph as attribute \"%s\"", itc_onnx_text(p->proto->op_type),
                     name);
}

static itc_status import_graph(itc_importer *im, itc_scope *inner, const Onnx__GraphProto *g)
{
    ITC_TRY(itc_onnx_import_initializers(im, inner, g));
    return itc_onnx_import_body(im, inner, g->n_node, g->node);
}

static itc_value *make_ints(itc_importer *im, const char *hint, int rank, int64_t v)
{
    itc_tensor *t = itc_tensor_new(im->ctx, ITC_I64, rank, &(int64_t){1});
    *(int64_t *)t->data = v;
    return itc_onnx_make_const(im, hint, t);
}

/* ---- If ---- */

static itc_status expand_if(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    int64_t condition = 0;
    if (p->n_in != 1 || p->in[0].kind != ITC_BIND_TENSOR) {
        return itc_error(im->ctx, itc_onnx_describe(im, scope, p), ITC_PARSE, "E0208",
                         "%d inputs, expected a condition", p->n_in);
    }
    if (!itc_onnx_known_int(im, p->in[0].value, &condition)) {
        return itc_onnx_refuse(im, scope, p, "whose condition is not known when compiling");
    }
    const char *name = condition != 0 ? "then_branch" : "else_branch";
    const Onnx__GraphProto *g = body_of(scope, p, name);
    if (!g) {
        return no_body(im, scope, p, name);
    }
    itc_scope *inner = itc_scope_new(im->ctx, scope);
    ITC_TRY(import_graph(im, inner, g));
    if ((int)g->n_output < p->n_out) {
        return itc_error(im->ctx, itc_onnx_describe(im, scope, p), ITC_PARSE, "E0208",
                         "%d outputs, and %s has %zu", p->n_out, name, g->n_output);
    }
    for (int i = 0; i < p->n_out; i++) {
        itc_binding b;
        ITC_TRY(itc_onnx_body_output(im, inner, p, itc_onnx_text(g->output[i]->name), &b));
        itc_onnx_set_output(im, scope, p, i, b);
    }
    return ITC_OK;
}

/* ---- what Loop and Scan share ---- */

/** Results of one output of the body, an element a round. */
typedef struct collected {
    itc_value **v;
    int n, cap;
    int axis;
    bool backwards;
} collected;

/** Runs the body in a scope of its own; the outputs are left in out[]. */
static itc_status run_round(itc_importer *im, itc_scope *scope, const itc_body_node *p,
                            const Onnx__GraphProto *g, const itc_binding *in, itc_binding *out)
{
    itc_scope *inner = itc_scope_new(im->ctx, scope);
    for (size_t i = 0; i < g->n_input; i++) {
        itc_scope_bind(inner, itc_onnx_text(g->input[i]->name), in[i]);
    }
    ITC_TRY(import_graph(im, inner, g));
    for (size_t i = 0; i < g->n_output; i++) {
        ITC_TRY(itc_onnx_body_output(im, inner, p, itc_onnx_text(g->output[i]->name), &out[i]));
    }
    return ITC_OK;
}

/** The elements, one behind the other along a new axis. */
static itc_value *stack(itc_importer *im, const itc_body_node *p, const collected *c)
{
    itc_value **in = ITC_NEW_ARRAY(im->ctx, itc_value *, c->n);
    const int64_t axis = c->axis;
    for (int i = 0; i < c->n; i++) {
        itc_node *n = NULL;
        itc_value *v = c->v[c->backwards ? c->n - 1 - i : i];
        in[i] = itc_onnx_make(im, p, &itc_op_Unsqueeze, 1, &v, &n);
        itc_set_ints(im->g, n, "axes", 1, &axis);
    }
    itc_node *n = NULL;
    itc_value *all = itc_onnx_make(im, p, &itc_op_Concat, c->n, in, &n);
    itc_set_int(im->g, n, "axis", axis);
    return all;
}

static itc_status set_outputs(itc_importer *im, itc_scope *scope, const itc_body_node *p,
                              const itc_binding *state, int n_state, const collected *c)
{
    for (int i = 0; i < p->n_out; i++) {
        if (i < n_state) {
            itc_onnx_set_output(im, scope, p, i, state[i]);
        } else if (c[i - n_state].n == 0) {
            return itc_error(im->ctx, itc_onnx_describe(im, scope, p), ITC_UNSUPPORTED, "E0201",
                             "no round is run, and output %d would have no element", i);
        } else {
            itc_value *v = stack(im, p, &c[i - n_state]);
            itc_onnx_set_output(im, scope, p, i,
                                (itc_binding){.kind = ITC_BIND_TENSOR, .value = v});
        }
    }
    return ITC_OK;
}

static bool collect(itc_importer *im, collected *c, const itc_binding *b)
{
    if (b->kind != ITC_BIND_TENSOR) {
        return false;
    }
    ITC_PUSH(im->ctx, c->v, c->n, c->cap, b->value);
    return true;
}

/* ---- Loop ---- */

typedef struct loop {
    const Onnx__GraphProto *g;
    int64_t trips;
    int n_state, n_scans;
    itc_binding *in, *out; /**< of the body: number, condition, state; condition, state, scans */
    collected *scan;
} loop;

static bool known_operand(itc_importer *im, const itc_body_node *p, int i, int64_t absent,
                          int64_t *out)
{
    *out = absent;
    return i >= p->n_in || p->in[i].kind != ITC_BIND_TENSOR ||
           itc_onnx_known_int(im, p->in[i].value, out);
}

static itc_status check_loop(itc_importer *im, const itc_scope *scope, const itc_body_node *p,
                             const loop *l)
{
    const int n_in = (int)l->g->n_input, n_out = (int)l->g->n_output;
    if (n_in != l->n_state + 2 || n_out < l->n_state + 1 || p->n_out > n_out - 1) {
        return itc_error(im->ctx, itc_onnx_describe(im, scope, p), ITC_PARSE, "E0208",
                         "%d values are carried, and the body has %d inputs and %d outputs",
                         l->n_state, n_in, n_out);
    }
    return ITC_OK;
}

/** One round; *go says whether the next is to follow. */
static itc_status loop_round(itc_importer *im, itc_scope *scope, const itc_body_node *p, loop *l,
                             int64_t round, const char **refusal, int64_t *go)
{
    l->in[0] =
        (itc_binding){.kind = ITC_BIND_TENSOR, .value = make_ints(im, "iteration", 0, round)};
    ITC_TRY(run_round(im, scope, p, l->g, l->in, l->out));
    if (l->out[0].kind != ITC_BIND_TENSOR || !itc_onnx_known_int(im, l->out[0].value, go)) {
        *refusal = "whose condition depends on data";
    }
    for (int i = 0; i < l->n_state; i++) {
        l->in[2 + i] = l->out[1 + i];
    }
    for (int i = 0; i < l->n_scans; i++) {
        if (!collect(im, &l->scan[i], &l->out[1 + l->n_state + i])) {
            *refusal = "that collects what is no tensor";
        }
    }
    return ITC_OK;
}

static itc_status expand_loop(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    loop l = {.g = body_of(scope, p, "body"), .n_state = p->n_in > 2 ? p->n_in - 2 : 0};
    int64_t go = 1;
    const char *refusal = NULL;
    if (!l.g) {
        return no_body(im, scope, p, "body");
    }
    ITC_TRY(check_loop(im, scope, p, &l));
    if (!known_operand(im, p, 0, INT64_MAX, &l.trips) || !known_operand(im, p, 1, 1, &go)) {
        return itc_onnx_refuse(im, scope, p, "whose trip count is not known when compiling");
    }
    l.n_scans = (int)l.g->n_output - 1 - l.n_state;
    l.in = ITC_NEW_ARRAY(im->ctx, itc_binding, l.g->n_input);
    l.out = ITC_NEW_ARRAY(im->ctx, itc_binding, l.g->n_output);
    l.scan = ITC_NEW_ARRAY(im->ctx, collected, l.n_scans);
    itc_tensor *yes = itc_tensor_new(im->ctx, ITC_BOOL, 0, NULL);
    *(uint8_t *)yes->data = 1;
    l.in[1] =
        (itc_binding){.kind = ITC_BIND_TENSOR, .value = itc_onnx_make_const(im, "condition", yes)};
    for (int i = 0; i < l.n_state; i++) {
        l.in[2 + i] = p->in[2 + i];
    }
    for (int64_t k = 0; k < l.trips && go != 0 && !refusal; k++) {
        ITC_TRY(loop_round(im, scope, p, &l, k, &refusal, &go));
    }
    return refusal ? itc_onnx_refuse(im, scope, p, refusal)
                   : set_outputs(im, scope, p, l.in + 2, l.n_state, l.scan);
}

/* ---- Scan ---- */

typedef struct scan {
    const Onnx__GraphProto *g;
    int n_state, n_in, n_out; /**< n_in and n_out: scanned */
    int64_t length;
    int *axis; /**< of each scanned input */
    bool *backwards;
    itc_binding *in, *out;
    collected *result;
} scan;

/** Element `at` of v along an axis, which goes. */
static itc_value *element(itc_importer *im, const itc_body_node *p, itc_value *v, int64_t axis,
                          int64_t at)
{
    itc_node *n = NULL;
    itc_value *x = itc_onnx_make(im, p, &itc_op_Slice, 1, &v, &n);
    itc_set_ints(im->g, n, "starts", 1, &at);
    itc_set_ints(im->g, n, "ends", 1, &(int64_t){at + 1});
    itc_set_ints(im->g, n, "axes", 1, &axis);
    x = itc_onnx_make(im, p, &itc_op_Squeeze, 1, &x, &n);
    itc_set_ints(im->g, n, "axes", 1, &axis);
    return x;
}

static int64_t list_at(const itc_scope *scope, const itc_body_node *p, const char *name, int i)
{
    size_t n = 0;
    const int64_t *v = itc_onnx_attr_ints(scope, p->proto, name, &n);
    return (size_t)i < n ? v[i] : 0;
}

/** The axes' common length; a refusal where it is not known. */
static const char *find_length(itc_importer *im, const itc_scope *scope, const itc_body_node *p,
                               scan *s)
{
    s->length = -1;
    for (int i = 0; i < s->n_in; i++) {
        const itc_binding *b = &p->in[s->n_state + i];
        itc_type type;
        const itc_tensor *unused = NULL;
        if (b->kind != ITC_BIND_TENSOR || !itc_onnx_examine(im, b->value, &type, &unused)) {
            return "of a value whose extents are not known when compiling";
        }
        const int64_t axis = list_at(scope, p, "scan_input_axes", i);
        if (axis < -type.rank || axis >= type.rank) {
            return "along an axis that its operand does not have";
        }
        s->axis[i] = (int)(axis < 0 ? axis + type.rank : axis);
        s->backwards[i] = list_at(scope, p, "scan_input_directions", i) != 0;
        const itc_dim d = type.dim[s->axis[i]];
        if (d.batch || (s->length >= 0 && d.size != s->length)) {
            return d.batch ? "over the rows N" : "of operands of different lengths";
        }
        s->length = d.size;
    }
    return s->n_in > 0 ? NULL : "without a scanned operand";
}

static itc_status scan_rounds(itc_importer *im, itc_scope *scope, const itc_body_node *p, scan *s,
                              const char **refusal)
{
    for (int64_t k = 0; k < s->length; k++) {
        for (int i = 0; i < s->n_in; i++) {
            const int64_t at = s->backwards[i] ? s->length - 1 - k : k;
            s->in[s->n_state + i] =
                (itc_binding){.kind = ITC_BIND_TENSOR,
                              .value = element(im, p, p->in[s->n_state + i].value, s->axis[i], at)};
        }
        ITC_TRY(run_round(im, scope, p, s->g, s->in, s->out));
        for (int i = 0; i < s->n_state; i++) {
            s->in[i] = s->out[i];
        }
        for (int i = 0; i < s->n_out; i++) {
            if (!collect(im, &s->result[i], &s->out[s->n_state + i])) {
                *refusal = "that collects what is no tensor";
            }
        }
    }
    return ITC_OK;
}

static itc_status expand_scan(itc_importer *im, itc_scope *scope, const itc_body_node *p)
{
    scan s = {.g = body_of(scope, p, "body")};
    s.n_in = (int)itc_onnx_attr_int(scope, p->proto, "num_scan_inputs", 0);
    s.n_state = p->n_in - s.n_in;
    if (!s.g) {
        return no_body(im, scope, p, "body");
    }
    if (im->opset < 9) {
        return itc_onnx_refuse(im, scope, p, "of opset 8 (from 9 on)");
    }
    s.n_out = (int)s.g->n_output - s.n_state;
    if (s.n_in < 0 || s.n_state < 0 || (int)s.g->n_input != p->n_in || s.n_out < 0 ||
        p->n_out > (int)s.g->n_output) {
        return itc_error(im->ctx, itc_onnx_describe(im, scope, p), ITC_PARSE, "E0208",
                         "%d inputs and %d outputs, and the body has %zu and %zu", p->n_in,
                         p->n_out, s.g->n_input, s.g->n_output);
    }
    s.axis = ITC_NEW_ARRAY(im->ctx, int, s.n_in);
    s.backwards = ITC_NEW_ARRAY(im->ctx, bool, s.n_in);
    s.in = ITC_NEW_ARRAY(im->ctx, itc_binding, p->n_in);
    s.out = ITC_NEW_ARRAY(im->ctx, itc_binding, s.g->n_output);
    s.result = ITC_NEW_ARRAY(im->ctx, collected, s.n_out);
    for (int i = 0; i < s.n_state; i++) {
        s.in[i] = p->in[i];
    }
    for (int i = 0; i < s.n_out; i++) {
        s.result[i].axis = (int)list_at(scope, p, "scan_output_axes", i);
        s.result[i].backwards = list_at(scope, p, "scan_output_directions", i) != 0;
    }
    const char *refusal = find_length(im, scope, p, &s);
    if (!refusal) {
        ITC_TRY(scan_rounds(im, scope, p, &s, &refusal));
    }
    return refusal ? itc_onnx_refuse(im, scope, p, refusal)
                   : set_outputs(im, scope, p, s.in, s.n_state, s.result);
}

itc_onnx_expand itc_onnx_find_control(const itc_importer *im, const char *domain, const char *type)
{
    (void)im;
    static const struct {
        const char *type;
        itc_onnx_expand expand;
    } table[] = {{"If", expand_if}, {"Loop", expand_loop}, {"Scan", expand_scan}};
    for (size_t i = 0; domain[0] == '\0' && i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(table[i].type, type) == 0) {
            return table[i].expand;
        }
    }
    return NULL;
}
