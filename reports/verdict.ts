/** The run in sentences, for those who read nothing else. */
import type { Results } from '../harness/results.js';
import { percentText, timesText, timesWithInterval } from './format.js';
import { engineInfo, engineNames, type Summary, summaries, troubles } from './model.js';
import { comparedWithPeers, engineMeans, type Mean } from './ratios.js';

/** One sentence an engine, then what failed; never empty. */
export function verdict(results: Results): string[] {
  const all = summaries(results);
  const sentences = engineNames(results).flatMap((engine) => {
    const own = all.filter((summary) => summary.engine === engine);
    return own.length > 0 ? [engineSentence(results, engine, own)] : unavailable(results, engine);
  });
  if (sentences.length === 0) sentences.push('No engine was compared with bare metal in this run.');
  return [...sentences, ...peerSentences(results), ...failures(results), ...unfinished(results)];
}

function engineSentence(results: Results, engine: string, own: Summary[]): string {
  const kind = engineInfo(results, engine)?.kind;
  const parts = own.map((summary) => {
    const range =
      summary.workloads > 1
        ? ` (from ${percentText(summary.least.percent)} in ${summary.least.workload} to ${percentText(summary.most.percent)} in ${summary.most.workload})`
        : '';
    return `${percentText(summary.geometricMean)} for ${summary.label} work${range}`;
  });
  return `${engine}${kind ? ` (${kind})` : ''} keeps, of bare metal, ${listText(parts)}.`;
}

/** One sentence an engine that was measured beside its peer. */
function peerSentences(results: Results): string[] {
  const means = engineMeans(results);
  return comparedWithPeers(results).map(({ engine, peer }) => {
    const own = means.flatMap((each) => (each.engine === engine && each.ofPeer ? [each.ofPeer] : []));
    return `${engine} reaches, of ${peer} with the same image, ${listText(own.map(peerPart))}.`;
  });
}

function peerPart(mean: Mean): string {
  const { workloads, label } = mean;
  const least = workloads[0];
  const slower = workloads.filter(({ ratio }) => ratio < 1).length;
  const range =
    workloads.length > 1
      ? `, least ${timesText(least.ratio)} in ${least.workload}${slower > 0 ? `, below it in ${slower} of ${workloads.length}` : ''}`
      : '';
  return `${timesWithInterval(mean)} for ${label} work${range}`;
}

function unavailable(results: Results, engine: string): string[] {
  const info = engineInfo(results, engine);
  return info?.status === 'unavailable' ? [`${engine} could not run here: ${info.reason ?? 'no reason given'}`] : [];
}

function failures(results: Results): string[] {
  const failed = troubles(results).filter((cell) => cell.status === 'failed').length;
  return failed > 0 ? [`${failed} of ${results.cells.length} cells failed and have no figure.`] : [];
}

function unfinished(results: Results): string[] {
  return results.run.finished ? [] : ['The run was stopped before its end: cells are missing.'];
}

function listText(parts: string[]): string {
  return parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`;
}
