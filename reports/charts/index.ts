/** All charts of a run, in the order in which they are shown. */
import type { Results } from '../../harness/results.js';
import type { Chart } from './chart.js';
import { percentChart } from './percent.js';
import { scalingCharts } from './scaling.js';

export function charts(results: Results): Chart[] {
  const percent = percentChart(results);
  return [...(percent ? [percent] : []), ...scalingCharts(results, 'vms'), ...scalingCharts(results, 'vcpus')];
}
