/* Linear layers and the time loop of one recurrent layer and direction, for x86-64 with AVX2 or AVX-512, and for ARM64.

   Weights are stored in panels: the columns of a few vectors, factor by factor (`columns` in matrix.py makes them). A
   cell's panel has all gates of its units, so their hidden state is complete when the panel is summed. kernels.h is
   compiled once per instruction set; `unroll_level` finds the best one at run time. Python calls the functions through
   ctypes. They keep no state between calls. */

#include "native.h"

/* Numbers that a draw sums together: a multiple of every vector's lanes. */
enum { DRAW_BLOCK = 128 };

/* A number in [0, 1) that depends on seed and step only: the finaliser of SplitMix64 (Steele et al. 2014, figure 15),
   twice, since people choose neighbouring seeds. `uniform` in sampling.py is the same. */
static double uniform(uint64_t seed, uint64_t step)
{
    uint64_t state = seed + (step + 1) * UINT64_C(0x9E3779B97F4A7C15);
    for (int round = 0; round < 2; round++) {
        state = (state ^ (state >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
        state = (state ^ (state >> 27)) * UINT64_C(0x94D049BB133111EB);
        state ^= state >> 31;
    }
    return (double)(state >> 11) / 9007199254740992.0;
}

/* The next float32 after a positive one. */
static float after(float x)
{
    union { float x; uint32_t bits; } next = {.x = x};
    next.bits++;
    return next.x;
}

/* The depth of 8-bit weights, filled up with zeros to whole vectors of any set. */
static int64_t grouped_depth(const struct unroll_matrix *matrix)
{
    return (matrix->depth + 15) / 16 * 16;
}

size_t factor_bytes(const struct unroll_matrix *matrix)
{
    if (matrix->type == INT8)
        return SCALE_BYTES + (size_t)grouped_depth(matrix) * (matrix->level == AVX512_VNNI ? 1 : 2);
    return matrix->type == BFLOAT16 ? (size_t)(matrix->depth + 15) / 16 * 16 * sizeof(uint16_t) : 0;
}

size_t draw_bytes(int64_t size)
{
    const size_t blocks = (size_t)(size + DRAW_BLOCK - 1) / DRAW_BLOCK;
    return (blocks + 1) * (sizeof(double) + DRAW_BLOCK * sizeof(float));
}

/* `factors` are rows of float32, or of pairs of bfloat16 for bfloat16 weights. */
typedef void (*sum_function)(int64_t depth, const void *const *factors, const void *weights, float *sums);

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))

#include "vnni.h"

#define LANES 16
#define TILE_ROWS 6
#define NAME(x) x##_avx512
#define TARGET __attribute__((target("avx512f,avx512dq,avx512bw,avx2,fma,f16c")))
#define vec __m512
#define LOAD(p) _mm512_loadu_ps(p)
#define STORE(p, x) _mm512_storeu_ps(p, x)
#define LOAD_HALF(p) _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(p)))
#define SOME(n) ((__mmask16)((1u << (n)) - 1))
#define LOAD_SOME(m, p) _mm512_maskz_loadu_ps(m, p)
#define STORE_SOME(m, p, x) _mm512_mask_storeu_ps(p, m, x)
#define SET(x) _mm512_set1_ps(x)
#define ADD(a, b) _mm512_add_ps(a, b)
#define SUB(a, b) _mm512_sub_ps(a, b)
#define MUL(a, b) _mm512_mul_ps(a, b)
#define DIV(a, b) _mm512_div_ps(a, b)
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define MIN(a, b) _mm512_min_ps(a, b)
#define MAX(a, b) _mm512_max_ps(a, b)
#define ABS(x) _mm512_andnot_ps(SET(-0.0f), x)
#define SIGN_OF(x, y) _mm512_or_ps(_mm512_and_ps(SET(-0.0f), x), y)
#define ROUND(x) _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define WHERE_AT_LEAST(a, b, x) _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, b, _CMP_GE_OQ), x)
#define ivec __m512i
#define STRIP 8
#define IZERO _mm512_setzero_si512()
#define ISET(x) _mm512_set1_epi32(x)
#define ISUB(a, b) _mm512_sub_epi32(a, b)
#define AS_FLOAT(x) _mm512_castsi512_ps(x)
#define AS_INT(x) _mm512_castps_si512(x)
#define TO_FLOAT(x) _mm512_cvtepi32_ps(x)
#define TO_INT(x) _mm512_cvtps_epi32(x)
#define GROUP 2
#define BYTES(p) _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)(p)))
#define PRODUCTS(s, w, f) _mm512_add_epi32(s, _mm512_madd_epi16(w, f))
#define NARROW(p, x) _mm256_storeu_si256((__m256i *)(void *)(p), _mm512_cvtepi32_epi16(x))
#define POWER_OF_2(n)                                                                                                 \
    _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23))
#include "kernels.h"
#undef NAME
#undef TARGET

#define NAME(x) x##_avx512_vnni
#define TARGET VNNI
#define PAIRS
#undef GROUP
#undef BYTES
#undef PRODUCTS
#undef NARROW
#define GROUP 4
#define BYTES(p) _mm512_loadu_si512(p)
#define PRODUCTS(s, w, f) add_products(s, w, f)
#define NARROW(p, x)                                                                                                  \
    _mm_storeu_si128((__m128i *)(void *)(p), _mm512_cvtepi32_epi8(_mm512_add_epi32(x, _mm512_set1_epi32(128))))
#include "kernels.h"
#undef PAIRS
#undef ivec
#undef STRIP
#undef IZERO
#undef ISET
#undef ISUB
#undef AS_FLOAT
#undef AS_INT
#undef TO_FLOAT
#undef TO_INT
#undef GROUP
#undef BYTES
#undef PRODUCTS
#undef NARROW
#undef LANES
#undef TILE_ROWS
#undef NAME
#undef TARGET
#undef vec
#undef LOAD
#undef STORE
#undef LOAD_HALF
#undef SOME
#undef LOAD_SOME
#undef STORE_SOME
#undef SET
#undef ADD
#undef SUB
#undef MUL
#undef DIV
#undef FMA
#undef MIN
#undef MAX
#undef ABS
#undef SIGN_OF
#undef ROUND
#undef WHERE_AT_LEAST
#undef POWER_OF_2

static const int32_t first_lanes[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

#define LANES 8
#define TILE_ROWS 3
#define NAME(x) x##_avx2
#define TARGET __attribute__((target("avx2,fma,f16c")))
#define vec __m256
#define LOAD(p) _mm256_loadu_ps(p)
#define STORE(p, x) _mm256_storeu_ps(p, x)
#define LOAD_HALF(p) _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p)))
#define SOME(n) _mm256_loadu_si256((const __m256i *)(first_lanes + 8 - (n)))
#define LOAD_SOME(m, p) _mm256_maskload_ps(p, m)
#define STORE_SOME(m, p, x) _mm256_maskstore_ps(p, m, x)
#define SET(x) _mm256_set1_ps(x)
#define ADD(a, b) _mm256_add_ps(a, b)
#define SUB(a, b) _mm256_sub_ps(a, b)
#define MUL(a, b) _mm256_mul_ps(a, b)
#define DIV(a, b) _mm256_div_ps(a, b)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define MIN(a, b) _mm256_min_ps(a, b)
#define MAX(a, b) _mm256_max_ps(a, b)
#define ABS(x) _mm256_andnot_ps(SET(-0.0f), x)
#define SIGN_OF(x, y) _mm256_or_ps(_mm256_and_ps(SET(-0.0f), x), y)
#define ROUND(x) _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define WHERE_AT_LEAST(a, b, x) _mm256_and_ps(_mm256_cmp_ps(a, b, _CMP_GE_OQ), x)
#define ivec __m256i
#define STRIP 2
#define IZERO _mm256_setzero_si256()
#define ISET(x) _mm256_set1_epi32(x)
#define ISUB(a, b) _mm256_sub_epi32(a, b)
#define AS_FLOAT(x) _mm256_castsi256_ps(x)
#define AS_INT(x) _mm256_castps_si256(x)
#define TO_FLOAT(x) _mm256_cvtepi32_ps(x)
#define TO_INT(x) _mm256_cvtps_epi32(x)
#define GROUP 2
#define BYTES(p) _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#define PRODUCTS(s, w, f) _mm256_add_epi32(s, _mm256_madd_epi16(w, f))
#define NARROW(p, x)                                                                                                  \
    _mm_storeu_si128((__m128i *)(void *)(p),                                                                          \
                     _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1)))
#define POWER_OF_2(n)                                                                                                 \
    _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23))
#include "kernels.h"

/* The best instruction set of this processor. A processor with AVX2 and FMA has F16C. */
EXPORT int unroll_level(void)
{
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return NONE;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512bw"))
        return AVX2;
    return __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni") ? AVX512_VNNI : AVX512;
}

/* Products of pairs of bfloat16: 0 if this processor has none, 2 if they are faster than those of float32, else 1. */
EXPORT int unroll_pairs(void)
{
    __builtin_cpu_init();
    if (unroll_level() != AVX512_VNNI || !__builtin_cpu_supports("avx512bf16"))
        return 0;
    return __builtin_cpu_is("amd") ? 2 : 1;
}

#define AT_LEVEL(level, name, ...)                                                                                    \
    ((level) == AVX512_VNNI ? name##_avx512_vnni(__VA_ARGS__)                                                         \
     : (level) == AVX512    ? name##_avx512(__VA_ARGS__)                                                              \
                            : name##_avx2(__VA_ARGS__))

#elif defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))

#include <arm_neon.h>

static inline float32x4_t load_some(int64_t number, const float *numbers)
{
    float lanes[4] = {0.0f};
    memcpy(lanes, numbers, (size_t)number * sizeof *lanes);
    return vld1q_f32(lanes);
}

static inline void store_some(int64_t number, float *numbers, float32x4_t x)
{
    float lanes[4];
    vst1q_f32(lanes, x);
    memcpy(numbers, lanes, (size_t)number * sizeof *lanes);
}

static inline int32x4_t add_products(int32x4_t sum, int16x8_t weights, int16x8_t factors)
{
    const int32x4_t low = vmull_s16(vget_low_s16(weights), vget_low_s16(factors));
    return vaddq_s32(sum, vpaddq_s32(low, vmull_high_s16(weights, factors)));
}

#define LANES 4
#define TILE_ROWS 6
#define NAME(x) x##_neon
#define TARGET
#define vec float32x4_t
#define LOAD(p) vld1q_f32(p)
#define STORE(p, x) vst1q_f32(p, x)
#define LOAD_HALF(p) vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)))
#define SOME(n) (n)
#define LOAD_SOME(m, p) load_some(m, p)
#define STORE_SOME(m, p, x) store_some(m, p, x)
#define SET(x) vdupq_n_f32(x)
#define ADD(a, b) vaddq_f32(a, b)
#define SUB(a, b) vsubq_f32(a, b)
#define MUL(a, b) vmulq_f32(a, b)
#define DIV(a, b) vdivq_f32(a, b)
#define FMA(a, b, c) vfmaq_f32(c, a, b)
#define MIN(a, b) vbslq_f32(vcltq_f32(a, b), a, b)
#define MAX(a, b) vbslq_f32(vcgtq_f32(a, b), a, b)
#define ABS(x) vabsq_f32(x)
#define SIGN_OF(x, y) vbslq_f32(vdupq_n_u32(UINT32_C(1) << 31), x, y)
#define ROUND(x) vrndnq_f32(x)
#define WHERE_AT_LEAST(a, b, x) vreinterpretq_f32_u32(vandq_u32(vcgeq_f32(a, b), vreinterpretq_u32_f32(x)))
#define ivec int32x4_t
#define STRIP 8
#define IZERO vdupq_n_s32(0)
#define ISET(x) vdupq_n_s32(x)
#define ISUB(a, b) vsubq_s32(a, b)
#define AS_FLOAT(x) vreinterpretq_f32_s32(x)
#define AS_INT(x) vreinterpretq_s32_f32(x)
#define TO_FLOAT(x) vcvtq_f32_s32(x)
#define TO_INT(x) vcvtnq_s32_f32(x)
#define GROUP 2
#define BYTES(p) vreinterpretq_s32_s16(vmovl_s8(vld1_s8((const int8_t *)(const void *)(p))))
#define PRODUCTS(s, w, f) add_products(s, vreinterpretq_s16_s32(w), vreinterpretq_s16_s32(f))
#define NARROW(p, x) vst1_s16((int16_t *)(void *)(p), vmovn_s32(x))
#define POWER_OF_2(n) vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127)), 23))
#include "kernels.h"

/* Every ARM64 processor has NEON. */
EXPORT int unroll_level(void) { return NEON; }
EXPORT int unroll_pairs(void) { return 0; }

#define AT_LEVEL(level, name, ...) ((void)(level), name##_neon(__VA_ARGS__))

#endif

#if defined(AT_LEVEL)

void step_rows(const struct unroll_cell *cell, int64_t count, struct cell_row *rows, void *scratch)
{
    AT_LEVEL(cell->matrix.level, step, cell, count, rows, scratch);
}

void linear_rows(const struct unroll_matrix *matrix, const float *bias, const float *inputs, int64_t input_stride,
                 float *outputs, int64_t output_stride, int64_t size, int64_t count, void *scratch)
{
    for (int64_t row = 0; row < count; row += BLOCK_ROWS) {
        const int64_t rows = count - row < BLOCK_ROWS ? count - row : BLOCK_ROWS;
        AT_LEVEL(matrix->level, linear, matrix, bias, inputs + row * input_stride, input_stride,
                 outputs + row * output_stride, output_stride, size, rows, scratch);
    }
}

void widen(int level, int64_t size, const uint16_t *halves, float *numbers)
{
    AT_LEVEL(level, widen, size, halves, numbers);
}

int64_t draw_row(int level, const float *logits, int64_t size, const struct draw *how, void *scratch)
{
    const int64_t blocks = (size + DRAW_BLOCK - 1) / DRAW_BLOCK;
    double *sums = scratch;
    return AT_LEVEL(level, draw, logits, size, how, sums, (float *)(sums + blocks + 1));
}

/* Attention of one query per row, see `struct unroll_attention`. */
EXPORT void unroll_attend(int level, const struct unroll_attention *attention)
{
    AT_LEVEL(level, attend, attention);
}

/* For each of `count` contiguous rows of logits: the index of the first largest one, and the sum of
   exp(logit - largest), which is NaN if a logit is NaN. */
EXPORT void unroll_best(int level, const float *logits, int64_t count, int64_t size, int64_t *best, float *sums)
{
    AT_LEVEL(level, best, logits, count, size, best, sums);
}

/* For tests: sigmoid (kind 0) or tanh (1). */
EXPORT void unroll_activate(int level, int kind, int64_t size, const float *inputs, float *outputs)
{
    AT_LEVEL(level, activate, kind, size, inputs, outputs);
}

#else

EXPORT int unroll_level(void) { return NONE; }
EXPORT int unroll_pairs(void) { return 0; }

void step_rows(const struct unroll_cell *cell, int64_t count, struct cell_row *rows, void *scratch)
{
    (void)cell, (void)count, (void)rows, (void)scratch;
}

void linear_rows(const struct unroll_matrix *matrix, const float *bias, const float *inputs, int64_t input_stride,
                 float *outputs, int64_t output_stride, int64_t size, int64_t count, void *scratch)
{
    (void)matrix, (void)bias, (void)inputs, (void)input_stride, (void)outputs, (void)output_stride, (void)size;
    (void)count, (void)scratch;
}

void widen(int level, int64_t size, const uint16_t *halves, float *numbers)
{
    (void)level, (void)size, (void)halves, (void)numbers;
}

int64_t draw_row(int level, const float *logits, int64_t size, const struct draw *how, void *scratch)
{
    return (void)level, (void)logits, (void)size, (void)how, (void)scratch, (void)uniform, (void)after, 0;
}

EXPORT void unroll_attend(int level, const struct unroll_attention *attention) { (void)level, (void)attention; }

EXPORT void unroll_best(int level, const float *logits, int64_t count, int64_t size, int64_t *best, float *sums)
{
    (void)level, (void)logits, (void)count, (void)size, (void)best, (void)sums;
}

EXPORT void unroll_activate(int level, int kind, int64_t size, const float *inputs, float *outputs)
{
    (void)level, (void)kind, (void)size, (void)inputs, (void)outputs;
}

#endif

/* outputs = inputs * weights + bias: `size` columns, and a bias padded to whole panels. Rows are processed in blocks,
   whose inputs and outputs stay in the cache while panel after panel is multiplied. Returns 0, or -1 if there is no
   memory. */
EXPORT int unroll_linear(const struct unroll_matrix *matrix, const float *bias, const float *inputs,
                         int64_t input_stride, float *outputs, int64_t output_stride, int64_t size, int64_t count)
{
    void *scratch = malloc((size_t)(count < BLOCK_ROWS ? count : BLOCK_ROWS) * factor_bytes(matrix) + 1);
    if (!scratch)
        return -1;
    linear_rows(matrix, bias, inputs, input_stride, outputs, output_stride, size, count, scratch);
    free(scratch);
    return 0;
}

/* A token for each row, see `struct unroll_draws`. Returns 0, or -1 if there is no memory. */
EXPORT int unroll_draw(int level, const struct unroll_draws *draws, int64_t *tokens)
{
    void *scratch = malloc(draw_bytes(draws->size));
    if (!scratch)
        return -1;
    for (int64_t r = 0; r < draws->count; r++) {
        const struct draw how = {
            .temperature = draws->temperatures[r],
            .top_p = draws->top_p[r],
            .min_p = draws->min_p[r],
            .top_k = draws->top_k[r],
            .seed = draws->seeds[r],
            .step = draws->steps[r],
        };
        tokens[r] = draw_row(level, draws->logits + draws->rows[r] * draws->size, draws->size, &how, scratch);
    }
    free(scratch);
    return 0;
}

/* Takes the steps of each row of memory (rows, positions, size) into `kept` (rows, size), one after the other: the
   largest, which is NaN if one is, or below their sums. The numbers of a step are contiguous. */
EXPORT void unroll_largest(const float *memory, int64_t row_stride, int64_t step_stride, const int64_t *lengths,
                           int64_t rows, int64_t size, float *kept)
{
    for (int64_t r = 0; r < rows; r++, memory += row_stride, kept += size)
        for (int64_t t = 0; t < lengths[r]; t++)
            for (int64_t at = 0; at < size; at++) {
                const float x = memory[t * step_stride + at];
                kept[at] = x > kept[at] || x != x ? x : kept[at];
            }
}

EXPORT void unroll_sums(const float *memory, int64_t row_stride, int64_t step_stride, const int64_t *lengths,
                        int64_t rows, int64_t size, double *kept)
{
    for (int64_t r = 0; r < rows; r++, memory += row_stride, kept += size)
        for (int64_t t = 0; t < lengths[r]; t++)
            for (int64_t at = 0; at < size; at++)
                kept[at] += (double)memory[t * step_stride + at];
}

static int64_t length_of(const struct unroll_run *run, int64_t row) { return run->lengths ? run->lengths[row] : 1; }

static int64_t position(const struct unroll_run *run, int64_t row, int64_t t)
{
    return (run->firsts ? run->firsts[row] : row) + t * run->time_stride;
}

/* Whether every step of every row is at an existing position. */
static int within(const struct unroll_run *run)
{
    for (int64_t r = 0; r < run->rows; r++) {
        const int64_t length = length_of(run, r);
        if (length > run->positions ||
            (length > 0 && (position(run, r, 0) < 0 || position(run, r, length - 1) >= run->positions)))
            return 0;
    }
    return 1;
}

/* Collects the rows of step t; returns their number. The hidden state of the step before is read from `outputs`. */
static int64_t rows_at(const struct unroll_cell *cell, const struct unroll_run *run, int64_t t, struct cell_row *alive)
{
    int64_t count = 0;
    for (int64_t r = 0; r < run->rows; r++) {
        const int64_t length = length_of(run, r);
        if (t >= length)
            continue;
        const int begins = t == (run->backward ? length - 1 : 0);
        const int64_t at = position(run, r, t), before = position(run, r, run->backward ? t + 1 : t - 1);
        struct cell_row *row = &alive[count++];
        row->gates = run->gates + at * run->gate_stride;
        row->hidden = begins ? run->hidden + r * run->hidden_stride : run->outputs + before * run->output_stride;
        row->next_hidden = run->outputs + at * run->output_stride;
        if (cell->kind == LSTM) {
            row->next_cell = run->last_cell + r * cell->matrix.depth;
            row->cell = begins ? run->cell + r * run->cell_stride : row->next_cell;
        }
    }
    return count;
}

static void copy_last(const struct unroll_cell *cell, const struct unroll_run *run)
{
    const int64_t size = cell->matrix.depth;
    const size_t bytes = (size_t)size * sizeof(float);
    for (int64_t r = 0; r < run->rows; r++) {
        const int64_t length = length_of(run, r);
        if (length <= 0 && cell->kind == LSTM)
            memcpy(run->last_cell + r * size, run->cell + r * run->cell_stride, bytes);
        const float *last = run->hidden + r * run->hidden_stride;
        if (length > 0)
            last = run->outputs + position(run, r, run->backward ? 0 : length - 1) * run->output_stride;
        if (run->last_hidden)
            memcpy(run->last_hidden + r * size, last, bytes);
    }
}

/* All steps of all rows. Returns 0, -1 if there is no memory, or -2 if a step is at a position outside. */
EXPORT int unroll_run(const struct unroll_cell *cell, const struct unroll_run *run)
{
    int64_t steps = 0;
    if (!within(run))
        return -2;
    struct cell_row *alive = malloc((size_t)(run->rows + 1) * sizeof *alive);
    void *scratch = malloc((size_t)run->rows * factor_bytes(&cell->matrix) + 1);
    if (alive && scratch) {
        for (int64_t r = 0; r < run->rows; r++)
            steps = length_of(run, r) > steps ? length_of(run, r) : steps;
        for (int64_t done = 0; done < steps; done++) {
            const int64_t count = rows_at(cell, run, run->backward ? steps - 1 - done : done, alive);
            step_rows(cell, count, alive, scratch);
        }
    }
    const int status = alive && scratch ? 0 : -1;
    free(scratch);
    free(alive);
    if (status)
        return status;
    copy_last(cell, run);
    return 0;
}
