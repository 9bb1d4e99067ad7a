/** Colours that the colour-blind can tell apart (Okabe and Ito, 2008), readable on white and on black. */

const ENGINE_COLOURS: Record<string, string> = {
  bare: '#808080',
  'bare-novec': '#b0a060',
  full: '#2f86c8',
  para: '#d55e00',
  qemu: '#009e73',
  'full-virtio': '#56b4e9',
  'qemu-virtio': '#cc79a7',
};
const OTHERS = ['#e69f00'];
/** Each engine also has a point shape: colour alone must not carry the meaning. */
const SHAPES = ['circle', 'rect', 'triangle', 'rectRot', 'star', 'crossRot', 'triangle'];

export function engineColour(name: string): string {
  return ENGINE_COLOURS[name] ?? (OTHERS[hash(name) % OTHERS.length] as string);
}

export function engineShape(name: string): string {
  const index = Object.keys(ENGINE_COLOURS).indexOf(name);
  return SHAPES[index >= 0 ? index : hash(name) % SHAPES.length] as string;
}

function hash(name: string): number {
  return [...name].reduce((sum, char) => sum + (char.codePointAt(0) ?? 0), 0);
}
