import { OFFSET } from '../layout.js';
import type { HartContext } from './context.js';
import type { Csr } from './csr.js';

/** fflags, frm and fcsr (unprivileged specification, 11.2); illegal while mstatus.FS is Off. */
export function floatCsrs(hart: HartContext): [number, Csr][] {
  const allowed = () => hart.get(OFFSET.fpEnabled) !== 0;
  const dirty = (): false => {
    hart.set(OFFSET.fpDirty, 1);
    return false;
  };
  const make = (get: () => number, set: (value: number) => void): Csr => ({
    allowed,
    read: (out) => {
      out.low = get();
      out.high = 0;
    },
    write: (low) => {
      set(low);
      return dirty();
    },
  });
  const flags = () => hart.get(OFFSET.fflags);
  const mode = () => hart.get(OFFSET.frm);
  const setFlags = (value: number) => hart.set(OFFSET.fflags, value & 31);
  const setMode = (value: number) => hart.set(OFFSET.frm, value & 7);
  return [
    [0x001, make(flags, setFlags)],
    [0x002, make(mode, setMode)],
    [
      0x003,
      make(
        () => (mode() << 5) | flags(),
        (value) => {
          setFlags(value);
          setMode(value >>> 5);
        },
      ),
    ],
  ];
}
