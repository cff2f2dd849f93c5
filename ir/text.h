/** Pieces of the text form that print.c, parse.c and the other printers share. */
#ifndef ITC_IR_TEXT_H
#define ITC_IR_TEXT_H

#include "ir/op.h"

/** Tensors of more elements print as blob(…). */
#define ITC_INLINE_ELEMENTS 16
/** Alignment of a tensor within the side file. */
#define ITC_BLOB_ALIGN 16

/** A byte that needs no quotes in the name of a value: letters, digits, '_', '.', '/'. */
bool itc_is_name_byte(char c);
/** `"text"`: escapes quotes, backslashes, control bytes and whatever is no UTF-8. */
void itc_text_string(itc_strbuf *b, const char *s);
/** %name, or %"name" where it holds other bytes. */
void itc_text_name(itc_strbuf *b, char sigil, const char *name);
/** The shortest text that reads back as the same double: 1, -0.5, 1e-05, inf, nan. */
void itc_text_number(itc_strbuf *b, double v);
/** As itc_text_number, but never mistaken for an integer; 0.1f is what a float rounds 0.1 to. */
void itc_text_double(itc_strbuf *b, double v);
/** The shortest text that reads back as the same float; other NaNs than the usual as nan(0x…). */
void itc_text_float(itc_strbuf *b, float v);
void itc_text_hex(itc_strbuf *b, const uint8_t *bytes, int n);
/** `2*lr` */
void itc_text_coef(itc_strbuf *b, itc_coef c);
/** `#12.dx.1` */
void itc_text_site(itc_strbuf *b, uint32_t site);
/** `@3 + @5 - 30`, `-15`, `@7 = …`, `?`: what follows `e=`. */
void itc_text_exp(itc_strbuf *b, const itc_exp *e);
const char *itc_symbol_name(itc_symbol s);
/** Elements of t in little-endian order: its own data, or a copy on a big-endian host. */
const void *itc_tensor_bytes(itc_ctx *ctx, const itc_tensor *t);

#endif
