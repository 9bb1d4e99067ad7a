/* offsets.h: what the assembly knows of struct hart, struct machine_area and struct frame; hart.c checks it. */
#ifndef VIRTAX_OFFSETS_H
#define VIRTAX_OFFSETS_H

#define MAX_HARTS 32
#define STACK_SHIFT 14 /* a kernel stack is 16 KiB */

#define HART_SHIFT 8 /* sizeof(struct hart) is 256 */
#define HART_KERNEL_SP 0
#define HART_USER_SP 8
#define HART_RECOVER 16
#define HART_CPU 24

#define AREA_SHIFT 6 /* sizeof(struct machine_area) is 64 */
#define AREA_T1 0
#define AREA_T2 8
#define AREA_MSIP 16
#define AREA_MTIMECMP 24
#define AREA_HART 32

#define FRAME_BYTES 256 /* pc, x1 .. x31 */

#endif
