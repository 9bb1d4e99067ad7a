/* riscv.h: the CSRs and instructions that C code needs (RISC-V Privileged Architecture 1.12). */
#ifndef VIRTAX_RISCV_H
#define VIRTAX_RISCV_H
#include <stdint.h>

#define CSR_READ(name) ({ uint64_t v_; __asm__ volatile("csrr %0, " #name : "=r"(v_)); v_; })
#define CSR_WRITE(name, value) __asm__ volatile("csrw " #name ", %0" ::"rK"((uint64_t)(value)) : "memory")
#define CSR_SET(name, bits) __asm__ volatile("csrs " #name ", %0" ::"rK"((uint64_t)(bits)) : "memory")
#define CSR_CLEAR(name, bits) __asm__ volatile("csrc " #name ", %0" ::"rK"((uint64_t)(bits)) : "memory")

#define SSTATUS_SIE (1u << 1)
#define SIE_SSIE (1u << 1)
#define SIE_SEIE (1u << 9)
#define SATP_SV39 (8ull << 60)

#define CAUSE_INTERRUPT (1ull << 63)
enum { INTERRUPT_SOFTWARE = 1, INTERRUPT_EXTERNAL = 9 };
enum { CAUSE_USER_ECALL = 8, CAUSE_FETCH_PAGE = 12, CAUSE_LOAD_PAGE = 13, CAUSE_STORE_PAGE = 15 };

static inline uint64_t rdtime(void) { return CSR_READ(time); }
static inline void wfi(void) { __asm__ volatile("wfi" ::: "memory"); }
/* Zihintpause's `pause`: a FENCE with no successor, a hint that other harts skip (Unprivileged ISA, Zihintpause). */
static inline void cpu_pause(void) { __asm__ volatile(".4byte 0x0100000f" ::: "memory"); }
static inline void sfence_page(uint64_t va) { __asm__ volatile("sfence.vma %0, zero" ::"r"(va) : "memory"); }
static inline void sfence_all(void) { __asm__ volatile("sfence.vma" ::: "memory"); }

#endif
