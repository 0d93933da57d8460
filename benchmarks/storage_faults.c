/* Makes changes of files below one folder fail, or kills the process at one: for LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { WRITE = 1, RENAME = 2, OTHER = 4 };

static char folder[4096];
static int kinds, number, in_bytes;
static long left;

/* Count changes of some kinds below a folder; the one after `at`, or the byte, and all that follow
   fail with `error`; with 0 the process is killed. */
void storage_faults_arm(const char *below, int of_kinds, long at, int error, int bytes) {
    snprintf(folder, sizeof folder, "%s", below);
    kinds = of_kinds;
    left = at;
    number = error;
    in_bytes = bytes;
}

/* How many changes, or bytes, of what was armed with are not used up. */
long storage_faults_left(void) {
    return left;
}

static int hits(int kind, const char *path, long bytes) {
    if (!folder[0] || !(kinds & kind) || strncmp(path, folder, strlen(folder)) != 0) {
        return 0;
    }
    left -= in_bytes ? bytes : 1;
    if (left >= 0) {
        return 0;
    }
    if (!number) {
        kill(getpid(), SIGKILL);
    }
    errno = number;
    return 1;
}

static const char *name_of(int handle, const char *path, char *made) {
    char link[64];
    if (path && (path[0] == '/' || handle == AT_FDCWD)) {
        return path;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t length = readlink(link, made, 4000);
    made[length < 0 ? 0 : length] = 0;
    return made;
}

#define NEXT(name) __typeof__(&name) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

ssize_t write(int handle, const void *data, size_t count) {
    NEXT(write);
    char made[4096];
    if (folder[0] && hits(WRITE, name_of(handle, NULL, made), (long)count)) {
        return -1;
    }
    return next(handle, data, count);
}

ssize_t pwrite64(int handle, const void *data, size_t count, off64_t offset) {
    NEXT(pwrite64);
    char made[4096];
    if (folder[0] && hits(WRITE, name_of(handle, NULL, made), (long)count)) {
        return -1;
    }
    return next(handle, data, count, offset);
}

int rename(const char *from, const char *to) {
    NEXT(rename);
    return hits(RENAME, to, 1) ? -1 : next(from, to);
}

int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
    NEXT(renameat2);
    return hits(RENAME, to, 1) ? -1 : next(from_at, from, to_at, to, flags);
}

int mkdir(const char *path, mode_t mode) {
    NEXT(mkdir);
    return hits(OTHER, path, 1) ? -1 : next(path, mode);
}

int rmdir(const char *path) {
    NEXT(rmdir);
    return hits(OTHER, path, 1) ? -1 : next(path);
}

int unlink(const char *path) {
    NEXT(unlink);
    return hits(OTHER, path, 1) ? -1 : next(path);
}

int unlinkat(int at, const char *path, int flags) {
    NEXT(unlinkat);
    char made[4096];
    return hits(OTHER, name_of(at, path, made), 1) ? -1 : next(at, path, flags);
}

int open64(const char *path, int flags, ...) {
    NEXT(open64);
    va_list more;
    va_start(more, flags);
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, int) : 0;
    va_end(more);
    return flags & O_CREAT && hits(OTHER, path, 1) ? -1 : next(path, flags, mode);
}
