/* digest.h - the SHA-256 of a file.
 *
 * Place on the route: beside it: local-verify's manifest. The only file that names nettle. No threads.
 */
#ifndef AILIVE_SIDECAR_DIGEST_H
#define AILIVE_SIDECAR_DIGEST_H

#define DIGEST_TEXT_BYTES 65u

/* Writes it in hexadecimal, with a NUL. 0 or errno. */
int digest_file(const char *path, char out[DIGEST_TEXT_BYTES]);

#endif
