import type { TranslateMode } from './translator/translator.js';

/** VIRTAX_CPU chooses for experiments and tests: interpreter, translator (the default), or forced (translates all that is executed). */
const MODES: Readonly<Record<string, TranslateMode>> = { interpreter: 'off', translator: 'on', forced: 'forced' };
export const defaultMode = (): TranslateMode => MODES[process.env.VIRTAX_CPU ?? ''] ?? 'on';
