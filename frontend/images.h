/**
 * Folders of pictures as one array.
 */
#ifndef ITC_FRONTEND_IMAGES_H
#define ITC_FRONTEND_IMAGES_H

#include "ir/base.h"

/** n pictures [channels, height, width] of 8 bits, and the class of each. */
typedef struct itc_images {
    int64_t n;
    int channels, height, width;
    unsigned char *pixels;
    int32_t *label;
    int n_classes;
    const char **class_name; /**< the sub-folders, in alphabetical order */
} itc_images;

/**
 * Reads folder/CLASS/PICTURE, PNG and JPEG, classes and files in alphabetical order; other files
 * and names that begin with a dot are passed over. channels is 1 or 3. With width 0 all pictures
 * must have the size of the first, otherwise each is brought to width x height.
 * E0001: a folder; E0611: a picture, or there is none. Free it after a failure as well.
 */
ITC_NODISCARD itc_status itc_images_read(itc_ctx *ctx, const char *folder, int channels, int width,
                                         int height, itc_images *out);
void itc_images_free(itc_images *images);

#endif
