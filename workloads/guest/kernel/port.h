/*
 * port.h: what the shared parts of the kernel (block.c, net/, print.c) ask of the port below them. port/riscv64 answers with
 * traps, WFI and the CLINT; port/para with hypercalls and event channels.
 *
 * Interrupts. The kernel is never interrupted: handlers (of interrupts or events) run on a CPU only while it executes the
 * program (user mode; on para env_poll()) or while it sleeps in cpu_sleep(). Neither happens under a lock, so a lock is a plain
 * spin lock, and a handler may take any lock. A handler never sleeps.
 *
 * Sleeping. One wake-up token a CPU, as a semaphore of at most one:
 *
 *     sleeper:  while (!condition) cpu_sleep(deadline);
 *     waker:    make the condition true; cpu_wake(cpu);
 *
 * cpu_wake() leaves the token, then interrupts the CPU if it sleeps; cpu_sleep() takes the token and returns at once if there is
 * one. So a wake-up between the sleeper's test and its sleep is not lost. Both are full memory barriers. cpu_sleep() may also
 * return with nothing to say (a token of an earlier reason, another interrupt): the condition is always tested again.
 */
#ifndef VIRTAX_KERNEL_PORT_H
#define VIRTAX_KERNEL_PORT_H
#include <stddef.h>
#include <stdint.h>

#define CPU_FOREVER UINT64_MAX

unsigned cpu_id(void);    /* number of the CPU that asks, 0.. */
unsigned cpu_count(void); /* 1..ENV_MAX_CPUS */

void cpu_sleep(uint64_t deadline_ns); /* until cpu_wake() of this CPU, the deadline on clock_ns(), or for no reason. No lock may be held. */
void cpu_wake(unsigned cpu);          /* from any CPU, from handlers, under locks */
void cpu_relax(void);                 /* in a spin loop */

uint64_t clock_ns(void); /* monotonic, the same on all CPUs */

/* The port's console: the bytes of one call stay together. From anywhere, handlers and panic included. */
void console_write(const char *bytes, size_t n);
/* Ends the machine, as env_poweroff(). */
_Noreturn void machine_poweroff(int status);

/*
 * The program's memory. The kernel's copies of data go through these: a bad address answers -1 and nothing worse.
 * On para, where there is one address space, they check the range against the module's memory.
 */
int user_read(void *to, const void *user, size_t bytes);
int user_write(void *user, const void *from, size_t bytes);
/* The kernel address of a buffer that env_alloc() gave (physically contiguous, good for I/O), NULL if [user, user + bytes) is no part of one. */
void *user_io_buffer(void *user, size_t bytes);

#endif
