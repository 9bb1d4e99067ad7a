/** A reader of flattened device trees for tests, written from the specification (v0.4, chapter 5) and not from the writer. */

export interface ReadNode {
  properties: Map<string, Buffer>;
  children: Map<string, ReadNode>;
}

export function readFdt(blob: Uint8Array): ReadNode {
  const buffer = Buffer.from(blob);
  const word = (at: number) => buffer.readUInt32BE(at);
  if (word(0) !== 0xd00dfeed || word(4) > buffer.length || word(20) !== 17) throw new Error('no FDT of version 17');
  const strings = word(12);
  let at = word(8);
  const text = (from: number) => buffer.toString('latin1', from, buffer.indexOf(0, from));
  const align = (n: number) => (n + 3) & ~3;

  const node = (): [string, ReadNode] => {
    if (word(at) !== 1) throw new Error(`FDT_BEGIN_NODE expected at ${at}`);
    const name = text(at + 4);
    at = align(at + 4 + name.length + 1);
    const read: ReadNode = { properties: new Map(), children: new Map() };
    for (;;) {
      const token = word(at);
      if (token === 1) read.children.set(...node());
      else if (token === 3) {
        const bytes = word(at + 4);
        read.properties.set(text(strings + word(at + 8)), buffer.subarray(at + 12, at + 12 + bytes));
        at = align(at + 12 + bytes);
      } else if (token === 2) {
        at += 4;
        return [name, read];
      } else throw new Error(`token ${token} at ${at}`);
    }
  };
  const [, root] = node();
  if (word(at) !== 9) throw new Error('no FDT_END');
  return root;
}

/** `/soc/serial@10000000`. */
export function nodeAt(root: ReadNode, path: string): ReadNode {
  let node = root;
  for (const name of path.split('/').filter((part) => part !== '')) {
    const child = node.children.get(name);
    if (child === undefined) throw new Error(`no node ${name} of ${path}`);
    node = child;
  }
  return node;
}

export function cells(node: ReadNode, name: string): number[] {
  const bytes = node.properties.get(name);
  if (bytes === undefined) throw new Error(`no property ${name}`);
  return Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readUInt32BE(4 * i));
}

export function strings(node: ReadNode, name: string): string[] {
  const bytes = node.properties.get(name);
  if (bytes === undefined) throw new Error(`no property ${name}`);
  return bytes.toString('utf8').split('\0').slice(0, -1);
}
