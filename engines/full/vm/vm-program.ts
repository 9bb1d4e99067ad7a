/** A VM's process and its harts' threads are one linked program: each loads it as one file. */
import { type Program, type Start, startOf } from '../../process/program/program-file.js';

const MAIN = new URL('./vm-main.js', import.meta.url);
const HART = new URL('../thread/hart-thread.js', import.meta.url);
const PREPARE = new URL('./prepare-cpu.js', import.meta.url);
const REHEARSE = new URL('./rehearse-vm.js', import.meta.url);
const PROGRAM: Program = { modules: [MAIN, HART, PREPARE, REHEARSE], preparation: PREPARE, rehearsal: REHEARSE };

export const vmMain = (): Start => startOf(MAIN, PROGRAM);
export const hartThread = (): Start => startOf(HART, PROGRAM);
