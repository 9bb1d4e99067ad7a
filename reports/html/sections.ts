/** The parts of the page, each from the results alone. */
import type { Cell, Results } from '../../harness/results.js';
import type { Chart } from '../charts/chart.js';
import { peerChart } from '../charts/peer.js';
import { percentChart } from '../charts/percent.js';
import { scalingCharts } from '../charts/scaling.js';
import { countersTable } from '../counters.js';
import { bytesText, durationText, figure, medianText, percentCell, percentText, sizeText } from '../format.js';
import { type Axis, BARE, groupOf, scaling, troubles } from '../model.js';
import { meansTable, osTable, peerTable, percentTable, policyTable } from '../tables.js';
import { details, element, type Html, join, list, raw, section, table, text } from './elements.js';

export function percentSection(results: Results): Html {
  const chart = percentChart(results);
  return section(
    'percent',
    'Percent of bare metal',
    element(
      'p',
      {},
      text(
        'What is left of bare metal’s speed for the same work, on the same host, in the same run. Each sample is paired with a bare-metal sample taken next to it; the median of the paired ratios is shown with its 95 % interval.',
      ),
    ),
    chart ? figureOf(chart) : element('p', {}, text('This run holds nothing that can be compared with bare metal.')),
    meansOf(results),
    comparisonTable(results),
  );
}

function meansOf(results: Results): Html | null {
  const { head, body } = meansTable(results);
  return body.length === 0 ? null : table('Geometric means by kind of work, with 95 % intervals', head, body);
}

export function peerSection(results: Results): Html | null {
  const { head, body } = peerTable(results);
  const chart = peerChart(results);
  if (body.length === 0 || chart === null) return null;
  return section(
    'peer',
    'Times QEMU',
    element(
      'p',
      {},
      text(
        'The same guest image under QEMU’s translator, with the same devices, in the same run: the median of the paired ratios with its 95 % interval. Above 1 is faster than QEMU.',
      ),
    ),
    figureOf(chart),
    details('The figures behind the chart, and all sizes', table('Times QEMU, all sizes', head, body)),
  );
}

function comparisonTable(results: Results): Html {
  const { head, body } = percentTable(results);
  return details('The figures behind the chart, and all sizes', table('Percent of bare metal, all sizes', head, body));
}

export function osSection(results: Results): Html | null {
  const { head, body } = osTable(results);
  if (body.length === 0) return null;
  return section(
    'os',
    'Operating system',
    element(
      'p',
      {},
      text(
        'Time of one operation; less is better. Each engine has its own figure and no percent: a system call, a trap into an emulated machine’s kernel and a hypercall are different things.',
      ),
    ),
    table('Operating system operations', head, body),
  );
}

export function policySection(results: Results): Html | null {
  const { head, body } = policyTable(results);
  if (body.length === 0) return null;
  return section(
    'policy',
    'Policies of the I/O queue',
    element(
      'p',
      {},
      text(
        'Two domains under one policy that says who gets how much of the disk or the network, and when. Each promise is checked against the median of the samples.',
      ),
    ),
    table('What policies promise, and what domains got', head, body),
  );
}

export function scalingSection(results: Results, axis: Axis): Html | null {
  const all = scaling(results, axis);
  if (all.length === 0) return null;
  const noun = axis === 'vms' ? 'VMs' : 'vCPUs';
  const figures = scalingCharts(results, axis).map(figureOf);
  const body = all.flatMap((each) =>
    each.series.flatMap((series) =>
      series.points.map((point) => [
        each.workload,
        series.engine,
        String(point.count),
        medianText(point.cell),
        point.relative === null ? point.cell.status : `${figure(point.relative)}×`,
        percentCell(point.cell),
      ]),
    ),
  );
  const head = ['workload', 'engine', noun, 'together', 'relative to the least', '% of bare metal'];
  return section(
    `scaling-${axis}`,
    `Scaling by number of ${noun}`,
    element(
      'p',
      {},
      text(
        `The figure of all ${noun} together, relative to the same engine with the fewest. This host has ${results.host.cores} cores: the dashed line is what they allow.`,
      ),
    ),
    element('div', { class: 'grid' }, ...figures),
    details('The figures behind the charts', table(`Scaling by number of ${noun}`, head, body)),
  );
}

export function troubleSection(results: Results): Html | null {
  const all = troubles(results);
  if (all.length === 0) return null;
  const body = all.map((cell) => [
    cell.workload,
    cell.engine,
    sizeText(cell.vms, cell.vcpus),
    cell.status,
    cell.reason ?? 'no reason given',
  ]);
  const tails = all.filter((cell) => cell.consoleTail.length > 0);
  return section(
    'troubles',
    'Cells without a figure',
    table('Failed and skipped cells', ['workload', 'engine', 'size', 'status', 'reason'], body),
    ...tails.map((cell) =>
      details(
        `Last console lines: ${cell.engine} ${cell.workload}`,
        element('pre', {}, text(cell.consoleTail.join('\n'))),
      ),
    ),
  );
}

export function cellSection(results: Results): Html {
  const groups = [...new Set(results.cells.map((cell) => groupOf(cell.workload)))];
  return section(
    'cells',
    'Every sample',
    ...groups.map((group) =>
      details(
        `${group} (${results.cells.filter((cell) => groupOf(cell.workload) === group).length} cells)`,
        table(
          `Samples of ${group} workloads, in the order taken`,
          [
            'workload',
            'engine',
            'size',
            'median',
            '95 % interval',
            'clock drift',
            'CPU s per op',
            'samples',
            'remarks',
          ],
          results.cells.filter((cell) => groupOf(cell.workload) === group).map(cellRow),
        ),
      ),
    ),
  );
}

function cellRow(cell: Cell): string[] {
  return [
    cell.workload,
    cell.engine,
    sizeText(cell.vms, cell.vcpus),
    medianText(cell),
    cell.ci ? `${figure(cell.ci[0])} to ${figure(cell.ci[1])}` : '—',
    cell.clockDriftPct === null ? '—' : `${cell.clockDriftPct.toFixed(3)} %`,
    cell.cpuSecondsPerOp === null ? '—' : cell.cpuSecondsPerOp.toExponential(2),
    cell.samples.map(figure).join('  '),
    cell.warnings.join('; '),
  ];
}

export function countersSection(results: Results): Html | null {
  const { head, body } = countersTable(results);
  if (body.length === 0) return null;
  return section(
    'counters',
    'Crossings per operation',
    element(
      'p',
      {},
      text(
        'How often an operation goes from the guest to the host and back: VM exits in full virtualization, hypercalls in paravirtualization, with the most frequent reasons. Interrupts are those that the guest took, or events delivered to it.',
      ),
    ),
    details('Counters of every cell', table('Counters for one operation', head, body)),
  );
}

export function engineSection(results: Results): Html {
  const body = results.engines.map((engine) => [
    engine.name,
    engine.kind,
    engine.status === 'ok' ? 'ran' : `could not run: ${engine.reason ?? ''}`,
    engine.bootMs === null ? '—' : `${figure(engine.bootMs)} ms`,
    engine.doorbellNs === null ? '—' : `${figure(engine.doorbellNs.median)} ns`,
    [...Object.entries(engine.facts).map(([key, value]) => `${key}: ${value}`), ...engine.notes].join('; '),
  ]);
  return section(
    'engines',
    'Engines',
    element(
      'p',
      {},
      text(
        'The empty doorbell pair is the time between a start and a stop stamp with no work between: the error that stamping itself can make in a sample.',
      ),
    ),
    table('Engines of this run', ['engine', 'kind', 'status', 'boot', 'empty doorbell pair', 'facts'], body),
  );
}

export function hostSection(results: Results): Html {
  const { host, run, tool } = results;
  const facts: [string, string][] = [
    ['processor', `${host.cpu}, ${host.cores} cores${host.smt === null ? '' : host.smt ? ', SMT on' : ', SMT off'}`],
    ['CPU quota', host.cpuQuota === null ? 'none' : `${host.cpuQuota} CPUs`],
    ['memory', bytesText(host.memoryBytes)],
    ['system', `${host.os}, kernel ${host.kernel}, ${host.arch}`],
    [
      'virtualized',
      host.virtualized ? `yes${host.hypervisor ? ` (${host.hypervisor})` : ''}: bare metal here means this VM` : 'no',
    ],
    ['governor, clock', `${host.governor ?? 'not shown'}, ${host.clockSource ?? 'not shown'}`],
    ['load when it began', host.loadAverage === null ? 'unknown' : figure(host.loadAverage)],
    ['Node, virtax', `${host.node}, ${tool.version}${run.gitCommit ? ` at ${run.gitCommit}` : ''}`],
    ['command line', run.commandLine.join(' ')],
    ['profile, seed', `${run.profile}, ${run.seed}; samples of ${run.sampleMs} ms`],
    ['started, took', `${run.startedAt}, ${durationText(run.durationMs)}`],
    ['waiting', run.waiting.pollUs === 0 ? 'threads block at once' : `threads poll for ${run.waiting.pollUs} µs first`],
    [
      'disk',
      run.disk
        ? `${bytesText(run.disk.bytes)} each on ${run.disk.fileSystem}, ${run.disk.direct ? 'O_DIRECT' : 'buffered'}`
        : 'none',
    ],
    ...Object.entries(run.images).map(([path, hash]): [string, string] => [path, `SHA-256 ${hash}`]),
  ];
  return section(
    'host',
    'Host and run',
    table('What is needed to repeat this run', ['what', 'value'], facts),
    run.notes.length > 0 ? list(run.notes) : null,
  );
}

/** A canvas with a label for screen readers, and its data for the client script. */
function figureOf(chart: Chart): Html {
  const canvas = element('canvas', {
    id: chart.id,
    role: 'img',
    'aria-label': `${chart.title}. ${chart.description}`,
  });
  const holder = element('div', { class: 'canvas', style: `height:${chart.height}px` }, canvas);
  const json = JSON.stringify(chart.config).replaceAll('<', '\\u003c');
  return join([
    element(
      'figure',
      {},
      holder,
      element(
        'figcaption',
        {},
        text('Whiskers: 95 % interval. Point at a value for its figures; click a name below the chart to hide it.'),
      ),
    ),
    raw(`<script type="application/json" data-chart="${chart.id}">${json}</script>`),
  ]);
}

/** For the page's head: what a search engine or a chat shows. */
export function describePage(results: Results): string {
  const percents = results.cells.flatMap((cell) =>
    cell.percentOfBareMetal && cell.engine !== BARE ? [cell.percentOfBareMetal.median] : [],
  );
  if (percents.length === 0) return 'virtax: no comparison with bare metal in this run';
  return `virtax: ${percents.length} comparisons, from ${percentText(Math.min(...percents))} to ${percentText(Math.max(...percents))} of bare metal`;
}
