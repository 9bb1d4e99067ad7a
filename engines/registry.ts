/** The engines that there are, in the order of the reports. Adding one is a folder and a line here. */
import { bare, bareNovec } from './bare/engine.js';
import type { Engine } from './engine.js';
import { full, fullVirtio } from './full/engine.js';
import { para } from './para/engine.js';
import { qemu, qemuVirtio } from './qemu/engine.js';

export const registry: readonly Engine[] = [bare, bareNovec, full, fullVirtio, para, qemu, qemuVirtio];
