/*
 * para-abi.h: the whole interface between a paravirtualized guest and the hypervisor of engine `para`. A guest can be
 * written from this file alone. engines/para/abi.ts is the hypervisor's side; test/para/abi.test.ts holds the two
 * together, name by name, value by value, offset by offset.
 *
 * The words, and where they exist the numbers, are Xen's (xen/include/public). What differs, and why:
 *   - a guest is one WebAssembly module, a guest address an offset into its one linear memory: there are no page tables,
 *     so a grant covers a range of frames, and `map` is for the core OS alone;
 *   - most arguments are passed in registers (wasm values) instead of structures in memory: nothing to read twice;
 *   - running wasm cannot be interrupted, so events are taken at stated places (see "Execution").
 *
 * Versions. PARA_ABI_VERSION is major << 16 | minor. A guest written for major.minor runs on a hypervisor of the same
 * major and the same or a later minor. New operations and store paths raise the minor; anything else raises the major.
 *
 * The module
 *   imports  env.memory          its RAM, shared; the domain's size at its start: not less than the module declares as initial size, and
 *                                the most that the domain may ever have is not more than it declares as maximum
 *            virtax.hypercall    int32_t (uint32_t number, uint32_t cmd, uint32_t arg1, uint32_t arg2)
 *   exports  para_start()        entered by vCPU 0 on the linker's stack
 *            para_vcpu_start(a)  entered by the others, after VCPUOP_initialise and VCPUOP_up
 *            __stack_pointer, __wasm_init_tls(p)   so that each vCPU gets its own stack and thread-local storage
 *   Nothing else is imported; a module that wants more does not boot.
 *
 * Hypercalls return 0 or a positive value, or a negative errno (Linux's and Xen's numbers, PARA_E*):
 *   -ENOSYS  unknown number or cmd           -EFAULT  a structure or buffer is not wholly inside guest memory
 *   -EINVAL  an argument out of its range    others as stated at the operation
 * Arguments that an operation does not name are ignored. Structures are 4-byte aligned (else -EINVAL), little-endian, and
 * read once. IN: the guest writes it; OUT: the hypervisor does.
 *
 * Execution
 *   - A vCPU is a host thread. It runs tasks to completion: nothing preempts it, and it is in the guest until it makes a
 *     hypercall.
 *   - An event (bit `port` of evtchn_pending of its priority, then that priority's bit of evtchn_ready) is written into the
 *     vcpu_info of the vCPU that the channel is bound to, by sched_op (every cmd) and EVTCHNOP_unmask when that vCPU makes
 *     them, and by nothing else. No guest code is called: the guest looks after the hypercall returns (struct vcpu_info).
 *     An event may come once too often (after its port was closed, moved or unmasked), never once too few.
 *   - I/O makes progress in sched_op too: the thread of the vCPU itself does the core OS's work for its own requests.
 *     While it has work a guest must therefore make one (SCHEDOP_poll, which never sleeps with arg1 = 0) at least every
 *     PARA_POLL_MS milliseconds of its own running time; until then its events, timer and completions wait.
 *   - A vCPU that makes no hypercall at all for PARA_HANG_CPU_MS of its own CPU time is hung: its domain is destroyed as
 *     crashed. So is one that traps, one that returns from para_start() without SCHEDOP_shutdown, and one that breaks the
 *     protocol of a ring (more requests produced than the ring holds).
 *   - After a shutdown no vCPU of the domain returns from its next hypercall.
 */
#ifndef VIRTAX_PARA_ABI_H
#define VIRTAX_PARA_ABI_H
#include <stddef.h>
#include <stdint.h>

#define PARA_ABI_VERSION 0x00020001

/* ---- limits ---- */
#define PARA_MAX_VCPUS 32
#define PARA_MAX_PORTS 1024     /* event channels of a domain; port 0 is never used */
#define PARA_MAX_GRANTS 8192    /* entries of a grant table */
#define PARA_FRAME_BYTES 4096   /* unit of grants and reservations */
#define PARA_MAX_FRAMES 262144  /* of a domain: 1 GiB */
#define PARA_POLL_MS 2
#define PARA_HANG_CPU_MS 1000
#define PARA_STORE_PATH_MAX 128 /* bytes, no terminator */
#define PARA_STORE_VALUE_MAX 440
#define PARA_STORE_DIRECTORY_MAX 16384
#define PARA_STORE_GUEST_ENTRIES 400 /* of a domain, those in open transactions included */
#define PARA_STORE_PERMS 4
#define PARA_STORE_WATCHES 32
#define PARA_STORE_TRANSACTIONS 8
#define PARA_CONSOLE_WRITE_MAX 4096 /* bytes of one CONSOLEIO_write: they stay together */

/* ---- errors ---- */
#define PARA_EPERM 1
#define PARA_ENOENT 2
#define PARA_EIO 5
#define PARA_EAGAIN 11
#define PARA_ENOMEM 12
#define PARA_EACCES 13
#define PARA_EFAULT 14
#define PARA_EBUSY 16
#define PARA_EEXIST 17
#define PARA_EINVAL 22
#define PARA_ENOSPC 28
#define PARA_ENOSYS 38
#define PARA_ETIME 62
#define PARA_EOPNOTSUPP 95

/* ---- domains ---- */
#define DOMID_CORE_OS 0       /* Xen's dom0: block and network back ends */
#define DOMID_SELF 0x7ff0

/* ---- hypercall numbers ---- */
#define HYPERVISOR_memory_op 12
#define HYPERVISOR_xen_version 17
#define HYPERVISOR_console_io 18
#define HYPERVISOR_grant_table_op 20
#define HYPERVISOR_vcpu_op 24
#define HYPERVISOR_sched_op 29
#define HYPERVISOR_event_channel_op 32
#define HYPERVISOR_store_op 48
#define PARA_MAX_HYPERCALLS 64

/* ---- xen_version ---- */
#define XENVER_version 0 /* returns PARA_ABI_VERSION */
#define XENVER_null 64   /* arg1 IN 0..0x3fffffff; returns arg1 + 1: what a hypercall costs */

/* ---- sched_op ---- */
#define SCHEDOP_yield 0    /* gives the host's processor to another thread, if one wants it; takes events */
#define SCHEDOP_block 1    /* sleeps until an event is pending for this vCPU; -EINVAL without vcpu_info */
#define SCHEDOP_shutdown 2 /* arg1 IN SHUTDOWN_*: ends the domain; does not return */
#define SCHEDOP_poll 3     /* arg1 IN 0: takes events and completions, returns at once
                            *      IN address of struct sched_poll: sleeps until one of its ports is pending or the timeout */
#define SHUTDOWN_poweroff 0
#define SHUTDOWN_reboot 1
#define SHUTDOWN_crash 3

struct sched_poll {
  uint64_t timeout_ns; /* IN absolute, VCPUOP_get_time's clock; 0: none */
  uint32_t ports;      /* IN address of nr_ports uint32_t */
  uint32_t nr_ports;   /* IN 1..PARA_MAX_POLL_PORTS */
};
#define PARA_MAX_POLL_PORTS 128

/* ---- event_channel_op: the channels' state is the hypervisor's; only their delivery is in guest memory ---- */
#define EVTCHNOP_bind_interdomain 0 /* arg1 IN remote domain, arg2 IN its unbound port for us; returns the local port; binds to vCPU 0 */
#define EVTCHNOP_bind_virq 1        /* arg1 IN VIRQ_*, arg2 IN vcpu; returns the port; -EEXIST when bound already */
#define EVTCHNOP_close 3            /* arg1 IN port; the other end of an interdomain channel becomes unbound */
#define EVTCHNOP_send 4             /* arg1 IN port, interdomain or IPI; a send to an unbound port is dropped and returns 0 */
#define EVTCHNOP_status 5           /* arg1 IN port; returns EVTCHNSTAT_* */
#define EVTCHNOP_alloc_unbound 6    /* arg1 IN remote domain that may bind; returns the port; bound to the calling vCPU */
#define EVTCHNOP_bind_ipi 7         /* arg1 IN vcpu; returns the port */
#define EVTCHNOP_bind_vcpu 8        /* arg1 IN port (not VIRQ_TIMER's, not an IPI's), arg2 IN vcpu that its events go to */
#define EVTCHNOP_unmask 9           /* arg1 IN port: clears its evtchn_mask bit; what came meanwhile is delivered */
#define EVTCHNOP_set_priority 13    /* arg1 IN port, arg2 IN EVTCHN_FIFO_PRIORITY_*: of what is delivered from now on */
#define EVTCHN_FIFO_PRIORITY_MAX 0
#define EVTCHN_FIFO_PRIORITY_DEFAULT 7 /* of every new port; the other end of an interdomain channel has its own */
#define EVTCHN_FIFO_PRIORITY_MIN 15
#define EVTCHNSTAT_closed 0
#define EVTCHNSTAT_unbound 1
#define EVTCHNSTAT_interdomain 2
#define EVTCHNSTAT_virq 4
#define EVTCHNSTAT_ipi 5
#define VIRQ_TIMER 0   /* one a vCPU: its singleshot or periodic timer fired */
#define VIRQ_CONSOLE 2 /* one a domain: console input came, or ended */
#define VIRQ_STORE 16  /* one a domain (Xen's VIRQ_ARCH_0): a watch of the store fired; raised once when it is bound */

/*
 * In guest memory, one a vCPU, registered by VCPUOP_register_vcpu_info. Written by the hypervisor atomically. To take events in
 * the order of their priorities (and of port numbers within one):
 *
 *     while ((ready = evtchn_ready) != 0) {
 *       q = number of the lowest bit that is set in ready;
 *       atomically clear bit q of evtchn_ready;
 *       for each bit w of atomic_exchange(&evtchn_pending_sel[q], 0)
 *         for each bit b of atomic_exchange(&evtchn_pending[q][w], 0)
 *           handle port 32 * w + b;
 *     }
 *
 * A guest that sets no priorities has everything at q = 7.
 */
struct vcpu_info {
  uint32_t evtchn_ready;             /* OUT bit q: something of priority q is pending. 0: nothing to look at */
  uint32_t evtchn_pending_sel[16];   /* OUT bit w of [q]: evtchn_pending[q][w] is not 0 */
  uint32_t evtchn_pending[16][32];   /* OUT bit p % 32 of word [q][p / 32]: port p, of priority q */
  uint32_t evtchn_mask[32];          /* IN bit p % 32 of word p / 32: the port's events stay in the hypervisor until EVTCHNOP_unmask */
};

/* ---- vcpu_op: arg1 IN vcpu ---- */
#define VCPUOP_initialise 0           /* arg2 IN address of struct vcpu_guest_context; -EBUSY while up, -EINVAL for vCPU 0 */
#define VCPUOP_up 1                   /* -EINVAL if not initialised, -EPERM if not available (cpu/N/availability); 0 also when it is up already */
#define VCPUOP_down 2                 /* the calling vCPU alone (else -EINVAL), not vCPU 0 (-EPERM): ends it; does not return. What it has
                                       * bound and registered stays: VCPUOP_up, perhaps after another initialise, lets it run again */
#define VCPUOP_is_up 3                /* returns 1 or 0 */
#define VCPUOP_get_runstate_info 4    /* any vCPU; arg2 IN address of struct vcpu_runstate_info OUT; -EOPNOTSUPP: the host does not tell */
#define VCPUOP_register_runstate_memory_area 5 /* calling vCPU alone; arg2 IN address of struct vcpu_runstate_info, kept up to date; 0: no longer */
#define VCPUOP_set_periodic_timer 6   /* calling vCPU alone; arg2 IN address of struct vcpu_set_periodic_timer */
#define VCPUOP_stop_periodic_timer 7  /* calling vCPU alone */
#define VCPUOP_set_singleshot_timer 8 /* calling vCPU alone; arg2 IN address of struct vcpu_set_singleshot_timer */
#define VCPUOP_stop_singleshot_timer 9 /* calling vCPU alone */
#define VCPUOP_register_vcpu_info 10  /* arg2 IN address of struct vcpu_info, not 0; calling vCPU alone, once (-EBUSY) */
#define VCPUOP_get_time 64            /* arg1 ignored; arg2 IN address of a uint64_t, OUT nanoseconds of the host's CLOCK_MONOTONIC */

struct vcpu_guest_context {
  uint32_t stack_pointer; /* IN top of its stack, 16-byte aligned */
  uint32_t tls;           /* IN address that __wasm_init_tls() gets; 0: none */
  uint32_t arg;           /* IN what para_vcpu_start() gets */
};

/* Both timers are one vCPU's, may run at once, and raise the same VIRQ_TIMER. They go on while the vCPU is down. */
struct vcpu_set_singleshot_timer {
  uint64_t timeout_abs_ns; /* IN by VCPUOP_get_time's clock; in the past: fires at once */
  uint32_t flags;          /* IN VCPU_SSHOTTMR_* */
  uint32_t pad;
};
#define VCPU_SSHOTTMR_future 1 /* -ETIME instead of a timer in the past */

struct vcpu_set_periodic_timer {
  uint64_t period_ns; /* IN at least PARA_PERIOD_MIN_NS, the first time one period from now; periods that nobody looked at are one event */
};
#define PARA_PERIOD_MIN_NS 1000000

/*
 * Where the time of a vCPU went, nanoseconds since the domain's start; together they are that time. `runnable` is Xen's (and
 * Linux's) steal time: the vCPU wanted to run and the host ran something else. Measured by the host's scheduler: a vCPU that waits
 * for a processor just now has that added when it gets one.
 * The registered area is written by its vCPU's thread when the vCPU blocks or goes down (state and state_entry_time) and after
 * each sched_op in which it gave the processor away (all of it, the times at most once in PARA_RUNSTATE_NS). While it is written, bit 63 of
 * state_entry_time (XEN_RUNSTATE_UPDATE) is set: a reader on another vCPU reads state_entry_time, the rest, and state_entry_time
 * again, until both are the same without that bit.
 */
struct vcpu_runstate_info {
  uint32_t state;            /* OUT RUNSTATE_* */
  uint32_t pad;
  uint64_t state_entry_time; /* OUT when it came into that state, by VCPUOP_get_time's clock */
  uint64_t time[4];          /* OUT by RUNSTATE_* */
};
#define RUNSTATE_running 0
#define RUNSTATE_runnable 1
#define RUNSTATE_blocked 2
#define RUNSTATE_offline 3
#define XEN_RUNSTATE_UPDATE_HIGH 0x80000000 /* bit 63, in the upper half of state_entry_time */
#define PARA_RUNSTATE_NS 1000000

/*
 * ---- memory_op ----
 * Guest memory is addresses 0 .. frames * PARA_FRAME_BYTES - 1, `frames` = XENMEM_maximum_gpfn + 1. It grows by whole
 * WebAssembly pages (16 frames) and never shrinks; frames in it are *populated* or *given back* (ballooned). A frame that was given
 * back is the hypervisor's: its host memory is free. A guest that touches it reads zeros, and what it writes may be gone at any
 * later decrease; it must populate it first. WebAssembly's memory.grow is not for guests (their domain is destroyed): populate. Its
 * memory.size may lag behind on other vCPUs.
 * How many frames a domain may have is the toolstack's word (memory/target in the store): XENMEM_maximum_reservation.
 */
#define XENMEM_increase_reservation 0 /* arg1 IN address of struct xen_memory_reservation: the hypervisor chooses the frames, the list is OUT */
#define XENMEM_decrease_reservation 1 /* the same, the list is IN: gives them back; -EBUSY: one is granted, or I/O is in flight on it */
#define XENMEM_current_reservation 3  /* returns the domain's populated frames */
#define XENMEM_maximum_reservation 4  /* returns the most that it may have populated now */
#define XENMEM_populate_physmap 6     /* as increase, the list is IN: given back ones, or behind the last: memory grows up to the last named one */
#define XENMEM_maximum_gpfn 14        /* returns the number of the last frame, populated or not */

/*
 * The operations take extent after extent and return how many were done; when the first cannot be: -EINVAL (not one that is
 * populated or given back, as it must be, or outside), -EBUSY, -ENOMEM (the domain may have no more, or the host has none).
 */
struct xen_memory_reservation {
  uint32_t extent_start; /* IN address of nr_extents uint32_t: the first frame of each */
  uint32_t nr_extents;   /* IN 1..PARA_MAX_EXTENTS */
  uint32_t extent_order; /* IN 0..PARA_MAX_EXTENT_ORDER: an extent is 2^order frames in a row */
  uint32_t mem_flags;    /* IN 0 */
  uint32_t domid;        /* IN DOMID_SELF */
};
#define PARA_MAX_EXTENTS 1024
#define PARA_MAX_EXTENT_ORDER 9

/* ---- console_io ---- */
#define CONSOLEIO_write 0     /* arg1 IN bytes, arg2 IN address; returns the bytes taken: all of them, or -EAGAIN while the console is full */
#define CONSOLEIO_read 1      /* arg1 IN most bytes, arg2 IN address OUT; returns how many; 0: none now; -EIO: input has ended */
#define CONSOLEIO_doorbell 64 /* arg1 IN DOORBELL_*: stamped with the host's clock in the calling thread */
#define DOORBELL_start 2
#define DOORBELL_stop 3

/* ---- grant_table_op ---- */
#define GNTTABOP_map_grant_ref 0 /* the core OS alone: -EPERM for guests */
#define GNTTABOP_setup_table 2   /* arg1 IN address of the table, arg2 IN entries 1..PARA_MAX_GRANTS; once (-EBUSY) */
#define GNTTABOP_copy 5          /* arg1 IN address of struct gnttab_copy */
#define GNTTABOP_revoke 64       /* arg1 IN ref: clears the entry; -EBUSY while the core OS has I/O on it */

/*
 * A grant lets `domid` reach `frames` frames of ours from frame number `frame`. The table is in guest memory; an entry is read
 * once per use. To grant: write the rest, then flags. To take back: clear flags, or GNTTABOP_revoke. A request that is in
 * flight keeps what it was granted; its response gives it back.
 */
struct grant_entry {
  uint16_t flags; /* IN GTF_* */
  uint16_t domid; /* IN who may use it */
  uint32_t frame; /* IN */
  uint32_t frames; /* IN at least 1 */
};
#define GTF_permit_access 1
#define GTF_readonly 4

/* Copies between a grant of another domain and own memory. */
struct gnttab_copy {
  uint32_t ref;      /* IN grant in the other domain's table */
  uint32_t domid;    /* IN the other domain */
  uint32_t offset;   /* IN bytes into the grant */
  uint32_t address;  /* IN own memory */
  uint32_t bytes;    /* IN 1..1 MiB */
  uint32_t to_grant; /* IN 0: from the grant to own memory; 1: from own memory into the grant (-EACCES if it is read-only) */
};

/*
 * ---- store_op: configuration and handshakes (Xen's store; numbers of io/xs_wire.h). arg1 IN address of struct store_request ----
 * A tree of text values. Each domain has a part of its own, in which paths are relative; /local/domain/N/PATH is PATH in domain N's.
 * A path is names separated by single slashes; a name is made of A-Z a-z 0-9 - _ @ (else -EINVAL). Directories exist by what is in
 * them. A request is done as a whole.
 *
 * Who may do what. An entry belongs to who created it: the toolstack (domain 0) or the domain. A domain reads all of its own part;
 * it writes and removes what is its own and what the toolstack lets it (marked w below), else -EACCES. It creates entries below
 * device/, control/, data/ and attr/, at most PARA_STORE_GUEST_ENTRIES (-ENOSPC). Other domains may do with an entry what its owner
 * permits by STOREOP_set_perms: text as "n1\0r2\0b3": first the owner (not to be changed) with what all others may, then up to
 * PARA_STORE_PERMS domains; n nothing, r read, w write, b both. They create and remove nothing. The toolstack may do everything.
 *
 * Written by the toolstack:
 *   domid  name  bootargs
 *   cpus                     vCPUs that are available at the start: the guest brings these up
 *   max-cpus                 the most that it can ever have
 *   cpu/N/availability       online or offline. A guest that watches cpu brings vCPU N up when it becomes online, and makes it
 *                            go down (VCPUOP_down on it) when it becomes offline; 0 .. n-1 are online. VCPUOP_up of one that is
 *                            offline is -EPERM
 *   memory/target            KiB: the guest's balloon gives frames back or populates them until it has as many
 *   memory/static-max        KiB: the most that it can ever have
 *   control/shutdown   (w)   poweroff, halt or reboot: the guest writes "" and then makes SCHEDOP_shutdown with that reason
 *   device/vbd/0/bytes       size of the disk; no such path: no disk
 *   device/vbd/0/feature-max-indirect-segments, feature-discard, feature-flush-cache   what BLKIF_OP_INDIRECT may have; 1: the
 *                            operation is there, 0: -EOPNOTSUPP
 *   device/vbd/0/multi-queue-max-queues   queues that can be connected, one a vCPU; as device/vif/0/multi-queue-max-queues
 *   device/vbd/0/backend-generation       goes up when the block driver was started anew. A front end need do nothing: its rings stay
 *                            connected, and each request in flight is answered once
 *   device/vif/0/mac         52:54:00:12:34:56; no such path: no network
 * A front end connects queue N, on vCPU N and on no other, by writing ring-ref and event-channel below device/vbd/0/queue-N (for
 * the network tx-ring-ref, rx-ring-ref, event-channel below device/vif/0/queue-N), then `state` = 4 (connected). The
 * write of `state` returns the error if something does not fit. event-channel: an unbound port allocated for DOMID_CORE_OS. The queue
 * stays connected while its vCPU is down.
 */
#define STOREOP_directory 1 /* value OUT the names of what is below, each ended by a 0 byte; returns the bytes of all; -ENOENT. path_bytes 0: the root */
#define STOREOP_read 2      /* value OUT; returns its length, which may be more than value_bytes; -ENOENT */
#define STOREOP_get_perms 3 /* value OUT, as for set_perms; returns its length */
#define STOREOP_watch 4     /* path (path_bytes 0: the own part) and token IN; fires once now, then whenever something there or below is
                             * written or removed; -EEXIST, -ENOSPC beyond PARA_STORE_WATCHES */
#define STOREOP_unwatch 5   /* the same path and token; what it has fired is dropped; -ENOENT */
#define STOREOP_transaction_start 6 /* returns the transaction, for tx_id; -ENOSPC beyond PARA_STORE_TRANSACTIONS at once. What is written in
                                     * it shows in it alone; what others change meanwhile shows, and lets its end fail */
#define STOREOP_transaction_end 7   /* tx_id IN; value IN "T": does all that was written in it at once, or nothing and -EAGAIN if the own
                                     * part has changed since the start; "F": forgets it. It is over in each case. -ENOENT */
#define STOREOP_write 11    /* -EACCES, -ENOSPC */
#define STOREOP_rm 13       /* the entry and all below it, or none of them; -ENOENT, -EACCES */
#define STOREOP_set_perms 14 /* the entry's owner alone: else -EACCES; -ENOENT */
#define STOREOP_watch_event 15 /* arg1 ignored: takes an event: returns the token of a watch that has fired since its last event; -EAGAIN:
                                * none. VIRQ_STORE is raised whenever one fires: take all, then wait for the next */
#define STORE_STATE_CONNECTED 4

struct store_request {
  uint32_t path;        /* IN address */
  uint32_t path_bytes;  /* IN 1..PARA_STORE_PATH_MAX; 0 where an operation says so */
  uint32_t value;       /* IN address; read, directory, get_perms: OUT what it points to */
  uint32_t value_bytes; /* IN 0..PARA_STORE_VALUE_MAX; directory: 0..PARA_STORE_DIRECTORY_MAX */
  uint32_t tx_id;       /* IN read, directory, write, rm: of a transaction, own part only; 0: none. Else 0. A `state` of a queue is not written in one */
  uint32_t token;       /* IN watch, unwatch: 0..0x7fffffff, the guest's choice */
};

/*
 * ---- shared rings (io/ring.h) ----
 * In granted guest memory: this header, then `size` slots of one fixed size, `size` a power of two. Counters run freely over
 * 32 bits; slot = counter % size. A request's slot is used again for its response.
 *   front end: fills slots, barrier, req_prod += n. Notifies only if the new req_prod passed req_event:
 *              (uint32_t)(new - req_event) < (uint32_t)(new - old).
 *   back end:  takes requests until req_prod, sets req_event = req_cons + 1, barrier, looks once more. The network's back end sets
 *              it further ahead during a burst, and takes what is there in every sched_op of the queue's vCPU.
 *   The same with rsp_prod and rsp_event in the other direction. req_prod - rsp_prod never exceeds size.
 */
struct ring_header {
  uint32_t req_prod;  /* IN */
  uint32_t req_event; /* OUT */
  uint32_t rsp_prod;  /* OUT */
  uint32_t rsp_event; /* IN */
  uint32_t pad[12];
};

/* ---- block (io/blkif.h): slots of BLKIF_SLOT_BYTES ---- */
#define BLKIF_RING_SIZE 64
#define BLKIF_SLOT_BYTES 64
#define BLKIF_MAX_SEGMENTS 3
#define BLKIF_MAX_SEGMENT_BYTES 1048576
#define BLKIF_SECTOR_BYTES 512
#define BLKIF_OP_READ 0
#define BLKIF_OP_WRITE 1
#define BLKIF_OP_FLUSH_DISKCACHE 3 /* what was answered before it is on the disk when it is answered; no segments */
#define BLKIF_OP_DISCARD 5         /* struct blkif_request_discard */
#define BLKIF_OP_INDIRECT 6        /* struct blkif_request_indirect; the response's operation is BLKIF_OP_INDIRECT */
#define BLKIF_MAX_INDIRECT_SEGMENTS 256
#define BLKIF_MAX_INDIRECT_BYTES 4194304
/*
 * Of two requests that overlap on the disk and of which one writes, the later in the ring is done when the earlier is answered.
 */

struct blkif_segment {
  uint32_t gref;   /* IN grant to DOMID_CORE_OS; a read needs one that is not read-only */
  uint32_t offset; /* IN bytes into the grant, a multiple of 512 */
  uint32_t bytes;  /* IN 512..BLKIF_MAX_SEGMENT_BYTES, a multiple of 512 */
};
struct blkif_request {
  uint8_t operation;   /* IN BLKIF_OP_* */
  uint8_t nr_segments; /* IN 1..BLKIF_MAX_SEGMENTS; 0 for a flush */
  uint16_t handle;     /* IN 0 */
  uint32_t reserved;   /* IN 0 */
  uint64_t id;         /* IN the front end's; comes back in the response */
  uint64_t sector_number; /* IN first sector; the segments follow one another on the disk */
  struct blkif_segment seg[BLKIF_MAX_SEGMENTS];
};
/* The sectors are no longer needed: their blocks are given back, and they read as zeros. */
struct blkif_request_discard {
  uint8_t operation;      /* IN BLKIF_OP_DISCARD */
  uint8_t flag;           /* IN 0 */
  uint16_t handle;        /* IN 0 */
  uint32_t reserved;      /* IN 0 */
  uint64_t id;            /* IN */
  uint64_t sector_number; /* IN first sector */
  uint64_t nr_sectors;    /* IN at least 1 */
};
/* A read or write whose segments do not fit into the slot. They are read once, when the request is taken. */
struct blkif_request_indirect {
  uint8_t operation;        /* IN BLKIF_OP_INDIRECT */
  uint8_t indirect_op;      /* IN BLKIF_OP_READ or BLKIF_OP_WRITE */
  uint16_t nr_segments;     /* IN 1..BLKIF_MAX_INDIRECT_SEGMENTS, of BLKIF_MAX_INDIRECT_BYTES together */
  uint16_t handle;          /* IN 0 */
  uint16_t reserved;        /* IN 0 */
  uint64_t id;              /* IN */
  uint64_t sector_number;   /* IN */
  uint32_t indirect_gref;   /* IN grant to DOMID_CORE_OS, read-only will do, of the struct blkif_segment */
  uint32_t indirect_offset; /* IN bytes into the grant, a multiple of 4 */
};
struct blkif_response {
  uint64_t id;        /* OUT */
  uint32_t operation; /* OUT */
  int32_t status;     /* OUT 0, or negative errno: -EINVAL malformed or outside of the disk, -EACCES the grant does not permit it, -EOPNOTSUPP, what the device said */
};

/*
 * ---- network (io/netif.h): two rings a queue, slots of NETIF_SLOT_BYTES; a frame is one slot ----
 * UDP checksums are left out on this stretch: the back end does not look at those of sent frames, and received ones have 0 (none).
 */
#define NETIF_RING_SIZE 64
#define NETIF_SLOT_BYTES 16
#define NETIF_FRAME_MAX 1514

struct netif_tx_request {
  uint32_t gref;   /* IN grant to DOMID_CORE_OS */
  uint16_t offset; /* IN bytes into the grant */
  uint16_t flags;  /* IN 0 */
  uint16_t id;     /* IN comes back */
  uint16_t size;   /* IN 14..NETIF_FRAME_MAX: Ethernet frame without FCS */
};
struct netif_tx_response {
  uint16_t id;    /* OUT */
  int16_t status; /* OUT 0, or negative errno */
};
struct netif_rx_request {
  uint16_t id;   /* IN comes back */
  uint16_t pad;
  uint32_t gref; /* IN grant of one frame to DOMID_CORE_OS, not read-only; the back end writes from its start */
};
struct netif_rx_response {
  uint16_t id;     /* OUT */
  uint16_t offset; /* OUT where in the grant the frame starts: 0 */
  uint16_t flags;  /* OUT 0 */
  int16_t status;  /* OUT bytes of the frame, or negative errno */
};

/* ---- byte offsets, as engines/para/abi.ts has them ---- */
#define PARA_OFFSET(type, field, bytes) _Static_assert(offsetof(struct type, field) == (bytes), #type "." #field)
#define PARA_SIZE(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type)
PARA_OFFSET(sched_poll, timeout_ns, 0);
PARA_OFFSET(sched_poll, ports, 8);
PARA_OFFSET(sched_poll, nr_ports, 12);
PARA_SIZE(sched_poll, 16);
PARA_OFFSET(vcpu_info, evtchn_ready, 0);
PARA_OFFSET(vcpu_info, evtchn_pending_sel, 4);
PARA_OFFSET(vcpu_info, evtchn_pending, 68);
PARA_OFFSET(vcpu_info, evtchn_mask, 2116);
PARA_SIZE(vcpu_info, 2244);
PARA_OFFSET(vcpu_guest_context, stack_pointer, 0);
PARA_OFFSET(vcpu_guest_context, tls, 4);
PARA_OFFSET(vcpu_guest_context, arg, 8);
PARA_SIZE(vcpu_guest_context, 12);
PARA_OFFSET(vcpu_set_singleshot_timer, timeout_abs_ns, 0);
PARA_OFFSET(vcpu_set_singleshot_timer, flags, 8);
PARA_SIZE(vcpu_set_singleshot_timer, 16);
PARA_OFFSET(vcpu_set_periodic_timer, period_ns, 0);
PARA_SIZE(vcpu_set_periodic_timer, 8);
PARA_OFFSET(vcpu_runstate_info, state, 0);
PARA_OFFSET(vcpu_runstate_info, state_entry_time, 8);
PARA_OFFSET(vcpu_runstate_info, time, 16);
PARA_SIZE(vcpu_runstate_info, 48);
PARA_OFFSET(xen_memory_reservation, extent_start, 0);
PARA_OFFSET(xen_memory_reservation, nr_extents, 4);
PARA_OFFSET(xen_memory_reservation, extent_order, 8);
PARA_OFFSET(xen_memory_reservation, mem_flags, 12);
PARA_OFFSET(xen_memory_reservation, domid, 16);
PARA_SIZE(xen_memory_reservation, 20);
PARA_OFFSET(grant_entry, flags, 0);
PARA_OFFSET(grant_entry, domid, 2);
PARA_OFFSET(grant_entry, frame, 4);
PARA_OFFSET(grant_entry, frames, 8);
PARA_SIZE(grant_entry, 12);
PARA_OFFSET(gnttab_copy, ref, 0);
PARA_OFFSET(gnttab_copy, domid, 4);
PARA_OFFSET(gnttab_copy, offset, 8);
PARA_OFFSET(gnttab_copy, address, 12);
PARA_OFFSET(gnttab_copy, bytes, 16);
PARA_OFFSET(gnttab_copy, to_grant, 20);
PARA_SIZE(gnttab_copy, 24);
PARA_OFFSET(store_request, path, 0);
PARA_OFFSET(store_request, path_bytes, 4);
PARA_OFFSET(store_request, value, 8);
PARA_OFFSET(store_request, value_bytes, 12);
PARA_OFFSET(store_request, tx_id, 16);
PARA_OFFSET(store_request, token, 20);
PARA_SIZE(store_request, 24);
PARA_OFFSET(ring_header, req_prod, 0);
PARA_OFFSET(ring_header, req_event, 4);
PARA_OFFSET(ring_header, rsp_prod, 8);
PARA_OFFSET(ring_header, rsp_event, 12);
PARA_SIZE(ring_header, 64);
PARA_OFFSET(blkif_segment, gref, 0);
PARA_OFFSET(blkif_segment, offset, 4);
PARA_OFFSET(blkif_segment, bytes, 8);
PARA_SIZE(blkif_segment, 12);
PARA_OFFSET(blkif_request, operation, 0);
PARA_OFFSET(blkif_request, nr_segments, 1);
PARA_OFFSET(blkif_request, handle, 2);
PARA_OFFSET(blkif_request, reserved, 4);
PARA_OFFSET(blkif_request, id, 8);
PARA_OFFSET(blkif_request, sector_number, 16);
PARA_OFFSET(blkif_request, seg, 24);
PARA_SIZE(blkif_request, 64);
PARA_OFFSET(blkif_request_discard, operation, 0);
PARA_OFFSET(blkif_request_discard, flag, 1);
PARA_OFFSET(blkif_request_discard, handle, 2);
PARA_OFFSET(blkif_request_discard, reserved, 4);
PARA_OFFSET(blkif_request_discard, id, 8);
PARA_OFFSET(blkif_request_discard, sector_number, 16);
PARA_OFFSET(blkif_request_discard, nr_sectors, 24);
PARA_SIZE(blkif_request_discard, 32);
PARA_OFFSET(blkif_request_indirect, operation, 0);
PARA_OFFSET(blkif_request_indirect, indirect_op, 1);
PARA_OFFSET(blkif_request_indirect, nr_segments, 2);
PARA_OFFSET(blkif_request_indirect, handle, 4);
PARA_OFFSET(blkif_request_indirect, reserved, 6);
PARA_OFFSET(blkif_request_indirect, id, 8);
PARA_OFFSET(blkif_request_indirect, sector_number, 16);
PARA_OFFSET(blkif_request_indirect, indirect_gref, 24);
PARA_OFFSET(blkif_request_indirect, indirect_offset, 28);
PARA_SIZE(blkif_request_indirect, 32);
PARA_OFFSET(blkif_response, id, 0);
PARA_OFFSET(blkif_response, operation, 8);
PARA_OFFSET(blkif_response, status, 12);
PARA_SIZE(blkif_response, 16);
PARA_OFFSET(netif_tx_request, gref, 0);
PARA_OFFSET(netif_tx_request, offset, 4);
PARA_OFFSET(netif_tx_request, flags, 6);
PARA_OFFSET(netif_tx_request, id, 8);
PARA_OFFSET(netif_tx_request, size, 10);
PARA_SIZE(netif_tx_request, 12);
PARA_OFFSET(netif_tx_response, id, 0);
PARA_OFFSET(netif_tx_response, status, 2);
PARA_SIZE(netif_tx_response, 4);
PARA_OFFSET(netif_rx_request, id, 0);
PARA_OFFSET(netif_rx_request, gref, 4);
PARA_SIZE(netif_rx_request, 8);
PARA_OFFSET(netif_rx_response, id, 0);
PARA_OFFSET(netif_rx_response, offset, 2);
PARA_OFFSET(netif_rx_response, flags, 4);
PARA_OFFSET(netif_rx_response, status, 6);
PARA_SIZE(netif_rx_response, 8);
#endif
