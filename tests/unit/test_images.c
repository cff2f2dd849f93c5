/* Folders of pictures: files written by libpng and libjpeg come back as the pixels they were. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <jpeglib.h>
#include <png.h>

#include "frontend/images.h"

enum { W = 7, H = 5 };

static void fill(unsigned char *pixels, int n, unsigned seed)
{
    for (int i = 0; i < n; i++) {
        seed = seed * 1103515245u + 12345u;
        pixels[i] = (unsigned char)(seed >> 16);
    }
}

static void write_png(const char *path, int w, int h, const unsigned char *rgb)
{
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)w,
                       .height = (png_uint_32)h,
                       .format = PNG_FORMAT_RGB};
    assert_true(png_image_write_to_file(&image, path, 0, rgb, 0, NULL));
}

static void write_jpeg(const char *path, int w, int h, unsigned char gray)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr error;
    unsigned char row[64];
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    memset(row, gray, sizeof row);
    c.err = jpeg_std_error(&error);
    jpeg_create_compress(&c);
    jpeg_stdio_dest(&c, f);
    c.image_width = (JDIMENSION)w;
    c.image_height = (JDIMENSION)h;
    c.input_components = 1;
    c.in_color_space = JCS_GRAYSCALE;
    jpeg_set_defaults(&c);
    jpeg_start_compress(&c, TRUE);
    for (int y = 0; y < h; y++) {
        JSAMPROW line = row;
        assert_int_equal(jpeg_write_scanlines(&c, &line, 1), 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    assert_int_equal(fclose(f), 0);
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
    unsigned char rgb[3 * W * H];
    (void)state;
    const char *const folders[] = {"set", "set/b", "set/a", "mixed", "mixed/x", "bad", "bad/x"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        (void)mkdir(folders[i], 0777);
    }
    fill(rgb, sizeof rgb, 1);
    write_png("set/b/1.png", W, H, rgb);
    fill(rgb, sizeof rgb, 2);
    write_png("set/a/2.PNG", W, H, rgb);
    write_jpeg("set/a/1.jpg", W, H, 200);
    write_text("set/a/notes.txt", "no picture");
    write_text("set/b/.hidden.png", "no picture");
    write_png("mixed/x/1.png", W, H, rgb);
    write_jpeg("mixed/x/2.jpeg", 14, 10, 90);
    write_text("bad/x/1.png", "no picture");
    return 0;
}

static void read_gives_planes_in_order(void **state)
{
    itc_ctx *ctx = itc_ctx_new();
    itc_images m;
    unsigned char rgb[3 * W * H];
    (void)state;
    assert_int_equal(itc_images_read(ctx, "set", 3, 0, 0, &m), ITC_OK);
    assert_int_equal(m.n, 3);
    assert_int_equal(m.n_classes, 2);
    assert_string_equal(m.class_name[0], "a");
    assert_string_equal(m.class_name[1], "b");
    assert_int_equal(m.width, W);
    assert_int_equal(m.height, H);
    const int32_t label[] = {0, 0, 1};
    assert_memory_equal(m.label, label, sizeof label);
    for (int i = 0; i < 3 * W * H; i++) {
        assert_in_range(m.pixels[i], 198, 202); /* a flat JPEG is all but exact */
    }
    for (int k = 1; k < 3; k++) {
        fill(rgb, sizeof rgb, k == 1 ? 2 : 1);
        for (int c = 0; c < 3; c++) {
            for (int i = 0; i < W * H; i++) {
                assert_int_equal(m.pixels[(3 * k + c) * W * H + i], rgb[3 * i + c]);
            }
        }
    }
    itc_images_free(&m);
    itc_ctx_free(ctx);
}

static void resize_keeps_a_ramp(void **state)
{
    itc_ctx *ctx = itc_ctx_new();
    itc_images m;
    unsigned char rgb[3 * 8 * 8];
    (void)state;
    (void)mkdir("ramp", 0777);
    (void)mkdir("ramp/x", 0777);
    for (int i = 0; i < 64; i++) {
        memset(rgb + 3 * i, 10 + 20 * (i % 8), 3);
    }
    write_png("ramp/x/1.png", 8, 8, rgb);
    assert_int_equal(itc_images_read(ctx, "ramp", 1, 16, 4, &m), ITC_OK);
    assert_int_equal(m.channels, 1);
    for (int y = 0; y < 4; y++) {
        for (int x = 0; x < 16; x++) {
            /* centre of pixel x at (x + 0.5) / 2 - 0.5 of the old ones, clamped at the border */
            double at = (x + 0.5) / 2 - 0.5;
            at = at < 0 ? 0 : at > 7 ? 7 : at;
            const double want = 10 + 20 * at;
            assert_true(m.pixels[16 * y + x] - want < 1.5 && want - m.pixels[16 * y + x] < 1.5);
        }
    }
    itc_images_free(&m);
    itc_ctx_free(ctx);
}

static void refused(const char *folder, int width, const char *id, const char *text)
{
    itc_ctx *ctx = itc_ctx_new();
    itc_images m;
    assert_int_not_equal(itc_images_read(ctx, folder, 3, width, width, &m), ITC_OK);
    assert_string_equal(itc_diag_get(ctx, 0)->id, id);
    assert_non_null(strstr(itc_diag_get(ctx, 0)->text, text));
    itc_images_free(&m);
    itc_ctx_free(ctx);
}

static void pictures_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    refused("mixed", 0, "E0611", "mixed/x/2.jpeg: it has 14x10 pixels, the first has 7x5");
    refused("bad", 0, "E0611", "bad/x/1.png");
    refused("bad/x", 0, "E0611", "has no pictures");
    refused("nowhere", 0, "E0001", "nowhere");
}

static void sizes_are_brought_to_one(void **state)
{
    itc_ctx *ctx = itc_ctx_new();
    itc_images m;
    (void)state;
    assert_int_equal(itc_images_read(ctx, "mixed", 3, 3, 2, &m), ITC_OK);
    assert_int_equal(m.n, 2);
    assert_in_range(m.pixels[3 * 3 * 2], 88, 92);
    itc_images_free(&m);
    itc_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_gives_planes_in_order),
        cmocka_unit_test(resize_keeps_a_ramp),
        cmocka_unit_test(pictures_that_do_not_fit_are_refused),
        cmocka_unit_test(sizes_are_brought_to_one),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
