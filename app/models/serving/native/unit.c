/* A unit of decoding: some steps of a decoder for all its running rows, from the embedding of the last tokens to the
   choice of the next ones, without a return to Python. The kernels do the work; this file has no instruction of any
   processor. A row costs nothing after its end. */

#include "native.h"

#include <math.h>

enum { EMBEDDING, HIDDEN, CONTEXT };                   /* parts of what the output layer reads */
enum { NO_ATTENTION, FIXED, DOT, ADDITIVE, GATED };    /* kinds of attention */
enum { RUNNING, STOP, LENGTH, BAD };                   /* how a row ended, see slots.py */
static const float LEAST = -100.0f;                    /* log-probability of a drawn token, see constraints.py */

/* A linear layer; `size` is 0 if the decoder does not have it. */
struct unroll_layer {
    struct unroll_matrix matrix;
    const float *bias;
    int64_t size;
};

/* The weights and the shape of a decoder, see app/models/decoders.py. `projections` and `cells` have one entry for each
   recurrent layer. `embedding` is (vocabulary, embedding_size), of type FLOAT16 or FLOAT32. `score` is the vector of
   additive attention. `parts` are the inputs of the output layer. `fed` is the size of the features that the next step
   reads, or 0. */
struct unroll_decoder {
    const void *embedding;
    const struct unroll_layer *projections;
    const struct unroll_cell *cells;
    const float *score;
    struct unroll_layer input, query, gate, readout, output;
    int64_t embedding_size, embedding_type, embedding_relu, layers, hidden_size, memory_size, key_size;
    int64_t attention, attention_relu, attends_first, fed, part_count, parts[8];
    int32_t level, unused;
};

/* The running rows of a model, in place: `count` rows of the storage of slots.py, which are contiguous where no stride
   is given. `history` and `log_probs` have room for `room` tokens of each row. Of the rows at `drawn.rows`, tokens are
   drawn. Rows decode up to `steps` tokens, `block` rows at once; `end` ends an answer. `made_steps` and `made_rows` say
   how many steps ran, and for how many rows in all. */
struct unroll_unit {
    float *hidden, *cell, *fed, *log_probs;
    const float *first, *memory, *keys;
    uint8_t *is_first;
    const uint8_t *mask;
    int64_t *previous, *progress, *ended, *history;
    const int64_t *limits;
    struct unroll_draws drawn;
    int64_t count, steps, block, end, room, positions;
    int64_t memory_row, memory_position, keys_row, keys_position, mask_row;
    int64_t made_steps, made_rows;
};

/* Memory of a step of a block of rows. The first three have the numbers of the running rows of the block, one after the
   other; `draw_of` has for each row of the storage its place among the drawn rows, or -1. */
struct work {
    int64_t *rows, *best, *draw_of;
    struct cell_row *cells;
    float *embedded, *inputs, *transformed, *gates, *output, *query, *weights, *context, *gate, *read, *features;
    float *logits, *sums;
    void *factors, *draw;
};

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static int64_t width_of(const struct unroll_matrix *matrix)
{
    return matrix->panels * matrix->vectors * (matrix->level == AVX2 ? 8 : matrix->level == NEON ? 4 : 16);
}

static int64_t part_size(const struct unroll_decoder *d, int64_t part)
{
    return part == EMBEDDING ? d->embedding_size : part == HIDDEN ? d->hidden_size : d->memory_size;
}

static int64_t input_size(const struct unroll_decoder *d)
{
    return d->embedding_size + (d->attends_first ? d->memory_size : 0) + d->fed;
}

static int64_t read_size(const struct unroll_decoder *d)
{
    int64_t size = 0;
    for (int64_t p = 0; p < d->part_count; p++)
        size += part_size(d, d->parts[p]);
    return size;
}

static size_t factors_of_layer(const struct unroll_layer *layer)
{
    return layer->size ? factor_bytes(&layer->matrix) : 0;
}

/* Bytes for the factors of one row of any layer. */
static size_t most_factors(const struct unroll_decoder *d)
{
    const struct unroll_layer *layers[] = {&d->input, &d->query, &d->gate, &d->readout, &d->output};
    size_t most = 0;
    for (size_t l = 0; l < sizeof layers / sizeof *layers; l++)
        most = factors_of_layer(layers[l]) > most ? factors_of_layer(layers[l]) : most;
    for (int64_t l = 0; l < d->layers; l++) {
        const size_t fresh = factors_of_layer(&d->projections[l]), carried = factor_bytes(&d->cells[l].matrix);
        most = fresh > most ? fresh : most;
        most = carried > most ? carried : most;
    }
    return most;
}

/* Takes `size` bytes from `place`, in whole cache lines. With a `base` of NULL it only counts. */
static void *taken(char *base, size_t *place, size_t size)
{
    void *start = base ? base + *place : NULL;
    *place += (size + 127) / 64 * 64;
    return start;
}

/* Divides memory among the parts of a step of `rows` rows; returns the bytes that it needs. */
static size_t divide(const struct unroll_decoder *d, const struct unroll_unit *u, int64_t rows, char *base,
                     struct work *w)
{
    const size_t n = (size_t)rows, real = sizeof(float);
    int64_t gates = 0;
    size_t place = 0;
    for (int64_t l = 0; l < d->layers; l++)
        gates = larger(gates, width_of(&d->projections[l].matrix));
    w->rows = taken(base, &place, n * sizeof(int64_t));
    w->best = taken(base, &place, n * sizeof(int64_t));
    w->draw_of = taken(base, &place, (size_t)u->count * sizeof(int64_t));
    w->cells = taken(base, &place, n * sizeof(struct cell_row));
    w->embedded = taken(base, &place, n * (size_t)d->embedding_size * real);
    w->inputs = taken(base, &place, n * (size_t)input_size(d) * real);
    w->transformed = taken(base, &place, n * (size_t)d->input.size * real);
    w->gates = taken(base, &place, n * (size_t)gates * real);
    w->output = taken(base, &place, n * (size_t)d->hidden_size * real);
    w->query = taken(base, &place, n * (size_t)larger(d->hidden_size, d->query.size) * real);
    w->weights = taken(base, &place, (size_t)u->positions * real);
    w->context = taken(base, &place, n * (size_t)d->memory_size * real);
    w->gate = taken(base, &place, n * (size_t)d->gate.size * real);
    w->read = taken(base, &place, n * (size_t)read_size(d) * real);
    w->features = taken(base, &place, n * (size_t)d->readout.size * real);
    w->logits = taken(base, &place, n * (size_t)d->output.size * real);
    w->sums = taken(base, &place, n * real);
    w->factors = taken(base, &place, (size_t)larger(rows, BLOCK_ROWS) * most_factors(d));
    w->draw = taken(base, &place, u->drawn.count ? draw_bytes(d->output.size) : 0);
    return place;
}

static void apply(const struct unroll_layer *layer, const float *inputs, float *outputs, int64_t size, int64_t count,
                  const struct work *w)
{
    linear_rows(&layer->matrix, layer->bias, inputs, layer->matrix.depth, outputs, size, size, count, w->factors);
}

static void copy(float *to, const float *from, int64_t size) { memcpy(to, from, (size_t)size * sizeof(float)); }

static void rectify(float *numbers, int64_t size)
{
    for (int64_t at = 0; at < size; at++)
        numbers[at] = numbers[at] < 0.0f ? 0.0f : numbers[at]; /* NaN stays */
}

/* The embeddings of the last tokens, or the inputs of a first step. */
static void embed(const struct unroll_decoder *d, const struct unroll_unit *u, int64_t count, const struct work *w)
{
    const int64_t size = d->embedding_size;
    for (int64_t r = 0; r < count; r++) {
        const int64_t row = w->rows[r], token = u->previous[row];
        float *embedded = w->embedded + r * size;
        if (u->is_first && u->is_first[row]) {
            copy(embedded, u->first + row * size, size);
            continue;
        }
        if (d->embedding_type == FLOAT16)
            widen(d->level, size, (const uint16_t *)d->embedding + token * size, embedded);
        else
            copy(embedded, (const float *)d->embedding + token * size, size);
        if (d->embedding_relu)
            rectify(embedded, size);
    }
}

/* The context of each row. Queries are the rows of `hidden`, `stride` numbers apart. */
static void attend(const struct unroll_decoder *d, const struct unroll_unit *u, const float *hidden, int64_t count,
                   const struct work *w)
{
    const float *query = hidden;
    int64_t query_size = d->hidden_size;
    if (d->query.size) {
        apply(&d->query, hidden, w->query, d->query.size, count, w);
        query = w->query;
        query_size = d->query.size;
    }
    for (int64_t r = 0; r < count; r++) {
        const int64_t row = w->rows[r];
        const float *memory = u->memory + row * u->memory_row;
        float *context = w->context + r * d->memory_size;
        if (d->attention == FIXED) {
            copy(context, memory, d->memory_size);
            continue;
        }
        const struct unroll_attention attention = {
            .query = query + r * query_size,
            .keys = u->keys + row * u->keys_row,
            .memory = memory,
            .score = d->attention == DOT ? NULL : d->score,
            .mask = u->mask + row * u->mask_row,
            .weights = w->weights,
            .context = context,
            .rows = 1,
            .positions = u->positions,
            .key_size = d->key_size,
            .memory_size = d->memory_size,
            .keys_position = u->keys_position,
            .memory_position = u->memory_position,
            .relu = d->attention_relu,
        };
        unroll_attend(d->level, &attention);
    }
    if (d->attention == GATED) {
        const int64_t size = count * d->gate.size;
        apply(&d->gate, hidden, w->gate, d->gate.size, count, w);
        unroll_activate(d->level, 0, size, w->gate, w->gate);
        for (int64_t at = 0; at < size; at++)
            w->context[at] *= w->gate[at];
    }
}

/* One layer of the recurrence: `inputs` to the outputs in `w->output`, which become its hidden state. */
static void recur(const struct unroll_decoder *d, const struct unroll_unit *u, int64_t layer, const float *inputs,
                  int64_t count, const struct work *w)
{
    const struct unroll_cell *cell = &d->cells[layer];
    const int64_t size = d->hidden_size, width = width_of(&d->projections[layer].matrix);
    apply(&d->projections[layer], inputs, w->gates, width, count, w);
    for (int64_t r = 0; r < count; r++) {
        const int64_t at = (w->rows[r] * d->layers + layer) * size;
        float *state = u->cell ? u->cell + at : NULL;
        w->cells[r] = (struct cell_row){
            .gates = w->gates + r * width,
            .hidden = u->hidden + at,
            .cell = state,
            .next_hidden = w->output + r * size,
            .next_cell = state,
        };
    }
    step_rows(cell, count, w->cells, w->factors);
    for (int64_t r = 0; r < count; r++)
        copy(u->hidden + (w->rows[r] * d->layers + layer) * size, w->output + r * size, size);
}

/* Puts rows of `size` numbers beside each other: columns `*column` and on of `to`, of `width` numbers a row. */
static void place(float *to, int64_t width, int64_t *column, const float *from, int64_t size, int64_t count)
{
    for (int64_t r = 0; r < count; r++)
        copy(to + r * width + *column, from + r * size, size);
    *column += size;
}

/* Everything of a step up to the logits, for `count` rows. */
static void compute(const struct unroll_decoder *d, const struct unroll_unit *u, int64_t count, const struct work *w)
{
    const int64_t width = input_size(d), read_width = read_size(d), hidden = d->hidden_size;
    const float *inputs = w->inputs, *features = w->read;
    int64_t column = 0;
    embed(d, u, count, w);
    place(w->inputs, width, &column, w->embedded, d->embedding_size, count);
    if (d->attends_first) {
        for (int64_t r = 0; r < count; r++) /* the state before the step asks */
            copy(w->output + r * hidden, u->hidden + ((w->rows[r] + 1) * d->layers - 1) * hidden, hidden);
        attend(d, u, w->output, count, w);
        place(w->inputs, width, &column, w->context, d->memory_size, count);
    }
    if (d->fed)
        for (int64_t r = 0; r < count; r++)
            copy(w->inputs + r * width + column, u->fed + w->rows[r] * d->fed, d->fed);
    if (d->input.size) {
        apply(&d->input, inputs, w->transformed, d->input.size, count, w);
        rectify(w->transformed, count * d->input.size);
        inputs = w->transformed;
    }
    for (int64_t layer = 0; layer < d->layers; layer++)
        recur(d, u, layer, layer ? w->output : inputs, count, w);
    if (d->attention != NO_ATTENTION && !d->attends_first)
        attend(d, u, w->output, count, w);
    column = 0;
    for (int64_t p = 0; p < d->part_count; p++) {
        const float *part = d->parts[p] == EMBEDDING ? w->embedded : d->parts[p] == HIDDEN ? w->output : w->context;
        place(w->read, read_width, &column, part, part_size(d, d->parts[p]), count);
    }
    if (d->readout.size) {
        apply(&d->readout, w->read, w->features, d->readout.size, count, w);
        unroll_activate(d->level, 1, count * d->readout.size, w->features, w->features);
        features = w->features;
    }
    if (d->fed)
        for (int64_t r = 0; r < count; r++)
            copy(u->fed + w->rows[r] * d->fed, features + r * d->fed, d->fed);
    apply(&d->output, features, w->logits, d->output.size, count, w);
}

/* Chooses and stores a token for each row; returns how many of the rows go on. */
static int64_t choose(const struct unroll_decoder *d, const struct unroll_unit *u, int64_t count, const struct work *w)
{
    int64_t running = 0;
    unroll_best(d->level, w->logits, count, d->output.size, w->best, w->sums);
    for (int64_t r = 0; r < count; r++) {
        const int64_t row = w->rows[r], draw = w->draw_of[row], at = u->progress[row];
        int64_t token = w->best[r];
        float log_prob = -logf(w->sums[r]);
        if (draw >= 0) {
            const float *logits = w->logits + r * d->output.size;
            const struct draw how = {
                .temperature = u->drawn.temperatures[draw],
                .top_p = u->drawn.top_p[draw],
                .min_p = u->drawn.min_p[draw],
                .top_k = u->drawn.top_k[draw],
                .seed = u->drawn.seeds[draw],
                .step = at,
            };
            token = draw_row(d->level, logits, d->output.size, &how, w->draw);
            log_prob += logits[token] - logits[w->best[r]];
            log_prob = log_prob < LEAST ? LEAST : log_prob;
        }
        u->history[row * u->room + at] = token;
        u->log_probs[row * u->room + at] = log_prob;
        u->previous[row] = token;
        u->progress[row] = at + 1;
        if (u->is_first)
            u->is_first[row] = 0;
        u->ended[row] = log_prob != log_prob          ? BAD
                        : token == u->end             ? STOP
                        : at + 1 >= u->limits[row]    ? LENGTH
                                                      : RUNNING;
        if (u->ended[row] == RUNNING)
            w->rows[running++] = row;
    }
    return running;
}

/* Whether every running row has a last token of the vocabulary, and room for a token. */
static int is_sound(const struct unroll_decoder *d, const struct unroll_unit *u)
{
    for (int64_t row = 0; row < u->count; row++)
        if (u->ended[row] == RUNNING && (u->previous[row] < 0 || u->previous[row] >= d->output.size ||
                                         u->progress[row] < 0 || u->limits[row] > u->room ||
                                         u->progress[row] >= u->room))
            return 0;
    for (int64_t r = 0; r < u->drawn.count; r++)
        if (u->drawn.rows[r] < 0 || u->drawn.rows[r] >= u->count)
            return 0;
    return 1;
}

/* Decodes a unit. Returns 0; -1 if there is no memory, or -2 if a row has a token outside of the vocabulary or no room,
   and then nothing has changed. */
EXPORT int unroll_decode(const struct unroll_decoder *d, struct unroll_unit *u)
{
    struct work w;
    u->made_steps = u->made_rows = 0;
    if (!is_sound(d, u))
        return -2;
    if (u->count == 0)
        return 0;
    const int64_t block = u->block < 1 ? 1 : u->block < u->count ? u->block : u->count;
    char *memory = malloc(divide(d, u, block, NULL, &w) + 64);
    if (!memory)
        return -1;
    divide(d, u, block, memory + (64 - (uintptr_t)memory % 64), &w);
    for (int64_t row = 0; row < u->count; row++)
        w.draw_of[row] = -1;
    for (int64_t r = 0; r < u->drawn.count; r++)
        w.draw_of[u->drawn.rows[r]] = r;
    for (int64_t first = 0; first < u->count; first += block) {
        int64_t running = 0;
        for (int64_t row = first; row < u->count && row < first + block; row++)
            if (u->ended[row] == RUNNING)
                w.rows[running++] = row;
        for (int64_t step = 0; step < u->steps && running; step++) {
            u->made_rows += running;
            u->made_steps = larger(u->made_steps, step + 1);
            compute(d, u, running, &w);
            running = choose(d, u, running, &w);
        }
    }
    free(memory);
    return 0;
}
