/* What the kernels share: the structures that Python fills in, and the kernels for any instruction set. */

#ifndef UNROLL_NATIVE_H
#define UNROLL_NATIVE_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

enum level { NONE = 0, AVX2 = 1, AVX512 = 2, AVX512_VNNI = 3, NEON = 4 };
enum type { FLOAT16 = 0, FLOAT32 = 1, BFLOAT16 = 2, INT8 = 3 };
enum kind { LSTM = 0, GRU = 1, RNN_TANH = 2, RNN_RELU = 3 };

/* `panels` panels of `depth` x `vectors` x lanes weights. bfloat16 weights are stored in pairs, for two factors at
   once, as the processor multiplies and adds them: (depth + 1) / 2 x `vectors` x lanes x 2. 8-bit weights are stored in
   groups of 2 or 4, see `grouped` in matrix.py; `scales` has the value of 1 in each column, and `offsets` 128 times the
   sum of each column, for factors without a sign. */
struct unroll_matrix {
    const void *weights;
    const float *scales;
    const int32_t *offsets;
    int64_t depth, panels;
    int32_t vectors, type, level, unused;
};

/* A layer in one direction: its recurrent weights, and for a GRU the recurrent bias of the candidate. */
struct unroll_cell {
    struct unroll_matrix matrix;
    const float *candidate_bias;
    int64_t kind;
};

/* `rows` rows of a batch. Step t of row r reads its gates, the products of the inputs, at position
   firsts[r] + t * time_stride of `gates`, and writes its hidden state to that position of `outputs`. t runs from 0 to
   lengths[r] - 1; backward, in the opposite order. `hidden` and `cell` are the first state of each row, `last_hidden`
   and `last_cell` its last. Without `lengths` and `firsts` there is one step, at position r for row r. `last_hidden`
   may be NULL. */
struct unroll_run {
    const float *gates;
    float *outputs;
    const int64_t *firsts, *lengths;
    const float *hidden, *cell;
    float *last_hidden, *last_cell;
    int64_t positions, rows, gate_stride, output_stride, time_stride, hidden_stride, cell_stride, backward;
};

/* One query (rows, key_size) per row and keys (rows, positions, key_size): weights (rows, positions) are the softmax of
   their products, context (rows, memory_size) is the weighted sum of memory (rows, positions, memory_size). `mask`
   (rows, positions) is true on the real positions of a row, which come first; the others are not read and have weight
   0. The numbers of a position are contiguous, and so are weights and context. With `score` (key_size,) the weights are
   the softmax of additive scores (Bahdanau et al. 2015): the products of `score` and tanh(query + key), or with `relu`
   of max(query + key, 0). */
struct unroll_attention {
    const float *query, *keys, *memory;
    const uint8_t *mask;
    float *weights, *context;
    int64_t rows, positions, key_size, memory_size, query_stride, mask_stride;
    int64_t keys_row, keys_position, memory_row, memory_position; /* strides */
    const float *score;
    int64_t relu;
};

/* `count` of the rows of logits (rows, size), those at `rows`; a token is drawn for each: see `draw` in rows.py. The
   other members have one number per drawn row. */
struct unroll_draws {
    const float *logits;
    const int64_t *rows, *seeds, *steps, *top_k;
    const float *temperatures, *top_p, *min_p;
    int64_t count, size;
};

/* A convolution in 8 bits; batch normalisation is folded into it. `outputs` is a multiple of 16, and so is the number
   of inputs but for the stem, which has 3. Weights lie in panels of 64 outputs, or of the last ones: a panel has
   `kernel` x groups x outputs x 4 weights. A group is of 4 weights side by side in a row of the kernel, pixel by pixel
   and input by input, the last filled up with zeros. `scales` is the value of 1 in each output. */
struct unroll_convolution {
    const int8_t *weights;
    const float *scales, *bias;
    int64_t kernel, stride, outputs;
};

/* Two or three convolutions, and the one of the shortcut. */
struct unroll_block {
    struct unroll_convolution convolutions[3], downsample;
    int64_t count, has_downsample;
};

/* Reads images (height, width, 3), in which `zero` stands for 0, and gives grids (rows, columns, channels) of `grid`
   numbers. The normalisation of pixels is folded into the stem. */
struct unroll_resnet {
    struct unroll_convolution stem;
    const struct unroll_block *blocks;
    int64_t count, height, width, grid;
    uint8_t zero[8]; /* of red, green and blue; the rest is unused */
};

/* One row in one step. `factors` is its hidden state in the type of the sums. */
struct cell_row {
    const float *gates, *hidden, *cell;
    float *next_hidden, *next_cell;
    const void *factors;
};

enum { BLOCK_ROWS = 96 }; /* rows of a linear layer that are multiplied together */
enum { SCALE_BYTES = 64 }; /* before the 8-bit factors of a row: the value of 1, and space */

/* Bytes of scratch memory that `linear_rows` and `step_rows` need for each row of factors. */
size_t factor_bytes(const struct unroll_matrix *matrix);

/* outputs = inputs * weights + bias for any number of rows, as `unroll_linear`; `scratch` has room for BLOCK_ROWS rows
   of factors. */
void linear_rows(const struct unroll_matrix *matrix, const float *bias, const float *inputs, int64_t input_stride,
                 float *outputs, int64_t output_stride, int64_t size, int64_t count, void *scratch);

/* One step of `count` rows; `scratch` has room for the factors of all. */
void step_rows(const struct unroll_cell *cell, int64_t count, struct cell_row *rows, void *scratch);

/* float16 numbers as float32. */
void widen(int level, int64_t size, const uint16_t *halves, float *numbers);

EXPORT void unroll_attend(int level, const struct unroll_attention *attention);
EXPORT void unroll_best(int level, const float *logits, int64_t count, int64_t size, int64_t *best, float *sums);
EXPORT void unroll_activate(int level, int kind, int64_t size, const float *inputs, float *outputs);

/* How a token is drawn: see `draw` in rows.py. */
struct draw {
    float temperature, top_p, min_p;
    int64_t top_k, seed, step;
};

/* Bytes of scratch memory that `draw_row` needs for `size` logits. */
size_t draw_bytes(int64_t size);

/* A token for a row of `size` logits. */
int64_t draw_row(int level, const float *logits, int64_t size, const struct draw *how, void *scratch);

#endif
