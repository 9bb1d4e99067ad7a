/** Sequence numbers: 32 bits that wrap around (RFC 9293, 3.4). Kept as signed or unsigned numbers, compared by difference. */

/** a - b, as far as that is less than half the number space. */
export const distance = (a: number, b: number): number => (a - b) | 0;
export const add = (a: number, bytes: number): number => (a + bytes) >>> 0;
