#include "runtime/host/sha256.h"
#include "ir/base.h"

void itc_sha256(const void *bytes, size_t n, uint8_t out[32])
{
    itr_sha256 s;
    itr_sha256_init(&s);
    itr_sha256_update(&s, bytes, n);
    itr_sha256_final(&s, out);
}
