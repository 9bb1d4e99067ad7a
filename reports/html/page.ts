/** One self-contained page: styles, data, Chart.js and our script inside; nothing is loaded from anywhere. */
import { readFileSync } from 'node:fs';
import type { Results } from '../../harness/results.js';
import { durationText } from '../format.js';
import { verdict } from '../verdict.js';
import { clientScript } from './client.js';
import { element, join, list, raw, text } from './elements.js';
import {
  cellSection,
  countersSection,
  describePage,
  engineSection,
  hostSection,
  osSection,
  peerSection,
  percentSection,
  policySection,
  scalingSection,
  troubleSection,
} from './sections.js';
import { STYLE } from './style.js';

export function renderPage(results: Results): string {
  const { host, run } = results;
  const lead = `${host.cpu}, ${host.cores} cores · ${run.profile} profile · ${run.startedAt.slice(0, 16).replace('T', ' ')} UTC · ${durationText(run.durationMs)}`;
  const body = join([
    element('a', { class: 'skip', href: '#percent' }, text('Skip to the figures')),
    element('h1', {}, text('What virtualization costs here')),
    element('p', { class: 'lead' }, text(lead)),
    element('div', { class: 'verdict', role: 'note', 'aria-label': 'Verdict' }, list(verdict(results))),
    element('main', {}, mainSections(results)),
    raw(`<script>${scriptSafe(chartLibrary())}</script>`),
    raw(`<script>${scriptSafe(clientScript())}</script>`),
  ]);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="${text(describePage(results)).html}">
<title>virtax: percent of bare metal</title>
<style>${STYLE}</style>
</head>
<body>
${body.html}
</body>
</html>
`;
}

function mainSections(results: Results) {
  return join([
    percentSection(results),
    peerSection(results),
    osSection(results),
    policySection(results),
    scalingSection(results, 'vms'),
    scalingSection(results, 'vcpus'),
    troubleSection(results),
    countersSection(results),
    engineSection(results),
    cellSection(results),
    hostSection(results),
  ]);
}

function chartLibrary(): string {
  // The browser's build lies beside the package's entry but is not among its exports.
  const path = new URL('./chart.umd.min.js', import.meta.resolve('chart.js'));
  const source = readFileSync(path, 'utf8');
  return source.replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n');
}

/** Nothing inside a script element may end it. */
function scriptSafe(source: string): string {
  return source.replaceAll('</script', '<\\/script');
}
