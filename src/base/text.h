/* SPDX-License-Identifier: MIT */
/* Text from files made fit for a terminal, for JSON and for a log. */
#ifndef KS_BASE_TEXT_H
#define KS_BASE_TEXT_H

#include <time.h>

/* UTC as RFC 3339 has it, "2026-11-23T18:21:45Z", for strftime() and strptime(). */
#define KS_TEXT_TIME "%Y-%m-%dT%H:%M:%SZ"

enum { KS_TEXT_TIME_SIZE = 32 };

/* TIME in that form; empty for one that has none. */
void ks_text_time(time_t time, char text[KS_TEXT_TIME_SIZE]);

/*
 * A copy of RAW in which control characters (C0, DEL, C1), bytes that are no UTF-8 and the
 * bidirectional and line-separating format characters stand as \xNN, one per byte, and a
 * backslash as two.  The same for terminals and JSON, so that one rule gives the bytes back.
 * The caller frees it; NULL when out of memory.
 */
char *ks_text_escape(const char *raw);

#endif
