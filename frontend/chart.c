/*
 * Charts have a fixed size in their own units and are scaled by the page. Long series are thinned
 * to a point every pixel: the mean of those that fall on it.
 */
#include "frontend/chart.h"

#include <math.h>
#include <string.h>

enum { WIDTH = 760, HEIGHT = 320, LEFT = 68, RIGHT = 14, TOP = 34, BOTTOM = 46, TICKS = 5 };
enum { PLOT_W = WIDTH - LEFT - RIGHT, PLOT_H = HEIGHT - TOP - BOTTOM };

/* Beyond this an axis has nothing to tell, and differences would overflow. */
static const double HUGE_Y = 1e30;

typedef struct axes {
    double x0, x1, y0, y1;
    double x_tick, y_tick;
} axes;

void itc_html_add(itc_strbuf *out, const char *text)
{
    for (const char *c = text; *c; c++) {
        switch (*c) {
        case '<':
            itc_strbuf_add(out, "&lt;");
            break;
        case '>':
            itc_strbuf_add(out, "&gt;");
            break;
        case '&':
            itc_strbuf_add(out, "&amp;");
            break;
        case '"':
            itc_strbuf_add(out, "&quot;");
            break;
        case '\'':
            itc_strbuf_add(out, "&#39;");
            break;
        default:
            if ((unsigned char)*c < 32 || *c == 127) {
                itc_strbuf_add(out, "\xef\xbf\xbd");
            } else {
                itc_strbuf_add_n(out, c, 1);
            }
        }
    }
}

const char *itc_html_count(itc_ctx *ctx, int64_t n)
{
    char digits[24], text[32];
    const int length = snprintf(digits, sizeof digits, "%lld", (long long)n);
    int at = 0;
    for (int i = 0; i < length; i++) {
        const bool sign = digits[0] == '-';
        if (i > (sign ? 1 : 0) && (length - i) % 3 == 0) {
            text[at++] = ',';
        }
        text[at++] = digits[i];
    }
    return itc_strndup(ctx, text, (size_t)at);
}

const char *itc_html_bytes(itc_ctx *ctx, double bytes)
{
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int k = 0;
    while (k < 4 && bytes >= 1024) {
        bytes /= 1024;
        k++;
    }
    return itc_format(ctx, k > 0 && bytes < 100 ? "%.1f %s" : "%.0f %s", bytes, unit[k]);
}

static double clamped(double y)
{
    return y > HUGE_Y ? HUGE_Y : y < -HUGE_Y ? -HUGE_Y : y;
}

/* 1, 2 or 5 times a power of ten, so that about TICKS of them fit. */
static double nice_tick(double span)
{
    const double raw = span / TICKS, power = pow(10, floor(log10(raw)));
    const double times = raw / power;
    return power * (times <= 1 ? 1 : times <= 2 ? 2 : times <= 5 ? 5 : 10);
}

/* The same in powers of two, so that labels are whole units. */
static double nice_bytes(double span)
{
    double tick = 1;
    while (tick * (TICKS + 1) < span) {
        tick *= 2;
    }
    return tick;
}

static bool find_axes(const itc_chart *c, axes *a)
{
    bool any = false;
    *a = (axes){0};
    for (int pass = 0; pass < 2 && !any; pass++) {
        for (int s = 0; s < c->n_series; s++) {
            const itc_series *f = &c->series[s];
            if (pass == 0 && f->style == ITC_SERIES_FAINT) {
                continue;
            }
            for (int i = 0; i < f->n; i++) {
                const double x = f->x[i], y = clamped(f->y[i]);
                const double end = f->style == ITC_SERIES_AREA ? x + 1 : x;
                a->x0 = any && a->x0 < x ? a->x0 : x;
                a->x1 = any && a->x1 > end ? a->x1 : end;
                a->y0 = any && a->y0 < y ? a->y0 : y;
                a->y1 = any && a->y1 > y ? a->y1 : y;
                any = true;
            }
        }
    }
    if (!any) {
        return false;
    }
    a->y0 = c->from_zero && a->y0 > 0 ? 0 : a->y0;
    if (!(a->x1 - a->x0 > 0)) {
        a->x0 -= 1;
        a->x1 += 1;
    }
    const double small = fabs(a->y1) * 1e-6 + 1e-12;
    if (a->y1 - a->y0 < small) {
        a->y1 += small;
    }
    a->x_tick = nice_tick(a->x1 - a->x0);
    a->y_tick = c->bytes ? nice_bytes(a->y1 - a->y0) : nice_tick(a->y1 - a->y0);
    a->y0 = floor(a->y0 / a->y_tick) * a->y_tick;
    a->y1 = ceil(a->y1 / a->y_tick) * a->y_tick;
    return true;
}

static double place_x(const axes *a, double x)
{
    return LEFT + PLOT_W * (x - a->x0) / (a->x1 - a->x0);
}

static double place_y(const axes *a, double y)
{
    return TOP + PLOT_H * (a->y1 - clamped(y)) / (a->y1 - a->y0);
}

static const char *y_label(const itc_chart *c, itc_ctx *ctx, double y)
{
    if (c->bytes) {
        return itc_html_bytes(ctx, y);
    }
    return c->percent ? itc_format(ctx, "%.5g %%", y * 100) : itc_format(ctx, "%.4g", y);
}

static const char *x_label(itc_ctx *ctx, double x)
{
    return fabs(x) < 1e15 && x == floor(x) ? itc_html_count(ctx, (int64_t)x)
                                           : itc_format(ctx, "%.4g", x);
}

static void draw_grid(const itc_chart *c, const axes *a, itc_strbuf *out)
{
    /* Counted, not summed: at the end of a double's range a sum of ticks may stand still. */
    const int rows = (int)lround((a->y1 - a->y0) / a->y_tick);
    for (int i = 0; i <= rows; i++) {
        const double value = a->y0 + i * a->y_tick;
        const double y = place_y(a, value);
        itc_strbuf_printf(out,
                          "<path class=\"grid\" d=\"M%d %.1fH%d\"/>"
                          "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
                          LEFT, y, LEFT + PLOT_W, LEFT - 8, y + 4,
                          y_label(c, out->ctx, fabs(value) < a->y_tick / 1e6 ? 0 : value));
    }
    const double first = ceil(a->x0 / a->x_tick) * a->x_tick;
    const int columns = (int)floor((a->x1 - first) / a->x_tick + 1e-9);
    for (int i = 0; i <= columns && c->x_title; i++) {
        const double value = first + i * a->x_tick;
        itc_strbuf_printf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
                          place_x(a, value), TOP + PLOT_H + 18, x_label(out->ctx, value));
    }
    if (c->x_title) {
        itc_strbuf_printf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">", LEFT + PLOT_W / 2,
                          HEIGHT - 8);
        itc_html_add(out, c->x_title);
        itc_strbuf_add(out, "</text>\n");
    }
}

static void draw_bands(const itc_chart *c, const axes *a, itc_strbuf *out)
{
    for (int i = 0; i < c->n_bands; i++) {
        const double x0 = place_x(a, c->bands[i].x0), x1 = place_x(a, c->bands[i].x1);
        itc_strbuf_printf(out,
                          "<rect class=\"band%d\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" "
                          "height=\"%d\"><title>",
                          i % 2, x0, TOP, x1 - x0, PLOT_H);
        itc_html_add(out, c->bands[i].label);
        itc_strbuf_add(out, "</title></rect>");
        if (x1 - x0 >= 8.0 * (double)strlen(c->bands[i].label)) {
            itc_strbuf_printf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">",
                              (x0 + x1) / 2, TOP + PLOT_H + 18);
            itc_html_add(out, c->bands[i].label);
            itc_strbuf_add(out, "</text>");
        }
        itc_strbuf_add(out, "\n");
    }
}

static void draw_line(const itc_series *s, const axes *a, itc_strbuf *out)
{
    itc_strbuf_printf(out, "<path class=\"s%d %s\" d=\"", s->color % 8,
                      s->style == ITC_SERIES_FAINT ? "faint" : "line");
    for (int i = 0, next = 0; i < s->n; i = next) {
        const double pixel = floor(place_x(a, s->x[i]));
        double sum_x = 0, sum_y = 0;
        for (next = i; next < s->n && floor(place_x(a, s->x[next])) <= pixel; next++) {
            sum_x += place_x(a, s->x[next]);
            sum_y += place_y(a, s->y[next]);
        }
        itc_strbuf_printf(out, "%s%.1f %.1f", i > 0 ? "L" : "M", sum_x / (next - i),
                          sum_y / (next - i));
    }
    itc_strbuf_add(out, "\"/>\n");
}

static void draw_marks(const itc_chart *c, const itc_series *s, const axes *a, itc_strbuf *out)
{
    for (int i = 0; i < s->n; i++) {
        itc_strbuf_printf(out, "<circle class=\"s%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"><title>",
                          s->color % 8, place_x(a, s->x[i]), place_y(a, s->y[i]));
        itc_html_add(out, s->label);
        itc_strbuf_printf(out, ": %s at %s</title></circle>\n", y_label(c, out->ctx, s->y[i]),
                          x_label(out->ctx, s->x[i]));
    }
}

/* Point i holds from x[i] to x[i] + 1. */
static void draw_area(const itc_series *s, const axes *a, itc_strbuf *out)
{
    itc_strbuf_printf(out, "<path class=\"s%d area\" d=\"M%.1f %d", s->color % 8,
                      place_x(a, s->x[0]), TOP + PLOT_H);
    for (int i = 0; i < s->n; i++) {
        itc_strbuf_printf(out, "V%.1fH%.1f", place_y(a, s->y[i]), place_x(a, s->x[i] + 1));
    }
    itc_strbuf_printf(out, "V%dZ\"/>\n", TOP + PLOT_H);
}

static void draw_series(const itc_chart *c, const axes *a, bool faint, itc_strbuf *out)
{
    for (int i = 0; i < c->n_series; i++) {
        const itc_series *s = &c->series[i];
        if (s->n == 0 || (s->style == ITC_SERIES_FAINT) != faint) {
            continue;
        }
        if (s->style == ITC_SERIES_AREA) {
            draw_area(s, a, out);
            continue;
        }
        draw_line(s, a, out);
        if (s->style == ITC_SERIES_MARKS) {
            draw_marks(c, s, a, out);
        }
    }
}

void itc_chart_svg(const itc_chart *c, itc_strbuf *out)
{
    axes a;
    if (!find_axes(c, &a)) {
        return;
    }
    /* Faint curves may leave the axes' range: the inner svg cuts them off. */
    itc_strbuf_printf(out, "<svg class=\"chart\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"",
                      WIDTH, HEIGHT);
    itc_html_add(out, c->title);
    itc_strbuf_printf(out, "\">\n<text class=\"title\" x=\"%d\" y=\"18\">", LEFT);
    itc_html_add(out, c->title);
    itc_strbuf_printf(out, "</text>\n");
    draw_bands(c, &a, out);
    draw_grid(c, &a, out);
    itc_strbuf_printf(out,
                      "<svg x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" "
                      "viewBox=\"%d %d %d %d\">\n",
                      LEFT, TOP, PLOT_W, PLOT_H, LEFT, TOP, PLOT_W, PLOT_H);
    draw_series(c, &a, true, out);
    itc_strbuf_add(out, "</svg>\n");
    draw_series(c, &a, false, out);
    itc_strbuf_add(out, "</svg>\n");
}
