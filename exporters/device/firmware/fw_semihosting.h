/* SPDX-License-Identifier: Apache-2.0 */
/* The few semihosting calls that the firmware needs ("Semihosting for AArch32 and AArch64", release 3; RISC-V
   has the same), and how a run ends. */
#ifndef FW_SEMIHOSTING_H
#define FW_SEMIHOSTING_H

#include <stdint.h>

#define EXIT_OK 0
#define EXIT_NO_FILE 2
#define EXIT_SHORT_FILE 3
#define EXIT_TIMER 4
#define EXIT_FAULT 5

typedef enum { OPEN_READ = 1, OPEN_WRITE = 5 } open_mode; /* "rb", "wb" */

/* A host file in the emulator's working folder; ends the run when there is none. */
uint32_t semihosting_open(const char *name, open_mode mode);
void semihosting_close(uint32_t file);

/* The number of bytes that were read or written. */
uint32_t semihosting_read(uint32_t file, void *bytes, uint32_t count);
uint32_t semihosting_write(uint32_t file, const void *bytes, uint32_t count);

void semihosting_exit(int code) __attribute__((noreturn));

#endif
