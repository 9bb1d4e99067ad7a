/*
 * arch.h: what differs between architectures for a Linux process without a C library: how a system call is made,
 * how the process and its threads begin, and the thread pointer. Linux ABI: syscall(2), "Architecture calling conventions".
 */
#ifndef VIRTAX_HOST_ARCH_H
#define VIRTAX_HOST_ARCH_H

struct cpu;

#ifndef __x86_64__
/* The table of system calls that all younger architectures share: include/uapi/asm-generic/unistd.h. */
enum {
  SYS_ftruncate = 46, SYS_fallocate = 47, SYS_openat = 56, SYS_close = 57, SYS_lseek = 62, SYS_read = 63, SYS_write = 64, SYS_pread64 = 67,
  SYS_pwrite64 = 68, SYS_ppoll = 73, SYS_fdatasync = 83, SYS_exit_group = 94, SYS_futex = 98, SYS_clock_gettime = 113,
  SYS_clock_nanosleep = 115, SYS_sched_yield = 124, SYS_prctl = 167, SYS_getppid = 173, SYS_socket = 198, SYS_bind = 200,
  SYS_connect = 203, SYS_getsockname = 204, SYS_sendto = 206, SYS_recvfrom = 207, SYS_setsockopt = 208, SYS_munmap = 215, SYS_madvise = 233, SYS_clone = 220,
  SYS_mmap = 222, SYS_mprotect = 226, SYS_recvmmsg = 243, SYS_sendmmsg = 269, SYS_io_uring_setup = 425, SYS_io_uring_enter = 426,
};
#endif

#if defined(__x86_64__)

#define ARCH_NAME "x86-64"
#define VDSO_CLOCK_GETTIME "__vdso_clock_gettime"

enum {
  SYS_read = 0, SYS_write = 1, SYS_mmap = 9, SYS_mprotect = 10, SYS_munmap = 11, SYS_madvise = 28, SYS_pread64 = 17, SYS_pwrite64 = 18, SYS_sched_yield = 24,
  SYS_socket = 41, SYS_connect = 42, SYS_sendto = 44, SYS_recvfrom = 45, SYS_bind = 49, SYS_getsockname = 51, SYS_setsockopt = 54,
  SYS_clone = 56, SYS_fdatasync = 75, SYS_ftruncate = 77, SYS_lseek = 8, SYS_close = 3, SYS_getppid = 110, SYS_prctl = 157,
  SYS_arch_prctl = 158, SYS_futex = 202, SYS_clock_gettime = 228, SYS_clock_nanosleep = 230, SYS_exit_group = 231, SYS_openat = 257,
  SYS_ppoll = 271, SYS_fallocate = 285, SYS_recvmmsg = 299, SYS_sendmmsg = 307, SYS_io_uring_setup = 425, SYS_io_uring_enter = 426,
};
enum { O_DIRECT = 040000 };

static inline long syscall6(long n, long a, long b, long c, long d, long e, long f) {
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return result;
}

/* The thread pointer is a pointer to struct cpu, whose first word points to itself. */
static inline struct cpu *cpu_self(void) {
  struct cpu *self;
  __asm__("mov %%fs:0, %0" : "=r"(self));
  return self;
}
static inline void cpu_set_self(struct cpu *self) { syscall6(SYS_arch_prctl, 0x1002 /* ARCH_SET_FS */, (long)self, 0, 0, 0, 0); }
static inline void cpu_pause(void) { __asm__ volatile("pause" ::: "memory"); }

#elif defined(__aarch64__)

#define ARCH_NAME "arm64"
#define VDSO_CLOCK_GETTIME "__kernel_clock_gettime"

enum { O_DIRECT = 0200000 };

static inline long syscall6(long n, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = n;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}

static inline struct cpu *cpu_self(void) {
  struct cpu *self;
  __asm__("mrs %0, tpidr_el0" : "=r"(self));
  return self;
}
static inline void cpu_set_self(struct cpu *self) { __asm__ volatile("msr tpidr_el0, %0" ::"r"(self)); }
static inline void cpu_pause(void) { __asm__ volatile("yield" ::: "memory"); }

#elif defined(__riscv) && __riscv_xlen == 64 /* only for tests: the same program under qemu-riscv64 */

#define ARCH_NAME "riscv64"
#define VDSO_CLOCK_GETTIME "__vdso_clock_gettime"

enum { O_DIRECT = 040000 };

static inline long syscall6(long n, long a, long b, long c, long d, long e, long f) {
  register long a7 __asm__("a7") = n;
  register long a0 __asm__("a0") = a;
  register long a1 __asm__("a1") = b;
  register long a2 __asm__("a2") = c;
  register long a3 __asm__("a3") = d;
  register long a4 __asm__("a4") = e;
  register long a5 __asm__("a5") = f;
  __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5) : "memory");
  return a0;
}

static inline struct cpu *cpu_self(void) {
  struct cpu *self;
  __asm__("mv %0, tp" : "=r"(self));
  return self;
}
static inline void cpu_set_self(struct cpu *self) { __asm__ volatile("mv tp, %0" ::"r"(self)); }
static inline void cpu_pause(void) { __asm__ volatile("" ::: "memory"); }

#else
#error "the host port knows x86-64, aarch64 and riscv64"
#endif

/* start.c: a thread on the given stack whose thread pointer is self; it calls entry(self). Its number, or negative errno. */
long thread_clone(long flags, void *stack_top, struct cpu *self, void (*entry)(struct cpu *));

#endif
