/** A report for a pull request, an issue or a job summary: GitHub's flavour of Markdown. */
import type { Results } from '../harness/results.js';
import { countersTable } from './counters.js';
import { bytesText, durationText, figure, sizeText } from './format.js';
import { type Scaling, scaling, troubles } from './model.js';
import { meansTable, osTable, peerTable, percentTable, policyTable } from './tables.js';
import { verdict } from './verdict.js';

export function renderMarkdown(results: Results): string {
  const sections = [
    '# virtax: percent of bare metal',
    verdict(results)
      .map((sentence) => `- ${escapeText(sentence)}`)
      .join('\n'),
    percentSection(results),
    meansSection(results),
    peerSection(results),
    osSection(results),
    policySection(results),
    scalingSection(results, 'vms'),
    scalingSection(results, 'vcpus'),
    countersSection(results),
    troubleSection(results),
    runSection(results),
  ];
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`;
}

function percentSection(results: Results): string {
  const { head, body } = percentTable(results);
  return body.length === 0
    ? ''
    : `## Percent of bare metal\n\nMedian and 95 % interval of paired samples.\n\n${table(head, body)}`;
}

function meansSection(results: Results): string {
  const { head, body } = meansTable(results);
  return body.length === 0
    ? ''
    : `## Geometric means\n\nOver the workloads of a kind, each at its least size; 95 % intervals from the paired samples.\n\n${table(head, body)}`;
}

function peerSection(results: Results): string {
  const { head, body } = peerTable(results);
  return body.length === 0
    ? ''
    : `## Times QEMU\n\nThe same guest image on QEMU, in paired samples of the same run; above 1 is faster than QEMU.\n\n${table(head, body)}`;
}

function osSection(results: Results): string {
  const { head, body } = osTable(results);
  return body.length === 0
    ? ''
    : `## Operating system\n\nEach engine its own figure: the layers below differ, so a percent would compare unlike things.\n\n${table(head, body)}`;
}

function policySection(results: Results): string {
  const { head, body } = policyTable(results);
  return body.length === 0
    ? ''
    : `## Policies of the I/O queue\n\nTwo domains under one policy; what it promises, and what they got.\n\n${table(head, body)}`;
}

function scalingSection(results: Results, axis: Scaling['axis']): string {
  const list = scaling(results, axis);
  if (list.length === 0) return '';
  const name = axis === 'vms' ? 'VMs' : 'vCPUs';
  const body = list.flatMap((each) =>
    each.series.map((series) => [
      each.workload,
      series.engine,
      ...counts(list).map((count) => {
        const point = series.points.find((p) => p.count === count);
        if (!point) return '—';
        return point.relative === null ? point.cell.status : `${figure(point.relative)}×`;
      }),
    ]),
  );
  const head = ['workload', 'engine', ...counts(list).map((count) => `${count} ${name}`)];
  return `## Scaling by number of ${name}\n\nFigure of all ${name} together, relative to the same engine with the fewest. The host has ${results.host.cores} cores.\n\n${table(head, body)}`;
}

function countersSection(results: Results): string {
  const { head, body } = countersTable(results);
  return body.length === 0
    ? ''
    : `## Crossings per operation\n\nVM exits, or hypercalls, with the most frequent reasons; interrupts taken, or events delivered.\n\n${table(head, body)}`;
}

function counts(list: Scaling[]): number[] {
  return [...new Set(list.flatMap((each) => each.counts))].sort((a, b) => a - b);
}

function troubleSection(results: Results): string {
  const list = troubles(results);
  if (list.length === 0) return '';
  const body = list.map((cell) => [
    cell.status,
    cell.engine,
    cell.workload,
    sizeText(cell.vms, cell.vcpus),
    cell.reason ?? '',
  ]);
  return `## Cells without a figure\n\n${table(['status', 'engine', 'workload', 'size', 'reason'], body)}`;
}

function runSection(results: Results): string {
  const { host, run, tool } = results;
  const lines = [
    `${host.cpu}, ${host.cores} cores, ${bytesText(host.memoryBytes)}; ${host.os}, Linux ${host.kernel}, Node ${host.node}${host.virtualized ? `; itself a virtual machine${host.hypervisor ? ` (${host.hypervisor})` : ''}` : ''}`,
    `virtax ${tool.version}, profile ${run.profile}, seed ${run.seed}, started ${run.startedAt}, took ${durationText(run.durationMs)}`,
    `\`${run.commandLine.join(' ')}\``,
    ...run.notes,
  ];
  return `## Host and run\n\n${lines.map((line) => `- ${escapeText(line)}`).join('\n')}`;
}

function table(head: string[], body: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map(escapeCell).join(' | ')} |`;
  const rule = `|${head.map((_, i) => (i < 2 ? ' --- |' : ' ---: |')).join('')}`;
  return [line(head), rule, ...body.map(line)].join('\n');
}

/** A guest's words end up in reasons: no markup, no table breaks. */
function escapeText(text: string): string {
  return text.replace(/[\r\n]+/g, ' ').replace(/[<>]/g, (c) => (c === '<' ? '&lt;' : '&gt;'));
}

function escapeCell(text: string): string {
  return escapeText(text).replaceAll('|', '\\|');
}
