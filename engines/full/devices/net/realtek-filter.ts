/**
 * The address filter that Realtek's cards share: station address, multicast hash and the low bits of RCR stand at the same places
 * in all of them (RTL8139D(L) datasheet 5.7 and 5.3; RTL8169, 6.9).
 */

const IDR = 0x00;
const MAR = 0x08;

/** RCR: all physical addresses, the station's, multicast by the hash, broadcast. */
export const ACCEPT = { AAP: 1 << 0, APM: 1 << 1, AM: 1 << 2, AB: 1 << 3 } as const;

/** What a frame was let in for. 0: nothing but promiscuity. */
export const MATCH = { BROADCAST: 1, STATION: 2, MULTICAST: 4 } as const;

/** The six highest bits of the CRC of the address, most significant first, choose a bit of MAR. */
function multicastWanted(frame: Uint8Array, mar: Uint8Array): boolean {
  let crc = 0xffff_ffff;
  for (let i = 0; i < 6; i++) {
    for (let bit = 0; bit < 8; bit++) {
      const carry = (crc >>> 31) ^ ((frame[i] >> bit) & 1);
      crc = carry ? (crc << 1) ^ 0x04c1_1db7 : crc << 1;
    }
  }
  const index = crc >>> 26;
  return (mar[index >> 3] & (1 << (index & 7))) !== 0;
}

/** MATCH bits when the filter lets the frame (14 bytes or more) in, or -1. regs: the card's registers. */
export function filterFrame(frame: Uint8Array, regs: Uint8Array, rcr: number): number {
  if (frame[0] & 1) {
    const broadcast = [0, 1, 2, 3, 4, 5].every((i) => frame[i] === 0xff);
    if (broadcast) return rcr & (ACCEPT.AB | ACCEPT.AAP) ? MATCH.BROADCAST : -1;
    const wanted = rcr & ACCEPT.AAP || (rcr & ACCEPT.AM && multicastWanted(frame, regs.subarray(MAR, MAR + 8)));
    return wanted ? MATCH.MULTICAST : -1;
  }
  for (let i = 0; i < 6; i++) {
    if (frame[i] !== regs[IDR + i]) return rcr & ACCEPT.AAP ? 0 : -1;
  }
  return rcr & (ACCEPT.APM | ACCEPT.AAP) ? MATCH.STATION : -1;
}
