/*
 * Simulates a disk that loses its power, for one process. This library is preloaded. It records every write to the SQLite file POWER_FILE and
 * to its write-ahead log, with the bytes before the write, and every fsync. Each write also reaches the file itself, so the process notices
 * nothing. Afterwards `disk.mjs` takes back writes that were not synced. The real fsync is not called, since it only takes time.
 *
 * A record in POWER_LOG has six numbers of 64 bits: kind ('w' write, 't' truncate, 's' sync), file ('m' main, 'l' log), offset, length, size of
 * the file before, and length of the old bytes. Then come the old bytes, then the new ones.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_FD 4096

static char which[MAX_FD];
static int log_fd = -1;
static const char *watched;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void start(void) {
  const char *path = getenv("POWER_LOG");
  watched = getenv("POWER_FILE");
  if (path && watched) log_fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static char file_of(const char *path) {
  if (log_fd < 0 || !path) return 0;
  size_t length = strlen(watched);
  if (strncmp(path, watched, length) != 0) return 0;
  if (path[length] == 0) return 'm';
  return strcmp(path + length, "-wal") == 0 ? 'l' : 0;
}

static char of_fd(int fd) { return fd >= 0 && fd < MAX_FD ? which[fd] : 0; }

static void record(char kind, int fd, int64_t offset, int64_t length, const void *bytes) {
  struct stat now;
  if (syscall(SYS_fstat, fd, &now) != 0) return;
  int64_t known = kind == 's' ? 0 : now.st_size - offset;
  if (known < 0) known = 0;
  if (kind == 'w' && known > length) known = length;
  char *old = known > 0 ? malloc(known) : NULL;
  if (known > 0 && syscall(SYS_pread64, fd, old, known, offset) != known) abort();
  int64_t head[6] = {kind, of_fd(fd), offset, length, now.st_size, known};
  struct iovec parts[3] = {{head, sizeof head}, {old, known}, {(void *)bytes, kind == 'w' ? length : 0}};
  if (syscall(SYS_writev, log_fd, parts, 3) < 0) abort();
  free(old);
}

static int opened(int fd, const char *path) {
  if (fd >= 0 && fd < MAX_FD) which[fd] = file_of(path);
  return fd;
}

#define OPEN(name)                                                                                                     \
  int name(const char *path, int flags, ...) {                                                                         \
    va_list rest;                                                                                                      \
    va_start(rest, flags);                                                                                             \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                            \
    va_end(rest);                                                                                                      \
    return opened(syscall(SYS_openat, AT_FDCWD, path, flags | O_LARGEFILE, mode), path);                               \
  }
OPEN(open)
OPEN(open64)

int close(int fd) {
  if (fd >= 0 && fd < MAX_FD) which[fd] = 0;
  return syscall(SYS_close, fd);
}

static ssize_t put(int fd, const void *bytes, size_t length, off64_t offset) {
  pthread_mutex_lock(&lock);
  record('w', fd, offset, length, bytes);
  ssize_t written = syscall(SYS_pwrite64, fd, bytes, length, offset);
  pthread_mutex_unlock(&lock);
  return written;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
  return of_fd(fd) ? put(fd, bytes, length, offset) : syscall(SYS_pwrite64, fd, bytes, length, offset);
}

ssize_t write(int fd, const void *bytes, size_t length) {
  if (!of_fd(fd)) return syscall(SYS_write, fd, bytes, length);
  off64_t offset = syscall(SYS_lseek, fd, 0, SEEK_CUR);
  ssize_t written = put(fd, bytes, length, offset);
  if (written > 0) syscall(SYS_lseek, fd, offset + written, SEEK_SET);
  return written;
}

int ftruncate64(int fd, off64_t size) {
  if (!of_fd(fd)) return syscall(SYS_ftruncate, fd, size);
  pthread_mutex_lock(&lock);
  record('t', fd, size, 0, NULL);
  int result = syscall(SYS_ftruncate, fd, size);
  pthread_mutex_unlock(&lock);
  return result;
}

static int synced(int fd) {
  pthread_mutex_lock(&lock);
  record('s', fd, 0, 0, NULL);
  pthread_mutex_unlock(&lock);
  return 0;
}

int fsync(int fd) { return of_fd(fd) ? synced(fd) : syscall(SYS_fsync, fd); }
int fdatasync(int fd) { return of_fd(fd) ? synced(fd) : syscall(SYS_fdatasync, fd); }
