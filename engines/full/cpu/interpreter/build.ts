import type { Declared } from '../wasm/module.js';
import { ModuleBuilder } from '../wasm/module.js';
import { exportBulkMemory } from './bulk.js';
import { InterpreterEmitter } from './emitter.js';
import { Flow } from './flow.js';
import { HANDLERS, type Handler, SPECIAL } from './handlers.js';
import { importHost } from './host.js';

function buildHandler(flow: Flow, handler: Handler, index: number): Declared {
  if (index === SPECIAL.decode) return flow.decodeHandler();
  if (index === SPECIAL.pageEnd) return flow.pageEndHandler();
  return flow.handler((body, registers) => {
    const emitter = new InterpreterEmitter(body, registers, flow, handler);
    if (index === SPECIAL.illegal) emitter.system('illegal');
    handler.definition?.emit(emitter);
    flow.next(body, registers, handler.length);
    body.unreachable();
  });
}

/** The interpreter as a module's bytes: it exports run(stateBase), which returns HartExit + 1, and BulkMemory. */
export function encodeInterpreter(maximumPages: number): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder(maximumPages);
  const flow = new Flow(module, importHost(module));
  module.setTable(HANDLERS.map((handler, index) => buildHandler(flow, handler, index)));
  module.export('run', flow.resume);
  exportBulkMemory(module);
  return module.encode();
}
