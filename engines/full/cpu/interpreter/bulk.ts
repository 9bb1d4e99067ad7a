import type { Declared, ModuleBuilder } from '../wasm/module.js';
import { f64x2, i32 } from '../wasm/value.js';

/** Exports fill, copy and equal: see BulkMemory in ../host/context.ts. Gives equal, for bytes that are a multiple of 32. */
export function exportBulkMemory(module: ModuleBuilder): Declared {
  const three = ['i32', 'i32', 'i32'] as const;
  const fill = module.declare(three, []);
  module.define(fill, (body) =>
    body.fill(body.parameter(0, 'i32'), body.parameter(1, 'i32'), body.parameter(2, 'i32')),
  );
  const copy = module.declare(three, []);
  module.define(copy, (body) =>
    body.copy(body.parameter(0, 'i32'), body.parameter(1, 'i32'), body.parameter(2, 'i32')),
  );
  const equal = module.declare(three, ['i32']);
  module.define(equal, (body) => {
    const [a, b, bytes] = [body.parameter(0, 'i32'), body.parameter(1, 'i32'), body.parameter(2, 'i32')];
    const end = body.keep(i32.add(a, bytes));
    body.loop((again) => {
      const differ = [0, 16].map((at) => f64x2.xor(f64x2.load(a, at), f64x2.load(b, at)));
      const any = differ.reduce((one, other) => f64x2.or(one, other));
      body.if(f64x2.any(any), () => body.return(i32.const(0)));
      body.set(a, i32.add(a, i32.const(32)));
      body.set(b, i32.add(b, i32.const(32)));
      body.brIf(i32.ltU(a, end), again);
    });
    body.return(i32.const(1));
    body.unreachable();
  });
  module.export('fill', fill);
  module.export('copy', copy);
  module.export('equal', equal);
  return equal;
}
