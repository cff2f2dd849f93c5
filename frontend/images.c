#include "frontend/images.h"

#include <dirent.h>
#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* after stdio.h, which it needs */
#include <jpeglib.h>

enum { MAX_EXTENT = 1 << 14 };

/** One picture: rows of pixels, channels side by side. */
typedef struct picture {
    int width, height;
    unsigned char *pixels; /**< malloc */
} picture;

static itc_status bad_picture(itc_ctx *ctx, const char *path, const char *what)
{
    return itc_error(ctx, NULL, ITC_PARSE, "E0611", "picture %s: %s", path, what);
}

static itc_status read_png(itc_ctx *ctx, const char *path, int channels, picture *out)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    if (!png_image_begin_read_from_file(&image, path)) {
        return bad_picture(ctx, path, itc_strdup(ctx, image.message));
    }
    if (image.width > MAX_EXTENT || image.height > MAX_EXTENT) {
        png_image_free(&image);
        return bad_picture(ctx, path, "it is larger than 16384 pixels a side");
    }
    const png_color white = {255, 255, 255};
    image.format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
    out->width = (int)image.width;
    out->height = (int)image.height;
    out->pixels = malloc(PNG_IMAGE_SIZE(image));
    if (!out->pixels || !png_image_finish_read(&image, &white, out->pixels, 0, NULL)) {
        const char *what = out->pixels ? itc_strdup(ctx, image.message) : "out of memory";
        png_image_free(&image);
        return bad_picture(ctx, path, what);
    }
    return ITC_OK;
}

typedef struct jpeg_failure {
    struct jpeg_error_mgr manager; /* first: libjpeg hands it back */
    jmp_buf back;
    char message[JMSG_LENGTH_MAX];
} jpeg_failure;

static void jpeg_fail(j_common_ptr c)
{
    jpeg_failure *f = (jpeg_failure *)(void *)c->err;
    f->manager.format_message(c, f->message);
    longjmp(f->back, 1);
}

static void jpeg_silent(j_common_ptr c, int level)
{
    (void)c;
    (void)level;
}

/* In a function of its own: nothing that is changed here is read after the jump. */
static bool decode_jpeg(FILE *f, int channels, struct jpeg_decompress_struct *d,
                        jpeg_failure *failure, picture *out)
{
    if (setjmp(failure->back)) {
        return false;
    }
    jpeg_create_decompress(d);
    jpeg_stdio_src(d, f);
    (void)jpeg_read_header(d, TRUE);
    d->out_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    d->dct_method = JDCT_ISLOW;
    (void)jpeg_start_decompress(d);
    const size_t row = (size_t)d->output_width * (size_t)channels;
    out->width = (int)d->output_width;
    out->height = (int)d->output_height;
    out->pixels = out->width <= MAX_EXTENT && out->height <= MAX_EXTENT
                      ? malloc(row * (size_t)d->output_height)
                      : NULL;
    if (!out->pixels) {
        (void)snprintf(failure->message, sizeof failure->message, "it is too large");
        return false;
    }
    while (d->output_scanline < d->output_height) {
        JSAMPROW line = out->pixels + row * d->output_scanline;
        (void)jpeg_read_scanlines(d, &line, 1);
    }
    (void)jpeg_finish_decompress(d);
    return true;
}

static itc_status read_jpeg(itc_ctx *ctx, const char *path, int channels, picture *out)
{
    struct jpeg_decompress_struct d = {0};
    jpeg_failure failure = {0};
    FILE *f = fopen(path, "rb");
    if (!f) {
        return bad_picture(ctx, path, strerror(errno));
    }
    d.err = jpeg_std_error(&failure.manager);
    failure.manager.error_exit = jpeg_fail;
    failure.manager.emit_message = jpeg_silent;
    const bool ok = decode_jpeg(f, channels, &d, &failure, out);
    jpeg_destroy_decompress(&d);
    (void)fclose(f);
    return ok ? ITC_OK : bad_picture(ctx, path, itc_strdup(ctx, failure.message));
}

static bool has_ending(const char *name, const char *ending)
{
    const size_t n = strlen(name), k = strlen(ending);
    return n > k && strcasecmp(name + n - k, ending) == 0;
}

static bool is_png(const char *name)
{
    return has_ending(name, ".png");
}

static bool is_picture(const char *name)
{
    return is_png(name) || has_ending(name, ".jpg") || has_ending(name, ".jpeg");
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/** Names in a folder, sorted: sub-folders, or pictures. */
static itc_status list(itc_ctx *ctx, const char *folder, bool folders, const char ***out, int *n)
{
    int cap = 0;
    DIR *d = opendir(folder);
    *n = 0;
    *out = NULL;
    if (!d) {
        return itc_error(ctx, NULL, ITC_IO, "E0001", "cannot open %s: %s", folder, strerror(errno));
    }
    for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
        struct stat st;
        const char *path = itc_format(ctx, "%s/%s", folder, e->d_name);
        if (e->d_name[0] == '.' || stat(path, &st) != 0) {
            continue;
        }
        if (folders ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode) && is_picture(e->d_name)) {
            const char *name = itc_strdup(ctx, e->d_name);
            ITC_PUSH(ctx, *out, *n, cap, name);
        }
    }
    (void)closedir(d);
    if (*n > 0) {
        qsort(*out, (size_t)*n, sizeof **out, by_name);
    }
    return ITC_OK;
}

/** Pixel of a line at a position in 1/65536 of a pixel, half a pixel in being the first centre. */
static void sample(int64_t at, int extent, int *low, int *high, int64_t *weight)
{
    const int64_t last = (int64_t)(extent - 1) << 16;
    at = at < 0 ? 0 : at > last ? last : at;
    *low = (int)(at >> 16);
    *high = *low + 1 < extent ? *low + 1 : *low;
    *weight = at & 65535;
}

/** Bilinear, in integers, into planes [channels, height, width]. */
static void place(const picture *p, const itc_images *to, unsigned char *out)
{
    const int c = to->channels;
    for (int y = 0; y < to->height; y++) {
        int y0, y1, x0, x1;
        int64_t wy, wx;
        sample((((int64_t)(2 * y + 1) * p->height << 15) / to->height) - 32768, p->height, &y0, &y1,
               &wy);
        for (int x = 0; x < to->width; x++) {
            sample((((int64_t)(2 * x + 1) * p->width << 15) / to->width) - 32768, p->width, &x0,
                   &x1, &wx);
            for (int k = 0; k < c; k++) {
                const unsigned char *row0 = p->pixels + (size_t)y0 * (size_t)(p->width * c) + k;
                const unsigned char *row1 = p->pixels + (size_t)y1 * (size_t)(p->width * c) + k;
                const int64_t top = row0[x0 * c] * (65536 - wx) + row0[x1 * c] * wx;
                const int64_t low = row1[x0 * c] * (65536 - wx) + row1[x1 * c] * wx;
                const int64_t v = (top * (65536 - wy) + low * wy + ((int64_t)1 << 31)) >> 32;
                out[((size_t)k * (size_t)to->height + (size_t)y) * (size_t)to->width + (size_t)x] =
                    (unsigned char)v;
            }
        }
    }
}

static itc_status add(itc_ctx *ctx, const char *path, int label, bool resized, itc_images *to)
{
    picture p = {0};
    itc_status s = is_png(path) ? read_png(ctx, path, to->channels, &p)
                                : read_jpeg(ctx, path, to->channels, &p);
    if (s == ITC_OK && to->width == 0) {
        to->width = p.width;
        to->height = p.height;
    }
    if (s == ITC_OK && !resized && (p.width != to->width || p.height != to->height)) {
        s = bad_picture(ctx, path,
                        itc_format(ctx,
                                   "it has %dx%d pixels, the first has %dx%d; --size brings "
                                   "all to one size",
                                   p.width, p.height, to->width, to->height));
    }
    if (s == ITC_OK) {
        const size_t bytes = (size_t)to->channels * (size_t)to->height * (size_t)to->width;
        unsigned char *more = realloc(to->pixels, bytes * (size_t)(to->n + 1));
        int32_t *labels = realloc(to->label, sizeof *labels * (size_t)(to->n + 1));
        to->pixels = more ? more : to->pixels;
        to->label = labels ? labels : to->label;
        if (!more || !labels) {
            s = itc_error(ctx, NULL, ITC_WRITE, "E0541", "out of memory for %lld pictures",
                          (long long)to->n);
        } else {
            place(&p, to, more + bytes * (size_t)to->n);
            labels[to->n++] = label;
        }
    }
    free(p.pixels);
    return s;
}

itc_status itc_images_read(itc_ctx *ctx, const char *folder, int channels, int width, int height,
                           itc_images *out)
{
    const bool resized = width > 0;
    *out = (itc_images){.channels = channels, .width = width, .height = height};
    ITC_TRY(list(ctx, folder, true, &out->class_name, &out->n_classes));
    for (int c = 0; c < out->n_classes; c++) {
        const char **name = NULL;
        int n = 0;
        const char *class_folder = itc_format(ctx, "%s/%s", folder, out->class_name[c]);
        ITC_TRY(list(ctx, class_folder, false, &name, &n));
        for (int i = 0; i < n; i++) {
            ITC_TRY(add(ctx, itc_format(ctx, "%s/%s", class_folder, name[i]), c, resized, out));
        }
    }
    if (out->n == 0) {
        return itc_error(ctx, NULL, ITC_RANGE, "E0611",
                         "%s has no pictures: expected %s/CLASS/NAME.png or .jpg", folder, folder);
    }
    return ITC_OK;
}

void itc_images_free(itc_images *images)
{
    free(images->pixels);
    free(images->label);
    images->pixels = NULL;
    images->label = NULL;
}
