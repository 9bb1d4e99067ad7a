/** The terminal's report: one table of percent of bare metal, one of the os figures, then what failed. */
import { styleText } from 'node:util';
import Table from 'cli-table3';
import type { Results } from '../harness/results.js';
import { countersTable } from './counters.js';
import { durationText, medianText, percentCell, sizeText } from './format.js';
import { BARE, engineNames, isCompared, type Row, rows, troubles } from './model.js';
import { meansTable, peerTable, policyTable, type TextTable } from './tables.js';
import { verdict } from './verdict.js';

/** @returns text with a trailing newline; colours only where `colour` is set. */
export function renderTable(results: Results, colour: boolean): string {
  const engines = engineNames(results);
  const compared = rows(results).filter(isCompared);
  const parts = compared.length > 0 ? [figuresTable(results, engines, compared, colour)] : [];
  const os = rows(results).filter((row) => row.group === 'os');
  if (os.length > 0) parts.push('Operating system: each engine its own figure', osTable(engines, os, colour));
  const policies = policyTable(results);
  if (policies.body.length > 0) parts.push('Policies of the I/O queue:', textTable(policies, colour));
  const peers = peerTable(results);
  if (peers.body.length > 0) {
    parts.push('Times QEMU, the same image:', textTable(peers, colour));
    parts.push('Geometric means:', textTable(meansTable(results), colour));
  }
  parts.push(...verdict(results), ...troubleLines(results));
  parts.push(`${results.cells.length} cells in ${durationText(results.run.durationMs)}, seed ${results.run.seed}`);
  return `${parts.join('\n')}\n`;
}

function figuresTable(results: Results, engines: string[], list: Row[], colour: boolean): string {
  const virtual = engines.filter(
    (name) => name !== BARE && results.cells.some((c) => c.engine === name && c.percentOfBareMetal),
  );
  const table = newTable(['workload', 'size', 'bare metal', ...virtual.map((name) => `${name}, % of bare`)], colour);
  for (const row of list) {
    const bare = row.cells.get(BARE);
    table.push([
      row.workload,
      sizeText(row.vms, row.vcpus),
      bare ? medianText(bare) : 'not measured',
      ...virtual.map((name) => percentCell(row.cells.get(name))),
    ]);
  }
  return table.toString();
}

function osTable(engines: string[], list: Row[], colour: boolean): string {
  const present = engines.filter((name) => list.some((row) => row.cells.has(name)));
  const table = newTable(['workload', 'size', ...present], colour);
  for (const row of list) {
    const figures = present.map((name) => {
      const cell = row.cells.get(name);
      return cell ? medianText(cell) : 'not measured';
    });
    table.push([row.workload, sizeText(row.vms, row.vcpus), ...figures]);
  }
  return table.toString();
}

/** `--counters`: what each virtualizing engine counted, for one operation. */
export function renderCounters(results: Results, colour: boolean): string {
  const table = countersTable(results);
  if (table.body.length === 0) return 'No engine of this run counts what it does.\n';
  return `For one operation:\n${textTable(table, colour)}\n`;
}

function textTable({ head, body }: TextTable, colour: boolean): string {
  const table = newTable(head, colour);
  table.push(...body);
  return table.toString();
}

/** Colours are ours to decide: the table's own would follow the environment (CI, TERM) whatever the caller asked for. */
function newTable(head: string[], colour: boolean): Table.Table {
  const shown = colour ? head.map((text) => styleText('bold', text, { validateStream: false })) : head;
  const style = { compact: true, head: [], border: [] };
  return new Table({ head: shown, style, colAligns: head.map((_, i) => (i < 2 ? 'left' : 'right')) });
}

function troubleLines(results: Results): string[] {
  return troubles(results).map(
    (cell) =>
      `${cell.status}: ${cell.engine} ${cell.workload} (${sizeText(cell.vms, cell.vcpus)}): ${cell.reason ?? 'no reason given'}`,
  );
}
