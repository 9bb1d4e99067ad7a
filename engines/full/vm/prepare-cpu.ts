/** Run once for a newly linked program: makes the CPU's code. A process of its own, which V8 may end without harm. */
import { childArguments } from '../../process/child.js';
import { dieWithParent } from '../../process/die-with-parent.js';
import { keepCompiledCpu } from './cpu-module.js';

dieWithParent(childArguments().parentPid);
keepCompiledCpu();
