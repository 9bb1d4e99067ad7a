/** A disk as the block workloads expect it: word n of it is mix64(n), splitmix64's finalizer. */
import { writeFileSync } from 'node:fs';

function mix64(value: bigint): bigint {
  const mask = (1n << 64n) - 1n;
  let z = value & mask;
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask;
  return z ^ (z >> 31n);
}

export function writePristineDisk(path: string, bytes: number): void {
  const words = new BigUint64Array(bytes / 8);
  for (let i = 0; i < words.length; i++) words[i] = mix64(BigInt(i));
  writeFileSync(path, Buffer.from(words.buffer));
}
