/** Numbers of the Virtual I/O Device specification 1.2 that all devices share; a device's own stand in its file. */

/** Device status bits (2.1). */
export const STATUS = { FEATURES_OK: 8, DRIVER_OK: 4, NEEDS_RESET: 64 } as const;

/** Reserved feature bits (chapter 6). */
export const FEATURE = { INDIRECT_DESC: 28, EVENT_IDX: 29, VERSION_1: 32 } as const;

/** Descriptor flags (2.7.5). */
export const DESCRIPTOR = { NEXT: 1, WRITE: 2, INDIRECT: 4 } as const;
export const DESCRIPTOR_BYTES = 16;

/** Flag of the available ring (2.7.6), and of the used ring (2.7.8). */
export const NO_INTERRUPT = 1;
export const NO_NOTIFY = 1;

/** Bits of the interrupt status (4.1.4.5, 4.2.2). */
export const ISR = { QUEUE: 1, CONFIG: 2 } as const;

/** Device types (chapter 5). */
export const TYPE = { NET: 1, BLOCK: 2, CONSOLE: 3, ENTROPY: 4, BALLOON: 5 } as const;
