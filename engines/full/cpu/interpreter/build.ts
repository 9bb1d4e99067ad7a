import { exportExact } from '../float/exact.js';
import { OFFSET, REGION } from '../layout.js';
import type { Body } from '../wasm/body.js';
import { ModuleBuilder } from '../wasm/module.js';
import { i32, i64 } from '../wasm/value.js';
import { exportBulkMemory } from './bulk.js';
import { InterpreterEmitter } from './emitter.js';
import { Flow } from './flow.js';
import { HANDLERS, type Handler, SPECIAL } from './handlers.js';
import { DecodeResult, importHost } from './host.js';
import { exportMayEnter, exportPoll, exportRegionSupport, REGION_SIGNATURE } from './region-support.js';
import { exportTraps } from './trap-code.js';
import { exportWalks } from './walk-code.js';

/** The handler of entries that are not decoded. */
function emitDecode(body: Body, flow: Flow): void {
  flow.sync();
  const result = body.keep(body.call('i32', flow.host.decode));
  body.if(i32.eq(result, i32.const(DecodeResult.Redirected)), () => flow.redirected());
  body.if(i32.eq(result, i32.const(DecodeResult.Once)), () =>
    flow.dispatch(i64.load(flow.registers.base, OFFSET.scratchOp)),
  );
  flow.dispatchHere();
}

function emitInstruction(body: Body, flow: Flow, handler: Handler, index: number): void {
  const emitter = new InterpreterEmitter(body, flow, handler);
  if (index === SPECIAL.illegal) emitter.system('illegal');
  handler.definition?.emit(emitter);
  flow.next(handler.length);
}

function emitHandler(body: Body, flow: Flow, handler: Handler, index: number): void {
  if (index === SPECIAL.decode) emitDecode(body, flow);
  else if (index === SPECIAL.pageEnd) flow.fetchHere();
  else if (index === SPECIAL.region) flow.enterRegion();
  else emitInstruction(body, flow, handler, index);
}

/** The interpreter as a module's bytes: it exports run(stateBase), which returns HartExit + 1, and BulkMemory. */
export function encodeInterpreter(maximumPages: number): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder(maximumPages);
  const host = importHost(module);
  const run = module.declare(['i32'], ['i32']);
  const traps = exportTraps(module);
  const exact = exportExact(module);
  const walks = exportWalks(module, exportBulkMemory(module));
  const mayEnter = exportMayEnter(module, walks);
  const poll = exportPoll(module);
  const regionType = module.type(REGION_SIGNATURE.parameters, REGION_SIGNATURE.results);
  module.define(run, (body) => {
    const flow = new Flow(body, { ...host, ...traps, ...walks, exact, mayEnter, poll }, regionType);
    flow.build(HANDLERS.map((handler, index) => () => emitHandler(body, flow, handler, index)));
  });
  module.export('run', run);
  module.table(REGION.count);
  exportRegionSupport(module, { ...host, ...walks, poll });
  return module.encode();
}
