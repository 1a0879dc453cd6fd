/* SPDX-License-Identifier: Apache-2.0 */
/* The mcufit runtime: int8 kernels in C99 for microcontrollers. No heap, no globals, no recursion; kernels
   trust their steps (the exporter proved them) and return nothing. int may have 16 bits. */
#ifndef MCUFIT_RUNTIME_H
#define MCUFIT_RUNTIME_H

#include <stdint.h>

#include "mcufit_isa.h"
#ifdef __AVR__
#include <avr/pgmspace.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Weights and tables are placed in flash by the first and read through the others alone: on AVR flash is an
   address space of its own, of which the lowest 64 KiB are reached so. */
#ifndef MCUFIT_FLASH_S8
#ifdef __AVR__
#define MCUFIT_IN_FLASH __attribute__((__progmem__))
#define MCUFIT_FLASH_S8(pointer) ((int8_t)pgm_read_byte(pointer))
#define MCUFIT_FLASH_S16(pointer) ((int16_t)pgm_read_word(pointer))
#define MCUFIT_FLASH_S32(pointer) ((int32_t)pgm_read_dword(pointer))
#else
#define MCUFIT_IN_FLASH
#define MCUFIT_FLASH_S8(pointer) (*(pointer))
#define MCUFIT_FLASH_S16(pointer) (*(pointer))
#define MCUFIT_FLASH_S32(pointer) (*(pointer))
#endif
#endif

/* Keeps a hot loop in a function, and so a register allocation, of its own. */
#ifdef __GNUC__
#define MCUFIT_NOINLINE __attribute__((noinline))
#else
#define MCUFIT_NOINLINE
#endif

/* Keeps a function as it is written, so that its size does not depend on who calls it. */
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 8
#define MCUFIT_VERBATIM __attribute__((noipa))
#elif defined(__GNUC__) && !defined(__clang__)
#define MCUFIT_VERBATIM __attribute__((noinline, noclone))
#else
#define MCUFIT_VERBATIM MCUFIT_NOINLINE
#endif

/* Rows of an NHWC tensor inside the arena. Row r starts at offset + (r % ring_rows) * row_stride: a rolling
   line buffer when ring_rows is below the tensor's height, the whole tensor when it equals it. Pixels of a
   row stand pixel_stride bytes apart. */
typedef struct {
  int32_t offset;     /* bytes from the start of the arena */
  int32_t row_stride; /* bytes */
  int16_t pixel_stride;
  int16_t ring_rows;
} mcufit_view;

/* How a kernel slides over its input; rows and columns outside it read as the input's zero point. */
typedef struct {
  int16_t input_height, input_width, input_channels;
  int16_t output_width, output_channels;
  int16_t kernel_height, kernel_width;
  int16_t stride_height, stride_width;
  int16_t dilation_height, dilation_width;
  int16_t pad_top, pad_left;
} mcufit_window;

/* From int32 sums to int8: per output channel multiplier and shift, then the output's zero point and clamp.
   The short form may be set where no sum reaches 2^30, every shift is from -21 to -1 and the clamp is to all
   of int8: kernels may then take a shorter form of the rule (mcufit_dsp.h), which gives the same bytes. */
typedef struct {
  const int32_t *multiplier; /* [output channel], in flash */
  const int8_t *shift;       /* [output channel], in flash; left when positive */
  int8_t output_zero_point;
  int8_t output_min, output_max;
  int8_t short_form;
} mcufit_requantization;

/* conv2d and depthwise_conv2d. The bias includes -input_zero_point * (sum of the output channel's filter), so
   that sums run over the stored bytes; taps outside the input count as input_zero_point, which is 0 where
   none lies there. Interleaved filters of conv2d lie as [kh * kw * in / 4][2][2][2]: of four taps 0 and 2
   before 1 and 3, of both taps the bytes of both outputs, the second less 1 where the first is negative.
   Those of depthwise_conv2d lie by blocks of four channels, in each the taps column by column, as [kw * kh /
   2][2][2][2]: of a pair of taps both bytes of channels 0 and 1 before those of 2 and 3, and of both taps the
   bytes of both channels; a last single tap has its four bytes. Where channels fill no last block, they and
   the four before them follow as [kw][kh][out]. Wide ones are the words of a block that kernels compute with,
   block by block, of which a last one overlaps the one before it: four biases; of each pair of taps, of four
   channels, both as half words, 0 beside a last single one; of four channels multiplier, addend and bits of
   mcufit_dsp_scale. Biases and taps are doubled. Without the short form biases and scales are 0. */
typedef struct {
  mcufit_view input, output;
  mcufit_window window;
  int8_t input_zero_point;
  int8_t interleaved;   /* whether filters are; 2: wide. MCUFIT_INTERLEAVED */
  int32_t scratch;      /* offset in the arena of what the kernel works with: mcufit_scratch.h */
  const int8_t *filter; /* conv2d [out][kh][kw][in], depthwise_conv2d [kh][kw][out]; in flash */
  const int32_t *bias;  /* [out], in flash */
  mcufit_requantization requantization;
} mcufit_conv2d_s8_step;

typedef mcufit_conv2d_s8_step mcufit_depthwise_conv2d_s8_step;

typedef struct {
  int32_t input_offset, output_offset; /* both contiguous */
  int16_t input_elements, output_elements;
  const int8_t *filter; /* [out][in], in flash */
  const int32_t *bias;  /* [out], in flash, the input's zero point folded in likewise */
  mcufit_requantization requantization;
  int16_t interleaved_outputs; /* the first outputs, whose filters lie by fours as [in / 4][2][2][2][2]: of
                                  four elements and four outputs, outputs 0 and 1 before 2 and 3, elements
                                  0 and 2 before 1 and 3, of both elements the bytes of both outputs, the
                                  second less 1 where the first is negative. 0 where the core does not
                                  read them so: MCUFIT_INTERLEAVED. */
} mcufit_fully_connected_s8_step;

/* Element-wise over two tensors; the output may be one of the inputs (in place). A view whose strides are 0
   repeats its one pixel. */
typedef struct {
  mcufit_view input1, input2, output;
  int16_t width, channels;
  int32_t multiplier, zero_point1, zero_point2;
  int16_t output_zero_point;
  int8_t shift; /* left when positive */
  int8_t output_min, output_max;
} mcufit_mul_s8_step;

/* The same; both inputs are rescaled to one scale and their sum to the output's. */
typedef struct {
  mcufit_view input1, input2, output;
  int16_t width, channels;
  int32_t multiplier1, multiplier2, output_multiplier;
  int8_t shift1, shift2, output_shift; /* left when positive */
  int16_t zero_point1, zero_point2, output_zero_point;
  int8_t output_min, output_max;
} mcufit_add_s8_step;

/* average_pool2d and max_pool2d: input and output have one scale. Padding is not averaged. */
typedef struct {
  mcufit_view input, output;
  mcufit_window window;
  int8_t output_min, output_max;
} mcufit_pool2d_s8_step;

/* Over the channels of each pixel; the output's scale is 1/256, its zero point -128. */
typedef struct {
  mcufit_view input, output;
  int32_t multiplier; /* of differences to the largest input, to Q5.26 */
  int16_t width, channels;
  int16_t least_difference; /* inputs further below the largest count as nothing */
  int8_t shift;             /* to the left */
} mcufit_softmax_s8_step;

/* Any function of one int8, element by element: activations, and changes of scale. In place too. */
typedef struct {
  mcufit_view input, output;
  int16_t width, channels;
  const int8_t *table; /* [256], in flash: of the inputs -128, -127, ... 127 */
} mcufit_lookup_s8_step;

/* Output (y, x) is the mean of the input's rows [y, y + rows) and columns [x, x + columns), rescaled. */
typedef struct {
  mcufit_view input, output;
  int16_t rows, columns; /* the input's whole height or 1, its whole width or 1 */
  int16_t output_width, channels;
  int32_t multiplier; /* the division is in it */
  int32_t offset;     /* -input zero point * rows * columns */
  int16_t output_zero_point;
  int8_t shift;
} mcufit_mean_s8_step;

/* Where one input goes: to output rows from first_row on, in each of them `at` bytes from the start. */
typedef struct {
  mcufit_view input;
  int32_t at;
  int16_t first_row, rows, width, channels;
} mcufit_concatenation_part;

typedef struct {
  mcufit_view output;
  const mcufit_concatenation_part *parts;
  int16_t count;
} mcufit_concatenation_s8_step;

/* The input in a border of one value. */
typedef struct {
  mcufit_view input, output;
  int16_t top, left, front; /* rows, columns and channels before the input */
  int16_t input_height, input_width, input_channels;
  int16_t output_width, output_channels;
  int8_t value;
} mcufit_pad_s8_step;

/* Output (y, x) is input (rows[y], columns[x]). */
typedef struct {
  mcufit_view input, output;
  const int16_t *rows;    /* [output height], in flash */
  const int16_t *columns; /* [output_width], in flash */
  int16_t output_width, channels;
} mcufit_resize_nearest_neighbor_s8_step;

/* The same means and averages over all rows of an input that arrives row by row: rows [first_row, end_row) of
   the input are added up, the first row starts the sums and the last one writes the output. average_pool2d
   without padding and with one output alone. */
typedef struct {
  mcufit_mean_s8_step whole;
  int32_t sums; /* offset in the arena of int32 [output_width][channels] */
} mcufit_mean_rows_s8_step;

typedef struct {
  mcufit_pool2d_s8_step whole;
  int32_t sums; /* offset in the arena of int32 [channels] */
} mcufit_average_pool2d_rows_s8_step;

/* A group of calls can run row by row, so that no tensor inside of it exists whole. mcufit_row_order() says
   which call is next; call number r of a place makes row r of its output, or of a sum takes row r of its
   input. */

/* Rows that a call needs of another one of its group: call r needs that so many were made there as
   min(r * stride + reach, most), or with `sources` (a resize's rows) sources[r] + 1. */
typedef struct {
  int16_t from; /* place in the group */
  int16_t stride, reach, most;
  const int16_t *sources; /* in flash; null without */
} mcufit_row_need;

/* One place of a group. Its needs end where those of the next entry begin. */
typedef struct {
  int16_t first_need;
  int16_t kept; /* rows that are made at last even where no call of the group needs them */
} mcufit_row_call;

/* How far a place is. */
typedef struct {
  int16_t done;  /* calls */
  int16_t asker; /* the place for which it runs */
} mcufit_row_progress;

/* A streamed input in its group, or in one tile of that: where its rows go, and which part of the sample's
   rows the sender delivers. */
typedef struct {
  mcufit_view rows;
  int32_t sample_stride;         /* bytes from one row of the sample to the next */
  int16_t first_column, columns; /* that are delivered of each row */
} mcufit_input_row_step;

/* The place of a group whose rows are asked for, and the place to go on from. */
typedef struct {
  int16_t place, at;
} mcufit_row_goal;

/* The place to call next so that `at` can be called, which is `at` itself when nothing lacks. `progress` is
   of the group's first place, `calls` too; `needs` are those of all. */
int16_t mcufit_row_order(const mcufit_row_call *calls, const mcufit_row_need *needs,
                         mcufit_row_progress *progress, int16_t at);

/* Each computes output rows [first_row, end_row) of its step from input rows that are in the input's view. */
void mcufit_conv2d_s8(const mcufit_conv2d_s8_step *step, int8_t *arena, int16_t first_row, int16_t end_row);
void mcufit_depthwise_conv2d_s8(const mcufit_depthwise_conv2d_s8_step *step, int8_t *arena, int16_t first_row,
                                int16_t end_row);
void mcufit_add_s8(const mcufit_add_s8_step *step, int8_t *arena, int16_t first_row, int16_t end_row);
void mcufit_average_pool2d_s8(const mcufit_pool2d_s8_step *step, int8_t *arena, int16_t first_row,
                              int16_t end_row);
void mcufit_max_pool2d_s8(const mcufit_pool2d_s8_step *step, int8_t *arena, int16_t first_row,
                          int16_t end_row);

void mcufit_mul_s8(const mcufit_mul_s8_step *step, int8_t *arena, int16_t first_row, int16_t end_row);
void mcufit_softmax_s8(const mcufit_softmax_s8_step *step, int8_t *arena, int16_t first_row, int16_t end_row);
void mcufit_lookup_s8(const mcufit_lookup_s8_step *step, int8_t *arena, int16_t first_row, int16_t end_row);
void mcufit_mean_s8(const mcufit_mean_s8_step *step, int8_t *arena, int16_t first_row, int16_t end_row);
void mcufit_concatenation_s8(const mcufit_concatenation_s8_step *step, int8_t *arena, int16_t first_row,
                             int16_t end_row);
void mcufit_pad_s8(const mcufit_pad_s8_step *step, int8_t *arena, int16_t first_row, int16_t end_row);
void mcufit_resize_nearest_neighbor_s8(const mcufit_resize_nearest_neighbor_s8_step *step, int8_t *arena,
                                       int16_t first_row, int16_t end_row);

void mcufit_mean_rows_s8(const mcufit_mean_rows_s8_step *step, int8_t *arena, int16_t first_row,
                         int16_t end_row);
void mcufit_average_pool2d_rows_s8(const mcufit_average_pool2d_rows_s8_step *step, int8_t *arena,
                                   int16_t first_row, int16_t end_row);

/* Outputs [first, end) of a fully-connected layer. */
void mcufit_fully_connected_s8(const mcufit_fully_connected_s8_step *step, int8_t *arena, int16_t first,
                               int16_t end);

/* The kernel taps that fall inside the input: [first, end), possibly none. */
typedef struct {
  int16_t first, end;
} mcufit_taps;

/* Tap k reads position origin + k * dilation of [0, extent). */
static inline mcufit_taps mcufit_inside(int32_t origin, int16_t dilation, int16_t kernel, int16_t extent) {
  mcufit_taps taps;
  const int32_t before = origin < 0 ? (dilation - 1 - origin) / dilation : 0;
  const int32_t upto = origin < extent ? (extent - origin + dilation - 1) / dilation : 0;
  taps.end = (int16_t)(upto < kernel ? upto : kernel);
  taps.first = (int16_t)(before < taps.end ? before : taps.end);
  return taps;
}

/* Where row `row` of a view starts, in bytes from the view's offset. */
static inline int32_t mcufit_row(const mcufit_view *view, int32_t row) {
  return row % view->ring_rows * view->row_stride;
}

/* sizeof the steps where pointers have 32 bits: what the cost model charges; asserted when the kernels are
 * compiled. */
#define MCUFIT_CONV2D_S8_STEP_BYTES 76
#define MCUFIT_FULLY_CONNECTED_S8_STEP_BYTES 36
#define MCUFIT_ADD_S8_STEP_BYTES 64
#define MCUFIT_POOL2D_S8_STEP_BYTES 52
#define MCUFIT_SOFTMAX_S8_STEP_BYTES 36
#define MCUFIT_MUL_S8_STEP_BYTES 60
#define MCUFIT_LOOKUP_S8_STEP_BYTES 32
#define MCUFIT_MEAN_S8_STEP_BYTES 44
#define MCUFIT_MEAN_ROWS_S8_STEP_BYTES 48
#define MCUFIT_AVERAGE_POOL2D_ROWS_S8_STEP_BYTES 56
#define MCUFIT_INPUT_ROW_STEP_BYTES 20
#define MCUFIT_ROW_CALL_BYTES 4
#define MCUFIT_ROW_NEED_BYTES 12
#define MCUFIT_ROW_PROGRESS_BYTES 4
#define MCUFIT_ROW_GOAL_BYTES 4
#define MCUFIT_CONCATENATION_S8_STEP_BYTES 20
#define MCUFIT_CONCATENATION_PART_BYTES 24
#define MCUFIT_PAD_S8_STEP_BYTES 44
#define MCUFIT_RESIZE_NEAREST_NEIGHBOR_S8_STEP_BYTES 36

#ifdef __cplusplus
}
#endif

#endif
