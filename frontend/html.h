/**
 * Pages of HTML that need nothing but themselves.
 */
#ifndef ITC_FRONTEND_HTML_H
#define ITC_FRONTEND_HTML_H

#include "ir/base.h"

/** Everything up to the heading, which is within the body. Texts are escaped here. */
void itc_html_head(itc_strbuf *out, const char *title, const char *heading);
#define ITC_HTML_END "</body>\n</html>\n"

#endif
