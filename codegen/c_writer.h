/**
 * Call records as C: the header, the source and the parts of both that are peculiar to a model.
 */
#ifndef ITC_CODEGEN_C_WRITER_H
#define ITC_CODEGEN_C_WRITER_H

#include "codegen/model.h"
#include "codegen/names.h"

typedef struct itc_c_writer itc_c_writer;

ITC_NODISCARD itc_status itc_c_writer_new(const itc_program *p, itc_model_info *info,
                                          const char *stem, itc_c_writer **out);
const itc_names *itc_c_writer_names(const itc_c_writer *w);
/** True: some record calls this kernel. */
bool itc_c_uses_kernel(const itc_c_writer *w, const itc_kernel *k);
/** True: some record calls its kernel, and the program may run where it exists. */
bool itc_c_uses_variant(const itc_c_writer *w, const itc_variant *v);

/** prepare, forward_backward, update, infer_one, score_one: what goldens look at. */
ITC_NODISCARD itc_status itc_c_body(itc_c_writer *w, itc_strbuf *b);
/* What fills the holes of templates/model.h.in and model.c.in, see c_tables.c. */
void itc_c_kernel_fields(itc_c_writer *w, itc_strbuf *b); /**< members of MODEL_kernels */
void itc_c_kernel_fill(itc_c_writer *w, itc_strbuf *b);   /**< assignments of the kernels */
void itc_c_state_fields(itc_c_writer *w, itc_strbuf *b);  /**< members of MODEL_state */
void itc_c_constants(itc_c_writer *w, itc_strbuf *b);     /**< static const arrays */
void itc_c_model_tables(itc_c_writer *w, itc_strbuf *b);  /**< ports, tensors */
void itc_c_model_fields(itc_c_writer *w, itc_strbuf *b);  /**< initialiser of MODEL_model */
void itc_c_copy_outputs(itc_c_writer *w, itc_strbuf *b);  /**< body of copy_outputs */

/** `(void)parameter;` unless the text of a function uses the parameter. */
void itc_c_mention(itc_strbuf *b, const char *text, const char *parameter);

struct itc_c_writer {
    itc_ctx *ctx;
    const itc_graph *g;
    const itc_program *p;
    const itc_model_info *info;
    itc_names *names;
    bool is_small;     /**< --target cortex-m: no kernels for instruction sets, no threads */
    bool *kernel_used; /**< by position in the table of kernels */
    bool *const_used;  /**< by value id: constants that some record reads */
    itc_strbuf
        *loops;  /**< functions of loops that threads share, before the function that is written */
    int n_loops; /**< how many there are so far */
    itc_status status; /**< the first failure while writing */
};

/** How the bytes of v are named in a section function, `act_conv1` or `s->w_fc1`. */
const char *itc_c_pointer(itc_c_writer *w, const itc_value *v);
/** `&s->e[3]`, `&c->in[0].exponent`, `&(const int32_t){-15}` or NULL. */
const char *itc_c_exponent_pointer(itc_c_writer *w, const itc_value *v);

#endif
