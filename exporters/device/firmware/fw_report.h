/* SPDX-License-Identifier: Apache-2.0 */
/* Lines "key=value" in a file of the host's. */
#ifndef FW_REPORT_H
#define FW_REPORT_H

#include <stdint.h>

void report_line(uint32_t file, const char *key, uint32_t value);

/* Checks the counter on loops of known length; returns how many were miscounted. */
uint32_t report_miscounted(void);

#endif
