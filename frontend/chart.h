/**
 * Line charts as inline SVG. Colours are the page's CSS classes s0 … s7 (a stroke each), so that
 * light and dark pages share one drawing.
 */
#ifndef ITC_FRONTEND_CHART_H
#define ITC_FRONTEND_CHART_H

#include "ir/base.h"

typedef enum itc_series_style {
    ITC_SERIES_LINE,
    ITC_SERIES_FAINT, /**< behind the others, and no part of the axes' range */
    ITC_SERIES_MARKS, /**< a line with a dot and a tooltip a point */
    ITC_SERIES_AREA   /**< steps from x to x + 1, filled down to the axis */
} itc_series_style;

typedef struct itc_series {
    const char *label; /**< in tooltips; escaped here */
    const double *x, *y;
    int n;
    int color;
    itc_series_style style;
} itc_series;

/** A vertical band with a caption, from x0 to x1. */
typedef struct itc_band {
    const char *label;
    double x0, x1;
} itc_band;

typedef struct itc_chart {
    const char *title;
    const char *x_title; /**< NULL: no labels on the x axis */
    const itc_series *series;
    int n_series;
    const itc_band *bands;
    int n_bands;
    bool from_zero; /**< the y axis starts at 0 */
    bool percent;   /**< y is a fraction, shown as a percentage */
    bool bytes;     /**< y is a number of bytes */
} itc_chart;

/** Appends one <svg> element; nothing where no series has a point. */
void itc_chart_svg(const itc_chart *c, itc_strbuf *out);

/** Appends text with <, >, &, and quotes as entities, control characters as U+FFFD. */
void itc_html_add(itc_strbuf *out, const char *text);
/** "12.3 MiB", "640 B" */
const char *itc_html_bytes(itc_ctx *ctx, double bytes);
/** "1,234,567" */
const char *itc_html_count(itc_ctx *ctx, int64_t n);

#endif
