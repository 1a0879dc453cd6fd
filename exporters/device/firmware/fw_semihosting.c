/* SPDX-License-Identifier: Apache-2.0 */
#include "fw_semihosting.h"

#include "fw_isa.h"

#define SYS_OPEN 0x01
#define SYS_CLOSE 0x02
#define SYS_WRITE 0x05
#define SYS_READ 0x06
#define SYS_EXIT_EXTENDED 0x20
#define APPLICATION_EXIT 0x20026

static uint32_t length(const char *text) {
  uint32_t n = 0;
  while (text[n] != 0) ++n;
  return n;
}

uint32_t semihosting_open(const char *name, open_mode mode) {
  const uint32_t arguments[3] = {(uint32_t)name, (uint32_t)mode, length(name)};
  const uint32_t file = isa_trap(SYS_OPEN, arguments);
  if (file == UINT32_MAX) semihosting_exit(EXIT_NO_FILE);
  return file;
}

void semihosting_close(uint32_t file) { (void)isa_trap(SYS_CLOSE, &file); }

uint32_t semihosting_read(uint32_t file, void *bytes, uint32_t count) {
  const uint32_t arguments[3] = {file, (uint32_t)bytes, count};
  return count - isa_trap(SYS_READ, arguments);
}

uint32_t semihosting_write(uint32_t file, const void *bytes, uint32_t count) {
  const uint32_t arguments[3] = {file, (uint32_t)bytes, count};
  return count - isa_trap(SYS_WRITE, arguments);
}

void semihosting_exit(int code) {
  const uint32_t arguments[2] = {APPLICATION_EXIT, (uint32_t)code};
  for (;;) (void)isa_trap(SYS_EXIT_EXTENDED, arguments);
}
