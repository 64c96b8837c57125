/* Sums of products by AVX-512 VNNI and BF16. As assembler, since GCC moves the sums of `_mm512_dpbusd_epi32` and
   `_mm512_dpbf16_ps` to other registers and to memory. */

#ifndef UNROLL_VNNI_H
#define UNROLL_VNNI_H

#include <immintrin.h>

/* Functions of this set may be called without avx512bf16, if they multiply no bfloat16. */
#define VNNI __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx512bf16,avx512vnni,avx2,fma,f16c")))

/* Weights with a sign, factors without one. */
static inline __attribute__((always_inline)) VNNI __m512i add_products(__m512i sums, __m512i weights, __m512i factors)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(factors), "v"(weights));
    return sums;
}

static inline __attribute__((always_inline, unused)) VNNI __m512 add_pairs(__m512 sums, __m512 weights, __m512 factors)
{
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(sums) : "v"(factors), "v"(weights));
    return sums;
}

#endif
