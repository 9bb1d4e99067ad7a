/** The engines that there are, in the order of the reports. Adding one is a folder and a line here. */
import { bare, bareNovec } from './bare/engine.js';
import type { Engine } from './engine.js';
import { full } from './full/engine.js';
import { para } from './para/engine.js';
import { qemu } from './qemu/engine.js';

export const registry: readonly Engine[] = [bare, bareNovec, full, para, qemu];
