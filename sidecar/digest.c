/* digest.c - the SHA-256 of a file.
 *
 * Place on the route: local-verify's manifest. Owns nothing.
 */
#include "digest.h"

#include <errno.h>
#include <nettle/sha2.h>
#include <stdbool.h>
#include <stdio.h>

int digest_file(const char *path, char out[DIGEST_TEXT_BYTES])
{
    FILE *file = fopen(path, "re");
    uint8_t bytes[16384], digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx context;
    bool fine;
    size_t n;

    if (file == NULL)
        return errno;
    sha256_init(&context);
    while ((n = fread(bytes, 1, sizeof(bytes), file)) > 0)
        sha256_update(&context, n, bytes);
    fine = ferror(file) == 0;
    fclose(file);
    if (!fine)
        return EIO;
    sha256_digest(&context, sizeof(digest), digest);
    for (size_t i = 0; i < sizeof(digest); i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    return 0;
}
