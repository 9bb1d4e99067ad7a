/* crt0.S: the first instructions of the program and of its threads. */
.text
.globl _start
_start:
  call env_start /* a0: struct user_info */
  unimp

/* A thread: a0(a1), then its end. */
.globl thread_start
thread_start:
  mv t0, a0
  mv a0, a1
  jalr t0
  call thread_exit
  unimp
