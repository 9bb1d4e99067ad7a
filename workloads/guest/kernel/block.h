/* block.h: the block layer as the system calls see it. The semantics, and the errors, are env.h's. */
#ifndef VIRTAX_BLOCK_H
#define VIRTAX_BLOCK_H
#include <stdint.h>
#include "../include/env.h"

uint64_t block_bytes(void);
/* One request of the calling CPU; the struct itself is the kernel's copy, buf is the program's pointer. 0, -EINVAL, -EAGAIN (tag in flight), -ENOENT (no disk). */
int block_queue(const struct env_block_req *);
/* Hands what block_queue() gathered on this CPU to the device. */
void block_start(void);
/* Sleeps until min completions are there, stores at most max (up to ENV_MAX_DEPTH) into kernel memory; how many, or -EINVAL when fewer than min are in flight. */
int block_wait(struct env_block_done *done, unsigned min, unsigned max);
#endif
