import type { Definition } from '../isa/definition.js';
import { COMPRESSED, DEFINITIONS } from '../isa/table.js';
import type { CsrWay } from './fast-csr.js';

/**
 * The interpreter's handlers: one for each definition and each way of decoding it that makes its code shorter.
 * A handler's index is what the decode cache holds, and its place in the module's table.
 */
export interface Handler {
  readonly name: string;
  /** Absent for the handlers that are no instruction. */
  readonly definition?: Definition;
  /** Bytes of the instruction. */
  readonly length: 2 | 4;
  /** A relative target in the same page: no need to look the page up. */
  readonly near: boolean;
  /** Whether a jump writes its return address. */
  readonly link: boolean;
  /** How a CSR is reached; `host` for all other instructions. */
  readonly csr: CsrWay;
}

/** Handlers that are no instruction, at fixed indices. Zeroed memory must mean "not decoded yet". */
export const SPECIAL = { decode: 0, pageEnd: 1, illegal: 2, nop2: 3, nop4: 4, region: 5 } as const;

const CSR_WAYS: readonly CsrWay[] = ['host', 'plain', 'status', 'interrupts', 'float'];

const special = (name: string, length: 2 | 4): Handler => ({
  name,
  length,
  near: false,
  link: false,
  csr: 'host',
});

function variants(definition: Definition, length: 2 | 4): Handler[] {
  const make = (suffix: string, near: boolean, link: boolean, csr: CsrWay = 'host'): Handler => ({
    name: `${definition.name}/${length}${suffix}`,
    definition,
    length,
    near,
    link,
    csr,
  });
  if (definition.csr) {
    return CSR_WAYS.map((way) => make(`/${way}`, false, false, way));
  }
  switch (definition.flow) {
    case 'branch':
      return [make('/near', true, false), make('/far', false, false)];
    case 'jump':
      return [true, false].flatMap((near) => [
        make(near ? '/near/link' : '/far/link', near, true),
        make(near ? '/near' : '/far', near, false),
      ]);
    case 'jumpIndirect':
      return definition.writesX ? [make('/link', false, true), make('', false, false)] : [make('', false, false)];
    case 'next':
      return [make('', false, false)];
  }
}

function list(): Handler[] {
  const short = new Set(COMPRESSED.map(({ expandsTo }) => expandsTo));
  const instructions = DEFINITIONS.flatMap((definition) => [
    ...variants(definition, 4),
    ...(short.has(definition.name) ? variants(definition, 2) : []),
  ]);
  return [
    special('decode', 4),
    special('pageEnd', 4),
    special('illegal', 4),
    special('nop', 2),
    special('nop', 4),
    special('region', 4),
    ...instructions,
  ];
}

export const HANDLERS: readonly Handler[] = list();

/** How a handler's instruction was decoded. */
type Way = Pick<Handler, 'length' | 'near' | 'link' | 'csr'>;

/** A number for each way. */
const wayIndex = ({ length, near, link, csr }: Way): number =>
  (length >> 1) - 1 + 2 * +near + 4 * +link + 8 * CSR_WAYS.indexOf(csr);

/** Each definition's handlers, by way. */
const BY_DEFINITION = new Map<Definition, number[]>();
for (const [index, handler] of HANDLERS.entries()) {
  if (handler.definition === undefined) continue;
  const known = BY_DEFINITION.get(handler.definition) ?? [];
  known[wayIndex(handler)] = index;
  BY_DEFINITION.set(handler.definition, known);
}

/** The index of a definition's handler; what does not matter for its flow is ignored. */
export function handlerOf(definition: Definition, { length, near, link, csr }: Way): number {
  const relative = definition.flow === 'branch' || definition.flow === 'jump';
  const links = definition.flow === 'jump' || (definition.flow === 'jumpIndirect' && definition.writesX);
  const way = wayIndex({ length, near: near && relative, link: link && links, csr });
  const index = BY_DEFINITION.get(definition)?.[way];
  if (index === undefined) throw new Error(`no handler for ${definition.name} of ${length} bytes`);
  return index;
}
