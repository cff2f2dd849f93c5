/**
 * The command line as a table (commands.def, options.def): parsing, checks, and the settings that
 * options become in a graph.
 */
#ifndef ITC_FRONTEND_OPTIONS_H
#define ITC_FRONTEND_OPTIONS_H

#include "ir/ir.h"

typedef enum itc_command {
#define COMMAND(id, least, most, args, summary, example) ITC_CMD_##id,
#include "frontend/commands.def"
#undef COMMAND
    ITC_CMD_COUNT
} itc_command;

typedef struct itc_command_def {
    const char *name;
    int least, most; /**< arguments */
    const char *args, *summary, *example;
} itc_command_def;

typedef enum itc_option {
#define OPTION(id, ...) ITC_OPT_##id,
#include "frontend/options.def"
#undef OPTION
    ITC_OPT_COUNT
} itc_option;

typedef enum itc_option_kind { ITC_OPTION_FLAG, ITC_OPTION_VALUE, ITC_OPTION_LIST } itc_option_kind;
typedef enum itc_setting_kind {
    ITC_SETTING_NONE,
    ITC_SETTING_INT,
    ITC_SETTING_STRING
} itc_setting_kind;

typedef struct itc_option_def {
    const char *id, *name;
    char letter; /**< 0: none */
    itc_option_kind kind;
    const char *arg, *otherwise;
    itc_setting_kind setting;
    itc_stage stage;   /**< graphs of this stage or later have used the setting */
    uint32_t commands; /**< bit i: command i takes it */
    /** Whether the value can be taken; records a diagnostic where not. */
    itc_status (*check)(itc_ctx *ctx, const struct itc_option_def *d, const char *value);
    const char *help;
} itc_option_def;

const itc_command_def *itc_command_at(int i); /**< NULL past the end */
const itc_option_def *itc_option_at(int i);   /**< NULL past the end */
bool itc_option_of(const itc_option_def *d, itc_command c);

/** What was given; strings live as long as the context. */
typedef struct itc_options {
    itc_ctx *ctx;
    itc_command command;
    bool given[ITC_OPT_COUNT];
    const char *value[ITC_OPT_COUNT]; /**< given or the default; flags: "1" or "" */
    int n_args;
    const char **args;
} itc_options;

/** Nothing given. */
void itc_options_init(itc_options *o, itc_ctx *ctx, itc_command command);
/** Sets one option by its long name, as if given on the command line. E0602 … E0605. */
ITC_NODISCARD itc_status itc_options_set(itc_options *o, const char *name, const char *value);
/** argv[0] is the first argument after the command's name. E0602 … E0606. */
ITC_NODISCARD itc_status itc_options_parse(itc_options *o, int argc, char **argv);
/** E0601. The command of this name. */
ITC_NODISCARD itc_status itc_command_parse(itc_ctx *ctx, const char *name, itc_command *out);

bool itc_options_flag(const itc_options *o, itc_option id);
/** The value of an option that its check found to be an integer or a size. */
int64_t itc_options_int(const itc_options *o, itc_option id);

/** A fresh import: every option that is a setting becomes one of the graph. */
void itc_options_apply(const itc_options *o, itc_graph *g);
/**
 * A graph that was read as text has its own settings: an option that was given replaces one unless
 * the graph's stage has used it already (E0607).
 */
ITC_NODISCARD itc_status itc_options_apply_late(const itc_options *o, itc_graph *g);

/** "4096", "64K" (1000), "64KiB" (1024), … up to G; false: something else, or beyond int64. */
bool itc_parse_bytes(const char *text, int64_t *out);
/** "WxH", each from 1 to 4096. */
bool itc_parse_extent(const char *text, int *w, int *h);
/** The name nearest to `found` among n, if it looks like a misspelling; else NULL. */
const char *itc_nearest(const char *found, const char *const *names, int n);

#endif
