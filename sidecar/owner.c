/* owner.c - whether a producer lives.
 *
 * Place on the route: asked by the spool reader and by salvage. Owns nothing, changes nothing.
 */
#include "owner.h"

#include <wire/paths.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum owner owner_of(const char *runtime, const struct event_producer *producer)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[PATHS_MAX_BYTES + LAYOUT_NAME_BYTES + 8], name[LAYOUT_NAME_BYTES];
    int fd, status;

    if (runtime == NULL)
        return OWNER_GONE;
    layout_folder_name(producer, name);
    snprintf(path, sizeof(path), "%s/%s/lock", runtime, name);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? OWNER_GONE : OWNER_ALIVE;
    status = fcntl(fd, F_OFD_GETLK, &whole);
    close(fd);
    return status == 0 && whole.l_type == F_UNLCK ? OWNER_DEAD : OWNER_ALIVE;
}
