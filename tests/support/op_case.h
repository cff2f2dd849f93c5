/**
 * Cases of operators in a short notation: operands "f32[N,2]" (an input), "=2N,-1" (a constant
 * list of i64), "=s3" (a constant i64 scalar); attributes "axis=1;pads=0,1".
 */
#ifndef ITC_TESTS_SUPPORT_OP_CASE_H
#define ITC_TESTS_SUPPORT_OP_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ir/op.h"
#include "ir/ops/util.h"
#include "passes/pass.h"

#define MAX_IN 5

static inline itc_graph *new_graph(int opset)
{
    itc_graph *g = itc_graph_new(itc_ctx_new(), "t");
    g->opset = opset;
    itc_setting_set(g, (itc_attr){.name = "batch", .kind = ITC_ATTR_INT, .u.i = 64});
    return g;
}

static inline void free_graph(itc_graph *g)
{
    itc_ctx_free(g->ctx);
}

/** "3", "N", "2N", "-1" */
static inline itc_dim parse_dim(const char **s)
{
    char *end = NULL;
    itc_dim d = {strtol(*s, &end, 10), false};
    if (end == *s) {
        d.size = 1;
    }
    d.batch = *end == 'N';
    *s = end + d.batch;
    return d;
}

static inline int parse_dims(const char *s, itc_dim *dim)
{
    int n = 0;
    while (*s && *s != ']') {
        dim[n++] = parse_dim(&s);
        s += *s == ',';
    }
    return n;
}

static inline itc_type parse_type(const char *s)
{
    const char *open = strchr(s, '[');
    itc_type t = itc_type_scalar(ITC_F32);
    assert_true(itc_dtype_parse(s, (size_t)(open - s), &t.dtype));
    t.rank = (uint8_t)parse_dims(open + 1, t.dim);
    return t;
}

static inline itc_value *list_value(itc_graph *g, const char *s)
{
    itc_dim dim[16];
    const bool scalar = *s == 's';
    const int n = parse_dims(s + scalar, dim);
    const int64_t count = n;
    itc_tensor *t = itc_tensor_new(g->ctx, ITC_I64, scalar ? 0 : 1, &count);
    for (int i = 0; i < n; i++) {
        assert_true(itc_tensor_set_int(g->ctx, t, i, dim[i].size, dim[i].batch));
    }
    return itc_const_new(g, "c", t);
}

static inline itc_value *operand(itc_graph *g, const char *s)
{
    if (!s || !*s) {
        return NULL;
    }
    return *s == '=' ? list_value(g, s + 1) : itc_value_new(g, ITC_VALUE_INPUT, "x", parse_type(s));
}

/** "axis=1;pads=0,1;auto_pad=VALID", each of the kind that the row states. */
static inline void set_attrs(itc_graph *g, itc_node *n, const char *text)
{
    char *copy = itc_strdup(g->ctx, text ? text : "");
    for (char *p = copy; *p;) {
        char *eq = strchr(p, '='), *end = eq + strcspn(eq, ";");
        const char *next = *end ? end + 1 : end;
        *eq = *end = '\0';
        const itc_attr_spec *a = n->op->attrs;
        while (a->name && strcmp(a->name, p) != 0) {
            a++;
        }
        assert_non_null(a->name);
        int64_t v[16];
        itc_dim dim[16];
        if (a->kind == ITC_ATTR_STRING) {
            itc_set_string(g, n, p, eq + 1);
        } else if (a->kind == ITC_ATTR_FLOAT) {
            itc_set_float(g, n, p, strtod(eq + 1, NULL));
        } else if (a->kind == ITC_ATTR_INT) {
            itc_set_int(g, n, p, strtol(eq + 1, NULL, 10));
        } else {
            const int count = parse_dims(eq + 1, dim);
            for (int i = 0; i < count; i++) {
                v[i] = dim[i].size;
            }
            itc_set_ints(g, n, p, count, v);
        }
        p = copy + (next - copy);
    }
}

static inline itc_node *add_node(itc_graph *g, const char *op, int n_in, itc_value *const *in,
                                 const char *attrs)
{
    const itc_op_def *def = itc_op_named(op);
    assert_non_null(def);
    itc_node *n = itc_node_new(g, def, NULL, n_in, in, 1);
    set_attrs(g, n, attrs);
    return n;
}

/** Through the shape pass with v as the model's output; what stands for it afterwards. */
static inline itc_value *run_shape(itc_graph *g, itc_value *v)
{
    g->n_outputs = 0;
    ITC_PUSH(g->ctx, g->outputs, g->n_outputs, g->cap_outputs, ((itc_output){"y", v}));
    return itc_pass_shape(g) == ITC_OK ? g->outputs[0].value : NULL;
}

typedef struct infer_case {
    const char *op;
    const char *in[MAX_IN];
    const char *attrs;
    const char *want; /**< a type, or the id of an error */
    int opset;        /**< 0: 17 */
} infer_case;

static inline void check_case(const infer_case *c)
{
    itc_graph *g = new_graph(c->opset ? c->opset : 17);
    itc_value *in[MAX_IN] = {NULL};
    int n_in = 0;
    for (int i = 0; i < MAX_IN; i++) {
        in[i] = operand(g, c->in[i]);
        n_in = in[i] ? i + 1 : n_in;
    }
    const itc_value *y = run_shape(g, add_node(g, c->op, n_in, in, c->attrs)->out[0]);
    const char *got = y                            ? itc_type_text(g->ctx, &y->type)
                      : itc_diag_count(g->ctx) > 0 ? itc_diag_get(g->ctx, 0)->id
                                                   : "no error";
    if (strcmp(got, c->want) != 0) {
        fail_msg("%s(%s, %s) %s: got %s, expected %s", c->op, c->in[0] ? c->in[0] : "",
                 c->in[1] ? c->in[1] : "", c->attrs ? c->attrs : "", got, c->want);
    }
    free_graph(g);
}

#define CHECK_CASES(cases)                                                                         \
    (void)state;                                                                                   \
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {                                  \
        check_case(&cases[i]);                                                                     \
    }

#endif
