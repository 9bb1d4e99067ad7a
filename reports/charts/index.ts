/** All charts of a run, in the order in which they are shown. */
import type { Results } from '../../harness/results.js';
import type { Chart } from './chart.js';
import { peerChart } from './peer.js';
import { percentChart } from './percent.js';
import { scalingCharts } from './scaling.js';

export function charts(results: Results): Chart[] {
  const percent = percentChart(results);
  const peer = peerChart(results);
  return [
    ...(percent ? [percent] : []),
    ...(peer ? [peer] : []),
    ...scalingCharts(results, 'vms'),
    ...scalingCharts(results, 'vcpus'),
  ];
}
