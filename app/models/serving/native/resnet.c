/* A residual network in 8 bits for x86-64 with AVX-512 VNNI: all its convolutions in one call, image by image.

   A map is what a convolution reads: bytes without a sign, pixel by pixel and in a pixel channel by channel, with a
   border around it that stands for zeros. So the pixels that a row of a kernel meets lie side by side, and a
   convolution of 3 x 3 is a sum of three products of rows. Each map is rounded by its own largest number. Shortcuts are
   float32. */

#include <math.h>

#include "native.h"

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))

#include "vnni.h"

#define INLINE inline __attribute__((always_inline)) VNNI

enum {
    TILE = 6,        /* pixels whose sums stay in registers, times 4 vectors of channels */
    LANES = 16,      /* channels of a vector */
    PANEL = 64,      /* channels whose weights lie together */
    BORDER = 1,      /* pixels around a map */
    STEM_BORDER = 3, /* around the image, whose kernel is 7 x 7 */
    SLACK = 64,      /* bytes after a map: factors are read in groups of 4, so up to 3 beyond it */
};

/* Values of 0 to 255, each `scale`, in (height + 2 border) x (width + 2 border) pixels. */
struct map {
    uint8_t *values;
    float scale;
    int64_t height, width, channels, border;
};

static int64_t map_bytes(int64_t height, int64_t width, int64_t channels, int64_t border)
{
    return (height + 2 * border) * (width + 2 * border) * channels + SLACK;
}

static void resize(struct map *map, int64_t height, int64_t width, int64_t channels, int64_t border)
{
    map->height = height, map->width = width, map->channels = channels, map->border = border;
}

/* The first pixel of row y, without the border. */
static uint8_t *row_of(const struct map *map, int64_t y)
{
    return map->values + ((y + map->border) * (map->width + 2 * map->border) + map->border) * map->channels;
}

static int64_t side_after(int64_t side, const struct unroll_convolution *convolution)
{
    return (side + 2 * (convolution->kernel / 2) - convolution->kernel) / convolution->stride + 1;
}

/* Adds the products of TILE pixels and `vectors` vectors of channels to `total`. `pixels` are the first factors of each,
   `row_bytes` apart in the rows of the kernel. */
static INLINE void multiply(const int vectors, int64_t kernel, int64_t groups, int64_t row_bytes,
                            const uint8_t *const *pixels, const int8_t *weights, __m512i total[TILE][4])
{
    for (int64_t row = 0; row < kernel; row++)
        for (int64_t group = 0; group < groups; group++, weights += vectors * LANES * 4) {
            __m512i weight[4];
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                weight[v] = _mm512_loadu_si512(weights + v * LANES * 4);
#pragma GCC unroll 6
            for (int p = 0; p < TILE; p++) {
                int32_t four;
                memcpy(&four, pixels[p] + row * row_bytes + group * 4, sizeof four);
                const __m512i factors = _mm512_set1_epi32(four);
#pragma GCC unroll 4
                for (int v = 0; v < vectors; v++)
                    total[p][v] = add_products(total[p][v], weight[v], factors);
            }
        }
}

/* A tile of a convolution: what it reads, and `count` pixels of `outputs`, which has `channels` numbers for each. */
struct tile {
    const uint8_t *pixels[TILE];
    const int8_t *weights;
    const float *scales, *bias, *shortcut;
    float *outputs, scale;
    int64_t kernel, groups, row_bytes, channels, count;
    int relu;
};

/* `most` is the largest number so far in each lane. NaN stays NaN in `outputs`, and becomes infinity in `most`. */
static INLINE __m512 write_tile(const int vectors, const struct tile *tile, __m512 most)
{
    const __m512 zero = _mm512_setzero_ps(), infinity = _mm512_set1_ps(INFINITY);
    __m512i total[TILE][4];
#pragma GCC unroll 6
    for (int p = 0; p < TILE; p++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            total[p][v] = _mm512_setzero_si512();
    multiply(vectors, tile->kernel, tile->groups, tile->row_bytes, tile->pixels, tile->weights, total);
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
        const __m512 scale = _mm512_mul_ps(_mm512_set1_ps(tile->scale), _mm512_loadu_ps(tile->scales + v * LANES));
        const __m512 bias = _mm512_loadu_ps(tile->bias + v * LANES);
#pragma GCC unroll 6
        for (int p = 0; p < TILE; p++) {
            const int64_t at = p * tile->channels + v * LANES;
            __m512 found = _mm512_fmadd_ps(_mm512_cvtepi32_ps(total[p][v]), scale, bias);
            if (p >= tile->count)
                continue;
            if (tile->shortcut)
                found = _mm512_add_ps(found, _mm512_loadu_ps(tile->shortcut + at));
            if (tile->relu)
                found = _mm512_max_ps(zero, found); /* of NaN and a number the second */
            most = _mm512_max_ps(found, most);
            most = _mm512_mask_mov_ps(most, _mm512_cmp_ps_mask(found, found, _CMP_UNORD_Q), infinity);
            _mm512_storeu_ps(tile->outputs + at, found);
        }
    }
    return most;
}

static VNNI __attribute__((noinline)) __m512 write_tile_1(const struct tile *tile, __m512 most)
{
    return write_tile(1, tile, most);
}
static VNNI __attribute__((noinline)) __m512 write_tile_2(const struct tile *tile, __m512 most)
{
    return write_tile(2, tile, most);
}
static VNNI __attribute__((noinline)) __m512 write_tile_3(const struct tile *tile, __m512 most)
{
    return write_tile(3, tile, most);
}
static VNNI __attribute__((noinline)) __m512 write_tile_4(const struct tile *tile, __m512 most)
{
    return write_tile(4, tile, most);
}

/* The rows of a convolution from `first` on, without a border: (rows, width, channels). `shortcut` is added, if there
   is one; it may be `outputs`. Returns the largest number, or 0 if none is larger. */
static VNNI float convolve(const struct unroll_convolution *convolution, const struct map *map, int64_t first,
                             int64_t rows, int relu, const float *shortcut, float *outputs)
{
    static __m512 (*const write[])(const struct tile *, __m512) = {write_tile_1, write_tile_2, write_tile_3,
                                                                   write_tile_4};
    const int64_t width = side_after(map->width, convolution), count = rows * width, kernel = convolution->kernel;
    const int64_t groups = (kernel * map->channels + 3) / 4, channels = convolution->outputs;
    const int64_t row_bytes = (map->width + 2 * map->border) * map->channels;
    const int64_t step = convolution->stride * map->channels, skipped = map->border - kernel / 2;
    const uint8_t *start = map->values + skipped * (row_bytes + map->channels);
    const int8_t *weights = convolution->weights;
    __m512 most = _mm512_setzero_ps();
    struct tile tile = {
        .scale = map->scale,
        .kernel = kernel,
        .groups = groups,
        .row_bytes = row_bytes,
        .channels = channels,
        .relu = relu,
    };
    for (int64_t panel = 0; panel < channels; panel += PANEL) {
        const int64_t wide = channels - panel < PANEL ? channels - panel : PANEL;
        tile.weights = weights;
        tile.scales = convolution->scales + panel;
        tile.bias = convolution->bias + panel;
        int64_t x = 0;
        const uint8_t *row = start + first * convolution->stride * row_bytes;
        for (int64_t at = 0; at < count; at += TILE) {
            tile.count = count - at < TILE ? count - at : TILE;
            for (int p = 0; p < TILE; p++) {
                if (p >= tile.count) {
                    tile.pixels[p] = tile.pixels[0];
                    continue;
                }
                tile.pixels[p] = row + x * step;
                if (++x == width)
                    x = 0, row += convolution->stride * row_bytes;
            }
            tile.outputs = outputs + at * channels + panel;
            tile.shortcut = shortcut ? shortcut + at * channels + panel : NULL;
            most = write[wide / LANES - 1](&tile, most);
        }
        weights += kernel * groups * wide * 4;
    }
    return _mm512_reduce_max_ps(most);
}

/* Numbers that are not negative as a map, the largest as 255. */
static VNNI void round_to(struct map *map, const float *numbers, float largest, int64_t height, int64_t width,
                            int64_t channels)
{
    const __m512 inverse = _mm512_set1_ps(largest > 1e-30f ? 255.0f / largest : 0.0f);
    resize(map, height, width, channels, BORDER);
    memset(map->values, 0, (size_t)map_bytes(height, width, channels, BORDER));
    map->scale = largest / 255.0f;
    for (int64_t y = 0; y < height; y++) {
        uint8_t *row = row_of(map, y);
        for (int64_t at = 0; at < width * channels; at += LANES, numbers += LANES) {
            const __m512i whole = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(numbers), inverse));
            _mm_storeu_si128((__m128i *)(void *)(row + at), _mm512_cvtusepi32_epi8(whole));
        }
    }
}

/* An image (height, width, 3) as a map, its values as they are. */
static void read_image(struct map *map, const struct unroll_resnet *net, const uint8_t *image)
{
    const int64_t bytes = map_bytes(net->height, net->width, 3, STEM_BORDER);
    resize(map, net->height, net->width, 3, STEM_BORDER);
    map->scale = 1.0f;
    memcpy(map->values, net->zero, 3);
    for (int64_t done = 3; done < bytes; done *= 2)
        memcpy(map->values + done, map->values, (size_t)(done < bytes - done ? done : bytes - done));
    for (int64_t y = 0; y < net->height; y++)
        memcpy(row_of(map, y), image + y * net->width * 3, (size_t)net->width * 3);
}

/* The stem and the pooling after it: the largest of 3 x 3, two apart. `rows` has room for 3 rows of the stem. */
static VNNI float read_stem(const struct unroll_convolution *stem, const struct map *image, float *rows, float *pooled)
{
    const int64_t height = side_after(image->height, stem), width = side_after(image->width, stem);
    const int64_t channels = stem->outputs, size = width * channels;
    float largest = 0.0f;
    for (int64_t y = 0, done = 0; y < (height + 1) / 2; y++) {
        for (; done < height && done < 2 * y + 2; done++) {
            const float most = convolve(stem, image, done, 1, 1, NULL, rows + done % 3 * size);
            largest = most > largest ? most : largest;
        }
        for (int64_t x = 0; x < (width + 1) / 2; x++)
            for (int64_t at = 0; at < channels; at += LANES) {
                __m512 most = _mm512_setzero_ps();
                for (int64_t row = y ? 2 * y - 1 : 0; row < done; row++)
                    for (int64_t column = x ? 2 * x - 1 : 0; column < 2 * x + 2 && column < width; column++)
                        most = _mm512_max_ps(most, _mm512_loadu_ps(rows + row % 3 * size + column * channels + at));
                _mm512_storeu_ps(pooled, most);
                pooled += LANES;
            }
    }
    return largest;
}

/* The sizes of the buffers that one image needs. */
struct room {
    int64_t bytes, numbers;
};

static void need(struct room *room, int64_t height, int64_t width, int64_t channels)
{
    const int64_t bytes = map_bytes(height, width, channels, BORDER), numbers = height * width * channels;
    room->bytes = bytes > room->bytes ? bytes : room->bytes;
    room->numbers = numbers > room->numbers ? numbers : room->numbers;
}

static struct room room_of(const struct unroll_resnet *net)
{
    int64_t height = side_after(net->height, &net->stem), width = side_after(net->width, &net->stem);
    struct room room = {
        .bytes = map_bytes(net->height, net->width, 3, STEM_BORDER),
        .numbers = 3 * width * net->stem.outputs,
    };
    height = (height + 1) / 2, width = (width + 1) / 2;
    need(&room, height, width, net->stem.outputs);
    for (int64_t b = 0; b < net->count; b++)
        for (int64_t c = 0; c < net->blocks[b].count; c++) {
            const struct unroll_convolution *convolution = &net->blocks[b].convolutions[c];
            height = side_after(height, convolution), width = side_after(width, convolution);
            need(&room, height, width, convolution->outputs);
        }
    return room;
}

/* One image (height, width, 3) to a grid: a side is a 32nd of the image's, rounded up, and channels are a multiple of
   16. It is NaN if a number on the way is not finite. */
static VNNI void read_one(const struct unroll_resnet *net, const uint8_t *image, float *const *numbers,
                            uint8_t *const *bytes, float *grid)
{
    float *kept = numbers[0], *inner = numbers[1];
    struct map input = {.values = bytes[0]}, before = {.values = bytes[1]}, after = {.values = bytes[2]};
    read_image(&before, net, image);
    int64_t height = side_after(net->height, &net->stem), width = side_after(net->width, &net->stem);
    int64_t channels = net->stem.outputs;
    float largest = read_stem(&net->stem, &before, inner, kept);
    float bad = 0.0f;
    height = (height + 1) / 2, width = (width + 1) / 2;
    for (int64_t b = 0; b < net->count; b++) {
        const struct unroll_block *block = &net->blocks[b];
        round_to(&input, kept, largest, height, width, channels);
        bad += largest * 0.0f;
        if (block->has_downsample)
            convolve(&block->downsample, &input, 0, side_after(height, &block->downsample), 0, NULL, kept);
        const struct map *read = &input;
        for (int64_t c = 0; c < block->count; c++) {
            const struct unroll_convolution *convolution = &block->convolutions[c];
            const int is_last = c == block->count - 1;
            height = side_after(height, convolution), width = side_after(width, convolution);
            channels = convolution->outputs;
            largest = convolve(convolution, read, 0, height, 1, is_last ? kept : NULL, is_last ? kept : inner);
            if (is_last)
                break;
            struct map *next = read == &before ? &after : &before;
            round_to(next, inner, largest, height, width, channels);
            bad += largest * 0.0f;
            read = next;
        }
    }
    bad += largest * 0.0f;
    for (int64_t at = 0; at < height * width * channels; at++)
        grid[at] = kept[at] + bad;
}

/* Grids of `count` images, see `struct unroll_resnet`. Returns 0, or -1 if there is no memory. */
EXPORT int unroll_resnet(const struct unroll_resnet *net, const uint8_t *images, int64_t count, float *grids)
{
    const struct room room = room_of(net);
    float *numbers[2] = {malloc((size_t)room.numbers * sizeof(float)), malloc((size_t)room.numbers * sizeof(float))};
    uint8_t *bytes[3] = {malloc((size_t)room.bytes), malloc((size_t)room.bytes), malloc((size_t)room.bytes)};
    const int status = numbers[0] && numbers[1] && bytes[0] && bytes[1] && bytes[2] ? 0 : -1;
    if (!status)
        for (int64_t image = 0; image < count; image++)
            read_one(net, images + image * 3 * net->height * net->width, numbers, bytes, grids + image * net->grid);
    for (int at = 0; at < 2; at++)
        free(numbers[at]);
    for (int at = 0; at < 3; at++)
        free(bytes[at]);
    return status;
}

#else

EXPORT int unroll_resnet(const struct unroll_resnet *net, const uint8_t *images, int64_t count, float *grids)
{
    return (void)net, (void)images, (void)count, (void)grids, -1;
}

#endif
