/* What pages have in common: light and dark colours, tables, the classes of charts (chart.h). */
#include "frontend/html.h"

#include "frontend/chart.h"

static const char style[] =
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1f2328;--soft:#59636e;--line:#d8dee4;"
    "--box:#f6f8fa;--c0:#0b62c4;--c1:#c4500b;--c2:#1a7f37;--c3:#8250df;--c4:#bf3989;--c5:#8a6100;"
    "--c6:#0a7480;--c7:#59636e}\n"
    "@media (prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--soft:#9198a1;"
    "--line:#30363d;--box:#161b22;--c0:#58a6ff;--c1:#ff9b57;--c2:#56d364;--c3:#bc8cff;"
    "--c4:#ff7bbf;--c5:#e3b341;--c6:#4ecbd8;--c7:#9198a1}}\n"
    "body{margin:0 auto;max-width:1280px;padding:24px;background:var(--bg);color:var(--fg);"
    "font:15px/1.5 system-ui,sans-serif}\n"
    "h1{font-size:24px;margin:0 0 4px}h2{font-size:18px;margin:28px 0 8px}\n"
    "p,summary{color:var(--soft)}summary{cursor:pointer;margin:10px 0}\n"
    ".row{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,480px),1fr));"
    "gap:20px}\n"
    ".row>div,details{overflow-x:auto}\n"
    "table{border-collapse:collapse;font-size:14px}\n"
    "th,td{padding:4px 14px 4px 0;text-align:left;vertical-align:top;"
    "border-bottom:1px solid var(--line);overflow-wrap:anywhere}\n"
    "th{font-weight:600;white-space:nowrap}\n"
    ".n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\n"
    ".m{font-family:ui-monospace,monospace;font-size:13px}\n"
    "tr.d td{background:var(--box)}\n"
    "svg.spark{background:var(--box);border-radius:4px;vertical-align:middle}\n"
    "svg.chart{width:100%;height:auto;background:var(--box);border-radius:8px}\n"
    ".chart text{font-size:12px;fill:var(--soft)}.chart .title{font-size:14px;fill:var(--fg)}\n"
    ".grid{stroke:var(--line);fill:none}.band0{fill:none;pointer-events:all}"
    ".band1{fill:var(--line);opacity:.35}\n"
    ".line{fill:none;stroke-width:2;stroke-linejoin:round}"
    ".faint{fill:none;stroke-width:1;opacity:.3}\n"
    ".area{stroke-width:1.5;fill-opacity:.25}circle{stroke:none}\n"
    ".key{display:inline-block;width:22px;height:4px;border-radius:2px;margin-right:6px;"
    "vertical-align:middle}\n"
    ".s0{stroke:var(--c0)}.s1{stroke:var(--c1)}.s2{stroke:var(--c2)}.s3{stroke:var(--c3)}"
    ".s4{stroke:var(--c4)}.s5{stroke:var(--c5)}.s6{stroke:var(--c6)}.s7{stroke:var(--c7)}\n"
    "circle.s0,.area.s0{fill:var(--c0)}circle.s1{fill:var(--c1)}circle.s2{fill:var(--c2)}"
    "circle.s3{fill:var(--c3)}circle.s4{fill:var(--c4)}circle.s5{fill:var(--c5)}"
    "circle.s6{fill:var(--c6)}circle.s7{fill:var(--c7)}\n"
    ".k0{background:var(--c0)}.k1{background:var(--c1)}.k2{background:var(--c2)}"
    ".k3{background:var(--c3)}.k4{background:var(--c4)}.k5{background:var(--c5)}"
    ".k6{background:var(--c6)}.k7{background:var(--c7)}\n";

void itc_html_head(itc_strbuf *out, const char *title, const char *heading)
{
    itc_strbuf_add(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                        "<meta name=\"viewport\" content=\"width=device-width, "
                        "initial-scale=1\">\n<title>");
    itc_html_add(out, title);
    itc_strbuf_add(out, "</title>\n<style>\n");
    itc_strbuf_add(out, style);
    itc_strbuf_add(out, "</style>\n</head>\n<body>\n<h1>");
    itc_html_add(out, heading);
    itc_strbuf_add(out, "</h1>\n");
}
