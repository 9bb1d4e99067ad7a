/**
 * A domain's part of the store: entries of fixed size in the hypervisor's memory, searched one after the other (there are a few
 * dozen). An entry: path bytes, value bytes and who wrote it (one byte, two, one), then path, then value.
 */
import { Lock } from '../backends/lock.js';
import { PARA_EACCES, PARA_ENOENT, PARA_ENOSPC, PARA_STORE_PATH_MAX, PARA_STORE_VALUE_MAX } from './abi.js';
import { DOM, type HypervisorMemory, STORE_ENTRIES, STORE_ENTRY_BYTES } from './hypervisor-memory.js';

const HEADER = 4;
const VALUE_AT = HEADER + PARA_STORE_PATH_MAX;
const BY_HYPERVISOR = 1;
const BY_GUEST = 2;

const ascii = new TextDecoder('latin1');

export class Store {
  private readonly lock: Lock;

  constructor(
    private readonly hv: HypervisorMemory,
    private readonly domain: number,
  ) {
    this.lock = new Lock(hv.i32, hv.domainWord(domain) + DOM.storeLock);
  }

  /** The value, or undefined. */
  get(path: string): string | undefined {
    const bytes = this.read(Buffer.from(path, 'latin1'));
    return bytes === undefined ? undefined : ascii.decode(bytes);
  }

  /** By the hypervisor. Throws when it does not fit: the caller is ours and its values are small. */
  set(path: string, value: string): void {
    const bytes = Buffer.from(value, 'latin1');
    if (path.length > PARA_STORE_PATH_MAX || bytes.length > PARA_STORE_VALUE_MAX) {
      throw new RangeError(`store: ${path} = ${value}: more than ${PARA_STORE_VALUE_MAX} bytes`);
    }
    if (this.write(Buffer.from(path, 'latin1'), bytes, BY_HYPERVISOR) !== 0) throw new Error('store: full');
  }

  /** By the guest: 0, -EACCES for what the hypervisor wrote, -ENOSPC. The lengths have been checked. */
  setByGuest(path: Uint8Array, value: Uint8Array): number {
    return this.write(path, value, BY_GUEST);
  }

  /** A copy of the value. */
  read(path: Uint8Array): Uint8Array | undefined {
    return this.lock.hold(() => {
      const at = this.find(path);
      return at < 0 ? undefined : this.hv.u8.slice(at + VALUE_AT, at + VALUE_AT + this.valueBytes(at));
    });
  }

  private write(path: Uint8Array, value: Uint8Array, by: number): number {
    return this.lock.hold(() => {
      let at = this.find(path);
      if (at >= 0 && by === BY_GUEST && this.hv.u8[at + 3] === BY_HYPERVISOR) return -PARA_EACCES;
      if (at < 0) at = this.free();
      if (at < 0) return -PARA_ENOSPC;
      this.hv.u8.set([path.length, value.length & 255, value.length >> 8, by], at);
      this.hv.u8.set(path, at + HEADER);
      this.hv.u8.set(value, at + VALUE_AT);
      return 0;
    });
  }

  private valueBytes(at: number): number {
    return this.hv.u8[at + 1] | (this.hv.u8[at + 2] << 8);
  }

  private find(path: Uint8Array): number {
    const { u8 } = this.hv;
    for (let at = this.start; at < this.end; at += STORE_ENTRY_BYTES) {
      if (u8[at] === path.length && path.every((byte, i) => u8[at + HEADER + i] === byte)) return at;
    }
    return -PARA_ENOENT;
  }

  private free(): number {
    for (let at = this.start; at < this.end; at += STORE_ENTRY_BYTES) if (this.hv.u8[at] === 0) return at;
    return -PARA_ENOSPC;
  }

  private get start(): number {
    return this.hv.storeByte(this.domain);
  }

  private get end(): number {
    return this.start + STORE_ENTRIES * STORE_ENTRY_BYTES;
  }
}
