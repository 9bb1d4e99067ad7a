/**
 * The transceiver of a gigabit card, as its driver sees it through the MII management interface (IEEE 802.3, clauses 22.2.4 and
 * 40.5): negotiation with a partner that can do everything ends at once, with 1000BASE-T full duplex.
 */

export const MII = {
  BMCR: 0,
  BMSR: 1,
  ID1: 2,
  ID2: 3,
  ANAR: 4,
  ANLPAR: 5,
  ANER: 6,
  CONTROL_1000: 9,
  STATUS_1000: 10,
  EXTENDED_STATUS: 15,
} as const;
export const BMCR = {
  RESET: 1 << 15,
  LOOPBACK: 1 << 14,
  NEGOTIATE: 1 << 12,
  POWER_DOWN: 1 << 11,
  ISOLATE: 1 << 10,
  RESTART: 1 << 9,
} as const;
/** All of 10BASE-T and 100BASE-X, extended status, preamble suppression, can negotiate, extended registers. */
const BMSR_ABILITIES = 0x7949;
const BMSR_NEGOTIATED = 1 << 5;
const BMSR_LINK = 1 << 2;
const PARTNER_10_100 = 0xc5e1;
const PARTNER_CAN_NEGOTIATE = 1;
/** Both receivers in order; the partner can do 1000BASE-T, full and half duplex. */
const PARTNER_1000 = 0x3c00;
const ABILITIES_1000 = 0x3000;
/** 1000 Mbit/s, full duplex, negotiating. */
const BMCR_START = 0x1140;
const BMCR_WRITABLE = 0x7dc0;

/** What distinguishes one transceiver from another. */
export interface PhyModel {
  id1: number;
  id2: number;
  /** Registers of the vendor, 16 to 31: value after reset, and bits that the driver may write. */
  vendor: Readonly<Record<number, { value: number; writable: number }>>;
  /** Register that selects a page; pages other than 0 read as zero and forget what is written. */
  pageRegister?: number;
}

/** Words of state: one a register. */
export const PHY_STATE_WORDS = 32;

export class MiiPhy {
  /** words: PHY_STATE_WORDS of shared memory, under the card's lock. */
  constructor(
    private readonly words: Int32Array,
    private readonly model: PhyModel,
  ) {}

  reset(): void {
    const { words, model } = this;
    words.fill(0);
    words[MII.BMCR] = BMCR_START;
    words[MII.ANAR] = 0x0de1;
    words[MII.CONTROL_1000] = 0x0300;
    for (const [register, { value }] of Object.entries(model.vendor)) words[Number(register)] = value;
  }

  get linkUp(): boolean {
    return (this.words[MII.BMCR] & (BMCR.POWER_DOWN | BMCR.ISOLATE)) === 0;
  }

  get loopback(): boolean {
    return (this.words[MII.BMCR] & BMCR.LOOPBACK) !== 0;
  }

  /** register: 0 to 31. Answers 16 bits. */
  read(register: number): number {
    const { model, words } = this;
    if (register !== model.pageRegister && this.#otherPage()) return 0;
    const negotiated = this.linkUp && (words[MII.BMCR] & BMCR.NEGOTIATE) !== 0;
    switch (register) {
      case MII.BMSR:
        return BMSR_ABILITIES | (this.linkUp ? BMSR_LINK : 0) | (negotiated ? BMSR_NEGOTIATED : 0);
      case MII.ID1:
        return model.id1;
      case MII.ID2:
        return model.id2;
      case MII.ANLPAR:
        return negotiated ? PARTNER_10_100 : 0;
      case MII.ANER:
        return negotiated ? PARTNER_CAN_NEGOTIATE : 0;
      case MII.STATUS_1000:
        return negotiated ? PARTNER_1000 : 0;
      case MII.EXTENDED_STATUS:
        return ABILITIES_1000;
      default:
        return words[register] & 0xffff;
    }
  }

  /** Answers whether the link changed, or went down and came up again: what cards interrupt for. */
  write(register: number, value: number): boolean {
    const { model, words } = this;
    if (register === model.pageRegister) words[register] = value & 0xffff;
    else if (this.#otherPage()) return false;
    else if (register === MII.BMCR) return this.#control(value);
    else if (register === MII.ANAR || register === MII.CONTROL_1000) words[register] = value & 0xffff;
    else {
      const writable = model.vendor[register]?.writable ?? 0;
      words[register] = (words[register] & ~writable) | (value & writable);
    }
    return false;
  }

  #control(value: number): boolean {
    const { words } = this;
    if (value & BMCR.RESET) {
      this.reset();
      return true;
    }
    const before = this.linkUp;
    words[MII.BMCR] = value & BMCR_WRITABLE;
    const restarted = (value & BMCR.RESTART) !== 0 && (value & BMCR.NEGOTIATE) !== 0;
    return this.linkUp !== before || (restarted && this.linkUp);
  }

  #otherPage(): boolean {
    const { pageRegister } = this.model;
    return pageRegister !== undefined && this.words[pageRegister] !== 0;
  }
}
