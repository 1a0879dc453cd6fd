/* SPDX-License-Identifier: Apache-2.0 */
/* ATmega2560: samples lie in flash, files go out as text over the serial line, two timers count cycles. The
   firmware and the model share RAM and stack. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/pgmspace.h>
#include <avr/sleep.h>

#include "fw_counter.h"
#include "fw_memory.h"
#include "fw_semihosting.h"
#include "mcufit_fw_model.h"

/* Behind the model's constants, which must lie in the lowest 64 KiB. */
__asm__(
    ".pushsection .text.zz_samples,\"ax\",@progbits\n"
    ".global firmware_samples\n"
    "firmware_samples: .incbin \"inputs.bin\"\n"
    ".balign 2\n"
    ".popsection");
extern const int8_t firmware_samples[];

static uint_farptr_t next_sample;

static void put(char c) {
  while ((UCSR0A & (1 << UDRE0)) == 0) {
  }
  UDR0 = (uint8_t)c;
}

static void put_text(const char *text) {
  while (*text != 0) put(*text++);
}

static char hexadecimal(uint8_t digit) { return (char)(digit < 10 ? '0' + digit : 'a' - 10 + digit); }

/* Inputs are the only file that is read. */
uint32_t semihosting_open(const char *name, open_mode mode) {
  UCSR0B = 1 << TXEN0;
  if (mode == OPEN_READ) next_sample = pgm_get_far_address(firmware_samples);
  return (uint32_t)(uint16_t)name;
}

void semihosting_close(uint32_t file) { (void)file; }

uint32_t semihosting_read(uint32_t file, void *bytes, uint32_t count) {
  uint32_t i;
  (void)file;
  for (i = 0; i < count; ++i) ((uint8_t *)bytes)[i] = pgm_read_byte_far(next_sample++);
  return count;
}

#define LINE_BYTES 32U

/* Each line has the file's name, so that files may take turns. */
uint32_t semihosting_write(uint32_t file, const void *bytes, uint32_t count) {
  uint32_t i;
  for (i = 0; i < count; ++i) {
    const uint8_t byte = ((const uint8_t *)bytes)[i];
    if (i % LINE_BYTES == 0) {
      put_text(i == 0 ? "DATA " : "\nDATA ");
      put_text((const char *)(uint16_t)file);
      put(' ');
    }
    put(hexadecimal(byte >> 4));
    put(hexadecimal(byte & 15));
  }
  put('\n');
  return count;
}

/* Asleep without interrupts the emulator ends; how, the host reads from the file "exit". */
void semihosting_exit(int code) {
  const uint8_t byte = (uint8_t)code;
  (void)semihosting_write((uint32_t)(uint16_t) "exit", &byte, 1);
  cli();
  sleep_enable();
  for (;;) sleep_cpu();
}

/* Timer 1 counts cycles modulo 2^16, timer 3 every 1024 cycles: together 2^26. */
#define FAST 1U
#define EVERY_1024 5U
#define COARSE_CYCLES 1024UL

uint32_t counter_rounds;
static uint32_t overhead;

static uint32_t cycles_of(void (*function)(void)) {
  uint16_t fine, coarse;
  uint32_t estimate, cycles;
  TCCR1A = TCCR1B = TCCR3A = TCCR3B = 0;
  TCNT1 = TCNT3 = 0;
  TIFR3 = 1 << TOV3;
  TCCR3B = EVERY_1024;
  TCCR1B = FAST;
  function();
  fine = TCNT1;
  coarse = TCNT3;
  if ((TIFR3 & (1 << TOV3)) != 0) semihosting_exit(EXIT_TIMER);
  /* The number that ends like `fine` and is nearest to what `coarse` says. */
  estimate = coarse * COARSE_CYCLES;
  cycles = (estimate & 0xFFFF0000UL) | fine;
  if (cycles + 0x8000UL < estimate) cycles += 0x10000UL;
  if (cycles > estimate + 0x8000UL) cycles -= 0x10000UL;
  return cycles;
}

__attribute__((naked, noinline)) static void empty(void) { __asm__ volatile("ret"); }

/* A return takes 5 cycles with this chip's 3-byte addresses. */
void counter_start(void) { overhead = cycles_of(empty) - 5; }

uint32_t counted_call(void (*function)(void), uint32_t *stack_top) {
  (void)stack_top;
  return cycles_of(function) - overhead;
}

/* Up to 255 rounds of 4 cycles, one less where the branch is not taken, 2 to load and 5 to return. */
__attribute__((naked, noinline)) void counter_loop(void) {
  __asm__ volatile(
      "lds r24, counter_rounds\n"
      "1:\n\t"
      "nop\n\t"
      "dec r24\n\t"
      "brne 1b\n\t"
      "ret");
}

uint32_t counter_loop_instructions(uint32_t rounds) { return 4U * rounds + 6U; }

extern uint8_t _end[];

static int8_t sample[MODEL_INPUT_BYTES];
static uint8_t *top; /* of the painted stack */

int8_t *memory_sample(void) { return sample; }

uint32_t *memory_stack_top(void) { return 0; }

/* A few bytes between here and the call of the model count as the model's. */
__attribute__((noinline)) void memory_paint(uint8_t colour) {
  uint8_t *byte;
  uint32_t i;
  for (i = 0; i < MODEL_ARENA_BYTES; ++i) MODEL_ARENA[i] = (int8_t)colour;
  top = (uint8_t *)SP;
  for (byte = _end; byte < top; ++byte) *byte = colour;
}

uint32_t memory_stack_used(uint8_t colour) {
  const uint8_t *low = _end;
  while (low < top && *low == colour) ++low;
  if (low == _end) semihosting_exit(EXIT_FAULT); /* it met the arena */
  return (uint32_t)(top - low);
}

void memory_keep(void) {}

memory_use memory_compare(uint8_t first, uint8_t second) {
  const memory_use unknown = {0, 0};
  (void)first;
  (void)second;
  return unknown;
}

/* After main() returned, with its result in r24 and r25. */
void firmware_end(void);
__attribute__((naked, used, section(".fini8"))) void firmware_end(void) {
  __asm__ volatile("call semihosting_exit");
}
