/**
 * What an exporter notes beside a model's parts ("metadata_props" of ONNX's IR 10 on): torch.export
 * says of each initializer whether it was a parameter or a buffer, or from which ones it was
 * folded, and of each node which module it is of.
 */
#ifndef ITC_FRONTEND_ONNX_NOTES_H
#define ITC_FRONTEND_ONNX_NOTES_H

#include <onnx.pb-c.h>

#include "ir/base.h"

/** Field numbers of metadata_props; newer than some schemas that this is built with. */
enum { ITC_NOTES_OF_VALUE_INFO = 4, ITC_NOTES_OF_NODE = 9 };

/** The note `key` of a message, whose notes are field `field`; NULL: it has none. Memory from
 * `arena`, or the message. */
const char *itc_onnx_note(itc_ctx *arena, const ProtobufCMessage *m, unsigned field,
                          const char *key);

typedef enum itc_onnx_kind { ITC_ONNX_UNTOLD, ITC_ONNX_PARAMETER, ITC_ONNX_BUFFER } itc_onnx_kind;

/** What is noted of an initializer. */
typedef struct itc_onnx_told {
    const char *name;
    itc_onnx_kind kind;
    const char *folded_from; /**< "['a', 'b']": all that it was computed from; NULL: nothing */
} itc_onnx_told;

typedef struct itc_onnx_notes {
    itc_onnx_told *list; /**< sorted by name */
    size_t n;
} itc_onnx_notes;

/** Reads them off a graph's value_info. What was folded from buffers alone is one. */
itc_onnx_notes itc_onnx_read_notes(itc_ctx *arena, const Onnx__GraphProto *g);
/** NULL: nothing is noted of that name. */
const itc_onnx_told *itc_onnx_told_of(const itc_onnx_notes *notes, const char *name);
/** The next name of a list in quotes from *at on, which moves behind it; NULL: no more. */
const char *itc_onnx_next_name(itc_ctx *arena, const char **at);

#endif
