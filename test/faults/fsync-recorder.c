/*
 * Preloaded into the server (LD_PRELOAD), it writes down what the process made durable below one folder, so that
 * power-cut.ts can tell afterwards what a disk would hold that lost its power. Each line is in the file before the
 * call returns, so it outlives a SIGKILL.
 *
 *   RECORDER_FOLDER     the folder that is watched, absolute; the process has to name it absolutely too
 *   RECORDER_LOG        where the lines go
 *   RECORDER_INODES     a folder of the same file system: every file made gets a second name here, its inode number,
 *                       so that its bytes outlive an unlink
 *   RECORDER_COUNTDOWN  a file of four bytes, a native int: the process kills itself right before the call that
 *                       brings it down to 0
 *   RECORDER_DELAY      longest pause before a sync in microseconds: a slow disk
 *
 * LevelDB opens for writing with fopen64, Node with open64; what they write is not recorded, since bytes count only
 * once they are synced.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static const char *folder, *inodes;
static int log_file = -1;
static int *countdown;
static long delay;
/* Lines about names so far; a sync of a folder covers those that were written before it began. */
static long names;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void fail(const char *what) {
  perror(what);
  _exit(70);
}

__attribute__((constructor)) static void begin(void) {
  folder = getenv("RECORDER_FOLDER");
  inodes = getenv("RECORDER_INODES");
  delay = atol(getenv("RECORDER_DELAY") ?: "0");
  log_file = REAL(open64)(getenv("RECORDER_LOG"), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (log_file < 0) fail("RECORDER_LOG");
  int file = REAL(open64)(getenv("RECORDER_COUNTDOWN"), O_RDWR | O_CLOEXEC);
  countdown = mmap(NULL, sizeof *countdown, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (countdown == MAP_FAILED) fail("RECORDER_COUNTDOWN");
  close(file);
  /* Also where a process may trace its children only (Yama), strace may attach to this one. */
  prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
}

static int is_watched(const char *path) {
  size_t length = strlen(folder);
  return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static void note(int is_name, const char *format, ...) {
  char line[3 * PATH_MAX];
  va_list args;
  va_start(args, format);
  int length = vsnprintf(line, sizeof line, format, args);
  va_end(args);
  int error = errno;
  pthread_mutex_lock(&mutex);
  if (write(log_file, line, length) != length) fail("RECORDER_LOG");
  if (is_name) names++;
  pthread_mutex_unlock(&mutex);
  errno = error;
}

/* The moment right before a call that matters. */
static void before(void) {
  if (*countdown > 0 && __atomic_sub_fetch(countdown, 1, __ATOMIC_SEQ_CST) == 0) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
  }
}

static void made(const char *path, int existed) {
  char second[PATH_MAX];
  struct stat status;
  int error = errno;
  if (stat(path, &status) != 0) return;
  if (existed) {
    note(0, "emptied %lu\n", status.st_ino);
  } else {
    snprintf(second, sizeof second, "%s/%lu", inodes, status.st_ino);
    if (link(path, second) != 0 && errno != EEXIST) fail("RECORDER_INODES");
    note(1, "made %lu\t%s\n", status.st_ino, path);
  }
  errno = error;
}

FILE *fopen64(const char *path, const char *mode) {
  int writes = is_watched(path) && mode[0] != 'r';
  int existed = writes && access(path, F_OK) == 0;
  if (writes) before();
  FILE *file = REAL(fopen64)(path, mode);
  if (file != NULL && writes && (!existed || mode[0] == 'w')) made(path, existed);
  return file;
}

FILE *fopen(const char *path, const char *mode) { return fopen64(path, mode); }

int open64(const char *path, int flags, ...) {
  va_list args;
  va_start(args, flags);
  mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
  va_end(args);
  int writes = is_watched(path) && flags & (O_CREAT | O_TRUNC);
  int existed = writes && access(path, F_OK) == 0;
  if (writes) before();
  int file = REAL(open64)(path, flags, mode);
  if (file >= 0 && writes && (!existed || flags & O_TRUNC)) made(path, existed);
  return file;
}

static int sync_with(int (*sync)(int), int file) {
  char link[64], path[PATH_MAX] = "";
  struct stat status;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  if (readlink(link, path, sizeof path - 1) < 0 || !is_watched(path) || fstat(file, &status) != 0) return sync(file);
  before();
  long covered = names;
  if (delay > 0) usleep(rand() % delay);
  int result = sync(file);
  if (result != 0) note(0, "failed %lu\n", status.st_ino);
  else if (S_ISDIR(status.st_mode)) note(0, "folder %ld\t%s\n", covered, path);
  else note(0, "synced %lu %ld\n", status.st_ino, (long)status.st_size);
  return result;
}

int fsync(int file) { return sync_with(REAL(fsync), file); }
int fdatasync(int file) { return sync_with(REAL(fdatasync), file); }

int ftruncate64(int file, off64_t length) {
  struct stat status;
  int result = REAL(ftruncate64)(file, length);
  if (result == 0 && fstat(file, &status) == 0) note(0, "cut %lu %ld\n", status.st_ino, (long)length);
  return result;
}

int rename(const char *from, const char *to) {
  if (!is_watched(to)) return REAL(rename)(from, to);
  before();
  int result = REAL(rename)(from, to);
  if (result == 0) note(1, "renamed %s\t%s\n", from, to);
  return result;
}

int unlink(const char *path) {
  if (!is_watched(path)) return REAL(unlink)(path);
  before();
  int result = REAL(unlink)(path);
  if (result == 0) note(1, "removed %s\n", path);
  return result;
}

int mkdir(const char *path, mode_t mode) {
  int result = REAL(mkdir)(path, mode);
  if (result == 0 && is_watched(path)) note(1, "folder made %s\n", path);
  return result;
}
