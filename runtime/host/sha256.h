/**
 * SHA-256 (FIPS 180-4), with the instructions that some x86 CPUs have for it. Freestanding: nothing
 * of libc but memcpy, so tensors.c may use it as well.
 */
#ifndef ITR_HOST_SHA256_H
#define ITR_HOST_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct itr_sha256 {
    uint32_t h[8];
    uint64_t bytes; /**< hashed so far */
    uint8_t block[64];
    void (*blocks)(uint32_t h[8], const uint8_t *p, size_t n); /**< NULL: not chosen yet */
} itr_sha256;

void itr_sha256_init(itr_sha256 *s);
void itr_sha256_update(itr_sha256 *s, const void *bytes, size_t n);
/** Writes the hash; `s` must be initialised again before its next use. */
void itr_sha256_final(itr_sha256 *s, uint8_t hash[32]);
/** 64 lower-case digits and a NUL. */
void itr_sha256_hex(const uint8_t hash[32], char text[65]);
/** Goes on from h over n blocks of 64 bytes, in portable C. */
void itr_sha256_blocks_ref(uint32_t h[8], const uint8_t *p, size_t n);

#endif
