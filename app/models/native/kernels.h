/* The kernels for one instruction set. kernels.c includes this file once for each, with these macros defined:

   NAME(x)             x with the set's name behind it
   TARGET              function attribute that allows the set's instructions
   LANES               float32 numbers in a vector
   TILE_ROWS           rows summed together, so that sums, weights and one factor just fit in the registers
   vec, mask           a vector, and which of its lanes are meant
   LOAD STORE LOAD_HALF LOAD_SOME STORE_SOME SOME SET ADD SUB MUL DIV FMA MIN MAX ABS SIGN_OF ROUND POWER_OF_2
*/

#define INLINE static inline __attribute__((always_inline)) TARGET

/* exp(x) - 1 as power * part + (power - 1), with x = n ln 2 + r, power = 2^n and part = exp(r) - 1.
   Reduction and polynomial are those of expf in Cephes (S. L. Moshier). NaN stays NaN: MIN and MAX return their second
   argument where one is NaN. */
INLINE void NAME(split_exp)(vec x, vec *power, vec *part)
{
    x = MIN(SET(88.0f), MAX(SET(-87.0f), x));
    vec n = ROUND(MUL(x, SET(1.44269504088896341f)));
    vec r = FMA(n, SET(-0.693359375f), x);
    r = FMA(n, SET(2.12194440e-4f), r);
    vec p = SET(1.9875691500e-4f);
    p = FMA(p, r, SET(1.3981999507e-3f));
    p = FMA(p, r, SET(8.3334519073e-3f));
    p = FMA(p, r, SET(4.1665795894e-2f));
    p = FMA(p, r, SET(1.6666665459e-1f));
    p = FMA(p, r, SET(5.0000001201e-1f));
    *part = FMA(MUL(r, r), p, r);
    *power = POWER_OF_2(n);
}

INLINE vec NAME(sigmoid)(vec x)
{
    vec power, part;
    NAME(split_exp)(SUB(SET(0.0f), x), &power, &part);
    return DIV(SET(1.0f), ADD(SET(1.0f), FMA(power, part, power)));
}

/* tanh(x) = -e / (2 + e) with e = exp(-2 |x|) - 1, and the sign of x: e loses no digits where x is small. */
INLINE vec NAME(tanh)(vec x)
{
    vec power, part;
    NAME(split_exp)(MUL(SET(-2.0f), ABS(x)), &power, &part);
    vec e = FMA(power, part, SUB(power, SET(1.0f)));
    return SIGN_OF(x, DIV(SUB(SET(0.0f), e), ADD(SET(2.0f), e)));
}

/* sums[row][vector][lane] = factors[row] * panels, over `depth`. A panel holds depth x vectors x LANES weights; with
   `panels` at 2 the next one is summed beside it, as one row alone would wait for its own sums. Each sum is one chain
   of fused multiply-adds from the first factor to the last, whatever the tile: a row's numbers are its own. */
INLINE void NAME(sum)(const int rows, const int panels, const int vectors, const int wide, int64_t depth,
                      const float *const *factors, const void *weights, float *sums)
{
    const int width = vectors * LANES;
    const int64_t next_panel = depth * width;
    vec total[TILE_ROWS][8];
#pragma GCC unroll 8
    for (int row = 0; row < rows; row++)
#pragma GCC unroll 8
        for (int v = 0; v < panels * vectors; v++)
            total[row][v] = SET(0.0f);
    for (int64_t k = 0; k < depth; k++) {
        vec factor[TILE_ROWS];
#pragma GCC unroll 8
        for (int row = 0; row < rows; row++)
            factor[row] = SET(factors[row][k]);
#pragma GCC unroll 8
        for (int v = 0; v < panels * vectors; v++) {
            const int64_t place = k * width + v / vectors * next_panel + v % vectors * LANES;
            vec weight = wide ? LOAD((const float *)weights + place) : LOAD_HALF((const uint16_t *)weights + place);
#pragma GCC unroll 8
            for (int row = 0; row < rows; row++)
                total[row][v] = FMA(weight, factor[row], total[row][v]);
        }
    }
#pragma GCC unroll 8
    for (int row = 0; row < rows; row++)
#pragma GCC unroll 8
        for (int v = 0; v < panels * vectors; v++)
            STORE(sums + (row * panels * vectors + v) * LANES, total[row][v]);
}

/* One function per number of rows, each a loop with all its sums in registers. */
#define SUM(ROWS, PANELS, VECTORS, WIDE)                                                                              \
    static TARGET __attribute__((noinline)) void NAME(sum_##ROWS##_##PANELS##_##VECTORS##_##WIDE)(                    \
        int64_t depth, const float *const *factors, const void *weights, float *sums)                                 \
    {                                                                                                                 \
        NAME(sum)(ROWS, PANELS, VECTORS, WIDE, depth, factors, weights, sums);                                        \
    }
#if TILE_ROWS > 3
#define SUMS(VECTORS, WIDE)                                                                                           \
    SUM(1, 1, VECTORS, WIDE) SUM(1, 2, VECTORS, WIDE) SUM(2, 1, VECTORS, WIDE) SUM(3, 1, VECTORS, WIDE)               \
    SUM(4, 1, VECTORS, WIDE) SUM(5, 1, VECTORS, WIDE) SUM(6, 1, VECTORS, WIDE)                                        \
    static const sum_function NAME(sums_##VECTORS##_##WIDE)[] = {                                                     \
        NAME(sum_1_2_##VECTORS##_##WIDE), NAME(sum_1_1_##VECTORS##_##WIDE), NAME(sum_2_1_##VECTORS##_##WIDE),         \
        NAME(sum_3_1_##VECTORS##_##WIDE), NAME(sum_4_1_##VECTORS##_##WIDE), NAME(sum_5_1_##VECTORS##_##WIDE),         \
        NAME(sum_6_1_##VECTORS##_##WIDE)};
#else
#define SUMS(VECTORS, WIDE)                                                                                           \
    SUM(1, 1, VECTORS, WIDE) SUM(1, 2, VECTORS, WIDE) SUM(2, 1, VECTORS, WIDE) SUM(3, 1, VECTORS, WIDE)               \
    static const sum_function NAME(sums_##VECTORS##_##WIDE)[] = {                                                     \
        NAME(sum_1_2_##VECTORS##_##WIDE), NAME(sum_1_1_##VECTORS##_##WIDE), NAME(sum_2_1_##VECTORS##_##WIDE),         \
        NAME(sum_3_1_##VECTORS##_##WIDE)};
#endif
SUMS(3, 0)
SUMS(3, 1)
SUMS(4, 0)
SUMS(4, 1)

static const sum_function *NAME(sums_of)(const struct unroll_matrix *matrix)
{
    if (matrix->vectors == 3)
        return matrix->wide ? NAME(sums_3_1) : NAME(sums_3_0);
    return matrix->wide ? NAME(sums_4_1) : NAME(sums_4_0);
}

static const void *NAME(panel_of)(const struct unroll_matrix *matrix, int64_t panel)
{
    return (const char *)matrix->weights + panel * matrix->depth * matrix->vectors * LANES * (matrix->wide ? 4 : 2);
}

/* A vector's worth of `size` numbers from `start` on, or what is left of them. */
INLINE vec NAME(load_part)(const float *numbers, int64_t start, int64_t size)
{
    return start + LANES <= size ? LOAD(numbers + start) : LOAD_SOME(SOME(size - start), numbers + start);
}

INLINE void NAME(store_part)(float *numbers, int64_t start, int64_t size, vec values)
{
    if (start + LANES <= size)
        STORE(numbers + start, values);
    else
        STORE_SOME(SOME(size - start), numbers + start, values);
}

/* What a cell does with the sums of one row and one panel: `width` numbers a gate, one gate after the other. */
INLINE void NAME(lstm)(const struct cell_row *row, const float *sums, const float *gates, int64_t unit, int64_t size)
{
    vec into = NAME(sigmoid)(ADD(LOAD(gates), LOAD(sums)));
    vec forget = NAME(sigmoid)(ADD(LOAD(gates + LANES), LOAD(sums + LANES)));
    vec candidate = NAME(tanh)(ADD(LOAD(gates + 2 * LANES), LOAD(sums + 2 * LANES)));
    vec out = NAME(sigmoid)(ADD(LOAD(gates + 3 * LANES), LOAD(sums + 3 * LANES)));
    vec cell = FMA(forget, NAME(load_part)(row->cell, unit, size), MUL(into, candidate));
    NAME(store_part)(row->next_cell, unit, size, cell);
    NAME(store_part)(row->next_hidden, unit, size, MUL(out, NAME(tanh)(cell)));
}

INLINE void NAME(gru)(const struct cell_row *row, const float *sums, const float *gates, const float *bias,
                      int64_t unit, int64_t size)
{
    vec reset = NAME(sigmoid)(ADD(LOAD(gates), LOAD(sums)));
    vec update = NAME(sigmoid)(ADD(LOAD(gates + LANES), LOAD(sums + LANES)));
    vec carried = ADD(LOAD(bias), LOAD(sums + 2 * LANES));
    vec candidate = NAME(tanh)(FMA(reset, carried, LOAD(gates + 2 * LANES)));
    vec hidden = NAME(load_part)(row->hidden, unit, size);
    NAME(store_part)(row->next_hidden, unit, size, FMA(update, SUB(hidden, candidate), candidate));
}

INLINE void NAME(rnn)(const struct cell_row *row, const float *sums, const float *gates, int relu, int64_t unit,
                      int64_t size)
{
    for (int v = 0; v < 4 && unit + v * LANES < size; v++) {
        vec sum = ADD(LOAD(gates + v * LANES), LOAD(sums + v * LANES));
        NAME(store_part)(row->next_hidden, unit + v * LANES, size, relu ? MAX(SET(0.0f), sum) : NAME(tanh)(sum));
    }
}

/* One step of `count` rows. */
static TARGET void NAME(step)(const struct unroll_cell *cell, int64_t count, const struct cell_row *rows)
{
    const struct unroll_matrix *matrix = &cell->matrix;
    const sum_function *sum = NAME(sums_of)(matrix);
    const int64_t width = (int64_t)matrix->vectors * LANES, tiles = (count + TILE_ROWS - 1) / TILE_ROWS;
    const int64_t units = cell->kind == LSTM || cell->kind == GRU ? LANES : 4 * LANES;
    float sums[TILE_ROWS * 8 * LANES] __attribute__((aligned(64)));
    int64_t panels;
    for (int64_t panel = 0; panel < matrix->panels; panel += panels) {
        panels = count == 1 && panel + 1 < matrix->panels ? 2 : 1;
        for (int64_t tile = 0; tile < tiles; tile++) {
            const int64_t first = tile * count / tiles, size = (tile + 1) * count / tiles - first;
            const float *factors[TILE_ROWS];
            for (int64_t r = 0; r < size; r++)
                factors[r] = rows[first + r].hidden;
            sum[panels == 2 ? 0 : size](matrix->depth, factors, NAME(panel_of)(matrix, panel), sums);
            for (int64_t r = 0; r < size * panels; r++) {
                const int64_t at = panels == 2 ? panel + r : panel;
                const struct cell_row *row = &rows[panels == 2 ? first : first + r];
                const float *gates = row->gates + at * width, *total = sums + r * width;
                if (cell->kind == LSTM)
                    NAME(lstm)(row, total, gates, at * units, matrix->depth);
                else if (cell->kind == GRU)
                    NAME(gru)(row, total, gates, cell->candidate_bias + at * units, at * units, matrix->depth);
                else
                    NAME(rnn)(row, total, gates, cell->kind == RNN_RELU, at * units, matrix->depth);
            }
        }
    }
}

static TARGET void NAME(linear)(const struct unroll_matrix *matrix, const float *bias, const float *inputs,
                                int64_t input_stride, float *outputs, int64_t output_stride, int64_t size,
                                int64_t count)
{
    const sum_function *sum = NAME(sums_of)(matrix);
    const int vectors = matrix->vectors;
    const int64_t width = (int64_t)vectors * LANES, tiles = (count + TILE_ROWS - 1) / TILE_ROWS;
    float sums[TILE_ROWS * 8 * LANES] __attribute__((aligned(64)));
    int64_t panels;
    for (int64_t panel = 0; panel < matrix->panels; panel += panels) {
        panels = count == 1 && panel + 1 < matrix->panels ? 2 : 1;
        for (int64_t tile = 0; tile < tiles; tile++) {
            const int64_t first = tile * count / tiles, rows = (tile + 1) * count / tiles - first;
            const float *factors[TILE_ROWS];
            for (int64_t r = 0; r < rows; r++)
                factors[r] = inputs + (first + r) * input_stride;
            sum[panels == 2 ? 0 : rows](matrix->depth, factors, NAME(panel_of)(matrix, panel), sums);
            for (int64_t r = 0; r < rows; r++) {
                float *output = outputs + (first + r) * output_stride;
                for (int v = 0; v < panels * vectors; v++) {
                    const int64_t at = panel * width + v * LANES;
                    if (at >= size)
                        break;
                    vec total = LOAD(sums + (r * panels * vectors + v) * LANES);
                    NAME(store_part)(output, at, size, ADD(LOAD(bias + at), total));
                }
            }
        }
    }
}

static TARGET void NAME(activate)(int kind, int64_t size, const float *inputs, float *outputs)
{
    for (int64_t at = 0; at < size; at += LANES) {
        vec x = NAME(load_part)(inputs, at, size);
        NAME(store_part)(outputs, at, size, kind == 0 ? NAME(sigmoid)(x) : NAME(tanh)(x));
    }
}

#undef INLINE
#undef SUM
#undef SUMS
