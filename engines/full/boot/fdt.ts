/** Flattened device trees: the binary format of the Devicetree Specification v0.4, chapter 5, version 17. */

/** text: one or more strings; cells: big-endian 32-bit words; true: empty, it is its presence that counts. */
export type PropertyValue = string | string[] | number[] | Uint8Array | true;

export interface TreeNode {
  /** With its unit address: `serial@10000000`; empty for the root. */
  name: string;
  properties: Record<string, PropertyValue>;
  children?: TreeNode[];
}

const MAGIC = 0xd00d_feed;
const VERSION = 17;
const COMPATIBLE_VERSION = 16;
const HEADER_BYTES = 40;
const RESERVATIONS_BYTES = 16; // none but the entry that ends the list

const BEGIN_NODE = 1;
const END_NODE = 2;
const PROPERTY = 3;
const END = 9;

/** An address or size as two cells. */
export const cells64 = (value: number): [number, number] => [Math.floor(value / 2 ** 32), value % 2 ** 32];

/** Encodes a tree as a blob. */
export function encodeFdt(root: TreeNode): Uint8Array {
  const strings = new StringTable();
  const structure: number[] = [];
  encodeNode(root, structure, strings);
  pushWord(structure, END);

  const structureAt = HEADER_BYTES + RESERVATIONS_BYTES;
  const stringsAt = structureAt + structure.length;
  const total = stringsAt + strings.bytes.length;
  const header: number[] = [];
  const fields = [MAGIC, total, structureAt, stringsAt, HEADER_BYTES, VERSION, COMPATIBLE_VERSION, 0];
  for (const field of [...fields, strings.bytes.length, structure.length]) pushWord(header, field);
  return Uint8Array.from([...header, ...new Array<number>(RESERVATIONS_BYTES).fill(0), ...structure, ...strings.bytes]);
}

class StringTable {
  readonly bytes: number[] = [];
  readonly #offsets = new Map<string, number>();

  offset(text: string): number {
    const known = this.#offsets.get(text);
    if (known !== undefined) return known;
    const offset = this.bytes.length;
    this.#offsets.set(text, offset);
    this.bytes.push(...Buffer.from(`${text}\0`, 'latin1'));
    return offset;
  }
}

function encodeNode(node: TreeNode, out: number[], strings: StringTable): void {
  pushWord(out, BEGIN_NODE);
  pushPadded(out, Buffer.from(`${node.name}\0`, 'latin1'));
  for (const [name, value] of Object.entries(node.properties)) {
    const bytes = propertyBytes(value);
    pushWord(out, PROPERTY);
    pushWord(out, bytes.length);
    pushWord(out, strings.offset(name));
    pushPadded(out, bytes);
  }
  for (const child of node.children ?? []) encodeNode(child, out, strings);
  pushWord(out, END_NODE);
}

function propertyBytes(value: PropertyValue): Uint8Array {
  if (value === true) return new Uint8Array(0);
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'string') return Buffer.from(`${value}\0`, 'utf8');
  if (isTexts(value)) return Buffer.from(value.map((text) => `${text}\0`).join(''), 'utf8');
  const bytes: number[] = [];
  for (const cell of value) pushWord(bytes, cell);
  return Uint8Array.from(bytes);
}

const isTexts = (value: string[] | number[]): value is string[] => typeof value[0] === 'string';

function pushWord(out: number[], value: number): void {
  out.push((value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

function pushPadded(out: number[], bytes: Uint8Array): void {
  for (const byte of bytes) out.push(byte);
  while (out.length % 4 !== 0) out.push(0);
}
