#include "ir/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool itc_is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '/';
}

void itc_text_string(itc_strbuf *b, const char *s)
{
    const size_t n = strlen(s);
    itc_strbuf_add(b, "\"");
    for (size_t i = 0; i < n;) {
        const size_t len = itc_utf8_length(s + i, n - i);
        if (s[i] == '"' || s[i] == '\\') {
            itc_strbuf_printf(b, "\\%c", s[i]);
        } else if (s[i] == '\n') {
            itc_strbuf_add(b, "\\n");
        } else if (s[i] == '\t') {
            itc_strbuf_add(b, "\\t");
        } else if (len == 0 || (unsigned char)s[i] < 0x20 || s[i] == 0x7f) {
            itc_strbuf_printf(b, "\\x%02x", (unsigned)(unsigned char)s[i]);
        } else {
            itc_strbuf_add_n(b, s + i, len);
        }
        i += len > 0 ? len : 1;
    }
    itc_strbuf_add(b, "\"");
}

void itc_text_name(itc_strbuf *b, char sigil, const char *name)
{
    /* @7 would be an exponent's slot. */
    bool plain = name[0] != '\0' && !(sigil == '@' && name[0] >= '0' && name[0] <= '9');
    for (const char *p = name; *p != '\0'; p++) {
        plain = plain && itc_is_name_byte(*p);
    }
    itc_strbuf_add_n(b, &sigil, 1);
    if (plain) {
        itc_strbuf_add(b, name);
    } else {
        itc_text_string(b, name);
    }
}

/** The shortest of %.1g … %.17g (or %.9g) that reads back as v, which is finite. */
static void shortest(char *text, size_t size, double v, bool single)
{
    const int most = single ? 9 : 17;
    for (int digits = 1; digits <= most; digits++) {
        (void)snprintf(text, size, "%.*g", digits, v);
        if (single ? strtof(text, NULL) == (float)v : strtod(text, NULL) == v) {
            return;
        }
    }
}

void itc_text_number(itc_strbuf *b, double v)
{
    char text[40];
    if (isnan(v)) {
        itc_strbuf_add(b, "nan");
    } else if (isinf(v)) {
        itc_strbuf_add(b, v < 0 ? "-inf" : "inf");
    } else {
        shortest(text, sizeof text, v, false);
        itc_strbuf_add(b, text);
    }
}

void itc_text_double(itc_strbuf *b, double v)
{
    if (isnan(v) || isinf(v)) {
        itc_text_number(b, v);
        return;
    }
    char text[40];
    char narrow[40];
    shortest(text, sizeof text, v, false);
    if (fabs(v) <= 3.4028234663852886e38 && (double)(float)v == v) {
        shortest(narrow, sizeof narrow, v, true);
        if (strlen(narrow) + 1 < strlen(text)) {
            itc_strbuf_printf(b, "%sf", narrow);
            return;
        }
    }
    itc_strbuf_add(b, text);
    itc_strbuf_add(b, strpbrk(text, ".e") ? "" : ".0");
}

void itc_text_float(itc_strbuf *b, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    if (isnan(v) && bits != 0x7fc00000u) {
        itc_strbuf_printf(b, "nan(0x%08x)", (unsigned)bits);
    } else if (isnan(v) || isinf(v)) {
        itc_text_number(b, (double)v);
    } else {
        char text[40];
        shortest(text, sizeof text, (double)v, true);
        itc_strbuf_add(b, text);
    }
}

void itc_text_hex(itc_strbuf *b, const uint8_t *bytes, int n)
{
    for (int i = 0; i < n; i++) {
        itc_strbuf_printf(b, "%02x", (unsigned)bytes[i]);
    }
}

const char *itc_symbol_name(itc_symbol s)
{
    switch (s) {
    case ITC_SYM_LR:
        return "lr";
    case ITC_SYM_INV_N:
        return "inv_n";
    case ITC_SYM_NONE:
        break;
    }
    return "";
}

void itc_text_coef(itc_strbuf *b, itc_coef c)
{
    if (c.symbol == ITC_SYM_NONE) {
        itc_text_number(b, c.value);
        return;
    }
    if (c.value == -1.0) {
        itc_strbuf_add(b, "-");
    } else if (c.value != 1.0) {
        itc_text_number(b, c.value);
        itc_strbuf_add(b, "*");
    }
    itc_strbuf_add(b, itc_symbol_name(c.symbol));
}

void itc_text_site(itc_strbuf *b, uint32_t site)
{
    const itc_role role = (itc_role)(site >> 4 & 15);
    itc_strbuf_printf(b, "#%u.%s", (unsigned)(site >> 8),
                      role < ITC_ROLE_COUNT ? itc_role_name(role) : "none");
    if ((site & 15) != 0) {
        itc_strbuf_printf(b, ".%u", (unsigned)(site & 15));
    }
}

static void sum(itc_strbuf *b, const itc_exp *e)
{
    for (int i = 0; i < e->n_terms; i++) {
        const bool minus = (e->minus >> i & 1) != 0;
        itc_strbuf_printf(b, "%s@%d",
                          minus   ? (i > 0 ? " - " : "-")
                          : i > 0 ? " + "
                                  : "",
                          e->term[i]);
    }
    const long long offset = e->offset;
    if (e->n_terms == 0) {
        itc_strbuf_printf(b, "%lld", offset);
    } else if (offset != 0) {
        itc_strbuf_printf(b, " %c %lld", offset < 0 ? '-' : '+', offset < 0 ? -offset : offset);
    }
}

void itc_text_exp(itc_strbuf *b, const itc_exp *e)
{
    const bool slot = e->slot >= 0;
    if (e->kind == ITC_EXP_OPEN) {
        itc_strbuf_add(b, "?");
    } else if (e->kind == ITC_EXP_FIT) {
        itc_strbuf_add(b, "@");
        itc_strbuf_printf(b, slot ? "%d" : "?", e->slot);
    } else if (e->kind == ITC_EXP_SUM) {
        /* Without a slot of its own a sum of slots is bracketed: e=@3 would be one that fits. */
        const bool brackets = !slot && e->n_terms > 0;
        if (slot) {
            itc_strbuf_printf(b, "@%d = ", e->slot);
        }
        itc_strbuf_add(b, brackets ? "(" : "");
        sum(b, e);
        itc_strbuf_add(b, brackets ? ")" : "");
    }
}

const void *itc_tensor_bytes(itc_ctx *ctx, const itc_tensor *t)
{
    const uint16_t probe = 1;
    uint8_t first;
    memcpy(&first, &probe, 1);
    const size_t size = itc_dtype_size(t->dtype);
    if (first == 1 || size == 1) {
        return t->data;
    }
    const size_t n = (size_t)t->count * size;
    uint8_t *copy = itc_alloc(ctx, n);
    for (size_t i = 0; i < n; i++) {
        copy[i] = ((const uint8_t *)t->data)[i / size * size + (size - 1 - i % size)];
    }
    return copy;
}
