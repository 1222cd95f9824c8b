/* page.h - the live page's files, as the build packs them from page/ and Debian's Chart.js.
 *
 * Place on the route: files made at build time -> http. Constant.
 */
#ifndef AILIVE_SIDECAR_PAGE_H
#define AILIVE_SIDECAR_PAGE_H

#include "http.h"

extern const struct http_file page_files[]; /* behind the last: path NULL */

#endif
