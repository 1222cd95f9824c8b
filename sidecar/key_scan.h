/* key_scan.h - key material that must not lie in evidence that is handed on.
 *
 * Place on the route: beside it: files of evidence -> [key_scan] -> local-verify's KEY_MATERIAL_SCAN.txt. One
 * thread. Looks for private keys, tokens of clouds and GitHub, and bearer headers in the whole file, and for
 * words such as password in its first KEY_SCAN_WORDS_BYTES. Lines beyond KEY_SCAN_LINE_BYTES are looked at in
 * pieces that overlap. Never writes the secret: a hit shows its kind and four bytes at the most.
 */
#ifndef AILIVE_SIDECAR_KEY_SCAN_H
#define AILIVE_SIDECAR_KEY_SCAN_H

#include "buffer.h"

#define KEY_SCAN_WORDS_BYTES 4096u

struct key_scan;

/* NULL: out of memory. */
struct key_scan *key_scan_new(void);
void key_scan_free(struct key_scan *scan); /* NULL is harmless */

/* Appends a line for each hit in the file: "path:line: kind: AKIA****". 0 or errno. */
int key_scan_file(struct key_scan *scan, const char *path, struct buffer *hits);

#endif
