/* ring.h: the front end's side of a shared ring (para-abi.h, io/ring.h). Used by one CPU, under the lock of the layer above. */
#ifndef VIRTAX_PARA_RING_H
#define VIRTAX_PARA_RING_H
#include "port/para/para.h"

struct front_ring {
  struct ring_header *shared;
  uint32_t size, slot_bytes;
  uint32_t req_prod; /* filled, perhaps not yet shown */
  uint32_t rsp_cons;
};

static inline void *ring_slot(const struct front_ring *r, uint32_t counter) {
  return (uint8_t *)(r->shared + 1) + (counter & (r->size - 1)) * r->slot_bytes;
}

/* Bytes of a ring, for the allocator and the grant. */
static inline size_t ring_bytes(uint32_t size, uint32_t slot_bytes) { return sizeof(struct ring_header) + (size_t)size * slot_bytes; }

static inline int ring_init(struct front_ring *r, uint32_t size, uint32_t slot_bytes) {
  r->shared = frames_alloc(ring_bytes(size, slot_bytes));
  r->size = size;
  r->slot_bytes = slot_bytes;
  if (r->shared) r->shared->rsp_event = 1;
  return r->shared ? 0 : -1;
}

/* Shows the requests to the back end. Does it want to be told? */
static inline int ring_push(struct front_ring *r) {
  uint32_t old = r->shared->req_prod;
  if (old == r->req_prod) return 0;
  __atomic_store_n(&r->shared->req_prod, r->req_prod, __ATOMIC_SEQ_CST);
  return r->req_prod - __atomic_load_n(&r->shared->req_event, __ATOMIC_SEQ_CST) < r->req_prod - old;
}

/* The next response, or NULL. With NULL the back end has been asked to notify of the next one. */
static inline void *ring_response(struct front_ring *r) {
  if (__atomic_load_n(&r->shared->rsp_prod, __ATOMIC_SEQ_CST) == r->rsp_cons) {
    __atomic_store_n(&r->shared->rsp_event, r->rsp_cons + 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&r->shared->rsp_prod, __ATOMIC_SEQ_CST) == r->rsp_cons) return NULL;
  }
  return ring_slot(r, r->rsp_cons++);
}

#endif
