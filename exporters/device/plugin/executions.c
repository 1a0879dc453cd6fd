/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin of QEMU's (its interface of version 1: QEMU 4.2 to 8) that counts how often each instruction runs
   between two addresses of a firmware, and how often another than the next in memory followed. Whenever the
   firmware reaches a third address what was counted since the last time is written as a record. Arguments:
   from=, to=, record= (those addresses, hexadecimal) and out= (a file). A record is lines of "address times
   left" and an empty one. */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of qemu-plugin.h, which Debian does not package. */
#define EXPORTED __attribute__((visibility("default")))
typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { INLINE_ADD = 0, NO_REGISTERS = 0 };
typedef void (*translated)(qemu_plugin_id_t, struct qemu_plugin_tb*);
typedef void (*executed)(unsigned int core, void*);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, translated);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb*, executed, int registers, void*);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn*, executed, int registers, void*);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn*, int operation, void*, uint64_t);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb*);
struct qemu_plugin_insn* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb*, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn*);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn*);
EXPORTED int qemu_plugin_version = 1;
EXPORTED int qemu_plugin_install(qemu_plugin_id_t, const void* machine, int count, char** arguments);

/* An instruction: counted since the last start, and from start to end since the last record. */
typedef struct {
  uint64_t address;
  uint64_t times, left;
  uint64_t recorded_times, recorded_left;
} counter;

#define SLOTS 262144U /* a power of two, far more than a firmware has instructions */
static counter counters[SLOTS];
static uint32_t used[SLOTS]; /* those that are taken, in order */
static size_t used_count;

/* A stretch of code without branches but at its end. */
typedef struct {
  uint64_t first, behind;
  counter* last;
} stretch;

static const stretch* previous; /* what ran last since the start */
static uint64_t from_address, to_address, record_address;
static bool counting;
static FILE* out;

static counter* counter_of(uint64_t address) {
  uint32_t slot = (uint32_t)(address / 2 * 2654435761U) & (SLOTS - 1);
  while (counters[slot].address != 0 && counters[slot].address != address + 1)
    slot = (slot + 1) & (SLOTS - 1);
  if (counters[slot].address == 0) {
    if (used_count == SLOTS / 2) abort();
    counters[slot].address = address + 1; /* 0 is an address too */
    used[used_count++] = slot;
  }
  return &counters[slot];
}

static void start(unsigned int core, void* none) {
  (void)core, (void)none;
  for (size_t i = 0; i < used_count; ++i) counters[used[i]].times = counters[used[i]].left = 0;
  previous = NULL;
  counting = true;
}

static void stop(unsigned int core, void* none) {
  (void)core, (void)none;
  if (!counting) return;
  for (size_t i = 0; i < used_count; ++i) {
    counter* c = &counters[used[i]];
    c->recorded_times += c->times;
    c->recorded_left += c->left;
  }
  counting = false;
}

static void record(unsigned int core, void* none) {
  (void)core, (void)none;
  for (size_t i = 0; i < used_count; ++i) {
    counter* c = &counters[used[i]];
    if (c->recorded_times == 0) continue;
    fprintf(out, "%" PRIx64 " %" PRIu64 " %" PRIu64 "\n", c->address - 1, c->recorded_times,
            c->recorded_left);
    c->recorded_times = c->recorded_left = 0;
  }
  fputc('\n', out);
  fflush(out);
}

static void run_stretch(unsigned int core, void* which) {
  const stretch* s = which;
  (void)core;
  if (previous != NULL && previous->behind != s->first) ++previous->last->left;
  previous = s;
}

static void watch(struct qemu_plugin_insn* instruction, uint64_t address) {
  executed at = NULL;
  if (address == from_address) at = start;
  if (address == to_address) at = stop;
  if (address == record_address) at = record;
  if (at != NULL) qemu_plugin_register_vcpu_insn_exec_cb(instruction, at, NO_REGISTERS, NULL);
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb* block) {
  const size_t count = qemu_plugin_tb_n_insns(block);
  stretch* s = malloc(sizeof *s); /* as long as the emulator runs */
  (void)id;
  if (s == NULL) abort();
  for (size_t i = 0; i < count; ++i) {
    struct qemu_plugin_insn* instruction = qemu_plugin_tb_get_insn(block, i);
    const uint64_t address = qemu_plugin_insn_vaddr(instruction);
    counter* c = counter_of(address);
    if (i == 0) s->first = address;
    s->last = c;
    s->behind = address + qemu_plugin_insn_size(instruction);
    watch(instruction, address);
    qemu_plugin_register_vcpu_insn_exec_inline(instruction, INLINE_ADD, &c->times, 1);
  }
  qemu_plugin_register_vcpu_tb_exec_cb(block, run_stretch, NO_REGISTERS, s);
}

static bool take(const char* argument) {
  const char* value = strchr(argument, '=');
  if (value == NULL) return false;
  ++value;
  if (strncmp(argument, "out=", 4) == 0) {
    out = fopen(value, "w");
    return out != NULL;
  }
  uint64_t* address = NULL;
  if (strncmp(argument, "from=", 5) == 0) address = &from_address;
  if (strncmp(argument, "to=", 3) == 0) address = &to_address;
  if (strncmp(argument, "record=", 7) == 0) address = &record_address;
  if (address == NULL) return false;
  *address = strtoull(value, NULL, 16);
  return true;
}

int qemu_plugin_install(qemu_plugin_id_t id, const void* machine, int count, char** arguments) {
  (void)machine;
  for (int i = 0; i < count; ++i) {
    if (!take(arguments[i])) {
      fprintf(stderr, "executions: cannot take '%s'\n", arguments[i]);
      return -1;
    }
  }
  if (out == NULL) return -1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
  return 0;
}
