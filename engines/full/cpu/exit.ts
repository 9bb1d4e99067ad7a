/** What `run` returned for. */
export const HartExit = {
  /** The budget of instructions is used up. */
  Budget: 0,
  /** WFI with nothing pending: sleep until `HartLines.wait` returns, then run again. */
  Wfi: 1,
  /** The guest spins (`pause`): give the processor away once, then run again. */
  Pause: 2,
  /** `HartLines.stop` was called (by any thread). */
  Stopped: 3,
} as const;
export type HartExit = (typeof HartExit)[keyof typeof HartExit];
