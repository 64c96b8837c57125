/* The kernels for one instruction set. kernels.c includes this file once per set, with these macros:

   NAME(x)             x with the name of the set as a suffix
   TARGET              the function attribute that allows its instructions
   LANES               float32 numbers in a vector
   TILE_ROWS           rows that are summed together: sums, weights and one factor just fit in the registers
   vec                 a vector
   PAIRS               defined if the set may multiply and add pairs of bfloat16, see unroll_pairs
   GROUP               8-bit weights of a column that are multiplied together
   ivec                a vector of int32, as wide
   BYTES(p)            a vector of groups of 8-bit weights
   PRODUCTS(s, w, f)   s + the sum of the products of each group of weights and factors
   NARROW(p, x)        stores int32 numbers as factors
   WHERE_AT_LEAST      x in the lanes in which a >= b, and 0 in the others
   LOAD STORE LOAD_HALF LOAD_SOME STORE_SOME SOME SET ADD SUB MUL DIV FMA MIN MAX ABS SIGN_OF ROUND POWER_OF_2
*/

#define INLINE static inline __attribute__((always_inline)) TARGET

INLINE float NAME(lanes_sum)(vec x)
{
    float lanes[LANES], sum = 0.0f;
    STORE(lanes, x);
    for (int lane = 0; lane < LANES; lane++)
        sum += lanes[lane];
    return sum;
}

/* exp(x) - 1 as power * part + (power - 1), with x = n ln 2 + r, power = 2^n and part = exp(r) - 1.
   Reduction and polynomial are those of expf in Cephes (S. L. Moshier). NaN stays NaN: MIN and MAX return their second
   argument if one is NaN. */
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

/* tanh(x) = -e / (2 + e) with e = exp(-2 |x|) - 1, and the sign of x. e keeps its digits for small x. */
INLINE vec NAME(tanh)(vec x)
{
    vec power, part;
    NAME(split_exp)(MUL(SET(-2.0f), ABS(x)), &power, &part);
    vec e = FMA(power, part, SUB(power, SET(1.0f)));
    return SIGN_OF(x, DIV(SUB(SET(0.0f), e), ADD(SET(2.0f), e)));
}

/* a.x * b.x + a.y * b.y + sum in each lane, a pair of bfloat16. */
INLINE vec NAME(add_pair)(vec a, vec b, vec sum)
{
#ifdef PAIRS
    return add_pairs(sum, a, b);
#else
    return (void)a, (void)b, sum; /* never called: other sets have no bfloat16 matrices */
#endif
}

/* The same as `sum` for 8-bit weights: `sums` are int32 numbers, and exact. `depth` counts groups. STRIP vectors are
   summed at once: those that fit into the registers beside the products. */
INLINE void NAME(sum_bytes)(const int rows, const int panels, const int vectors, int64_t depth,
                            const void *const *factors, const void *weights, float *sums)
{
    const int width = vectors * LANES, all = panels * vectors;
    const int64_t next_panel = depth * width * GROUP;
    const int factor_size = GROUP == 2 ? 4 : GROUP; /* bytes of a group of factors */
#pragma GCC unroll 4
    for (int first = 0; first < all; first += STRIP) {
        const int strip = all - first < STRIP ? all - first : STRIP;
        ivec total[TILE_ROWS][STRIP];
#pragma GCC unroll 8
        for (int row = 0; row < rows; row++)
#pragma GCC unroll 8
            for (int v = 0; v < strip; v++)
                total[row][v] = IZERO;
        for (int64_t k = 0; k < depth; k++) {
            ivec factor[TILE_ROWS];
#pragma GCC unroll 8
            for (int row = 0; row < rows; row++) {
                int32_t group;
                memcpy(&group, (const char *)factors[row] + k * factor_size, sizeof group);
                factor[row] = ISET(group);
            }
#pragma GCC unroll 8
            for (int v = 0; v < strip; v++) {
                const int at = first + v;
                const ivec weight = BYTES((const char *)weights + k * width * GROUP + at / vectors * next_panel +
                                          at % vectors * LANES * GROUP);
#pragma GCC unroll 8
                for (int row = 0; row < rows; row++)
                    total[row][v] = PRODUCTS(total[row][v], weight, factor[row]);
            }
        }
#pragma GCC unroll 8
        for (int row = 0; row < rows; row++)
#pragma GCC unroll 8
            for (int v = 0; v < strip; v++)
                STORE(sums + (row * all + first + v) * LANES, AS_FLOAT(total[row][v]));
    }
}

/* sums[row][vector][lane] = factors[row] * panels, over `depth`. A panel has depth x vectors x LANES weights. `panels`
   is 1, or 2 for a single row, which would otherwise wait for its own sums. Each sum is a chain of fused multiply-adds
   from the first factor to the last in every tile, so a row's results do not depend on the other rows. For bfloat16
   `depth` counts pairs: a pair is as wide as a float32. */
INLINE void NAME(sum)(const int rows, const int panels, const int vectors, const int type, int64_t depth,
                      const void *const *factors, const void *weights, float *sums)
{
    const int width = vectors * LANES;
    const int64_t next_panel = depth * width;
    if (type == INT8) {
        NAME(sum_bytes)(rows, panels, vectors, depth, factors, weights, sums);
        return;
    }
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
            factor[row] = SET(((const float *)factors[row])[k]);
#pragma GCC unroll 8
        for (int v = 0; v < panels * vectors; v++) {
            const int64_t place = k * width + v / vectors * next_panel + v % vectors * LANES;
            const vec weight = type == FLOAT16 ? LOAD_HALF((const uint16_t *)weights + place)
                                               : LOAD((const float *)weights + place);
#pragma GCC unroll 8
            for (int row = 0; row < rows; row++)
                total[row][v] = type == BFLOAT16 ? NAME(add_pair)(weight, factor[row], total[row][v])
                                                 : FMA(weight, factor[row], total[row][v]);
        }
    }
#pragma GCC unroll 8
    for (int row = 0; row < rows; row++)
#pragma GCC unroll 8
        for (int v = 0; v < panels * vectors; v++)
            STORE(sums + (row * panels * vectors + v) * LANES, total[row][v]);
}

/* One function per number of rows: a loop with all sums in registers. */
#define SUM(ROWS, PANELS, VECTORS, TYPE)                                                                              \
    static TARGET __attribute__((noinline)) void NAME(sum_##ROWS##_##PANELS##_##VECTORS##_##TYPE)(                    \
        int64_t depth, const void *const *factors, const void *weights, float *sums)                                  \
    {                                                                                                                 \
        NAME(sum)(ROWS, PANELS, VECTORS, TYPE, depth, factors, weights, sums);                                        \
    }
#if TILE_ROWS > 3
#define SUMS(VECTORS, TYPE)                                                                                           \
    SUM(1, 1, VECTORS, TYPE) SUM(1, 2, VECTORS, TYPE) SUM(2, 1, VECTORS, TYPE) SUM(3, 1, VECTORS, TYPE)               \
    SUM(4, 1, VECTORS, TYPE) SUM(5, 1, VECTORS, TYPE) SUM(6, 1, VECTORS, TYPE)                                        \
    static const sum_function NAME(sums_##VECTORS##_##TYPE)[] = {                                                     \
        NAME(sum_1_2_##VECTORS##_##TYPE), NAME(sum_1_1_##VECTORS##_##TYPE), NAME(sum_2_1_##VECTORS##_##TYPE),         \
        NAME(sum_3_1_##VECTORS##_##TYPE), NAME(sum_4_1_##VECTORS##_##TYPE), NAME(sum_5_1_##VECTORS##_##TYPE),         \
        NAME(sum_6_1_##VECTORS##_##TYPE)};
#else
#define SUMS(VECTORS, TYPE)                                                                                           \
    SUM(1, 1, VECTORS, TYPE) SUM(1, 2, VECTORS, TYPE) SUM(2, 1, VECTORS, TYPE) SUM(3, 1, VECTORS, TYPE)               \
    static const sum_function NAME(sums_##VECTORS##_##TYPE)[] = {                                                     \
        NAME(sum_1_2_##VECTORS##_##TYPE), NAME(sum_1_1_##VECTORS##_##TYPE), NAME(sum_2_1_##VECTORS##_##TYPE),         \
        NAME(sum_3_1_##VECTORS##_##TYPE)};
#endif
SUMS(3, 0)
SUMS(3, 1)
SUMS(3, 3)
SUMS(4, 0)
SUMS(4, 1)
SUMS(4, 3)
#ifdef PAIRS
SUMS(3, 2)
SUMS(4, 2)
#endif

static const sum_function *NAME(sums_of)(const struct unroll_matrix *matrix)
{
#ifdef PAIRS
    if (matrix->type == BFLOAT16)
        return matrix->vectors == 3 ? NAME(sums_3_2) : NAME(sums_4_2);
#endif
    if (matrix->type == INT8)
        return matrix->vectors == 3 ? NAME(sums_3_3) : NAME(sums_4_3);
    if (matrix->vectors == 3)
        return matrix->type == FLOAT32 ? NAME(sums_3_1) : NAME(sums_3_0);
    return matrix->type == FLOAT32 ? NAME(sums_4_1) : NAME(sums_4_0);
}

/* The number of factors in a sum, or of pairs or groups of factors. */
static int64_t NAME(depth_of)(const struct unroll_matrix *matrix)
{
    if (matrix->type == INT8)
        return grouped_depth(matrix) / GROUP;
    return matrix->type == BFLOAT16 ? (matrix->depth + 1) / 2 : matrix->depth;
}

static const void *NAME(panel_of)(const struct unroll_matrix *matrix, int64_t panel)
{
    const int64_t bytes = matrix->type == INT8 ? GROUP : matrix->type == FLOAT16 ? 2 : 4;
    return (const char *)matrix->weights + panel * NAME(depth_of)(matrix) * matrix->vectors * LANES * bytes;
}

/* A vector of the `size` numbers from `start` on; lanes past the end are 0. */
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

/* A row of factors in 8 bits: the value of 1 is 127th of the largest, and NaN if a factor is. */
INLINE const void *NAME(bytes_of)(const struct unroll_matrix *matrix, const float *row, char *scratch)
{
    const int64_t depth = grouped_depth(matrix);
    vec most = SET(0.0f), bad = SET(0.0f);
    float lanes[LANES], largest = 0.0f;
    for (int64_t at = 0; at < matrix->depth; at += LANES) {
        const vec x = NAME(load_part)(row, at, matrix->depth);
        most = MAX(ABS(x), most);
        bad = FMA(x, SET(0.0f), bad);
    }
    STORE(lanes, most);
    for (int lane = 0; lane < LANES; lane++)
        largest = lanes[lane] > largest ? lanes[lane] : largest;
    const float scale = largest / 127.0f + NAME(lanes_sum)(bad);
    const float inverse = largest > 1e-30f ? 127.0f / largest : 0.0f;
    memcpy(scratch, &scale, sizeof scale);
    for (int64_t at = 0; at < depth; at += LANES) {
        const vec x = at < matrix->depth ? MUL(NAME(load_part)(row, at, matrix->depth), SET(inverse)) : SET(0.0f);
        NARROW(scratch + SCALE_BYTES + at * (GROUP == 2 ? 2 : 1), TO_INT(MIN(MAX(x, SET(-127.0f)), SET(127.0f))));
    }
    return scratch + SCALE_BYTES;
}

/* Makes float32 numbers of the int32 sums of a row of 8-bit factors, of `vectors` vectors from column `at` on. */
INLINE void NAME(scale_sums)(const struct unroll_matrix *matrix, const void *factors, int64_t at, int vectors,
                             float *sums)
{
    float scale;
    memcpy(&scale, (const char *)factors - SCALE_BYTES, sizeof scale);
    for (int v = 0; v < vectors; v++) {
        ivec total = AS_INT(LOAD(sums + v * LANES));
        if (GROUP == 4)
            total = ISUB(total, AS_INT(LOAD((const float *)(const void *)(matrix->offsets + at + v * LANES))));
        STORE(sums + v * LANES, MUL(TO_FLOAT(total), MUL(SET(scale), LOAD(matrix->scales + at + v * LANES))));
    }
}

/* A row of factors in the type of the sums: the row itself, or rounded in `scratch`. */
INLINE const void *NAME(factors_of)(const struct unroll_matrix *matrix, const float *row, char *scratch)
{
    if (matrix->type == INT8)
        return NAME(bytes_of)(matrix, row, scratch);
#ifdef PAIRS
    if (matrix->type == BFLOAT16) {
        for (int64_t at = 0; at < matrix->depth; at += LANES) {
            const __m256bh half = _mm512_cvtneps_pbh(NAME(load_part)(row, at, matrix->depth));
            _mm256_storeu_si256((__m256i *)(scratch + at * 2), (__m256i)half);
        }
        return scratch;
    }
#endif
    return row;
}

/* A cell's units of one panel in one row: `sums` and `gates` have LANES numbers per gate, gate after gate. */
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
static TARGET void NAME(step)(const struct unroll_cell *cell, int64_t count, struct cell_row *rows, char *scratch)
{
    const struct unroll_matrix *matrix = &cell->matrix;
    const sum_function *sum = NAME(sums_of)(matrix);
    const int64_t width = (int64_t)matrix->vectors * LANES, tiles = (count + TILE_ROWS - 1) / TILE_ROWS;
    const int64_t units = cell->kind == LSTM || cell->kind == GRU ? LANES : 4 * LANES;
    float sums[TILE_ROWS * 8 * LANES] __attribute__((aligned(64)));
    const int64_t bytes = (int64_t)factor_bytes(matrix);
    int64_t panels;
    for (int64_t r = 0; r < count; r++)
        rows[r].factors = NAME(factors_of)(matrix, rows[r].hidden, scratch + r * bytes);
    for (int64_t panel = 0; panel < matrix->panels; panel += panels) {
        panels = count == 1 && panel + 1 < matrix->panels ? 2 : 1;
        for (int64_t tile = 0; tile < tiles; tile++) {
            const int64_t first = tile * count / tiles, size = (tile + 1) * count / tiles - first;
            const void *factors[TILE_ROWS];
            for (int64_t r = 0; r < size; r++)
                factors[r] = rows[first + r].factors;
            sum[panels == 2 ? 0 : size](NAME(depth_of)(matrix), factors, NAME(panel_of)(matrix, panel), sums);
            for (int64_t r = 0; r < size * panels; r++) {
                const int64_t at = panels == 2 ? panel + r : panel;
                const struct cell_row *row = &rows[panels == 2 ? first : first + r];
                const float *gates = row->gates + at * width;
                float *total = sums + r * width;
                if (matrix->type == INT8)
                    NAME(scale_sums)(matrix, row->factors, at * width, matrix->vectors, total);
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
                                int64_t count, char *scratch)
{
    const sum_function *sum = NAME(sums_of)(matrix);
    const int vectors = matrix->vectors;
    const int64_t width = (int64_t)vectors * LANES, tiles = (count + TILE_ROWS - 1) / TILE_ROWS;
    float sums[TILE_ROWS * 8 * LANES] __attribute__((aligned(64)));
    const void *all[BLOCK_ROWS];
    const int64_t bytes = (int64_t)factor_bytes(matrix);
    int64_t panels;
    for (int64_t r = 0; r < count; r++)
        all[r] = NAME(factors_of)(matrix, inputs + r * input_stride, scratch + r * bytes);
    for (int64_t panel = 0; panel < matrix->panels; panel += panels) {
        panels = count == 1 && panel + 1 < matrix->panels ? 2 : 1;
        for (int64_t tile = 0; tile < tiles; tile++) {
            const int64_t first = tile * count / tiles, rows = (tile + 1) * count / tiles - first;
            const void *const *factors = all + first;
            sum[panels == 2 ? 0 : rows](NAME(depth_of)(matrix), factors, NAME(panel_of)(matrix, panel), sums);
            for (int64_t r = 0; r < rows; r++) {
                float *output = outputs + (first + r) * output_stride;
                if (matrix->type == INT8)
                    NAME(scale_sums)(matrix, factors[r], panel * width, (int)panels * vectors,
                                     sums + r * panels * width);
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

INLINE vec NAME(exp)(vec x)
{
    vec power, part;
    NAME(split_exp)(x, &power, &part);
    return FMA(power, part, power);
}

/* Replaces scores by exp(score - largest); returns their sum. */
static TARGET float NAME(raise)(float *scores, int64_t size)
{
    float largest = scores[0], sum = 0.0f;
    for (int64_t t = 1; t < size; t++)
        largest = scores[t] > largest ? scores[t] : largest;
    for (int64_t at = 0; at < size; at += LANES)
        NAME(store_part)(scores, at, size, NAME(exp)(SUB(NAME(load_part)(scores, at, size), SET(largest))));
    for (int64_t t = 0; t < size; t++)
        sum += scores[t];
    return sum;
}

INLINE float NAME(dot)(const struct unroll_attention *a, const float *query, const float *key)
{
    vec total = SET(0.0f);
    for (int64_t at = 0; at < a->key_size; at += LANES)
        total = FMA(NAME(load_part)(query, at, a->key_size), NAME(load_part)(key, at, a->key_size), total);
    return NAME(lanes_sum)(total);
}

INLINE float NAME(additive)(const struct unroll_attention *a, const float *query, const float *key)
{
    vec total = SET(0.0f);
    for (int64_t at = 0; at < a->key_size; at += LANES) {
        const vec sum = ADD(NAME(load_part)(query, at, a->key_size), NAME(load_part)(key, at, a->key_size));
        const vec active = a->relu ? MAX(SET(0.0f), sum) : NAME(tanh)(sum);
        total = FMA(NAME(load_part)(a->score, at, a->key_size), active, total);
    }
    return NAME(lanes_sum)(total);
}

static TARGET void NAME(attend)(const struct unroll_attention *a)
{
    for (int64_t r = 0; r < a->rows; r++) {
        const float *query = a->query + r * a->query_stride, *keys = a->keys + r * a->keys_row;
        const float *memory = a->memory + r * a->memory_row;
        float *weights = a->weights + r * a->positions, *context = a->context + r * a->memory_size;
        int64_t length = 0;
        while (length < a->positions && a->mask[r * a->mask_stride + length])
            length++;
        for (int64_t t = 0; t < length; t++)
            weights[t] = a->score ? NAME(additive)(a, query, keys + t * a->keys_position)
                                  : NAME(dot)(a, query, keys + t * a->keys_position);
        const float sum = length ? NAME(raise)(weights, length) : 1.0f;
        for (int64_t t = 0; t < a->positions; t++)
            weights[t] = t < length ? weights[t] / sum : 0.0f;
        for (int64_t at = 0; at < a->memory_size; at += LANES) {
            vec total = SET(0.0f);
            for (int64_t t = 0; t < length; t++)
                total = FMA(SET(weights[t]), NAME(load_part)(memory + t * a->memory_position, at, a->memory_size),
                            total);
            NAME(store_part)(context, at, a->memory_size, total);
        }
    }
}

/* Finds the largest logit block by block, and its index in the block that has it. */
static TARGET void NAME(best)(const float *logits, int64_t count, int64_t size, int64_t *best, float *sums)
{
    const int64_t block = 8 * LANES;
    for (int64_t r = 0; r < count; r++, logits += size) {
        float largest = logits[0], lanes[LANES];
        int64_t within = 0;
        for (int64_t first = 0; first < size; first += block) {
            const int64_t last = first + block < size ? first + block : size;
            vec most = SET(logits[first]);
            int64_t at = first;
            for (; at + LANES <= last; at += LANES)
                most = MAX(most, LOAD(logits + at));
            STORE(lanes, most);
            float here = lanes[0];
            for (int lane = 1; lane < LANES; lane++)
                here = lanes[lane] > here ? lanes[lane] : here;
            for (; at < last; at++)
                here = logits[at] > here ? logits[at] : here;
            if (here > largest) {
                largest = here;
                within = first;
            }
        }
        while (within < size - 1 && logits[within] != largest)
            within++;
        best[r] = within;
        vec sum = SET(0.0f);
        float rest = 0.0f;
        int64_t at = 0;
        for (; at + LANES <= size; at += LANES)
            sum = ADD(sum, NAME(exp)(SUB(LOAD(logits + at), SET(largest))));
        STORE(lanes, sum);
        if (at < size) {
            float tail[LANES];
            STORE(tail, NAME(exp)(SUB(NAME(load_part)(logits, at, size), SET(largest))));
            for (int64_t lane = 0; lane < size - at; lane++)
                rest += tail[lane];
        }
        for (int lane = 0; lane < LANES; lane++)
            rest += lanes[lane];
        sums[r] = rest;
    }
}

/* exp((logit - largest) / temperature) of each logit: 1 for the largest, 0 where exp is too small for a float32, or the
   logit NaN. The last block is filled up with 0. */
static TARGET void NAME(weigh)(const float *logits, int64_t size, float temperature, float *weights)
{
    const float scale = temperature > 1e-30f ? 1.0f / temperature : 1e30f, tiny = 2e-38f; /* exp is at least exp(-87) */
    float largest = logits[0];
    vec most = SET(largest);
    for (int64_t at = 0; at + LANES <= size; at += LANES)
        most = MAX(LOAD(logits + at), most);
    float lanes[LANES];
    STORE(lanes, most);
    for (int lane = 0; lane < LANES; lane++)
        largest = lanes[lane] > largest ? lanes[lane] : largest;
    for (int64_t at = size / LANES * LANES; at < size; at++)
        largest = logits[at] > largest ? logits[at] : largest;
    for (int64_t at = 0; at < size; at += LANES) {
        vec raised = NAME(exp)(MUL(SUB(NAME(load_part)(logits, at, size), SET(largest)), SET(scale)));
        STORE(weights + at, MAX(SUB(raised, SET(tiny)), SET(0.0f)));
    }
    for (int64_t at = size; at % DRAW_BLOCK; at++)
        weights[at] = 0.0f;
}

/* The sum and the number of the weights that are at least `least`, above 0. */
static TARGET double NAME(sum_above)(const float *weights, int64_t size, float least, int64_t *number)
{
    vec sums[4], numbers[4];
    for (int v = 0; v < 4; v++)
        sums[v] = numbers[v] = SET(0.0f);
    for (int64_t at = 0; at < size; at += 4 * LANES)
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) {
            const vec weight = LOAD(weights + at + v * LANES);
            sums[v] = ADD(sums[v], WHERE_AT_LEAST(weight, SET(least), weight));
            numbers[v] = ADD(numbers[v], WHERE_AT_LEAST(weight, SET(least), SET(1.0f)));
        }
    *number = (int64_t)NAME(lanes_sum)(ADD(ADD(numbers[0], numbers[1]), ADD(numbers[2], numbers[3])));
    return NAME(lanes_sum)(ADD(ADD(sums[0], sums[1]), ADD(sums[2], sums[3])));
}

/* A number from `least` to 1 such that the weights that are at least as large sum up to `share`, or, with a share of 0,
   are `most`, and that no more of them than needed are. `at_low` weights are at least `least`. A positive float32 grows
   with its bits: a bisection of the bits finds it, and ends when a single weight is between the bounds. */
static TARGET float NAME(threshold)(const float *weights, int64_t size, double share, int64_t most, float least,
                                    int64_t at_low)
{
    union { uint32_t bits; float weight; } low = {.weight = least}, high = {.weight = 1.0f}, middle;
    int64_t number, above_high = 0;
    while (high.bits > low.bits && at_low - above_high > 1) {
        middle.bits = low.bits + (high.bits - low.bits + 1) / 2;
        const double sum = NAME(sum_above)(weights, size, middle.weight, &number);
        if (share > 0 ? sum >= share : number >= most) {
            low = middle;
            at_low = number;
        } else {
            high.bits = middle.bits - 1;
            above_high = number;
        }
    }
    return low.weight;
}

/* Sets the weights that are cut off to 0: all but the `top_k` largest, then all but the largest with `top_p` of the
   rest, then those below `min_p`. Of equal weights the first are kept. The largest is always kept. */
static TARGET void NAME(cut)(float *weights, int64_t size, int64_t top_k, float top_p, float min_p)
{
    float least = 1e-38f;
    int64_t above, kept, at_least;
    double rest = NAME(sum_above)(weights, size, least, &at_least);
    kept = at_least;
    if (top_k > 0 && top_k < kept) {
        least = NAME(threshold)(weights, size, 0, top_k, least, at_least);
        NAME(sum_above)(weights, size, least, &at_least);
        rest = NAME(sum_above)(weights, size, after(least), &above);
        rest += (double)least * (double)(top_k - above);
        kept = top_k;
    }
    if (top_p < 1.0f) {
        const double share = top_p * rest > 1e-30 ? top_p * rest : 1e-30;
        const float nucleus = NAME(threshold)(weights, size, share, 0, least, at_least);
        const double needed = share - NAME(sum_above)(weights, size, after(nucleus), &above);
        int64_t equals = needed > 0 ? (int64_t)(needed / nucleus) : 0;
        equals += above + equals == 0 || (double)equals * nucleus < needed;
        kept = above + equals < kept ? above + equals : kept;
        least = nucleus;
    }
    NAME(sum_above)(weights, size, least, &above);
    for (int64_t at = size; at > 0 && above > kept; at--)
        if (weights[at - 1] == least) {
            weights[at - 1] = 0.0f;
            above--;
        }
    least = min_p > least ? min_p : least;
    for (int64_t at = 0; at < size; at += LANES) {
        const vec weight = LOAD(weights + at);
        STORE(weights + at, WHERE_AT_LEAST(weight, SET(least), weight));
    }
}

/* The token of a row: the first whose weights, summed up, exceed a uniform share of all. */
static TARGET int64_t NAME(draw)(const float *logits, int64_t size, const struct draw *how, double *sums,
                                 float *weights)
{
    const int64_t padded = (size + DRAW_BLOCK - 1) / DRAW_BLOCK * DRAW_BLOCK;
    NAME(weigh)(logits, size, how->temperature, weights);
    if (how->top_k > 0 || how->top_p < 1.0f || how->min_p > 0.0f)
        NAME(cut)(weights, padded, how->top_k, how->top_p, how->min_p);
    double total = 0.0, before = 0.0;
    for (int64_t block = 0; block < padded / DRAW_BLOCK; block++) {
        vec sum = SET(0.0f);
        for (int64_t at = 0; at < DRAW_BLOCK; at += LANES)
            sum = ADD(sum, LOAD(weights + block * DRAW_BLOCK + at));
        sums[block] = NAME(lanes_sum)(sum);
        total += sums[block];
    }
    const double share = uniform((uint64_t)how->seed, (uint64_t)how->step) * total;
    int64_t block = 0, last = size - 1;
    while (block < padded / DRAW_BLOCK - 1 && before + sums[block] <= share)
        before += sums[block++];
    for (int64_t at = block * DRAW_BLOCK; at < size && at < (block + 1) * DRAW_BLOCK; at++)
        if (weights[at] > 0.0f) {
            last = at;
            before += weights[at];
            if (before > share)
                break;
        }
    return last;
}

static TARGET void NAME(widen)(int64_t size, const uint16_t *halves, float *numbers)
{
    int64_t at = 0;
    for (; at + LANES <= size; at += LANES)
        STORE(numbers + at, LOAD_HALF(halves + at));
    if (at < size) {
        uint16_t rest[LANES] = {0};
        memcpy(rest, halves + at, (size_t)(size - at) * sizeof *rest);
        NAME(store_part)(numbers, at, size, LOAD_HALF(rest));
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
