/* mkdisk.c: `virtax-guest mkdisk PATH BYTES`: every 8-byte word w at index i is disk_word(i, 0) (lib/mix.h). */
#include "host.h"
#include "init/print.h"
#include "lib/mix.h"
#include "lib/str.h"

enum { CHUNK = 1 << 20 };

static int failed(const char *path, const char *what, long status) {
  host_report("mkdisk: cannot %s %s (errno %ld)%s", what, path, -status, status == -28 ? ": the file system is full" : "");
  return 1;
}

static long write_chunk(int fd, const uint64_t *words, uint64_t bytes, uint64_t offset) {
  for (uint64_t done = 0; done < bytes;) {
    long n = SYSCALL(SYS_pwrite64, fd, (const char *)words + done, bytes - done, offset + done, 0, 0);
    if (n == -EINTR) continue;
    if (n <= 0) return n ? n : -ENV_EIO;
    done += (uint64_t)n;
  }
  return 0;
}

static long fill(int fd, uint64_t bytes) {
  uint64_t *words = map_pages(CHUNK);
  if (!words) return -ENV_ENOMEM;
  /* Blocks that lie together on the disk, and an early answer when there is no room. Not every file system can. */
  long status = SYSCALL(SYS_fallocate, fd, 0, 0, bytes, 0, 0);
  if (status == -28) return status;
  for (uint64_t offset = 0; offset < bytes; offset += CHUNK) {
    uint64_t n = bytes - offset < CHUNK ? bytes - offset : CHUNK;
    for (uint64_t i = 0; i < n / 8; i++) words[i] = disk_word(offset / 8 + i, 0);
    status = write_chunk(fd, words, n, offset);
    if (status) return status;
  }
  return SYSCALL(SYS_fdatasync, fd, 0, 0, 0, 0, 0);
}

int mkdisk_main(int argc, char **argv) {
  uint64_t bytes;
  if (argc != 2 || str_u64(argv[1], &bytes)) {
    host_report("usage: virtax-guest mkdisk PATH BYTES");
    return 2;
  }
  if (bytes < 2 * 1024 * 1024 || bytes % 4096) {
    host_report("mkdisk: %s is no size of a disk: at least 2 MiB (2097152), in multiples of 4096", argv[1]);
    return 2;
  }
  long fd = SYSCALL(SYS_openat, AT_FDCWD, argv[0], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644, 0, 0);
  if (fd < 0) return failed(argv[0], "create", fd);
  long status = fill((int)fd, bytes);
  if (status) return failed(argv[0], "write", status);
  print("disk path=%s bytes=%llu\n", argv[0], (unsigned long long)bytes);
  return 0;
}
