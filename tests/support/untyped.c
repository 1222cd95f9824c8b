/* untyped.c - preloaded: a file system that does not tell the type of a file when its folder is listed. */
#include <dirent.h>
#include <dlfcn.h>
#include <string.h>

int scandir(const char *path, struct dirent ***entries, int (*wanted)(const struct dirent *),
            int (*order)(const struct dirent **, const struct dirent **))
{
    __typeof__(scandir) *next;
    void *symbol = dlsym(RTLD_NEXT, "scandir");
    int count;

    memcpy(&next, &symbol, sizeof(next)); /* ISO C has no cast from an object's to a function's pointer */
    count = next(path, entries, wanted, order);
    for (int i = 0; i < count; i++)
        (*entries)[i]->d_type = DT_UNKNOWN;
    return count;
}
