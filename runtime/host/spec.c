#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "data.h"

#include <stdlib.h>
#include <string.h>

static int fail(itr_message *m, const char *item, const char *text)
{
    return itr_fail(m, ITR_EXIT_INPUT, "E0511", "data option \"%s\": %s", item, text);
}

/* "a:b:c" */
static bool parse_ratios(const char *text, itr_ratio *out, int *count)
{
    *count = 0;
    for (;;) {
        const char *colon = strchr(text, ':');
        const size_t n = colon ? (size_t)(colon - text) : strlen(text);
        if (*count == ITR_MAX_CHANNELS || !itr_parse_ratio(text, n, &out[*count])) {
            return false;
        }
        ++*count;
        if (!colon) {
            return true;
        }
        text = colon + 1;
    }
}

/* "crop4:flip" */
static bool parse_augment(char *text, itr_data_spec *spec)
{
    while (text) {
        char *next = strchr(text, ':');
        if (next) {
            *next++ = 0;
        }
        uint64_t pad = 0;
        if (strcmp(text, "flip") == 0) {
            spec->flip = true;
        } else if (strncmp(text, "crop", 4) == 0 && itr_parse_unsigned(text + 4, 1000, &pad) &&
                   pad > 0) {
            spec->crop = (int)pad;
        } else {
            return false;
        }
        text = next;
    }
    return true;
}

static int parse_std(const char *item, const char *value, itr_data_spec *spec, itr_message *m)
{
    bool ok = parse_ratios(value, spec->std, &spec->std_count);
    for (int i = 0; ok && i < spec->std_count; i++) {
        ok = spec->std[i].num > 0;
    }
    return ok ? 0 : fail(m, item, "expected positive numbers with colons between");
}

static int parse_option(char *item, char *value, itr_data_spec *spec, itr_message *m)
{
    uint64_t n = 0;
    if (strcmp(item, "scale") == 0) {
        spec->scale_count = 1;
        if (!itr_parse_ratio(value, strlen(value), &spec->scale) || spec->scale.num == 0) {
            return fail(m, item, "expected a number other than 0, or a fraction such as 1/255");
        }
    } else if (strcmp(item, "mean") == 0) {
        if (!parse_ratios(value, spec->mean, &spec->mean_count)) {
            return fail(m, item, "expected numbers with colons between");
        }
    } else if (strcmp(item, "std") == 0) {
        return parse_std(item, value, spec, m);
    } else if (strcmp(item, "augment") == 0) {
        if (!parse_augment(value, spec)) {
            return fail(m, item, "expected cropN, flip, or both with a colon between");
        }
    } else if (strcmp(item, "shuffle") == 0) {
        if (!itr_parse_unsigned(value, 1, &n)) {
            return fail(m, item, "expected 0 or 1");
        }
        spec->in_order = n == 0;
        spec->shuffle_given = true;
    } else if (strcmp(item, "limit") == 0) {
        if (!itr_parse_unsigned(value, INT64_MAX, &n) || n == 0) {
            return fail(m, item, "expected a number of rows");
        }
        spec->limit = (int64_t)n;
    } else if (strcmp(item, "label") == 0 && spec->kind == ITR_DATA_CSV && *value) {
        spec->label = value;
    } else {
        return fail(m, item,
                    "unknown; expected scale, mean, std, augment, shuffle, limit, or label with "
                    "csv (a file of such a name is written ./NAME)");
    }
    return 0;
}

/* An option is a word of small letters before '='; everything else is a file. */
static char *option_value(char *item)
{
    char *c = item;
    while (*c >= 'a' && *c <= 'z') {
        c++;
    }
    return c > item && *c == '=' ? c : NULL;
}

static int parse_item(char *item, itr_data_spec *spec, itr_message *m)
{
    char *value = option_value(item);
    if (value) {
        *value++ = 0;
        return parse_option(item, value, spec, m);
    }
    if (!*item) {
        return fail(m, item, "a file name is empty");
    }
    if (spec->file_count == ITR_MAX_FILES) {
        return fail(m, item, "too many files");
    }
    spec->files[spec->file_count++] = item;
    return 0;
}

static int check_file_count(const itr_data_spec *spec, const char *text, itr_message *m)
{
    switch (spec->kind) {
    case ITR_DATA_IDX:
        if (spec->file_count != 2) {
            return fail(m, text, "expected idx:IMAGES,LABELS");
        }
        break;
    case ITR_DATA_NPZ:
    case ITR_DATA_CSV:
    case ITR_DATA_TEXT:
        if (spec->file_count != 1) {
            return fail(m, text, "expected one file");
        }
        break;
    case ITR_DATA_CIFAR10:
    case ITR_DATA_NPY:
        if (spec->file_count < 1) {
            return fail(m, text, "expected a file");
        }
        break;
    }
    return 0;
}

int itr_data_spec_parse(const char *text, itr_data_spec *spec, itr_message *m)
{
    static const char *const kinds[] = {"idx:", "cifar10:", "npy:", "npz:", "csv:", "text:"};
    memset(spec, 0, sizeof *spec);
    int kind = 0;
    while (kind < 6 && strncmp(text, kinds[kind], strlen(kinds[kind])) != 0) {
        kind++;
    }
    if (kind == 6) {
        return itr_fail(m, ITR_EXIT_INPUT, "E0511",
                        "data \"%s\": expected idx:, cifar10:, npy:, npz:, csv: or text: and files",
                        text);
    }
    spec->kind = (itr_data_kind)kind;
    spec->storage = strdup(text + strlen(kinds[kind]));
    if (!spec->storage) {
        return itr_fail_memory(m);
    }
    char *item = spec->storage;
    int code = 0;
    while (code == 0 && item) {
        char *next = strchr(item, ',');
        if (next) {
            *next++ = 0;
        }
        code = parse_item(item, spec, m);
        item = next;
    }
    return code == 0 ? check_file_count(spec, text, m) : code;
}

void itr_data_spec_inherit(itr_data_spec *spec, const itr_data_spec *from)
{
    if (!spec->scale_count) {
        spec->scale_count = from->scale_count;
        spec->scale = from->scale;
    }
    if (!spec->mean_count) {
        spec->mean_count = from->mean_count;
        memcpy(spec->mean, from->mean, sizeof spec->mean);
    }
    if (!spec->std_count) {
        spec->std_count = from->std_count;
        memcpy(spec->std, from->std, sizeof spec->std);
    }
    if (!spec->label && spec->kind == from->kind) {
        spec->label = from->label;
    }
}

void itr_data_spec_free(itr_data_spec *spec)
{
    free(spec->storage);
    memset(spec, 0, sizeof *spec);
}
