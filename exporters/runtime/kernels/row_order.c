/* SPDX-License-Identifier: Apache-2.0 */
#include "mcufit_runtime.h"

typedef char
    mcufit_row_tables_bytes[sizeof(void *) != 4 || (sizeof(mcufit_row_call) == MCUFIT_ROW_CALL_BYTES &&
                                                    sizeof(mcufit_row_need) == MCUFIT_ROW_NEED_BYTES)
                                ? 1
                                : -1];
typedef char
    mcufit_input_row_step_bytes[sizeof(mcufit_input_row_step) == MCUFIT_INPUT_ROW_STEP_BYTES ? 1 : -1];
typedef char mcufit_row_progress_bytes[sizeof(mcufit_row_progress) == MCUFIT_ROW_PROGRESS_BYTES &&
                                               sizeof(mcufit_row_goal) == MCUFIT_ROW_GOAL_BYTES
                                           ? 1
                                           : -1];

/* How many calls of need->from call number `row` needs. */
static int32_t calls_needed(const mcufit_row_need *need, int16_t row) {
  int32_t calls;
  if (need->sources != 0) return (int32_t)MCUFIT_FLASH_S16(need->sources + row) + 1;
  calls = (int32_t)row * need->stride + need->reach;
  return calls < need->most ? calls : need->most;
}

int16_t mcufit_row_order(const mcufit_row_call *calls, const mcufit_row_need *needs,
                         mcufit_row_progress *progress, int16_t at) {
  const mcufit_row_need *need = needs + calls[at].first_need, *end = needs + calls[at + 1].first_need;
  while (need != end) {
    if (progress[need->from].done >= calls_needed(need, progress[at].done)) {
      ++need;
    } else { /* it lacks rows: go on there */
      progress[need->from].asker = at;
      at = need->from;
      need = needs + calls[at].first_need;
      end = needs + calls[at + 1].first_need;
    }
  }
  return at;
}
