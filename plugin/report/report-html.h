/* Copyright (c) 2026 dovecot-pop3-policy authors
   SPDX-License-Identifier: LGPL-2.1-or-later

   A report as one HTML file that asks nobody for anything. */
#ifndef REPORT_HTML_H
#define REPORT_HTML_H

#include "report-data.h"

/* The whole page, a new string. TITLE and all names are shown as text, whatever
   they contain. */
char *report_html(const struct report *report, const char *title);

#endif
