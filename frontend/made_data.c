#include "frontend/made_data.h"

#include <stdlib.h>
#include <string.h>

#include "frontend/zip.h"

enum { MAX_SAMPLES = 1 << 20, MAX_IDS = 1 << 30, NEIGHBOURS = 8 };

typedef struct maker {
    itc_ctx *ctx;
    const itr_model *m;
    int64_t samples, ids, classes;
} maker;

/** splitmix64 (Steele, Lea, Flood 2014) of three numbers: upper 32 bits. */
static uint32_t mix(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t z = a * 0x9E3779B97F4A7C15u + b * 0xD1B54A32D192ED03u + c * 0x2545F4914F6CDD1Du;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (uint32_t)((z ^ (z >> 31)) >> 32);
}

static int64_t class_of(const maker *k, int64_t sample)
{
    return sample % k->classes;
}

/** 512 times an element of a float input. */
static int64_t input_value(const maker *k, int port, int64_t sample, int64_t at)
{
    const uint64_t c = (uint64_t)class_of(k, sample), p = (uint64_t)port;
    const uint32_t pattern = mix(2 * p, c + 1, (uint64_t)(at / NEIGHBOURS)) & 255;
    const uint32_t noise = mix(2 * p + 1, (uint64_t)sample + 1, (uint64_t)at) & 255;
    return 3 * (int64_t)pattern + (int64_t)noise - 510;
}

static int64_t input_id(const maker *k, int port, int64_t sample, int64_t at)
{
    const uint64_t c = (uint64_t)class_of(k, sample), p = (uint64_t)port;
    const uint32_t other = mix(2 * p + 1, (uint64_t)sample + 1, (uint64_t)at);
    const uint32_t own = mix(2 * p, c + 1, (uint64_t)at);
    if (k->m->inputs[port].elements == 1 && k->m->input_count > 1) {
        return (int64_t)c % k->ids;
    }
    return (other & 3 ? own : other >> 2) % (uint32_t)k->ids;
}

static int64_t id_of(const maker *k, bool is_input, int port, int64_t sample, int64_t at)
{
    if (is_input) {
        return input_id(k, port, sample, at);
    }
    const int64_t n = k->m->targets[port].classes;
    return class_of(k, sample) % (n > 0 ? n : 2);
}

static float value_of(const maker *k, bool is_input, int port, int64_t sample, int64_t at)
{
    return is_input ? (float)input_value(k, port, sample, at) / 512.0F
                    : (float)(2 * class_of(k, sample) + 1) / (float)(2 * k->classes);
}

/** The header of an npy file, version 1.0: a text of a multiple of 64 bytes. */
static void npy_header(itc_strbuf *b, const itr_port_info *p, int64_t samples)
{
    itc_strbuf text;
    itc_strbuf_init(&text, b->ctx);
    itc_strbuf_printf(&text, "{'descr': '%s', 'fortran_order': False, 'shape': (%lld,",
                      p->is_ids ? "<i4" : "<f4", (long long)samples);
    for (int i = 0; i < p->rank; i++) {
        itc_strbuf_printf(&text, " %lld,", (long long)p->dims[i]);
    }
    itc_strbuf_add(&text, "), }");
    while ((10 + text.len + 1) % 64 != 0) {
        itc_strbuf_add(&text, " ");
    }
    itc_strbuf_add(&text, "\n");
    const char length[2] = {(char)(text.len & 255), (char)(text.len >> 8)};
    itc_strbuf_add_n(b, "\x93NUMPY\x01\x00", 8);
    itc_strbuf_add_n(b, length, 2);
    itc_strbuf_add_n(b, text.text, text.len);
}

static void put_le32(itc_strbuf *b, uint32_t v)
{
    const char byte[4] = {(char)(v & 255), (char)(v >> 8 & 255), (char)(v >> 16 & 255),
                          (char)(v >> 24)};
    itc_strbuf_add_n(b, byte, 4);
}

static void make_array(const maker *k, itc_zip *zip, bool is_input, int port)
{
    const itr_port_info *p = is_input ? &k->m->inputs[port] : &k->m->targets[port];
    itc_strbuf b;
    itc_strbuf_init(&b, k->ctx);
    npy_header(&b, p, k->samples);
    for (int64_t i = 0; i < k->samples; i++) {
        for (int64_t j = 0; j < p->elements; j++) {
            uint32_t bits = (uint32_t)(p->is_ids ? id_of(k, is_input, port, i, j) : 0);
            if (!p->is_ids) {
                const float v = value_of(k, is_input, port, i, j);
                memcpy(&bits, &v, sizeof bits);
            }
            put_le32(&b, bits);
        }
    }
    itc_zip_add(zip, itc_format(k->ctx, "%s.npy", p->name), b.text, b.len);
}

bool itc_made_data_is(const char *spec)
{
    return strncmp(spec, "made", 4) == 0 && (spec[4] == 0 || spec[4] == ':');
}

static itc_status parse(maker *k, const char *spec)
{
    for (const char *p = spec + 4 + (spec[4] == ':'); *p;) {
        const size_t n = strcspn(p, ",");
        int64_t *to = strncmp(p, "samples=", 8) == 0 ? &k->samples
                      : strncmp(p, "ids=", 4) == 0   ? &k->ids
                                                     : NULL;
        const char *number = memchr(p, '=', n);
        char *end = NULL;
        const long long v = number ? strtoll(number + 1, &end, 10) : 0;
        if (!to || end != p + n || v < 1 || v > (to == &k->samples ? MAX_SAMPLES : MAX_IDS)) {
            return itc_error(k->ctx, NULL, ITC_RANGE, "E0613",
                             "data \"%s\": expected made[:samples=N][,ids=N]", spec);
        }
        *to = v;
        p += n + (p[n] == ',');
    }
    return ITC_OK;
}

itc_status itc_made_data_write(itc_ctx *ctx, const itr_model *m, const char *spec, const char *path)
{
    maker k = {.ctx = ctx, .m = m, .samples = 64, .ids = 10, .classes = 8};
    itc_zip zip;
    ITC_TRY(parse(&k, spec));
    for (int i = m->target_count; i-- > 0;) {
        const int64_t n = m->targets[i].classes;
        k.classes = n <= 0 ? k.classes : n < 10 ? n : 10;
    }
    itc_zip_init(&zip, ctx);
    for (int i = 0; i < m->input_count; i++) {
        make_array(&k, &zip, true, i);
    }
    for (int i = 0; i < m->target_count; i++) {
        make_array(&k, &zip, false, i);
    }
    return itc_zip_write(&zip, path);
}
