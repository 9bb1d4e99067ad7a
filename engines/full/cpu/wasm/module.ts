import { Body, type FunctionRef } from './body.js';
import { type Chunk, LIKELY, TYPE_CODE, uleb, type ValueType } from './value.js';

interface Signature {
  parameters: readonly ValueType[];
  results: readonly ValueType[];
}

interface Import {
  module: string;
  name: string;
  type: number;
}

/** A function that is declared first and built later, so that functions can call each other. */
export interface Declared extends FunctionRef {
  readonly signature: Signature;
}

interface Hint {
  offset: number;
  likely: boolean;
}

/** Bytes that are already encoded, or still nested. */
type Part = Chunk | Uint8Array | readonly Part[];

/** Encoded bytes, in a buffer that grows. */
class Bytes {
  private buffer = new Uint8Array(4096);
  private length = 0;

  /** `hints` gets the places of LIKELY and UNLIKELY marks. */
  add(part: Part, hints?: Hint[]): this {
    if (typeof part === 'number') this.addByte(part, hints);
    else if (part instanceof Uint8Array) this.addAll(part);
    else for (const each of part) this.add(each, hints);
    return this;
  }

  done(): Uint8Array<ArrayBuffer> {
    return this.buffer.slice(0, this.length);
  }

  private addByte(byte: number, hints?: Hint[]): void {
    if (byte < 0) {
      hints?.push({ offset: this.length, likely: byte === LIKELY });
      return;
    }
    if (this.length === this.buffer.length) this.grow(1);
    this.buffer[this.length++] = byte;
  }

  private addAll(bytes: Uint8Array): void {
    this.grow(bytes.length);
    this.buffer.set(bytes, this.length);
    this.length += bytes.length;
  }

  private grow(more: number): void {
    if (this.length + more <= this.buffer.length) return;
    const larger = new Uint8Array(2 * this.buffer.length + more);
    larger.set(this.buffer);
    this.buffer = larger;
  }
}

const utf8 = (text: string): Chunk => [uleb(Buffer.byteLength(text)), [...Buffer.from(text)]];
const vector = (items: readonly Part[]): readonly Part[] => [uleb(items.length), ...items];
const sized = (part: Part): readonly Part[] => {
  const bytes = new Bytes().add(part).done();
  return [uleb(bytes.length), bytes];
};

/** Hints for a function's branches (branch hinting proposal: offset, length of the hint, 0 unlikely, 1 likely). */
const branchHints = (index: number, hints: readonly Hint[]): Part => [
  uleb(index),
  vector(hints.map(({ offset, likely }): Part => [uleb(offset), 1, likely ? 1 : 0])),
];

/** Encodes one WebAssembly module: an imported shared memory, imported functions, own functions. */
export class ModuleBuilder {
  private readonly signatures: Signature[] = [];
  private readonly imports: Import[] = [];
  private readonly functions: { type: number; body?: Body }[] = [];
  private readonly exports: { name: string; index: number }[] = [];
  private tableEntries = 0;

  /**
   * Pages of the imported memory: at most `maximumPages`, at least `initialPages`. V8 takes a memory with as many as it may
   * have for one that stays where it is.
   */
  constructor(
    private readonly maximumPages: number,
    private readonly initialPages = 1,
  ) {}

  type(parameters: readonly ValueType[], results: readonly ValueType[]): number {
    const wanted = `${parameters}>${results}`;
    const found = this.signatures.findIndex((known) => `${known.parameters}>${known.results}` === wanted);
    return found >= 0 ? found : this.signatures.push({ parameters, results }) - 1;
  }

  /** All imports must come before the first function. */
  import(module: string, name: string, parameters: readonly ValueType[], results: readonly ValueType[]): FunctionRef {
    if (this.functions.length > 0) throw new Error('an import after a function');
    return { index: this.imports.push({ module, name, type: this.type(parameters, results) }) - 1 };
  }

  /**
   * An import that is there if something uses it: V8 compiles a wrapper for each signature of an import when it makes a module,
   * which takes longer than a small function. Whatever uses it must be built before the first function is declared.
   */
  importIfUsed(
    module: string,
    name: string,
    { parameters, results }: { parameters: readonly ValueType[]; results: readonly ValueType[] },
  ): FunctionRef {
    let imported: FunctionRef | undefined;
    const add = (): FunctionRef => {
      imported ??= this.import(module, name, parameters, results);
      return imported;
    };
    return {
      get index() {
        return add().index;
      },
    };
  }

  declare(parameters: readonly ValueType[], results: readonly ValueType[]): Declared {
    const type = this.type(parameters, results);
    const index = this.imports.length + this.functions.push({ type }) - 1;
    return { index, signature: { parameters, results } };
  }

  define(declared: Declared, build: (body: Body) => void): void {
    const body = new Body(declared.signature.parameters);
    build(body);
    this.defineAs(declared, body);
  }

  /** The same with a body that has been built already, for the declared parameters. */
  defineAs(declared: Declared, body: Body): void {
    this.functions[declared.index - this.imports.length].body = body;
  }

  export(name: string, declared: FunctionRef): void {
    this.exports.push({ name, index: declared.index });
  }

  /** Gives the module a table of functions, exported as `table`. */
  table(entries: number): void {
    this.tableEntries = entries;
  }

  encode(): Uint8Array<ArrayBuffer> {
    const signatures = this.signatures.map(({ parameters, results }): Part => {
      const codes = (types: readonly ValueType[]) => vector(types.map((type) => TYPE_CODE[type]));
      return [0x60, codes(parameters), codes(results)];
    });
    const memory: Part = [utf8('env'), utf8('memory'), 0x02, 0x03, uleb(this.initialPages), uleb(this.maximumPages)];
    const imports = this.imports.map((each): Part => [utf8(each.module), utf8(each.name), 0x00, uleb(each.type)]);
    const hints: Part[] = [];
    const bodies = this.functions.map(({ body }, index) => {
      if (body === undefined) throw new Error('a function was declared but not defined');
      const marks: Hint[] = [];
      const bytes = new Bytes().add(body.encode(), marks).done();
      if (marks.length > 0) hints.push(branchHints(this.imports.length + index, marks));
      return [uleb(bytes.length), bytes] as const;
    });
    const section = (id: number, items: readonly Part[]): Part => [id, sized(vector(items))];
    const parts: Part = [
      [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      section(1, signatures),
      section(2, [...imports, memory]),
      section(
        3,
        this.functions.map(({ type }) => uleb(type)),
      ),
      this.tableEntries > 0 ? section(4, [[0x70, 0x01, uleb(this.tableEntries), uleb(this.tableEntries)]]) : [],
      section(7, [
        ...this.exports.map(({ name, index }): Part => [utf8(name), 0x00, uleb(index)]),
        ...(this.tableEntries > 0 ? [[utf8('table'), 0x01, 0x00]] : []),
      ]),
      hints.length > 0 ? [0, sized([utf8('metadata.code.branch_hint'), vector(hints)])] : [],
      section(10, bodies),
    ];
    return new Bytes().add(parts).done();
  }
}
