/**
 * The script inside the page: draws the embedded charts with the inlined Chart.js, in the reader's colour scheme.
 * The annotation functions are inlined by their source, so that page and PNG are drawn by the same code.
 */
import { drawIntervals, drawReferenceLines, drawTexts } from '../charts/annotations.js';

export function clientScript(): string {
  return `
'use strict';
${drawIntervals.toString()}
${drawTexts.toString()}
${drawReferenceLines.toString()}
const dark = matchMedia('(prefers-color-scheme: dark)');
const drawn = [];
Chart.register(
  { id: 'reference', beforeDatasetsDraw: drawReferenceLines },
  { id: 'annotations', afterDatasetsDraw(chart) { drawIntervals(chart); drawTexts(chart); } });
// A tooltip says what the whiskers show, in figures.
function label(item) {
  const interval = item.dataset.intervals && item.dataset.intervals[item.dataIndex];
  const value = item.chart.options.indexAxis === 'y' ? item.parsed.x : item.parsed.y;
  const digits = (x) => Number(x.toPrecision(4));
  return item.dataset.label + ': ' + digits(value) + (interval ? ' [' + digits(interval.low) + ', ' + digits(interval.high) + ']' : '');
}
function draw() {
  for (const chart of drawn.splice(0)) chart.destroy();
  const ink = dark.matches ? '#e8eaed' : '#202124';
  Chart.defaults.color = ink;
  Chart.defaults.borderColor = dark.matches ? '#3a3f45' : '#d5d8dc';
  for (const script of document.querySelectorAll('script[type="application/json"][data-chart]')) {
    const config = JSON.parse(script.textContent);
    config.options.color = ink;
    config.options.responsive = true;
    config.options.plugins.tooltip = { callbacks: { label } };
    drawn.push(new Chart(document.getElementById(script.dataset.chart), config));
  }
}
dark.addEventListener('change', draw);
draw();
`;
}
