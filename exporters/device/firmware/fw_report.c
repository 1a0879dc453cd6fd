/* SPDX-License-Identifier: Apache-2.0 */
#include "fw_report.h"

#include "fw_counter.h"
#include "fw_semihosting.h"

#define CALIBRATION_ROUNDS 64U

static void write_text(uint32_t file, const char *text) {
  uint32_t n = 0;
  while (text[n] != 0) ++n;
  (void)semihosting_write(file, text, n);
}

void report_line(uint32_t file, const char *key, uint32_t value) {
  char digits[12];
  char *first = digits + sizeof digits;
  *--first = 0;
  *--first = '\n';
  do {
    *--first = (char)('0' + value % 10U);
    value /= 10U;
  } while (value != 0);
  write_text(file, key);
  write_text(file, "=");
  write_text(file, first);
}

uint32_t report_miscounted(void) {
  uint32_t stack[8];
  uint32_t miscounted = 0;
  counter_start();
  for (counter_rounds = 1; counter_rounds <= CALIBRATION_ROUNDS; ++counter_rounds) {
    miscounted += counted_call(counter_loop, stack + 8) != counter_loop_instructions(counter_rounds);
  }
  return miscounted;
}
