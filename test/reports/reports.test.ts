import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { REPORT_FORMATS } from '#harness/report-formats.js';
import { resultsJsonSchema } from '#harness/results.js';
import { percentChart } from '#reports/charts/percent.js';
import { scalingCharts } from '#reports/charts/scaling.js';
import { countersTable, perOperation } from '#reports/counters.js';
import { cellsCsv, countersCsv, samplesCsv } from '#reports/csv.js';
import { figure, percentText } from '#reports/format.js';
import { renderPage } from '#reports/html/page.js';
import { renderCounters, renderTable, writeReports } from '#reports/index.js';
import { renderMarkdown } from '#reports/markdown.js';
import { geometricMean, headlineRows, scaling, summaries } from '#reports/model.js';
import { engineMeans } from '#reports/ratios.js';
import { meansTable, peerTable } from '#reports/tables.js';
import { verdict } from '#reports/verdict.js';
import { cell, results, trouble } from '../support/results.js';

describe('model', () => {
  test('geometric mean of 2, 8 and of one value', () => {
    expect(geometricMean([2, 8])).toBeCloseTo(4, 12);
    expect(geometricMean([37])).toBeCloseTo(37, 12);
  });

  test('a headline row is the smallest size of each workload', () => {
    const list = headlineRows(results());
    expect(list.filter((row) => row.workload === 'cpu/sieve').map((row) => [row.vms, row.vcpus])).toEqual([[1, 1]]);
  });

  test('summaries average percents, name what is missing and leave os out', () => {
    const all = summaries(results());
    const cpu = all.find((each) => each.engine === 'full' && each.label === 'CPU and memory');
    expect(cpu?.geometricMean).toBeCloseTo(3.1, 9);
    expect(cpu?.workloads).toBe(2);
    expect(all.some((each) => each.engine === 'full' && each.label === 'disk')).toBe(false);
    expect(all.some((each) => each.engine === 'bare')).toBe(false);
  });

  test('a summary of partly failed workloads lists them', () => {
    const some = results([
      cell('bare', 'cpu/sieve'),
      cell('full', 'cpu/sieve'),
      cell('bare', 'cpu/sha256'),
      trouble('failed', 'full', 'cpu/sha256', 'wrong checksum'),
    ]);
    expect(summaries(some)[0]?.missing).toEqual(['cpu/sha256']);
  });

  test('scaling is relative to the least count of the same engine', () => {
    const [sieve] = scaling(results(), 'vms');
    expect(sieve?.workload).toBe('cpu/sieve');
    expect(sieve?.counts).toEqual([1, 2, 4]);
    const full = sieve?.series.find((each) => each.engine === 'full');
    expect(full?.points.map((point) => point.relative)).toEqual([1, 2, 4]);
  });
});

describe('what scaling leaves out', () => {
  test('the time of one operation', () => {
    const latency = [1, 2].map((vcpus) => cell('bare', 'os/trap', { vcpus }));
    expect(scaling(results(latency), 'vcpus')).toEqual([]);
  });
});

describe('figures in text', () => {
  test.each([
    [0, '0'],
    [0.012345, '0.0123'],
    [1.234, '1.23'],
    [12.34, '12.3'],
    [123.4, '123'],
    [1234567, '1\u202f234\u202f567'],
    [null, '—'],
    [Number.NaN, '—'],
    [Number.POSITIVE_INFINITY, '—'],
  ])('%s is written %s', (value, text) => {
    expect(figure(value)).toBe(text);
  });

  test.each([
    [101.4, '101 %'],
    [97.25, '97.3 %'],
    [3.125, '3.1 %'],
    [0.1234, '0.12 %'],
  ])('%s percent is written %s', (value, text) => {
    expect(percentText(value)).toBe(text);
  });
});

describe('verdict', () => {
  test('names each virtualizing engine with its percents, and failures', () => {
    const sentences = verdict(results()).join('\n');
    expect(sentences).toContain('full (full virtualization) keeps, of bare metal, 3.1 % for CPU and memory work');
    expect(sentences).toContain('para (paravirtualization)');
    expect(sentences).toMatch(/1 of \d+ cells failed/);
  });

  test('a run without a comparison and an engine that cannot run are said', () => {
    const lonely = results([cell('bare', 'cpu/sieve')]);
    lonely.engines[3] = {
      ...(lonely.engines[3] as (typeof lonely.engines)[0]),
      status: 'unavailable',
      reason: 'no threads.',
    };
    expect(verdict(lonely)).toEqual(['para could not run here: no threads.']);
    expect(verdict(results([]))[0]).toMatch(/No engine was compared/);
  });
});

describe('against QEMU', () => {
  /** Values of five rounds of a cell, `full` beside `qemu`. */
  const pair = (workload: string, full: number[], qemu: number[]) => {
    const rounds = (values: number[]) =>
      cell('qemu', workload).rounds.map((round, i) => ({ ...round, value: values[i] as number }));
    const ratio = { peer: 'qemu', median: 3, low: 2, high: 4, pairs: 5 };
    return [
      cell('full', workload, { rounds: rounds(full), ratioToPeer: ratio }),
      cell('qemu', workload, { rounds: rounds(qemu) }),
    ];
  };
  const faster = pair('cpu/sieve', [30, 60, 90, 30, 60], [10, 20, 30, 10, 20]);
  // Time of one operation: less is better.
  const slower = pair('os/trap', [40, 40, 40, 40, 40], [20, 20, 20, 20, 20]);

  test('means are of paired ratios, with the better direction up', () => {
    const means = engineMeans(results([...faster, ...slower]));
    const cpu = means.find(({ engine, label }) => engine === 'full' && label === 'CPU and memory')?.ofPeer;
    expect(cpu?.median).toBeCloseTo(3, 9);
    expect([cpu?.low, cpu?.high]).toEqual([3, 3].map((x) => expect.closeTo(x, 9)));
    const os = means.find(({ label }) => label === 'operating system');
    expect(os?.ofPeer?.median).toBeCloseTo(0.5, 9);
    expect(os?.ofBareMetal).toBeNull();
  });

  test('the mean over workloads is geometric', () => {
    const more = pair('cpu/sha256', [12, 12, 12, 12, 12], [1, 1, 1, 1, 1]);
    const [mean] = engineMeans(results([...faster, ...more]));
    expect(mean?.ofPeer?.median).toBeCloseTo(6, 9); // of 3 and 12
    expect(mean?.ofPeer?.workloads.map(({ workload }) => workload)).toEqual(['cpu/sieve', 'cpu/sha256']);
  });

  test('without vectorization: bare metal’s figure where there is nothing to vectorize', () => {
    const five = (value: number) => cell('bare', 'cpu/sieve').rounds.map((round) => ({ ...round, value }));
    const some = results([
      cell('bare', 'cpu/sieve', { rounds: five(100) }),
      cell('bare-novec', 'cpu/sieve', { rounds: five(50) }),
      cell('full', 'cpu/sieve', { rounds: five(25) }),
      cell('bare', 'cpu/sha256', { rounds: five(100) }),
      cell('full', 'cpu/sha256', { rounds: five(12.5) }),
    ]);
    const [mean] = engineMeans(some);
    expect(mean?.ofBareMetal?.median).toBeCloseTo(Math.sqrt(0.25 * 0.125), 9);
    expect(mean?.ofScalarBareMetal?.median).toBeCloseTo(0.25, 9);
    expect(meansTable(some).head).toContain('% of bare metal without vectorization');
  });

  test('tables, verdict and chart show it; without QEMU there is none', () => {
    const some = results([...faster, ...slower]);
    expect(peerTable(some)).toEqual({
      head: ['workload', 'size', 'full / qemu'],
      body: [
        ['cpu/sieve', '1 VM × 1 vCPU', '3.00× [2.00, 4.00]'],
        ['os/trap', '1 VM × 1 vCPU', '3.00× [2.00, 4.00]'],
      ],
    });
    const sentences = verdict(some).join('\n');
    expect(sentences).toContain(
      'full reaches, of qemu with the same image, 3.00× [3.00, 3.00] for CPU and memory work',
    );
    expect(renderTable(some, false)).toContain('full / qemu');
    expect(renderMarkdown(some)).toContain('## Times QEMU');
    expect(renderPage(some)).toContain('id="times-qemu"');
    expect(renderMarkdown(results())).not.toContain('QEMU');
    expect(renderPage(results())).not.toContain('id="times-qemu"');
  });
});

describe('counters for one operation', () => {
  const counted = results([
    cell('bare', 'net/udp-rr', { counters: { units: 5 } }),
    cell('full', 'net/udp-rr', {
      operations: 1000,
      counters: {
        'exits.mmio_write': 3000,
        'exits.wfi': 1000,
        'exits.pause': 0,
        interrupts: 2000,
        'interrupts.machine_timer': 500,
        'tlb.misses': 100,
        'tlb.fetch_misses': 150,
        'time.idle_ns': 300,
        'time.devices_ns': 100,
      },
    }),
    // Without `operations`, as in older files: 5 rounds of 250.
    cell('para', 'net/udp-rr', {
      counters: { hypercall_sched_op: 1250, hypercall_console_io: 2500, hypercall_errors: 9, events_delivered: 625 },
    }),
  ]);
  const [, full, para] = counted.cells.map(perOperation);

  test('exits or hypercalls, interrupts or events, TLB misses', () => {
    expect(full).toMatchObject({ crossings: 4, interrupts: 2, tlbMisses: 0.25 });
    expect(full?.reasons).toEqual([
      { reason: 'mmio_write', count: 3 },
      { reason: 'wfi', count: 1 },
    ]);
    expect(full?.time).toContainEqual({ part: 'idle', percent: 75 });
    expect(para).toMatchObject({ crossings: 3, interrupts: 0.5, tlbMisses: null, time: null });
  });

  test('nothing for an engine that counts nothing, or a cell without a figure', () => {
    expect(perOperation(counted.cells[0] as (typeof counted.cells)[0])).toBeNull();
    expect(perOperation(trouble('failed', 'full', 'net/udp-rr', 'no'))).toBeNull();
    expect(countersTable(counted).body).toHaveLength(2);
  });

  test('every format shows them; the terminal when it is asked to', () => {
    expect(renderCounters(counted, false)).toContain('mmio_write 3.00, wfi 1.00');
    expect(renderTable(counted, false)).not.toContain('mmio_write');
    expect(renderCounters(results([]), false)).toMatch(/No engine/);
    expect(renderMarkdown(counted)).toContain('## Crossings per operation');
    expect(renderPage(counted)).toContain('id="counters"');
    expect(countersCsv(counted)).toContain('full,net/udp-rr,1,1,exits.mmio_write,3000,3');
    expect(cellsCsv(counted).split('\n')[0]).toMatch(/,crossings_per_op,interrupts_per_op,tlb_misses_per_op$/);
  });
});

describe('CSV', () => {
  test('one record a cell; missing figures are empty fields', () => {
    const lines = cellsCsv(results()).trimEnd().split('\n');
    expect(lines).toHaveLength(results().cells.length + 1);
    const failed = lines.find((line) => line.startsWith('full,block/read-1m'));
    expect(failed).toBe(
      'full,block/read-1m,1,1,failed,throughput,units/s,true,0,,,,,,,,,,,,67108864,guest <b>panicked</b> | at 0x80000000,,,,,,,',
    );
  });

  test('one record a sample', () => {
    const ok = results().cells.filter((each) => each.status === 'ok').length;
    expect(samplesCsv(results()).trimEnd().split('\n')).toHaveLength(5 * ok + 1);
  });
});

describe('Markdown', () => {
  const markdown = renderMarkdown(results());
  test('shows percents with intervals, and failures with reasons that cannot break the table', () => {
    expect(markdown).toContain('| cpu/sieve | 1 VM × 1 vCPU | 1\u202f000 units/s ± 2.0 % |');
    expect(markdown).toContain('97.2 % [95.3, 100]');
    expect(markdown).toContain('guest &lt;b&gt;panicked&lt;/b&gt; \\| at 0x80000000');
  });
});

describe('terminal table', () => {
  test('has every size, os figures apart, failures with their reason, and no colour codes unless asked', () => {
    const table = renderTable(results(), false);
    expect(table).toContain('4 VMs × 1 vCPU');
    expect(table).toContain('failed: full block/read-1m');
    expect(table).toContain('skipped: para os/map');
    expect(table).not.toContain('\u001b[');
    expect(renderTable(results(), true)).toContain('\u001b[');
  });
});

describe('charts', () => {
  test('the percent chart has a bar, an interval and a text for each cell; failed ones are marked', () => {
    const chart = percentChart(results());
    const labels = chart?.config.data.labels ?? [];
    expect(labels).not.toContain('os/trap');
    const full = chart?.config.data.datasets.find((each) => each.label === 'full');
    const failed = labels.indexOf('block/read-1m');
    expect(full?.data[failed]).toBe(0); // keeps the place of the word
    expect(full?.intervals?.[failed]).toBeNull();
    const novec = chart?.config.data.datasets.find((each) => each.label === 'bare-novec');
    expect(novec?.data[labels.indexOf('net/udp-rr')]).toBeNull();
    expect(full?.texts?.[failed]).toBe('failed');
    expect(full?.texts?.[labels.indexOf('cpu/sieve')]).toBe('3.1 %');
    expect(chart?.description).toContain('block/read-1m failed');
  });

  test('the ideal line stops growing at the host’s cores', () => {
    const [chart] = scalingCharts(results(), 'vms');
    expect(chart?.config.data.datasets[0]?.data).toEqual([1, 2, 2]);
    expect(chart?.config.options.plugins.referenceLines.lines[0]?.label).toBe('2 host cores');
  });

  test('nothing to compare: no chart', () => {
    expect(percentChart(results([cell('bare', 'cpu/sieve')]))).toBeNull();
  });
});

describe('page', () => {
  const page = renderPage(results());

  test('is self-contained: nothing is loaded from anywhere', () => {
    expect(page).not.toMatch(/<(?:script|link|img|iframe)[^>]+(?:src|href)=/);
    expect(page).not.toMatch(/@import|url\(/);
    expect(page).not.toContain('sourceMappingURL');
  });

  test('what a guest said cannot become markup', () => {
    expect(page).not.toContain('<b>panicked</b>');
    expect(page).toContain('&#60;b&#62;panicked');
  });

  test('each chart has a label for screen readers, its data and a table', () => {
    const canvases = [...page.matchAll(/<canvas id="([^"]+)" role="img" aria-label="([^"]+)"/g)];
    expect(canvases.length).toBe(3);
    for (const [, id, label] of canvases) {
      expect(label?.length).toBeGreaterThan(40);
      expect(page).toContain(`data-chart="${id}"`);
    }
    for (const [, json] of page.matchAll(/<script type="application\/json"[^>]*>([^<]*)<\/script>/g)) {
      expect(JSON.parse(json as string).data.labels.length).toBeGreaterThan(0);
    }
  });
});

describe('files', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'virtax-reports-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('all formats are written; pictures are PNG of twice the nominal size', async () => {
    const paths = await writeReports(results(), REPORT_FORMATS, join(folder, 'new', 'folder'));
    expect((await readdir(join(folder, 'new', 'folder'))).length).toBe(paths.length);
    const png = await readFile(paths.find((path) => path.endsWith('percent-of-bare-metal.png')) as string);
    expect(png.subarray(1, 4).toString()).toBe('PNG');
    expect(png.readUInt32BE(16)).toBe(2000);
  });

  test('the fixture is a valid results file', async () => {
    const { ResultsSchema } = await import('#harness/results.js');
    expect(ResultsSchema.parse(results())).toEqual(results());
    expect(JSON.parse(resultsJsonSchema()).properties.cells.type).toBe('array');
  });
});
