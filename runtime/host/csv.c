#include "csv.h"

#include "decimal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    const char *name;
    const char *p;
    const char *end;
    int64_t line;
    const char *label;
    itr_csv *out;
    size_t room; /* of out->values */
    itr_message *m;
} reader;

typedef struct field {
    const char *text;
    size_t size;
    bool quoted;
    bool last; /* of its line */
} field;

static int fail_at(reader *r, const char *id, int64_t column, const char *text)
{
    return itr_fail(r->m, ITR_EXIT_INPUT, id,
                    "file \"%s\": line %" PRId64 ", column %" PRId64 ": %s", r->name, r->line,
                    column, text);
}

static bool end_of_field(const reader *r)
{
    return r->p == r->end || *r->p == ',' || *r->p == '\n' || *r->p == '\r';
}

/* Steps over the comma or the end of the line that ends a field. */
static void end_field(reader *r, field *f)
{
    f->last = r->p == r->end || *r->p != ',';
    if (r->p < r->end && *r->p == '\r' && r->p + 1 < r->end && r->p[1] == '\n') {
        r->p++;
    }
    r->p += r->p < r->end;
}

static void trim(field *f)
{
    while (f->size > 0 && (f->text[0] == ' ' || f->text[0] == '\t')) {
        f->text++;
        f->size--;
    }
    while (f->size > 0 && (f->text[f->size - 1] == ' ' || f->text[f->size - 1] == '\t')) {
        f->size--;
    }
}

/* A doubled quote stays doubled: no number holds one, and names are compared with that in mind. */
static int next_field(reader *r, int64_t column, field *f)
{
    f->quoted = r->p < r->end && *r->p == '"';
    f->text = r->p;
    if (!f->quoted) {
        while (!end_of_field(r)) {
            r->p++;
        }
        f->size = (size_t)(r->p - f->text);
        trim(f);
        end_field(r, f);
        return 0;
    }
    const int64_t line = r->line;
    f->text = ++r->p;
    for (;; r->p++) {
        if (r->p == r->end) {
            r->line = line;
            return fail_at(r, "E0512", column, "the quoted field does not end");
        }
        r->line += *r->p == '\n';
        if (*r->p == '"') {
            if (r->p + 1 == r->end || r->p[1] != '"') {
                break;
            }
            r->p++;
        }
    }
    f->size = (size_t)(r->p++ - f->text);
    if (!end_of_field(r)) {
        return fail_at(r, "E0512", column, "text follows the closing quote");
    }
    trim(f);
    end_field(r, f);
    return 0;
}

static bool same_name(const field *f, const char *name)
{
    size_t i = 0;
    for (; i < f->size && *name; i++, name++) {
        if (f->text[i] != *name) {
            return false;
        }
        i += f->quoted && *name == '"';
    }
    return i == f->size && !*name;
}

static bool at_blank_line(const reader *r)
{
    return r->p < r->end && (*r->p == '\n' || *r->p == '\r');
}

static void skip_blank_lines(reader *r)
{
    while (at_blank_line(r)) {
        r->line += *r->p == '\n';
        r->p++;
    }
}

/* The first line: counts the columns, says whether it is a header, finds the label in it. */
static int read_first_line(reader *r, bool *header, int64_t *label)
{
    field f = {NULL, 0, false, false};
    *header = false;
    *label = -1;
    while (!f.last) {
        itr_scalar x;
        const int code = next_field(r, r->out->columns, &f);
        if (code != 0) {
            return code;
        }
        *header = *header || !itr_parse_scalar_n(f.text, f.size, &x);
        if (r->label && *label < 0 && same_name(&f, r->label)) {
            *label = r->out->columns;
        }
        r->out->columns++;
    }
    r->line++;
    return 0;
}

static int find_label(reader *r, bool header, int64_t named)
{
    uint64_t index = 0;
    if (!r->label) {
        r->out->label = r->out->columns - 1;
    } else if (header && named >= 0) {
        r->out->label = named;
    } else if (itr_parse_unsigned(r->label, INT64_MAX, &index) &&
               (int64_t)index < r->out->columns) {
        r->out->label = (int64_t)index;
    } else {
        return itr_fail(r->m, ITR_EXIT_INPUT, "E0514",
                        "file \"%s\": no column \"%s\" among its %" PRId64 " columns", r->name,
                        r->label, r->out->columns);
    }
    return 0;
}

static int read_row(reader *r)
{
    const size_t columns = (size_t)r->out->columns;
    const size_t used = (size_t)r->out->rows * columns;
    if (r->room - used < columns) {
        const size_t room = r->room * 2 + columns;
        itr_scalar *more =
            room > SIZE_MAX / sizeof *more ? NULL : realloc(r->out->values, room * sizeof *more);
        if (!more) {
            return itr_fail_memory(r->m);
        }
        r->out->values = more;
        r->room = room;
    }
    field f = {NULL, 0, false, false};
    const int64_t line = r->line;
    for (size_t i = 0; !f.last; i++) {
        const int code = next_field(r, (int64_t)i, &f);
        if (code != 0) {
            return code;
        }
        if (i == columns || (f.last && i + 1 < columns)) {
            r->line = line;
            return itr_fail(r->m, ITR_EXIT_INPUT, "E0512",
                            "file \"%s\": line %" PRId64 " has %s than %" PRId64 " fields", r->name,
                            r->line, f.last && i < columns ? "fewer" : "more", r->out->columns);
        }
        if (!itr_parse_scalar_n(f.text, f.size, &r->out->values[used + i])) {
            return itr_fail(r->m, ITR_EXIT_INPUT, "E0516",
                            "file \"%s\": line %" PRId64 ", column %zu: \"%.*s\" is no number",
                            r->name, line, i, f.size < 40 ? (int)f.size : 40, f.text);
        }
    }
    r->line++;
    r->out->rows++;
    return 0;
}

int itr_csv_parse(const char *name, const uint8_t *bytes, size_t size, const char *label,
                  itr_csv *out, itr_message *m)
{
    memset(out, 0, sizeof *out);
    const char *text = (const char *)bytes;
    const size_t mark = size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    reader r = {name, text + mark, text + size, 1, label, out, 0, m};
    skip_blank_lines(&r);
    const char *start = r.p;
    const int64_t line = r.line;
    bool header = false;
    int64_t named = -1;
    int code = read_first_line(&r, &header, &named);
    if (code == 0) {
        code = find_label(&r, header, named);
    }
    if (!header) {
        r.p = start;
        r.line = line;
    }
    skip_blank_lines(&r);
    while (code == 0 && r.p < r.end) {
        code = read_row(&r);
        skip_blank_lines(&r);
    }
    if (code == 0 && out->rows == 0) {
        code = itr_fail(m, ITR_EXIT_INPUT, "E0514", "file \"%s\": it has no rows", name);
    }
    return code;
}
