/**
 * The same work must give the same answer on every engine: the guests' checksums of one round are compared, VM by VM.
 * The reference is bare metal where it took part, since all engines run the same C source that was compiled for it.
 */
import type { SampleResult } from '../engines/engine.js';
import { hashText } from './random.js';

/** Checksums of one round, by engine: one a VM. */
export type Answers = ReadonlyMap<string, readonly string[]>;

/** Engines whose answer differs from the reference's, and a message that shows both values. */
export function wrongAnswers(answers: Answers, preference: readonly string[]): Map<string, string> {
  const wrong = new Map<string, string>();
  const reference = preference.find((engine) => answers.has(engine)) ?? [...answers.keys()][0];
  const right = answers.get(reference);
  if (right === undefined) return wrong;
  for (const [engine, checksums] of answers) {
    const vm = checksums.findIndex((checksum, index) => checksum !== right[index]);
    if (vm === -1) continue;
    wrong.set(
      engine,
      `wrong answer: checksum ${checksums[vm]}, where ${reference} has ${right[vm]} (VM ${vm}, same seed)`,
    );
  }
  return wrong;
}

/** One word for the answers of all VMs of a sample; of a single VM its own checksum. */
export function foldChecksums(results: readonly SampleResult[]): string {
  if (results.length === 1) return results[0].checksum;
  const text = results.map((result) => result.checksum).join('');
  return [hashText(text), hashText(`${text}#`)].map((word) => word.toString(16).padStart(8, '0')).join('');
}
