#include "message.h"

#include <stdarg.h>
#include <stdio.h>

int itr_fail(itr_message *m, int exit_code, const char *id, const char *format, ...)
{
    if (m->exit_code == 0) {
        m->exit_code = exit_code;
        snprintf(m->id, sizeof m->id, "%s", id);
        va_list args;
        va_start(args, format);
        vsnprintf(m->text, sizeof m->text, format, args);
        va_end(args);
    }
    return m->exit_code;
}

int itr_fail_memory(itr_message *m)
{
    return itr_fail(m, ITR_EXIT_SYSTEM, "E0541", "out of memory");
}
